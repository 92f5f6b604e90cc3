// Opens, uses and closes associations as requestor (DCMTK's DcmSCU), bounds them in time, and sorts
// their failures by kind.
#include "ct_io/net/ct_association.hpp"

#include <cstdio>

namespace ct_net {

namespace {

// A-ASSOCIATE-RJ in words (PS3.8 table 9-21).
const char *rejection_reason(unsigned source, unsigned reason) {
  if (source == 1) switch (reason) {
    case 2:
      return "application context name not supported";
    case 3:
      return "calling AE title not recognised";
    case 7:
      return "called AE title not recognised";
    default:
      return "no reason given";
    }
  if (source == 2) return reason == 2 ? "protocol version not supported" : "no reason given";
  if (source == 3 && reason == 1) return "temporary congestion";
  if (source == 3 && reason == 2) return "local limit exceeded";
  return "no reason given";
}

constexpr unsigned char reject_pdu = 3;

// DCMTK's texts begin with its own names of layers, and some have several lines.
std::string plain(const OFCondition &condition) {
  std::string text = condition.text();
  for (const char *prefix : {"TCP Initialization Error: ", "DUL ", "Attempt to connect to "})
    if (text.rfind(prefix, 0) == 0) text.erase(0, std::string(prefix).size());
  for (char &c : text)
    if (c == '\n' || c == '\r') c = ' ';
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

bool is(const OFCondition &condition, unsigned short code) {
  return condition.module() == OFM_dcmnet && condition.code() == code;
}

bool ended_by_peer(const OFCondition &condition) {
  return is(condition, DULC_PEERABORTEDASSOCIATION) || is(condition, DULC_NETWORKCLOSED) ||
         is(condition, DULC_PEERREQUESTEDRELEASE) || is(condition, DULC_TCPIOERROR);
}

std::string seconds(int count) {
  return std::to_string(count) + " s";
}

} // namespace

Requestor::Requestor(const ct_peer &peer)
    : connect_s_(peer.connect_s), association_s_(peer.association_s), dimse_s_(peer.dimse_s),
      tls_(peer.tls),
      without_certificate_(peer.tls && !(peer.tls_certificate && *peer.tls_certificate)) {
  lc_error err;
  ct_out::check(ct_peer_check(&peer, &err), err);
  char text[CT_PEER_NAME_SIZE];
  ct_peer_name(&peer, text);
  name_ = text;
  setPeerHostName(peer.host);
  setPeerPort(static_cast<Uint16>(peer.port));
  setPeerAETitle(peer.called_ae);
  setAETitle(peer.calling_ae);
  setMaxReceivePDULength(peer.max_pdu);
  setConnectionTimeout(peer.connect_s);
  setACSETimeout(static_cast<Uint32>(peer.association_s));
  setDIMSETimeout(static_cast<Uint32>(peer.dimse_s));
  setDIMSEBlockingMode(DIMSE_NONBLOCKING);
  layer_ = make_layer(peer, false, watchdog_, seen_);
}

Requestor::~Requestor() {
  close();
  // The network refers to our transport layer: it goes first.
  freeNetwork();
}

void Requestor::open(const ct_context *contexts, size_t n_contexts) {
  for (size_t i = 0; i < n_contexts; i++) {
    OFList<OFString> syntaxes;
    for (size_t k = 0; k < contexts[i].n_transfer_syntaxes; k++)
      syntaxes.push_back(contexts[i].transfer_syntaxes[k]);
    check(addPresentationContext(contexts[i].abstract_syntax, syntaxes,
                                 contexts[i].scp_role ? ASC_SC_ROLE_SCP : ASC_SC_ROLE_DEFAULT),
          "presentation contexts");
  }
  check(initNetwork(), "network");
  check(useSecureConnection(layer_.get()), "transport layer");
  // Connecting has its own bound, and counts here too.
  Deadline deadline(watchdog_, connect_s_ + association_s_);
  OFCondition condition = negotiateAssociation();
  if (condition.bad()) fail_to_open(condition);
}

void Requestor::fail_to_open(const OFCondition &condition) {
  if (is(condition, DULC_ASSOCIATIONREJECTED) && seen_.count == seen_.first.size() &&
      seen_.first[0] == reject_pdu) {
    bool for_now = seen_.first[7] == 2;
    fail(for_now ? CT_NET_BUSY : CT_NET_REJECTED,
         std::string("the peer rejected the association") + (for_now ? " for now: " : ": ") +
             rejection_reason(seen_.first[8], seen_.first[9]));
  }
  if (is(condition, DULC_ASSOCIATIONREJECTED))
    fail(CT_NET_REJECTED, "the peer rejected the association");
  if (watchdog_.expired() || is(condition, DULC_READTIMEOUT))
    fail(CT_NET_TIMEOUT, std::string("connected, but ") +
                             (tls_ && seen_.count == 0 ? "TLS and " : "") +
                             "the association got no answer within " + seconds(association_s_));
  if (seen_.handshake_failed || condition.module() == OFM_dcmtls || is(condition, DULC_TLSERROR))
    fail(CT_NET_TLS, tls_failure(condition));
  if (is(condition, DULC_TCPINITERROR) || is(condition, DULC_UNKNOWNHOST) ||
      is(condition, DULC_REQUESTASSOCIATIONFAILED))
    fail(CT_NET_CONNECT, "cannot connect: " + plain(condition));
  if (condition == NET_EC_NoAcceptablePresentationContexts)
    fail(CT_NET_NO_CONTEXT, "the peer accepted none of the proposed kinds of object and transfer "
                            "syntaxes");
  if (ended_by_peer(condition))
    fail(CT_NET_ABORTED,
         std::string("the peer closed the connection while the association was negotiated") +
             (without_certificate_ ? "; perhaps it wants a TLS certificate of ours" : ""));
  fail(CT_NET_PROTOCOL, "no association: " + plain(condition));
}

std::string Requestor::tls_failure(const OFCondition &condition) const {
  std::string text = seen_.handshake_failed ? seen_.handshake_error : plain(condition);
  if (text.find("verify failed") != std::string::npos)
    text += " (no known authority signed it, it is out of date, or it is for another host)";
  else if (text.find("SYSCALL") != std::string::npos)
    text += " (the peer hung up: perhaps it does not speak TLS)";
  return "TLS failed: " + text;
}

void Requestor::check(const OFCondition &condition, const char *doing) {
  if (condition.good()) return;
  std::string what = doing;
  if (watchdog_.expired() || is(condition, DULC_READTIMEOUT) ||
      is(condition, DIMSEC_NODATAAVAILABLE))
    fail(CT_NET_TIMEOUT, what + ": no answer within " + seconds(dimse_s_));
  if (is(condition, DULC_PEERABORTEDASSOCIATION))
    fail(CT_NET_ABORTED, what + ": the peer aborted or closed the association");
  if (ended_by_peer(condition) || is(condition, DIMSEC_READPDVFAILED) ||
      is(condition, DIMSEC_SENDFAILED) || is(condition, DIMSEC_RECEIVEFAILED))
    fail(CT_NET_ABORTED, what + ": the peer ended the association");
  if (is(condition, DIMSEC_NOVALIDPRESENTATIONCONTEXTID))
    fail(CT_NET_NO_CONTEXT, what + ": the peer did not accept this service");
  fail(CT_NET_PROTOCOL, what + ": " + plain(condition));
}

void Requestor::fail(ct_net_failure kind, const std::string &what) {
  broken_ = true;
  throw NetFailure(kind, name_ + ": " + what);
}

void Requestor::close() noexcept {
  try {
    if (!isConnected()) return;
    // A release waits for an answer; what was promised for an association bounds it.
    Deadline deadline(watchdog_, broken_ ? 1 : std::min(association_s_, 5));
    if (broken_ || releaseAssociation().bad()) {
      if (isConnected()) abortAssociation();
    }
  } catch (...) {
    broken_ = true;
  }
}

T_ASC_PresentationContextID Requestor::context(const char *abstract_syntax,
                                               const char *transfer_syntax) {
  return findPresentationContextID(abstract_syntax, transfer_syntax);
}

Requestor &requestor(ct_association *association) {
  if (!association->handle)
    throw ct_out::OutFailure(LC_ERR_USAGE, "the association is closed", true);
  return *static_cast<Requestor *>(association->handle);
}

void adopt(ct_association *association, std::unique_ptr<Requestor> requestor) {
  association->handle = requestor.release();
}

} // namespace ct_net

using ct_net::border;
using ct_net::Requestor;
using ct_net::requestor;

const char *ct_net_failure_name(ct_net_failure failure) {
  static const char *const names[] = {"none",       "connect", "tls",     "rejected", "busy",
                                      "no-context", "timeout", "aborted", "protocol"};
  size_t i = static_cast<size_t>(failure);
  return i < sizeof names / sizeof *names ? names[i] : "unknown";
}

lc_status ct_association_open(struct ct_association *association, const struct ct_peer *peer,
                              const struct ct_context *contexts, size_t n_contexts,
                              struct lc_error *err) {
  *association = ct_association();
  if (n_contexts == 0 || n_contexts > CT_MAX_CONTEXTS)
    LC_FAIL(err, LC_ERR_USAGE, "%zu presentation contexts, expected 1 to %d", n_contexts,
            CT_MAX_CONTEXTS);
  return border("association", &association->failure, err, [&] {
    auto made = std::make_unique<Requestor>(*peer);
    made->open(contexts, n_contexts);
    ct_net::adopt(association, std::move(made));
  });
}

void ct_association_close(struct ct_association *association) {
  Requestor *held = static_cast<Requestor *>(association->handle);
  association->handle = nullptr;
  delete held;
}

bool ct_association_accepts(const struct ct_association *association, const char *abstract_syntax,
                            const char *transfer_syntax) {
  Requestor *held = static_cast<Requestor *>(association->handle);
  return held && held->context(abstract_syntax, transfer_syntax) != 0;
}

lc_status ct_association_echo(struct ct_association *association, struct lc_error *err) {
  return border("association", &association->failure, err, [&] {
    Requestor &r = requestor(association);
    ct_net::Deadline deadline(r.watchdog(), r.dimse_seconds());
    r.check(r.sendECHORequest(0), "C-ECHO");
  });
}

lc_status ct_echo(const struct ct_peer *peer, ct_net_failure *failure, struct lc_error *err) {
  static const char *const syntaxes[] = {UID_LittleEndianImplicitTransferSyntax};
  const ct_context context = {UID_VerificationSOPClass, syntaxes, 1, false};
  ct_association association;
  lc_status status = ct_association_open(&association, peer, &context, 1, err);
  if (status == LC_OK) status = ct_association_echo(&association, err);
  if (failure) *failure = association.failure;
  ct_association_close(&association);
  return status;
}
