/* Sets the defaults of a peer and checks host, port, AE titles, time-outs and TLS files before a
 * connection is tried. */
#include "ct_io/net/ct_peer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void ct_peer_init(struct ct_peer *peer) {
  *peer = (struct ct_peer){.host = "",
                           .port = 104,
                           .called_ae = "ANY-SCP",
                           .calling_ae = "LUNGCDAM",
                           .tls_verify = true,
                           .connect_s = 10,
                           .association_s = 30,
                           .dimse_s = 60,
                           .max_pdu = 65536};
}

static bool given(const char *text) {
  return text && *text;
}

/* PS3.5 table 6.2-1: at most 16 characters of the default repertoire, not only blanks, no
 * backslash. */
static bool valid_ae(const char *title) {
  if (!given(title) || strlen(title) >= CT_AE_SIZE) return false;
  bool blank = true;
  for (const char *c = title; *c; c++) {
    if (*c < ' ' || *c > '~' || *c == '\\') return false;
    blank = blank && *c == ' ';
  }
  return !blank;
}

static lc_status check_readable(const char *name, const char *what, const char *path,
                                struct lc_error *err) {
  if (given(path) && access(path, R_OK) != 0)
    LC_FAIL(err, LC_ERR_CONFIG, "%s: %s %s cannot be read", name, what, path);
  return LC_OK;
}

static lc_status check_tls(const struct ct_peer *peer, const char *name, struct lc_error *err) {
  if (given(peer->tls_certificate) != given(peer->tls_key))
    LC_FAIL(err, LC_ERR_CONFIG, "%s: a TLS certificate and its key are given together", name);
  LC_TRY(check_readable(name, "the file of certificate authorities", peer->tls_ca_file, err));
  LC_TRY(check_readable(name, "the folder of certificate authorities", peer->tls_ca_folder, err));
  LC_TRY(check_readable(name, "the certificate", peer->tls_certificate, err));
  return check_readable(name, "the key", peer->tls_key, err);
}

lc_status ct_peer_check(const struct ct_peer *peer, struct lc_error *err) {
  char name[CT_PEER_NAME_SIZE];
  ct_peer_name(peer, name);
  if (!given(peer->host)) LC_FAIL(err, LC_ERR_CONFIG, "%s: no host is given", name);
  if (strlen(peer->host) > 253 || strpbrk(peer->host, " :/@"))
    LC_FAIL(err, LC_ERR_CONFIG, "%s: the host is neither a name nor an IPv4 address", name);
  if (peer->port < 1 || peer->port > 65535)
    LC_FAIL(err, LC_ERR_CONFIG, "%s: the port is %d, expected 1 to 65535", name, peer->port);
  if (!valid_ae(peer->called_ae) || !valid_ae(peer->calling_ae))
    LC_FAIL(err, LC_ERR_CONFIG,
            "%s: AE title '%.32s' or '%.32s' is not 1 to 16 characters of ASCII without backslash",
            name, peer->called_ae ? peer->called_ae : "", peer->calling_ae ? peer->calling_ae : "");
  if (peer->connect_s < 1 || peer->association_s < 1 || peer->dimse_s < 1)
    LC_FAIL(err, LC_ERR_CONFIG, "%s: a time-out of less than a second", name);
  if (peer->max_pdu < 4096 || peer->max_pdu > 131072)
    LC_FAIL(err, LC_ERR_CONFIG, "%s: the largest PDU is %u bytes, expected 4096 to 131072", name,
            (unsigned)peer->max_pdu);
  return peer->tls ? check_tls(peer, name, err) : LC_OK;
}

void ct_peer_name(const struct ct_peer *peer, char out[CT_PEER_NAME_SIZE]) {
  snprintf(out, CT_PEER_NAME_SIZE, "%.16s@%.253s:%d", peer->called_ae ? peer->called_ae : "",
           peer->host ? peer->host : "", peer->port);
}
