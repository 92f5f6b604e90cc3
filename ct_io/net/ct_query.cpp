// Queries an archive by C-FIND and retrieves objects by C-GET, stored as they come, or by C-MOVE.
#include "ct_io/net/ct_query.h"
#include "ct_io/dicom_file/ct_syntax.h"

#include "common/lc_text.h"
#include "ct_io/dicom_read/ct_header.h"
#include "ct_io/net/ct_association.hpp"

#include <dcmtk/dcmdata/dcuid.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

namespace {

using ct_net::Requestor;

// The requestor that hears answers one by one, each within its bound.
class Retriever : public Requestor {
public:
  Retriever(const ct_peer &peer, ct_retrieval retrieval_in, const ct_file_store *store)
      : Requestor(peer), retrieval(retrieval_in), store_(store) {
    setStorageMode(DCMSCU_STORAGE_BIT_PRESERVING);
    setProgressNotificationMode(OFFalse);
  }

  OFCondition handleFINDResponse(const T_ASC_PresentationContextID id, QRResponse *response,
                                 OFBool &wait) override {
    watchdog().start(dimse_seconds());
    if (++answers > CT_MOST_MATCHES) {
      wait = OFFalse;
      return EC_Normal;
    }
    return Requestor::handleFINDResponse(id, response, wait);
  }
  OFCondition handleMOVEResponse(const T_ASC_PresentationContextID id, RetrieveResponse *response,
                                 OFBool &wait) override {
    watchdog().start(dimse_seconds());
    return Requestor::handleMOVEResponse(id, response, wait);
  }
  OFCondition handleCGETResponse(const T_ASC_PresentationContextID id, RetrieveResponse *response,
                                 OFBool &go_on) override {
    watchdog().start(dimse_seconds());
    return Requestor::handleCGETResponse(id, response, go_on);
  }
  OFCondition handleSTORERequestFile(T_ASC_PresentationContextID *id, const OFString &,
                                     T_DIMSE_C_StoreRQ *request) override;

  const ct_retrieval retrieval;
  size_t answers = 0;
  lc_status store_status = LC_OK; // of our side of C-GET
  lc_error store_error = {};

private:
  const ct_file_store *store_;
};

template <size_t size> void copy_printable(char (&out)[size], const OFString &text) {
  lc_text_copy(out, size, text.c_str());
  for (char *c = out; *c; c++)
    if (static_cast<unsigned char>(*c) < ' ' || *c == 127) *c = '?';
}

OFCondition Retriever::handleSTORERequestFile(T_ASC_PresentationContextID *id, const OFString &,
                                              T_DIMSE_C_StoreRQ *request) {
  watchdog().start(dimse_seconds());
  ct_scp_object object = {};
  char path[4096];
  OFString abstract_syntax, transfer_syntax;
  findPresentationContext(*id, abstract_syntax, transfer_syntax);
  copy_printable(object.sop_class_uid, request->AffectedSOPClassUID);
  copy_printable(object.sop_instance_uid, request->AffectedSOPInstanceUID);
  copy_printable(object.transfer_syntax_uid, transfer_syntax);
  store_status = store_->begin(store_->context, &object, path, &store_error);
  if (store_status != LC_OK) return EC_IllegalCall; // any: the session ends, and we say why
  OFCondition received = Requestor::handleSTORERequestFile(id, path, request);
  lc_status ended = store_->end(store_->context, &object, received.good(), &store_error);
  if (received.good()) store_status = ended;
  watchdog().start(dimse_seconds());
  return received.good() && ended != LC_OK ? OFCondition(EC_IllegalCall) : received;
}

Retriever &retriever(ct_association *association) {
  auto *found = dynamic_cast<Retriever *>(&ct_net::requestor(association));
  if (!found) throw ct_out::OutFailure(LC_ERR_USAGE, "the association cannot query", true);
  return *found;
}

const char *find_model() {
  return UID_FINDStudyRootQueryRetrieveInformationModel;
}

// Explicit little endian first; then whatever an archive may hold.
std::vector<const char *> all_syntaxes() {
  std::vector<const char *> syntaxes = {UID_LittleEndianExplicitTransferSyntax};
  for (size_t i = 0; const char *uid = ct_transfer_syntax_at(i); i++)
    if (strcmp(uid, UID_LittleEndianExplicitTransferSyntax) != 0) syntaxes.push_back(uid);
  return syntaxes;
}

// Keys with a backslash would be several values, and other control characters have no place.
void put(DcmItem &item, const DcmTagKey &tag, const char *value) {
  if (value)
    for (const char *c = value; *c; c++)
      if (static_cast<unsigned char>(*c) < ' ' || *c == '\\')
        throw ct_out::OutFailure(
            LC_ERR_USAGE, std::string("a key with a backslash or control character: ") + value,
            true);
  ct_out::check(item.putAndInsertString(tag, value ? value : ""), tag);
}

const char *level_name(ct_level level) {
  static const char *const names[] = {"STUDY", "SERIES", "IMAGE"};
  return names[level];
}

std::unique_ptr<DcmDataset> find_keys(const ct_query &query) {
  auto keys = std::make_unique<DcmDataset>();
  put(*keys, DCM_QueryRetrieveLevel, level_name(query.level));
  put(*keys, DCM_SpecificCharacterSet, nullptr);
  put(*keys, DCM_StudyInstanceUID, query.study_instance_uid);
  if (query.level == CT_LEVEL_STUDY) {
    put(*keys, DCM_PatientID, query.patient_id);
    put(*keys, DCM_AccessionNumber, query.accession_number);
    put(*keys, DCM_StudyDate, query.study_date);
    put(*keys, DCM_ModalitiesInStudy, query.modality);
    for (const DcmTagKey &tag :
         {DCM_PatientName, DCM_StudyDescription, DCM_NumberOfStudyRelatedInstances})
      put(*keys, tag, nullptr);
    return keys;
  }
  put(*keys, DCM_SeriesInstanceUID, query.series_instance_uid);
  if (query.level == CT_LEVEL_SERIES) {
    put(*keys, DCM_Modality, query.modality);
    for (const DcmTagKey &tag :
         {DCM_SeriesNumber, DCM_SeriesDescription, DCM_NumberOfSeriesRelatedInstances})
      put(*keys, tag, nullptr);
    return keys;
  }
  put(*keys, DCM_SOPInstanceUID, nullptr);
  return keys;
}

std::unique_ptr<DcmDataset> retrieve_keys(const ct_query &query) {
  auto keys = std::make_unique<DcmDataset>();
  put(*keys, DCM_QueryRetrieveLevel, level_name(query.level));
  put(*keys, DCM_StudyInstanceUID, query.study_instance_uid);
  if (query.level >= CT_LEVEL_SERIES) put(*keys, DCM_SeriesInstanceUID, query.series_instance_uid);
  if (query.level < CT_LEVEL_IMAGE) return keys;
  OFString list;
  for (size_t i = 0; i < query.n_sop_instance_uids; i++) {
    if (i > 0) list += '\\';
    list += query.sop_instance_uids[i];
  }
  ct_out::check(keys->putAndInsertOFStringArray(DCM_SOPInstanceUID, list), DCM_SOPInstanceUID);
  return keys;
}

template <size_t size> void take(DcmItem &item, const DcmTagKey &tag, char (&out)[size]) {
  OFString text;
  out[0] = '\0';
  if (item.findAndGetOFStringArray(tag, text).bad()) return;
  while (!text.empty() && (text.back() == ' ' || text.back() == '\0')) text.pop_back();
  copy_printable(out, text);
}

void make_ascii(ct_match &match) {
  for (char *text :
       {match.patient_id, match.patient_name, match.study_description, match.series_description})
    for (; *text; text++)
      if (static_cast<unsigned char>(*text) > 126) *text = '?';
}

void read_match(DcmDataset &answer, ct_match &match) {
  match = ct_match();
  bool converted = answer.convertToUTF8().good();
  take(answer, DCM_PatientID, match.patient_id);
  take(answer, DCM_PatientName, match.patient_name);
  take(answer, DCM_AccessionNumber, match.accession_number);
  take(answer, DCM_StudyDate, match.study_date);
  take(answer, DCM_StudyDescription, match.study_description);
  take(answer, DCM_StudyInstanceUID, match.study_instance_uid);
  take(answer, DCM_SeriesInstanceUID, match.series_instance_uid);
  take(answer, DCM_SOPInstanceUID, match.sop_instance_uid);
  take(answer, DCM_Modality, match.modality);
  if (!match.modality[0]) take(answer, DCM_ModalitiesInStudy, match.modality);
  take(answer, DCM_SeriesNumber, match.series_number);
  take(answer, DCM_SeriesDescription, match.series_description);
  if (!converted) make_ascii(match);
  char count[32];
  long long number = -1;
  take(answer, DCM_NumberOfSeriesRelatedInstances, count);
  if (!count[0]) take(answer, DCM_NumberOfStudyRelatedInstances, count);
  OFString word(count);
  size_t first = word.find_first_not_of(' ');
  match.n_instances =
      first != OFString_npos && lc_text_to_long(count + first, &number) ? number : -1;
}

void add(ct_matches &matches, const ct_match &match) {
  if (matches.n == matches.capacity) {
    size_t capacity = matches.capacity ? 2 * matches.capacity : 64;
    void *grown = realloc(matches.items, capacity * sizeof match);
    if (!grown) throw std::bad_alloc();
    matches.items = static_cast<ct_match *>(grown);
    matches.capacity = capacity;
  }
  matches.items[matches.n++] = match;
}

// Frees DCMTK's lists of pointers.
template <class Response> struct Responses {
  OFList<Response *> list;
  ~Responses() {
    for (Response *response : list) delete response;
  }
};

// A refusal by the peer: the association goes on.
[[noreturn]] void refuse(const Requestor &r, const char *doing, unsigned status, const char *why) {
  char code[16];
  snprintf(code, sizeof code, "0x%04X", status);
  throw ct_out::OutFailure(
      LC_ERR_NETWORK, r.name() + ": " + doing + " was refused with status " + code + why, true);
}

const char *status_words(unsigned status) {
  if (status == 0xa801) return " (the peer does not know our AE title as a place to move to)";
  if ((status & 0xff00) == 0xa700) return " (out of resources)";
  if (status == 0xa900) return " (identifier does not match the SOP class)";
  if ((status & 0xf000) == 0xc000) return " (unable to process)";
  if (status == 0x0122) return " (SOP class not supported)";
  if (status == 0x0124) return " (not authorised)";
  return "";
}

void find(Retriever &r, const ct_query &query, ct_matches &matches) {
  T_ASC_PresentationContextID id = r.context(find_model(), UID_LittleEndianExplicitTransferSyntax);
  if (!id) id = r.context(find_model(), UID_LittleEndianImplicitTransferSyntax);
  std::unique_ptr<DcmDataset> keys = find_keys(query);
  Responses<QRResponse> responses;
  ct_net::Deadline deadline(r.watchdog(), r.dimse_seconds());
  r.answers = 0;
  r.check(id ? OFCondition(EC_Normal) : OFCondition(DIMSE_NOVALIDPRESENTATIONCONTEXTID), "C-FIND");
  r.check(r.sendFINDRequest(id, keys.get(), &responses.list), "C-FIND");
  if (r.answers > CT_MOST_MATCHES)
    throw ct_out::OutFailure(LC_ERR_MEMORY,
                             r.name() + ": C-FIND matches more than " +
                                 std::to_string(CT_MOST_MATCHES) + "; ask for less",
                             true);
  for (QRResponse *response : responses.list) {
    if (DICOM_PENDING_STATUS(response->m_status) && response->m_dataset) {
      ct_match match;
      read_match(*response->m_dataset, match);
      add(matches, match);
    } else if (response->m_status != STATUS_Success) {
      refuse(r, "C-FIND", response->m_status, status_words(response->m_status));
    }
  }
}

void retrieve(Retriever &r, const ct_query &query, const char *destination,
              ct_retrieved &retrieved) {
  bool get = r.retrieval == CT_BY_GET;
  const char *model = get ? UID_GETStudyRootQueryRetrieveInformationModel
                          : UID_MOVEStudyRootQueryRetrieveInformationModel;
  const char *doing = get ? "C-GET" : "C-MOVE";
  T_ASC_PresentationContextID id = r.context(model, UID_LittleEndianExplicitTransferSyntax);
  if (!id) id = r.context(model, UID_LittleEndianImplicitTransferSyntax);
  std::unique_ptr<DcmDataset> keys = retrieve_keys(query);
  Responses<RetrieveResponse> responses;
  ct_net::Deadline deadline(r.watchdog(), r.dimse_seconds());
  r.check(id ? OFCondition(EC_Normal) : OFCondition(DIMSE_NOVALIDPRESENTATIONCONTEXTID), doing);
  r.store_status = LC_OK;
  OFCondition sent = get ? r.sendCGETRequest(id, keys.get(), &responses.list)
                         : r.sendMOVERequest(id, destination, keys.get(), &responses.list);
  if (r.store_status != LC_OK)
    throw ct_out::OutFailure(r.store_status, r.store_error.message, true);
  r.check(sent, doing);
  if (responses.list.empty()) r.fail(CT_NET_PROTOCOL, std::string(doing) + ": no answer");
  const RetrieveResponse &last = *responses.list.back();
  retrieved.n_completed = last.m_numberOfCompletedSubops;
  retrieved.n_failed = last.m_numberOfFailedSubops;
  retrieved.n_warning = last.m_numberOfWarningSubops;
  // B000: done, but some objects could not be sent; they are counted.
  if (last.m_status != STATUS_Success && last.m_status != 0xb000)
    refuse(r, doing, last.m_status, status_words(last.m_status));
}

void open(ct_association &association, const ct_peer &peer, ct_retrieval retrieval,
          const ct_file_store *store) {
  static const char *const plain[] = {UID_LittleEndianExplicitTransferSyntax,
                                      UID_LittleEndianImplicitTransferSyntax};
  std::vector<ct_context> contexts = {{find_model(), plain, 2, false}};
  std::vector<const char *> syntaxes = all_syntaxes();
  if (retrieval == CT_BY_MOVE)
    contexts.push_back({UID_MOVEStudyRootQueryRetrieveInformationModel, plain, 2, false});
  if (retrieval == CT_BY_GET) {
    contexts.push_back({UID_GETStudyRootQueryRetrieveInformationModel, plain, 2, false});
    for (int i = 0; i < numberOfDcmLongSCUStorageSOPClassUIDs && contexts.size() < CT_MAX_CONTEXTS;
         i++)
      contexts.push_back(
          {dcmLongSCUStorageSOPClassUIDs[i], syntaxes.data(), syntaxes.size(), true});
  }
  auto made = std::make_unique<Retriever>(peer, retrieval, store);
  made->open(contexts.data(), contexts.size());
  ct_net::adopt(&association, std::move(made));
}

} // namespace

void ct_matches_free(struct ct_matches *matches) {
  free(matches->items);
  *matches = ct_matches();
}

lc_status ct_query_open(struct ct_association *association, const struct ct_peer *peer,
                        ct_retrieval retrieval, const struct ct_file_store *store,
                        struct lc_error *err) {
  *association = ct_association();
  return ct_net::border("association", &association->failure, err,
                        [&] { open(*association, *peer, retrieval, store); });
}

lc_status ct_query_find(struct ct_association *association, const struct ct_query *query,
                        struct ct_matches *matches, struct lc_error *err) {
  return ct_net::border("C-FIND", &association->failure, err,
                        [&] { find(retriever(association), *query, *matches); });
}

lc_status ct_query_retrieve(struct ct_association *association, const struct ct_query *query,
                            const char *destination, struct ct_retrieved *retrieved,
                            struct lc_error *err) {
  *retrieved = ct_retrieved();
  return ct_net::border(association->handle ? "retrieval" : "association", &association->failure,
                        err,
                        [&] { retrieve(retriever(association), *query, destination, *retrieved); });
}
