/* DICOM objects sent to an archive over the web: STOW-RS (PS3.18 section 10.5), multipart/related
 * with application/dicom, by libcurl.
 *
 * Redirections are not followed, and credentials go over HTTPS only, or to this machine itself.
 * Thread-safety: distinct calls, distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/net/ct_store.h"

LC_C_BEGIN

typedef enum ct_login { CT_LOGIN_NONE = 0, CT_LOGIN_BASIC, CT_LOGIN_BEARER } ct_login;

/* Texts belong to the caller; NULL or "" where not given. */
struct ct_web_peer {
  const char *url; /* "https://pacs.example.org/dicom-web": "/studies" is added */
  bool tls_verify; /* certificate and host name */
  const char *tls_ca_file, *tls_ca_folder; /* besides the system's authorities when both "" */
  const char *tls_certificate, *tls_key;   /* ours, PEM */
  ct_login login;
  const char *secret; /* "user:password", or the token; never logged, never in a message */
  /* Seconds to connect, and for the answer; the second grows by one for each 64 KiB sent. */
  int connect_s, answer_s;
};

/* LC_ERR_CONFIG: no http(s) URL, one with a user or password in it, or credentials over plain HTTP
 * to another machine. */
LC_MUST_CHECK lc_status ct_web_peer_check(const struct ct_web_peer *peer, struct lc_error *err);

/* Sends n objects in one request and fills answers[n]. LC_OK: the server took the request and each
 * answer says what became of the object. LC_ERR_NETWORK: it did not, *failure says how, and
 * nothing is known of the objects; sending them again does no harm. LC_ERR_UNSUPPORTED: it will
 * never take this request (status 4xx that is about its content): a caller with several objects
 * sends them one by one to find the culprit. */
LC_MUST_CHECK lc_status ct_stow_send(const struct ct_web_peer *peer, const char *const *paths,
                                     const struct ct_object *objects, size_t n,
                                     struct ct_store_answer *answers, ct_net_failure *failure,
                                     struct lc_error *err);

/* Asks the server for at most one study (QIDO-RS): it is there, speaks DICOMweb and knows us.
 * LC_ERR_NETWORK otherwise. */
LC_MUST_CHECK lc_status ct_web_echo(const struct ct_web_peer *peer, ct_net_failure *failure,
                                    struct lc_error *err);

/* Reads the answer of a server, a Store Instances Response Module in DICOM JSON (PS3.18 annexes F
 * and I), into answers; what it does not name is to be sent again. LC_ERR_FORMAT when it is not
 * one. */
LC_MUST_CHECK lc_status ct_stow_read_answer(const char *json, size_t length,
                                            const struct ct_object *objects, size_t n,
                                            struct ct_store_answer *answers, struct lc_error *err);

LC_C_END
