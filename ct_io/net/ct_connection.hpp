// The transport below an association: TCP or TLS, with a clock that cuts it off. Used only inside
// this room.
//
// DCMTK bounds each read, not an exchange: a peer that sends a byte a minute would hold it for
// ever. So each connection is watched: what is not done by its deadline finds the socket shut down,
// and every call on it then fails at once.
#pragma once

#include "ct_io/dicom_file/ct_dcmtk.hpp"

#include <dcmtk/dcmnet/dcmlayer.h>
#include <dcmtk/dcmnet/dcmtrans.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "ct_io/net/ct_peer.h"

namespace ct_net {

// One deadline over one socket. Made and used by one thread; its own thread waits for the deadline.
class Watchdog {
public:
  Watchdog() = default;
  ~Watchdog();
  Watchdog(const Watchdog &) = delete;
  Watchdog &operator=(const Watchdog &) = delete;

  void guard(int socket);  // watches this socket from now on
  void forget();           // before it is closed
  void start(int seconds); // sets the deadline
  void stop();             // takes it away
  bool expired() const;    // since the last start

private:
  void wait();
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
  int socket_ = -1;
  bool armed_ = false, expired_ = false, ends_ = false;
  std::chrono::steady_clock::time_point deadline_;
};

// A deadline for a scope.
class Deadline {
public:
  Deadline(Watchdog &watchdog, int seconds) : watchdog_(watchdog) { watchdog_.start(seconds); }
  ~Deadline() { watchdog_.stop(); }
  Deadline(const Deadline &) = delete;
  Deadline &operator=(const Deadline &) = delete;

private:
  Watchdog &watchdog_;
};

// What passed over a connection that DCMTK does not report to its callers.
struct Seen {
  std::array<unsigned char, 10> first{}; // the first bytes received: an A-ASSOCIATE-RJ says why
  size_t count = 0;
  bool handshake_failed = false;
  std::string handshake_error;
};

// Makes watched connections, plain or TLS. Raises ct_out::OutFailure (LC_ERR_CONFIG) for
// certificates and keys that cannot be used. acceptor: for a listening port, TLS then needs a
// certificate; the watchdog and seen belong to the caller and outlive the layer.
std::unique_ptr<DcmTransportLayer> make_layer(const ct_peer &peer, bool acceptor,
                                              Watchdog &watchdog, Seen &seen);

} // namespace ct_net
