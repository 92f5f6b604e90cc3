// Wraps DCMTK's plain and TLS connections: a watchdog thread shuts the socket down at its deadline;
// handshake errors and the first bytes received are kept for messages.
#include "ct_io/net/ct_connection.hpp"

#include <dcmtk/dcmtls/tlslayer.h>

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <arpa/inet.h>
#include <cstring>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ct_io/dicom_write/ct_dicom_out.hpp"

namespace ct_net {

Watchdog::~Watchdog() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Watchdog::guard(int socket) {
  std::lock_guard<std::mutex> lock(mutex_);
  socket_ = socket;
  // The deadline may have passed while DCMTK was connecting.
  if (expired_) shutdown(socket_, SHUT_RDWR);
}

void Watchdog::forget() {
  std::lock_guard<std::mutex> lock(mutex_);
  socket_ = -1;
}

void Watchdog::start(int seconds) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread(&Watchdog::wait, this);
  deadline_ = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  armed_ = true;
  expired_ = false;
  changed_.notify_all();
}

void Watchdog::stop() {
  std::lock_guard<std::mutex> lock(mutex_);
  armed_ = false;
  changed_.notify_all();
}

bool Watchdog::expired() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return expired_;
}

void Watchdog::wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ends_) {
    if (!armed_) {
      changed_.wait(lock);
    } else if (std::chrono::steady_clock::now() < deadline_) {
      changed_.wait_until(lock, std::chrono::steady_clock::time_point(deadline_));
    } else {
      armed_ = false;
      expired_ = true;
      if (socket_ >= 0) shutdown(socket_, SHUT_RDWR);
    }
  }
}

namespace {

// Gives the layer its own certificate from a PEM file; `profile` is what it will be used with.
// DCMTK 3.6.8 and later ask for it here, 3.6.7 does not.
OFCondition set_certificate(DcmTLSTransportLayer &layer, const char *path,
                            DcmTLSSecurityProfile profile) {
#if PACKAGE_VERSION_NUMBER >= 368
  return layer.setCertificateFile(path, DCF_Filetype_PEM, profile);
#else
  (void)profile;
  return layer.setCertificateFile(path, DCF_Filetype_PEM);
#endif
}

// DCMTK's own connection with the two things added.
class WatchedConnection : public DcmTransportConnection {
public:
  WatchedConnection(DcmNativeSocketType socket, DcmTransportConnection *inner, Watchdog &watchdog,
                    Seen &seen)
      : DcmTransportConnection(socket), inner_(inner), watchdog_(watchdog), seen_(seen) {
    watchdog_.guard(static_cast<int>(socket));
    // A message leaves in several small writes, and its answer is waited for: Nagle's algorithm
    // (RFC 896) would hold back the last of them until the peer's delayed acknowledgement.
    int on = 1;
    setsockopt(static_cast<int>(socket), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~WatchedConnection() override { watchdog_.forget(); }

  OFCondition serverSideHandshake() override { return keep(inner_->serverSideHandshake()); }
  OFCondition clientSideHandshake() override { return keep(inner_->clientSideHandshake()); }
  OFCondition renegotiate(const char *suite) override { return inner_->renegotiate(suite); }

  ssize_t read(void *buffer, size_t count) override {
    ssize_t n = inner_->read(buffer, count);
    if (n > 0 && seen_.count < seen_.first.size()) {
      size_t room = std::min(seen_.first.size() - seen_.count, static_cast<size_t>(n));
      memcpy(seen_.first.data() + seen_.count, buffer, room);
      seen_.count += room;
    }
    return n;
  }
  ssize_t write(void *buffer, size_t count) override { return inner_->write(buffer, count); }
  void close() override {
    watchdog_.forget();
    inner_->close();
  }
  void closeTransportConnection() override {
    watchdog_.forget();
    inner_->closeTransportConnection();
  }
  unsigned long getPeerCertificateLength() override { return inner_->getPeerCertificateLength(); }
  unsigned long getPeerCertificate(void *buffer, unsigned long size) override {
    return inner_->getPeerCertificate(buffer, size);
  }
  OFBool networkDataAvailable(int timeout) override {
    return inner_->networkDataAvailable(timeout);
  }
  OFBool isTransparentConnection() override { return inner_->isTransparentConnection(); }
  OFString &dumpConnectionParameters(OFString &text) override {
    return inner_->dumpConnectionParameters(text);
  }

private:
  OFCondition keep(const OFCondition &result) {
    if (result.bad()) {
      seen_.handshake_failed = true;
      seen_.handshake_error = result.text();
    }
    return result;
  }
  std::unique_ptr<DcmTransportConnection> inner_;
  Watchdog &watchdog_;
  Seen &seen_;
};

class PlainLayer : public DcmTransportLayer {
public:
  PlainLayer(Watchdog &watchdog, Seen &seen) : watchdog_(watchdog), seen_(seen) {}
  DcmTransportConnection *createConnection(DcmNativeSocketType socket, OFBool) override {
    seen_ = Seen();
    return new WatchedConnection(socket, DcmTransportLayer::createConnection(socket, OFFalse),
                                 watchdog_, seen_);
  }

private:
  Watchdog &watchdog_;
  Seen &seen_;
};

class TlsLayer : public DcmTLSTransportLayer {
public:
  TlsLayer(T_ASC_NetworkRole side, Watchdog &watchdog, Seen &seen)
      : DcmTLSTransportLayer(side, nullptr, OFTrue), watchdog_(watchdog), seen_(seen) {}
  DcmTransportConnection *createConnection(DcmNativeSocketType socket, OFBool) override {
    seen_ = Seen();
    DcmTransportConnection *inner = DcmTLSTransportLayer::createConnection(socket, OFTrue);
    return inner ? new WatchedConnection(socket, inner, watchdog_, seen_) : nullptr;
  }

private:
  Watchdog &watchdog_;
  Seen &seen_;
};

bool given(const char *text) {
  return text && *text;
}

void require(const OFCondition &condition, const char *what, const char *path) {
  if (condition.bad())
    throw ct_out::OutFailure(LC_ERR_CONFIG, std::string(what) + " " + path +
                                                " cannot be used: " + condition.text());
}

// DCMTK checks who signed a certificate, but not whose it is.
void require_name(DcmTLSTransportLayer &layer, const char *host) {
  X509_VERIFY_PARAM *rules = SSL_CTX_get0_param(layer.getNativeHandle());
  in_addr address{};
  bool set = inet_pton(AF_INET, host, &address) == 1 ? X509_VERIFY_PARAM_set1_ip_asc(rules, host)
                                                     : X509_VERIFY_PARAM_set1_host(rules, host, 0);
  if (!set) throw ct_out::OutFailure(LC_ERR_CONFIG, "TLS cannot check the host name");
}

void trust(DcmTLSTransportLayer &layer, const ct_peer &peer, bool acceptor) {
  if (given(peer.tls_ca_file))
    require(layer.addTrustedCertificateFile(peer.tls_ca_file, DCF_Filetype_PEM),
            "the file of certificate authorities", peer.tls_ca_file);
  if (given(peer.tls_ca_folder))
    require(layer.addTrustedCertificateDir(peer.tls_ca_folder, DCF_Filetype_PEM),
            "the folder of certificate authorities", peer.tls_ca_folder);
  if (given(peer.tls_ca_file) || given(peer.tls_ca_folder)) return;
  // Whoever any authority of the system vouches for is no caller of ours.
  if (acceptor && peer.tls_verify)
    throw ct_out::OutFailure(LC_ERR_CONFIG,
                             "TLS checks the certificates of callers: give the authorities that "
                             "sign them (--tls-ca); those of the system do not count");
  if (!acceptor) SSL_CTX_set_default_verify_paths(layer.getNativeHandle());
}

} // namespace

std::unique_ptr<DcmTransportLayer> make_layer(const ct_peer &peer, bool acceptor,
                                              Watchdog &watchdog, Seen &seen) {
  if (!peer.tls) return std::make_unique<PlainLayer>(watchdog, seen);
  auto layer = std::make_unique<TlsLayer>(acceptor ? NET_ACCEPTOR : NET_REQUESTOR, watchdog, seen);
  trust(*layer, peer, acceptor);
  // Those who call use a current TLS; an archive may be old.
  DcmTLSSecurityProfile profile = acceptor ? TSP_Profile_BCP195_ND : TSP_Profile_BCP195;
  if (given(peer.tls_certificate)) {
    require(layer->setPrivateKeyFile(peer.tls_key, DCF_Filetype_PEM), "the TLS key", peer.tls_key);
    require(set_certificate(*layer, peer.tls_certificate, profile), "the TLS certificate",
            peer.tls_certificate);
    if (!layer->checkPrivateKeyMatchesCertificate())
      throw ct_out::OutFailure(LC_ERR_CONFIG, std::string("the TLS key ") + peer.tls_key +
                                                  " does not belong to the certificate " +
                                                  peer.tls_certificate);
  }
  require(layer->setTLSProfile(profile), "the TLS profile", "BCP 195");
  require(layer->activateCipherSuites(), "the TLS profile", "BCP 195");
  // The profile says so too; its meaning is the library's.
  if (acceptor && SSL_CTX_set_min_proto_version(layer->getNativeHandle(), TLS1_2_VERSION) != 1)
    throw ct_out::OutFailure(LC_ERR_CONFIG, "TLS 1.2 is not available in this OpenSSL");
  layer->setCertificateVerification(peer.tls_verify ? DCV_requireCertificate
                                                    : DCV_ignoreCertificate);
  if (peer.tls_verify && !acceptor) require_name(*layer, peer.host);
  return layer;
}

} // namespace ct_net
