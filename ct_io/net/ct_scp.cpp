// Serves one incoming association: negotiates contexts, answers C-ECHO and C-STORE, writes data
// sets to files as they come, and answers storage commitment.
#include "ct_io/net/ct_scp.h"
#include "ct_io/dicom_file/ct_syntax.h"

#include "common/lc_text.h"
#include "ct_io/dicom_read/ct_header.h"
#include "ct_io/dicom_write/ct_dicom_out.hpp"
#include "ct_io/net/ct_connection.hpp"

#include <dcmtk/dcmdata/dcdict.h>
#include <dcmtk/dcmdata/dcmetinf.h>
#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <unistd.h>

namespace {

// SIGTERM: between two objects the process may go at once; during one its answer comes first.
volatile sig_atomic_t in_object = 0, asked_to_stop = 0;

void on_terminate(int) {
  if (!in_object) _exit(0);
  asked_to_stop = 1;
}

template <size_t size> void copy_printable(char (&out)[size], const char *text) {
  lc_text_copy(out, size, text);
  for (char *c = out; *c; c++)
    if (*c < ' ' || *c > '~') *c = '?';
}

// A title without the blanks around it, which do not count (PS3.5 table 6.2-1).
std::string title_of(const char *text) {
  std::string title(text);
  size_t first = title.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return title.substr(first, title.find_last_not_of(' ') - first + 1);
}

[[noreturn]] void fail(const std::string &message) {
  throw ct_out::OutFailure(LC_ERR_NETWORK, message);
}

class Acceptor {
public:
  Acceptor(int descriptor, const ct_scp_options &options, const ct_scp_store &store,
           ct_scp_summary &summary);
  ~Acceptor();
  Acceptor(const Acceptor &) = delete;
  Acceptor &operator=(const Acceptor &) = delete;

  bool negotiate(); // false: refused
  void serve();

private:
  void reject(T_ASC_RejectParametersResult result, T_ASC_RejectParametersReason reason);
  bool caller_allowed(const std::string &caller) const;
  void accept_contexts();
  bool answer_one();
  void next_pdv(DUL_PDV &pdv);
  const char *context_mismatch(T_ASC_PresentationContextID id, const T_DIMSE_C_StoreRQ &request,
                               ct_scp_object &object);
  uint16_t receive(T_ASC_PresentationContextID id, int descriptor, uint16_t answer);
  void store(T_ASC_PresentationContextID id, const T_DIMSE_C_StoreRQ &request);
  void commit(T_ASC_PresentationContextID id, const T_DIMSE_N_ActionRQ &request);

  const ct_scp_options &options_;
  const ct_scp_store &store_;
  ct_scp_summary &summary_;
  ct_net::Watchdog watchdog_;
  ct_net::Seen seen_;
  std::unique_ptr<DcmTransportLayer> layer_;
  T_ASC_Network *network_ = nullptr;
  T_ASC_Association *association_ = nullptr;
  bool done_ = false;
};

Acceptor::Acceptor(int descriptor, const ct_scp_options &options, const ct_scp_store &store,
                   ct_scp_summary &summary)
    : options_(options), store_(store), summary_(summary) {
  dcmDisableGethostbyaddr.set(OFTrue);
  dcmExternalSocketHandle.set(descriptor);
  layer_ = ct_net::make_layer(options.self, true, watchdog_, seen_);
  if (ASC_initializeNetwork(NET_ACCEPTOR, 0, options.self.association_s, &network_).bad() ||
      ASC_setTransportLayer(network_, layer_.get(), 0).bad())
    throw ct_out::OutFailure(LC_ERR_INTERNAL, "the network layer cannot be started");
}

Acceptor::~Acceptor() {
  ct_net::Deadline deadline(watchdog_, 5);
  if (association_) {
    if (!done_) ASC_abortAssociation(association_);
    ASC_dropSCPAssociation(association_, 2);
    ASC_destroyAssociation(&association_);
  }
  ASC_dropNetwork(&network_);
}

void Acceptor::reject(T_ASC_RejectParametersResult result, T_ASC_RejectParametersReason reason) {
  T_ASC_RejectParameters parameters = {result, ASC_SOURCE_SERVICEUSER, reason};
  summary_.refused = true;
  ASC_rejectAssociation(association_, &parameters);
  done_ = true;
}

bool Acceptor::caller_allowed(const std::string &caller) const {
  for (size_t i = 0; i < options_.n_callers; i++)
    if (title_of(options_.callers[i]) == caller) return true;
  return options_.n_callers == 0;
}

void Acceptor::accept_contexts() {
  std::vector<const char *> services;
  if (options_.n_sop_classes > 0)
    services.assign(options_.sop_classes, options_.sop_classes + options_.n_sop_classes);
  else
    services.assign(dcmAllStorageSOPClassUIDs,
                    dcmAllStorageSOPClassUIDs + numberOfDcmAllStorageSOPClassUIDs);
  services.push_back(UID_VerificationSOPClass);
  if (store_.holds) services.push_back(UID_StorageCommitmentPushModelSOPClass);
  // Explicit little endian is preferred: nothing then needs a decoder.
  std::vector<const char *> syntaxes = {UID_LittleEndianExplicitTransferSyntax};
  for (size_t i = 0; ct_transfer_syntax_at(i); i++) syntaxes.push_back(ct_transfer_syntax_at(i));
  ASC_acceptContextsWithPreferredTransferSyntaxes(
      association_->params, services.data(), static_cast<int>(services.size()), syntaxes.data(),
      static_cast<int>(syntaxes.size()));
}

bool Acceptor::negotiate() {
  ct_net::Deadline deadline(watchdog_, options_.self.association_s);
  OFCondition received = ASC_receiveAssociation(
      network_, &association_, static_cast<long>(options_.self.max_pdu), nullptr, nullptr,
      options_.self.tls ? OFTrue : OFFalse, DUL_NOBLOCK, options_.self.association_s);
  done_ = received.bad();
  if (watchdog_.expired()) fail("no association was asked for in time");
  if (received.bad() && seen_.handshake_failed) {
    summary_.refused = true;
    fail("TLS: " + seen_.handshake_error);
  }
  if (received.bad()) fail(std::string("no association: ") + received.text());
  copy_printable(summary_.calling, association_->params->DULparams.callingAPTitle);
  std::string called = title_of(association_->params->DULparams.calledAPTitle);
  std::string calling = title_of(association_->params->DULparams.callingAPTitle);
  char context[CT_UID_SIZE] = "";
  ASC_getApplicationContextName(association_->params, context, sizeof context);
  if (strcmp(context, UID_StandardApplicationContext) != 0) {
    reject(ASC_RESULT_REJECTEDPERMANENT, ASC_REASON_SU_APPCONTEXTNAMENOTSUPPORTED);
    fail("refused: another application context than DICOM's");
  }
  if (options_.check_called && called != title_of(options_.self.called_ae)) {
    reject(ASC_RESULT_REJECTEDPERMANENT, ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED);
    char shown[CT_AE_SIZE];
    copy_printable(shown, called.c_str());
    fail(std::string("refused: it called ") + shown);
  }
  if (!caller_allowed(calling)) {
    reject(ASC_RESULT_REJECTEDPERMANENT, ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED);
    fail("refused: its title may not call");
  }
  accept_contexts();
  if (ASC_acknowledgeAssociation(association_).bad()) fail("hung up during negotiation");
  return true;
}

// The next fragment of the data set that is being received.
void Acceptor::next_pdv(DUL_PDV &pdv) {
  if (DUL_NextPDV(&association_->DULassociation, &pdv).bad()) {
    OFCondition read =
        ASC_dataWaiting(association_, options_.object_s)
            ? DUL_ReadPDVs(&association_->DULassociation, nullptr, DUL_NOBLOCK, options_.object_s)
            : DUL_READTIMEOUT;
    if (watchdog_.expired() || read == DUL_READTIMEOUT) fail("an object did not come in time");
    if (read != DUL_PDATAPDUARRIVED)
      fail(std::string("hung up in the middle of an object: ") + read.text());
    if (DUL_NextPDV(&association_->DULassociation, &pdv).bad()) fail("an empty P-DATA-TF");
  }
  if (pdv.fragmentLength > options_.self.max_pdu) fail("a fragment longer than its PDU");
}

// What of the request does not fit the negotiated context, or NULL; fills the object.
const char *Acceptor::context_mismatch(T_ASC_PresentationContextID id,
                                       const T_DIMSE_C_StoreRQ &request, ct_scp_object &object) {
  T_ASC_PresentationContext context;
  copy_printable(object.sop_class_uid, request.AffectedSOPClassUID);
  copy_printable(object.sop_instance_uid, request.AffectedSOPInstanceUID);
  if (ASC_findAcceptedPresentationContext(association_->params, id, &context).bad())
    return "a context that was not accepted";
  copy_printable(object.transfer_syntax_uid, context.acceptedTransferSyntax);
  if (strcmp(context.abstractSyntax, request.AffectedSOPClassUID) != 0)
    return "another SOP class than the context's";
  return nullptr;
}

bool write_all(int descriptor, const void *bytes, size_t count) {
  const char *at = static_cast<const char *>(bytes);
  while (count > 0) {
    ssize_t n = write(descriptor, at, count);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    count -= static_cast<size_t>(n);
  }
  return true;
}

// Preamble and file meta information.
bool write_meta(int descriptor, const ct_scp_object &object, const char *calling) {
  DcmMetaInfo meta;
  const Uint8 version[] = {0, 1};
  OFCondition made = meta.putAndInsertUint32(DCM_FileMetaInformationGroupLength, 0);
  if (made.good())
    made = meta.putAndInsertUint8Array(DCM_FileMetaInformationVersion, version, sizeof version);
  const struct {
    DcmTagKey tag;
    const char *value;
  } texts[] = {{DCM_MediaStorageSOPClassUID, object.sop_class_uid},
               {DCM_MediaStorageSOPInstanceUID, object.sop_instance_uid},
               {DCM_TransferSyntaxUID, object.transfer_syntax_uid},
               {DCM_ImplementationClassUID, OFFIS_IMPLEMENTATION_CLASS_UID},
               {DCM_ImplementationVersionName, OFFIS_DTK_IMPLEMENTATION_VERSION_NAME2},
               {DCM_SourceApplicationEntityTitle, calling}};
  for (const auto &text : texts)
    if (made.good()) made = meta.putAndInsertString(text.tag, text.value);
  if (made.good())
    made = meta.computeGroupLengthAndPadding(
        EGL_withGL, EPD_noChange, META_HEADER_DEFAULT_TRANSFERSYNTAX, EET_UndefinedLength);
  std::vector<char> bytes(4096);
  DcmOutputBufferStream stream(bytes.data(), static_cast<offile_off_t>(bytes.size()));
  meta.transferInit();
  if (made.good())
    made = meta.write(stream, META_HEADER_DEFAULT_TRANSFERSYNTAX, EET_ExplicitLength, nullptr);
  meta.transferEnd();
  void *start = nullptr;
  offile_off_t count = 0;
  stream.flushBuffer(start, count);
  return made.good() && write_all(descriptor, start, static_cast<size_t>(count));
}

// Reads the data set to its end; writes it while the answer is still CT_STORE_OK.
uint16_t Acceptor::receive(T_ASC_PresentationContextID id, int descriptor, uint16_t answer) {
  for (bool last = false; !last;) {
    DUL_PDV pdv;
    next_pdv(pdv);
    if (pdv.pdvType != DUL_DATASETPDV) fail("a command in the middle of a data set");
    if (pdv.presentationContextID != id) fail("a data set in another context than its command");
    last = pdv.lastPDV;
    summary_.n_bytes += pdv.fragmentLength;
    if (answer == CT_STORE_OK) answer = store_.room(store_.context, pdv.fragmentLength);
    if (answer == CT_STORE_OK && !write_all(descriptor, pdv.data, pdv.fragmentLength))
      answer = CT_STORE_NO_RESOURCES;
  }
  return answer;
}

void Acceptor::store(T_ASC_PresentationContextID id, const T_DIMSE_C_StoreRQ &request) {
  ct_scp_object object = {};
  int descriptor = -1;
  bool begun = false;
  uint16_t answer = context_mismatch(id, request, object) ? CT_STORE_NO_SUCH_CLASS : CT_STORE_OK;
  in_object = 1;
  ct_net::Deadline deadline(watchdog_, options_.object_s);
  if (answer == CT_STORE_OK) {
    answer = store_.begin(store_.context, &object, &descriptor);
    begun = answer == CT_STORE_OK;
  }
  try {
    if (begun && (store_.room(store_.context, 4096) != CT_STORE_OK ||
                  !write_meta(descriptor, object, summary_.calling)))
      answer = CT_STORE_NO_RESOURCES;
    answer = receive(id, descriptor, answer);
  } catch (...) {
    if (begun) store_.end(store_.context, &object, CT_STORE_NOT_UNDERSTOOD);
    in_object = 0;
    throw;
  }
  if (begun) answer = store_.end(store_.context, &object, answer);
  (answer == CT_STORE_OK ? summary_.n_stored : summary_.n_refused)++;
  T_DIMSE_C_StoreRSP response = {};
  response.DimseStatus = answer;
  OFCondition sent = DIMSE_sendStoreResponse(association_, id, &request, &response, nullptr);
  in_object = 0;
  if (sent.bad()) fail("hung up before it had an answer");
}

// The objects of a commitment request, sorted into those that are here and those that are not.
std::unique_ptr<DcmDataset> judge_commitment(DcmDataset &asked, const ct_scp_store &store,
                                             bool &complete) {
  auto report = std::make_unique<DcmDataset>();
  OFString transaction;
  DcmSequenceOfItems *objects = nullptr;
  asked.findAndGetOFString(DCM_TransactionUID, transaction);
  report->putAndInsertOFStringArray(DCM_TransactionUID, transaction);
  complete = true;
  if (asked.findAndGetSequence(DCM_ReferencedSOPSequence, objects).bad()) return report;
  for (unsigned long i = 0; i < objects->card(); i++) {
    OFString sop_class, instance;
    objects->getItem(i)->findAndGetOFString(DCM_ReferencedSOPClassUID, sop_class);
    objects->getItem(i)->findAndGetOFString(DCM_ReferencedSOPInstanceUID, instance);
    bool here = store.holds(store.context, instance.c_str());
    complete = complete && here;
    DcmItem *item = nullptr;
    report->findOrCreateSequenceItem(here ? DCM_ReferencedSOPSequence : DCM_FailedSOPSequence, item,
                                     -2);
    if (!item) throw std::bad_alloc();
    item->putAndInsertOFStringArray(DCM_ReferencedSOPClassUID, sop_class);
    item->putAndInsertOFStringArray(DCM_ReferencedSOPInstanceUID, instance);
    if (!here) item->putAndInsertUint16(DCM_FailureReason, 0x0112); // no such object instance
  }
  return report;
}

// N-ACTION, and the N-EVENT-REPORT that answers it on the same association (PS3.4 J.3.3).
void Acceptor::commit(T_ASC_PresentationContextID id, const T_DIMSE_N_ActionRQ &request) {
  ct_net::Deadline deadline(watchdog_, options_.object_s);
  DcmDataset *received = nullptr;
  T_ASC_PresentationContextID data_id = 0;
  if (request.DataSetType != DIMSE_DATASET_NULL &&
      DIMSE_receiveDataSetInMemory(association_, DIMSE_NONBLOCKING, options_.object_s, &data_id,
                                   &received, nullptr, nullptr)
          .bad())
    fail("hung up in the middle of a commitment request");
  std::unique_ptr<DcmDataset> asked(received);
  bool understood =
      asked && store_.holds && request.ActionTypeID == 1 &&
      strcmp(request.RequestedSOPClassUID, UID_StorageCommitmentPushModelSOPClass) == 0;
  T_DIMSE_Message message = {};
  message.CommandField = DIMSE_N_ACTION_RSP;
  T_DIMSE_N_ActionRSP &response = message.msg.NActionRSP;
  response.MessageIDBeingRespondedTo = request.MessageID;
  lc_text_copy(response.AffectedSOPClassUID, sizeof response.AffectedSOPClassUID,
               request.RequestedSOPClassUID);
  lc_text_copy(response.AffectedSOPInstanceUID, sizeof response.AffectedSOPInstanceUID,
               request.RequestedSOPInstanceUID);
  response.opts = O_NACTION_AFFECTEDSOPCLASSUID | O_NACTION_AFFECTEDSOPINSTANCEUID;
  response.DataSetType = DIMSE_DATASET_NULL;
  response.DimseStatus = understood ? STATUS_Success : STATUS_N_NoSuchAction;
  if (DIMSE_sendMessageUsingMemoryData(association_, id, &message, nullptr, nullptr, nullptr,
                                       nullptr)
          .bad())
    fail("hung up before it had an answer");
  if (!understood) return;
  bool complete = false;
  std::unique_ptr<DcmDataset> report = judge_commitment(*asked, store_, complete);
  T_DIMSE_Message event = {};
  event.CommandField = DIMSE_N_EVENT_REPORT_RQ;
  T_DIMSE_N_EventReportRQ &reported = event.msg.NEventReportRQ;
  reported.MessageID = association_->nextMsgID++;
  lc_text_copy(reported.AffectedSOPClassUID, sizeof reported.AffectedSOPClassUID,
               UID_StorageCommitmentPushModelSOPClass);
  lc_text_copy(reported.AffectedSOPInstanceUID, sizeof reported.AffectedSOPInstanceUID,
               UID_StorageCommitmentPushModelSOPInstance);
  reported.DataSetType = DIMSE_DATASET_PRESENT;
  reported.EventTypeID = complete ? 1 : 2;
  if (DIMSE_sendMessageUsingMemoryData(association_, id, &event, nullptr, report.get(), nullptr,
                                       nullptr)
          .bad())
    fail("hung up before it had the report of its commitment request");
  T_DIMSE_Message answer = {};
  T_ASC_PresentationContextID answer_id = 0;
  OFCondition got = DIMSE_receiveCommand(association_, DIMSE_NONBLOCKING, options_.self.dimse_s,
                                         &answer_id, &answer, nullptr);
  if (got.bad() || answer.CommandField != DIMSE_N_EVENT_REPORT_RSP)
    fail("gave no answer to the report of its commitment request");
}

// One message; false at the end of the association.
bool Acceptor::answer_one() {
  T_ASC_PresentationContextID id = 0;
  T_DIMSE_Message message = {};
  OFCondition got;
  {
    ct_net::Deadline deadline(watchdog_, options_.self.dimse_s);
    got = DIMSE_receiveCommand(association_, DIMSE_NONBLOCKING, options_.self.dimse_s, &id,
                               &message, nullptr);
    if (got == DUL_PEERREQUESTEDRELEASE) {
      ASC_acknowledgeRelease(association_);
      summary_.released = done_ = true;
      return false;
    }
    if (watchdog_.expired() || got == DIMSE_NODATAAVAILABLE) fail("nothing more came in time");
  }
  if (got == DUL_PEERABORTEDASSOCIATION) {
    done_ = true;
    return false;
  }
  if (got.bad()) fail(got.text());
  switch (message.CommandField) {
  case DIMSE_C_ECHO_RQ: {
    ct_net::Deadline deadline(watchdog_, options_.self.dimse_s);
    if (DIMSE_sendEchoResponse(association_, id, &message.msg.CEchoRQ, STATUS_Success, nullptr)
            .bad())
      fail("hung up before it had an answer");
    return true;
  }
  case DIMSE_C_STORE_RQ:
    store(id, message.msg.CStoreRQ);
    return true;
  case DIMSE_N_ACTION_RQ:
    commit(id, message.msg.NActionRQ);
    return true;
  default:
    fail("asked for something that is neither C-ECHO, C-STORE nor storage commitment");
  }
}

void Acceptor::serve() {
  while (!asked_to_stop && answer_one()) {
  }
}

} // namespace

lc_status ct_scp_check(const struct ct_scp_options *options, struct lc_error *err) {
  struct ct_peer self = options->self;
  self.host = "here"; // only peers to connect to need one
  self.port = 104;
  LC_TRY(ct_peer_check(&self, err));
  if (options->object_s < 1)
    LC_FAIL(err, LC_ERR_CONFIG, "the time for one object is less than a second");
  for (size_t i = 0; i < options->n_callers; i++) {
    self.calling_ae = options->callers[i];
    LC_TRY(ct_peer_check(&self, err));
  }
  if (self.tls && (!self.tls_certificate || !*self.tls_certificate))
    LC_FAIL(err, LC_ERR_CONFIG, "TLS needs a certificate and its key");
  return ct_out::border("TLS", err, [&] {
    // Read here once, and not in each child.
    if (!dcmDataDict.isDictionaryLoaded())
      throw ct_out::OutFailure(LC_ERR_INTERNAL, "DCMTK finds no data dictionary");
    ct_net::Watchdog watchdog;
    ct_net::Seen seen;
    ct_net::make_layer(self, true, watchdog, seen);
  });
}

lc_status ct_scp_serve(int descriptor, const struct ct_scp_options *options,
                       const struct ct_scp_store *store, struct ct_scp_summary *summary,
                       struct lc_error *err) {
  memset(summary, 0, sizeof *summary);
  struct sigaction action = {};
  action.sa_handler = on_terminate;
  sigaction(SIGTERM, &action, nullptr);
  return ct_out::border("peer", err, [&] {
    Acceptor acceptor(descriptor, *options, *store, *summary);
    if (acceptor.negotiate()) acceptor.serve();
  });
}
