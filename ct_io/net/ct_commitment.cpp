// Asks for storage commitment by N-ACTION on an open association and reads the results.
#include "ct_io/net/ct_commitment.h"

#include <cstdlib>
#include <cstring>

#include "common/lc_text.h"
#include "ct_io/ct/ct_uid.h"
#include "ct_io/net/ct_association.hpp"
#include "ct_io/net/ct_commitment_result.hpp"

using ct_net::border;
using ct_net::Requestor;
using ct_net::requestor;

namespace ct_net {

namespace {

bool read_uid(DcmItem &item, const DcmTagKey &tag, char (&out)[CT_UID_SIZE]) {
  OFString value;
  item.findAndGetOFString(tag, value);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\0')) value.pop_back();
  if (!ct_uid_valid(value.c_str())) return false;
  lc_text_copy(out, sizeof out, value.c_str());
  return true;
}

void read_items(DcmDataset &dataset, const DcmTagKey &tag, bool committed,
                std::vector<ct_commitment_item> &items) {
  DcmSequenceOfItems *sequence = nullptr;
  if (dataset.findAndGetSequence(tag, sequence).bad() || !sequence) return;
  for (unsigned long i = 0; i < sequence->card(); i++) {
    DcmItem *item = sequence->getItem(i);
    ct_commitment_item read = ct_commitment_item();
    if (!item || !read_uid(*item, DCM_ReferencedSOPInstanceUID, read.sop_instance_uid)) continue;
    read.committed = committed;
    if (!committed && item->findAndGetUint16(DCM_FailureReason, read.reason).bad())
      read.reason = STATUS_N_ProcessingFailure;
    items.push_back(read);
  }
}

} // namespace

bool read_commitment(DcmDataset &dataset, ct_commitment_result &result) {
  result = ct_commitment_result();
  char transaction[CT_UID_SIZE];
  if (!read_uid(dataset, DCM_TransactionUID, transaction)) return false;
  std::vector<ct_commitment_item> items;
  read_items(dataset, DCM_ReferencedSOPSequence, true, items);
  read_items(dataset, DCM_FailedSOPSequence, false, items);
  if (!items.empty()) {
    result.items = static_cast<ct_commitment_item *>(calloc(items.size(), sizeof *result.items));
    if (!result.items) throw std::bad_alloc();
    std::copy(items.begin(), items.end(), result.items);
  }
  result.n = items.size();
  memcpy(result.transaction_uid, transaction, sizeof transaction);
  return true;
}

} // namespace ct_net

namespace {

constexpr Uint16 action_request_commitment = 1;

void put_references(DcmDataset &request, const char *transaction_uid,
                    const ct_object *const *objects, size_t n) {
  ct_out::put(request, DCM_TransactionUID, transaction_uid);
  for (size_t i = 0; i < n; i++) {
    DcmItem &item = ct_out::add_item(request, DCM_ReferencedSOPSequence);
    ct_out::put(item, DCM_ReferencedSOPClassUID, objects[i]->sop_class_uid);
    ct_out::put(item, DCM_ReferencedSOPInstanceUID, objects[i]->sop_instance_uid);
  }
}

} // namespace

lc_status ct_commitment_request(struct ct_association *association, const char *transaction_uid,
                                const struct ct_object *const *objects, size_t n,
                                struct lc_error *err) {
  return border("storage commitment", &association->failure, err, [&] {
    Requestor &r = requestor(association);
    T_ASC_PresentationContextID id = r.findAnyPresentationContextID(
        UID_StorageCommitmentPushModelSOPClass, UID_LittleEndianExplicitTransferSyntax);
    if (id == 0)
      throw ct_out::OutFailure(LC_ERR_UNSUPPORTED, r.name() + ": offers no storage commitment",
                               true);
    DcmDataset request;
    put_references(request, transaction_uid, objects, n);
    Uint16 status = 0;
    ct_net::Deadline deadline(r.watchdog(), r.dimse_seconds());
    r.check(r.sendACTIONRequest(id, UID_StorageCommitmentPushModelSOPInstance,
                                action_request_commitment, &request, status),
            "N-ACTION");
    ct_store_answer answer;
    ct_store_judge(status, &answer);
    if (answer.outcome != CT_STORE_STORED)
      throw ct_out::OutFailure(LC_ERR_UNSUPPORTED,
                               r.name() + ": refused the storage commitment: " + answer.text, true);
  });
}

lc_status ct_commitment_receive(struct ct_association *association, int seconds,
                                struct ct_commitment_result *result, struct lc_error *err) {
  *result = ct_commitment_result();
  return border("storage commitment", &association->failure, err, [&] {
    Requestor &r = requestor(association);
    DcmDataset *received = nullptr;
    Uint16 event = 0;
    ct_net::Deadline deadline(r.watchdog(), seconds + r.dimse_seconds());
    OFCondition condition = r.handleEVENTREPORTRequest(received, event, seconds < 1 ? 1 : seconds);
    std::unique_ptr<DcmDataset> dataset(received);
    if (condition == DIMSE_NODATAAVAILABLE) return;
    r.check(condition, "N-EVENT-REPORT");
    if (dataset) ct_net::read_commitment(*dataset, *result);
  });
}

void ct_commitment_result_free(struct ct_commitment_result *result) {
  free(result->items);
  *result = ct_commitment_result();
}

const char *ct_commitment_reason(uint16_t reason) {
  switch (reason) { // PS3.3 C.14.1.1
  case 0x0110:
    return "processing failure";
  case 0x0112:
    return "no such object";
  case 0x0119:
    return "its class and instance do not belong together";
  case 0x0122:
    return "SOP class not supported";
  case 0x0131:
    return "duplicate transaction";
  case 0x0213:
    return "resource limitation";
  default:
    return "failure";
  }
}
