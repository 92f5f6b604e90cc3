// The requestor behind ct_association.h, for those who build other services on it (store, find,
// get). Used only inside this room.
//
// Inside, failures are exceptions; ct_net::border turns them into a status. To add a service:
// include this header, take Requestor &r = requestor(association), call r's DcmSCU functions within
// a Deadline, and give each OFCondition to r.check.
#pragma once

#include <dcmtk/dcmnet/scu.h>

#include <memory>
#include <string>

#include "ct_io/dicom_write/ct_dicom_out.hpp"
#include "ct_io/net/ct_association.h"
#include "ct_io/net/ct_connection.hpp"

namespace ct_net {

// LC_ERR_NETWORK with its kind. The message names the peer.
class NetFailure : public ct_out::OutFailure {
public:
  NetFailure(ct_net_failure kind_in, std::string message_in)
      : OutFailure(LC_ERR_NETWORK, std::move(message_in), true), kind(kind_in) {}
  ct_net_failure kind;
};

// DcmSCU with its deadlines, and its conditions as failures that say what happened. Override
// DcmSCU's handle... functions in a subclass where a service needs it.
class Requestor : public DcmSCU {
public:
  // Copies what it needs of the peer. Raises LC_ERR_CONFIG.
  explicit Requestor(const ct_peer &peer);
  ~Requestor() override;

  // Connects and negotiates.
  void open(const ct_context *contexts, size_t n_contexts);
  // Releases, or aborts when broken(); never raises, never takes longer than the bounds.
  void close() noexcept;

  // The accepted context for this pair; 0 when there is none.
  T_ASC_PresentationContextID context(const char *abstract_syntax, const char *transfer_syntax);

  // Raises NetFailure when the condition is bad; `doing` completes "PEER: ..." in the message
  // ("C-ECHO"). The association is then broken.
  void check(const OFCondition &condition, const char *doing);
  [[noreturn]] void fail(ct_net_failure kind, const std::string &what);

  Watchdog &watchdog() { return watchdog_; }
  int dimse_seconds() const { return dimse_s_; }
  const std::string &name() const { return name_; }

private:
  [[noreturn]] void fail_to_open(const OFCondition &condition);
  std::string tls_failure(const OFCondition &condition) const;
  Watchdog watchdog_;
  Seen seen_;
  std::unique_ptr<DcmTransportLayer> layer_; // DcmSCU does not own it
  std::string name_;
  int connect_s_, association_s_, dimse_s_;
  bool tls_, without_certificate_, broken_ = false;
};

// Runs work() for an association. Failures become a status; NetFailure also sets the kind.
template <class Work>
lc_status border(const char *name, ct_net_failure *kind, lc_error *err, Work &&work) noexcept {
  *kind = CT_NET_NONE;
  return ct_out::border(name, err, [&] {
    try {
      work();
    } catch (const NetFailure &failure) {
      *kind = failure.kind;
      throw;
    }
  });
}

// The requestor of an open association.
Requestor &requestor(ct_association *association);
// Hands an open requestor (of a subclass) to an association.
void adopt(ct_association *association, std::unique_ptr<Requestor> requestor);

} // namespace ct_net
