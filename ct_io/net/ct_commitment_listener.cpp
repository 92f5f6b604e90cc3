// Listens on a port for the results of storage commitment that archives send on associations of
// their own.
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <deque>

#include "common/lc_log.h"
#include "ct_io/net/ct_association.hpp"
#include "ct_io/net/ct_commitment_result.hpp"

namespace {

using ct_net::Deadline;

class Listener {
public:
  Listener(const ct_peer &self, int listening)
      : title_(self.calling_ae), max_pdu_(self.max_pdu), tls_(self.tls),
        association_s_(self.association_s), dimse_s_(self.dimse_s), listening_(listening) {
    if (self.tls && !(self.tls_certificate && *self.tls_certificate))
      throw ct_out::OutFailure(LC_ERR_CONFIG, "to listen with TLS takes a certificate and its key");
    layer_ = ct_net::make_layer(self, true, watchdog_, seen_);
    // With a socket given DCMTK makes none, which would be on every address; those that it takes
    // then are connections (wait).
    dcmExternalSocketHandle.set(listening);
    OFCondition made = ASC_initializeNetwork(NET_ACCEPTOR, 0, self.association_s, &network_);
    dcmExternalSocketHandle.set(-1);
    if (made.good()) made = ASC_setTransportLayer(network_, layer_.get(), 0);
    if (made.bad())
      throw ct_net::NetFailure(CT_NET_CONNECT, std::string("cannot listen: ") + made.text());
  }
  ~Listener() {
    ASC_dropNetwork(&network_);
    close(listening_);
    for (auto &result : results_) ct_commitment_result_free(&result);
  }
  Listener(const Listener &) = delete;
  Listener &operator=(const Listener &) = delete;

  ct_commitment_result wait(int seconds) {
    pollfd waiting = {listening_, POLLIN, 0};
    if (results_.empty() && poll(&waiting, 1, 1000 * seconds) > 0) {
      const int connection = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
      dcmExternalSocketHandle.set(connection);
      if (connection >= 0) serve();
      dcmExternalSocketHandle.set(-1);
    }
    ct_commitment_result first = ct_commitment_result();
    if (!results_.empty()) {
      first = results_.front();
      results_.pop_front();
    }
    return first;
  }

private:
  void serve() {
    T_ASC_Association *association = nullptr;
    OFCondition end;
    {
      Deadline deadline(watchdog_, association_s_);
      end = ASC_receiveAssociation(network_, &association, static_cast<long>(max_pdu_), nullptr,
                                   nullptr, tls_, DUL_NOBLOCK, association_s_);
      if (end.good()) end = negotiate(association);
    }
    if (end.good()) end = converse(association);
    Deadline deadline(watchdog_, 1);
    if (end == DUL_PEERREQUESTEDRELEASE)
      ASC_acknowledgeRelease(association);
    else if (end.bad())
      lc_log(LC_LOG_WARNING, "storage commitment: a caller was left: %s", end.text());
    if (end.bad() && end != DUL_PEERREQUESTEDRELEASE && end != DUL_PEERABORTEDASSOCIATION &&
        association)
      ASC_abortAssociation(association);
    if (association) {
      ASC_dropSCPAssociation(association, 1);
      ASC_destroyAssociation(&association);
    }
  }

  OFCondition reject(T_ASC_Association *association) {
    const T_ASC_RejectParameters why = {ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER,
                                        ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED};
    OFCondition sent = ASC_rejectAssociation(association, &why);
    return sent.bad() ? sent : DUL_ASSOCIATIONREJECTED;
  }

  OFCondition negotiate(T_ASC_Association *association) {
    char called[CT_AE_SIZE + 48] = "";
    ASC_getAPTitles(association->params, nullptr, 0, called, sizeof called, nullptr, 0);
    if (title_ != called) return reject(association);
    T_ASC_Parameters *params = association->params;
    for (int i = 0; i < ASC_countPresentationContexts(params); i++) {
      T_ASC_PresentationContext context;
      OFCondition got = ASC_getPresentationContext(params, i, &context);
      if (got.bad()) return got;
      const char *syntax = wanted(context);
      // The archive is the provider here though it calls: the role it proposes is right.
      OFCondition settled =
          syntax ? ASC_acceptPresentationContext(params, context.presentationContextID, syntax,
                                                 context.proposedRole)
                 : ASC_refusePresentationContext(params, context.presentationContextID,
                                                 ASC_P_ABSTRACTSYNTAXNOTSUPPORTED);
      if (settled.bad()) return settled;
    }
    return ASC_acknowledgeAssociation(association);
  }

  static const char *wanted(const T_ASC_PresentationContext &context) {
    if (strcmp(context.abstractSyntax, UID_StorageCommitmentPushModelSOPClass) != 0 &&
        strcmp(context.abstractSyntax, UID_VerificationSOPClass) != 0)
      return nullptr;
    for (const char *syntax :
         {UID_LittleEndianExplicitTransferSyntax, UID_LittleEndianImplicitTransferSyntax})
      for (int i = 0; i < context.transferSyntaxCount; i++)
        if (!strcmp(context.proposedTransferSyntaxes[i], syntax)) return syntax;
    return nullptr;
  }

  // Until the caller releases. Each message has its own deadline, and no caller may send many.
  OFCondition converse(T_ASC_Association *association) {
    constexpr int most_messages = 1000;
    OFCondition end = EC_Normal;
    for (int i = 0; i < most_messages && end.good(); i++) {
      Deadline deadline(watchdog_, dimse_s_);
      T_DIMSE_Message message;
      memset(&message, 0, sizeof message);
      DcmDataset *detail = nullptr;
      T_ASC_PresentationContextID id = 0;
      end = DIMSE_receiveCommand(association, DIMSE_NONBLOCKING, dimse_s_, &id, &message, &detail);
      delete detail;
      if (end.bad()) break;
      if (message.CommandField == DIMSE_C_ECHO_RQ)
        end =
            DIMSE_sendEchoResponse(association, id, &message.msg.CEchoRQ, STATUS_Success, nullptr);
      else if (message.CommandField == DIMSE_N_EVENT_REPORT_RQ)
        end = take(association, id, message.msg.NEventReportRQ);
      else
        end = DIMSE_BADCOMMANDTYPE;
    }
    return end.good() ? OFCondition(DIMSE_BADMESSAGE) : end;
  }

  OFCondition take(T_ASC_Association *association, T_ASC_PresentationContextID id,
                   const T_DIMSE_N_EventReportRQ &request) {
    DcmDataset *received = nullptr;
    Uint16 status = STATUS_N_Success;
    if (request.DataSetType != DIMSE_DATASET_NULL) {
      OFCondition got = DIMSE_receiveDataSetInMemory(association, DIMSE_NONBLOCKING, dimse_s_, &id,
                                                     &received, nullptr, nullptr);
      if (got.bad()) return got;
    }
    std::unique_ptr<DcmDataset> dataset(received);
    ct_commitment_result result = ct_commitment_result();
    if (dataset && ct_net::read_commitment(*dataset, result))
      results_.push_back(result);
    else
      status = STATUS_N_ProcessingFailure;
    T_DIMSE_Message response;
    memset(&response, 0, sizeof response);
    response.CommandField = DIMSE_N_EVENT_REPORT_RSP;
    T_DIMSE_N_EventReportRSP &answer = response.msg.NEventReportRSP;
    answer.MessageIDBeingRespondedTo = request.MessageID;
    answer.DimseStatus = status;
    answer.DataSetType = DIMSE_DATASET_NULL;
    return DIMSE_sendMessageUsingMemoryData(association, id, &response, nullptr, nullptr, nullptr,
                                            nullptr);
  }

  std::string title_;
  uint32_t max_pdu_;
  bool tls_;
  int association_s_, dimse_s_, listening_;
  ct_net::Watchdog watchdog_;
  ct_net::Seen seen_;
  std::unique_ptr<DcmTransportLayer> layer_;
  T_ASC_Network *network_ = nullptr;
  std::deque<ct_commitment_result> results_;
};

} // namespace

lc_status ct_commitment_listen(struct ct_commitment_listener *listener, const struct ct_peer *self,
                               int listening, struct lc_error *err) {
  listener->handle = nullptr;
  return ct_out::border("storage commitment", err,
                        [&] { listener->handle = new Listener(*self, listening); });
}

lc_status ct_commitment_wait(struct ct_commitment_listener *listener, int seconds,
                             struct ct_commitment_result *result, struct lc_error *err) {
  *result = ct_commitment_result();
  return ct_out::border("storage commitment", err, [&] {
    if (!listener->handle) throw ct_out::OutFailure(LC_ERR_USAGE, "the listener is closed");
    *result = static_cast<Listener *>(listener->handle)->wait(seconds);
  });
}

void ct_commitment_close(struct ct_commitment_listener *listener) {
  delete static_cast<Listener *>(listener->handle);
  listener->handle = nullptr;
}
