/* A DICOM application entity elsewhere: where it listens, what it is called, how its connection is
 * secured, and how long it may take (PS3.8, PS3.15 B.9 for TLS).
 *
 * Plain data; texts belong to the caller and outlive what is made from the struct. Thread-safety:
 * distinct objects, distinct threads. */
#pragma once

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_C_BEGIN

#define CT_AE_SIZE 17         /* 16 characters (PS3.5 AE) */
#define CT_PEER_NAME_SIZE 320 /* "CALLED@host:port" */

struct ct_peer {
  const char *host; /* name or IPv4 address */
  int port;
  const char *called_ae, *calling_ae; /* theirs and ours */

  /* TLS by the BCP 195 profile; to listen by the non-downgrading one, TLS 1.2 or 1.3. The peer's
   * certificate must be valid for `host` and signed by one of the authorities (the system's when
   * neither file nor folder is given; to listen, they must be given), unless verify is false.
   * certificate and key (PEM, without pass phrase): ours, where the peer wants one. */
  bool tls, tls_verify;
  const char *tls_ca_file, *tls_ca_folder;
  const char *tls_certificate, *tls_key;

  /* Upper bounds in seconds, all positive: to connect; for TLS handshake and association; for one
   * DIMSE message and its answer, however slowly the peer moves. */
  int connect_s, association_s, dimse_s;
  uint32_t max_pdu; /* largest PDU that we receive, 4096 to 131072 bytes */
};

/* Defaults: port 104, calling "LUNGCDAM", called "ANY-SCP", verify, 10 s, 30 s, 60 s, 65536. */
void ct_peer_init(struct ct_peer *peer);
/* LC_ERR_CONFIG for what can never work: no host, a port or AE title out of range, a key without
 * certificate, TLS files that cannot be read. */
LC_MUST_CHECK lc_status ct_peer_check(const struct ct_peer *peer, struct lc_error *err);
/* "CALLED@host:port", as messages name it. */
void ct_peer_name(const struct ct_peer *peer, char out[CT_PEER_NAME_SIZE]);

LC_C_END
