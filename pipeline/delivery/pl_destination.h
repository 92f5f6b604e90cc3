/* Where objects are sent to: DICOM archives by C-STORE and web servers by STOW-RS, each a name and
 * a table of keys (docs/send.md).
 *
 * A destination holds no secret: credentials are named by a file or an environment variable and
 * read when they are needed. Thread-safety: distinct objects, distinct threads. */
#pragma once

#include "ct_io/net/ct_peer.h"
#include "ct_io/net/ct_stow.h"
#include "pipeline/config/pl_schema.h"

#define PL_DESTINATION_NAME 65

enum pl_commitment { PL_COMMITMENT_NONE = 0, PL_COMMITMENT_SAME, PL_COMMITMENT_LISTEN };

struct pl_destination {
  char name[PL_DESTINATION_NAME]; /* letters, digits, '.', '-' and '_' */

  char *host, *called_ae, *calling_ae, *url;
  long long port, max_pdu, batch;
  bool tls_on, tls_verify;
  char *tls_ca_file, *tls_ca_folder, *tls_certificate, *tls_key;
  int credentials_kind; /* ct_login */
  char *credentials_file, *credentials_variable;
  long long timeout_connect_s, timeout_association_s, timeout_answer_s;
  int commitment_mode; /* enum pl_commitment */
  char *commitment_listen;
  bool commitment_insecure;
  long long commitment_port, commitment_wait_s;
  double retry_first_s, retry_most_s;
  long long retry_attempts;
};

extern const struct pl_schema pl_destination_schema;

struct pl_destinations {
  struct pl_destination *items; /* owned */
  size_t n;
};
void pl_destinations_free(struct pl_destinations *destinations);

/* Adds one with its defaults. LC_ERR_CONFIG for a name that is not allowed or taken. The pointer is
 * good until the next is added. */
LC_MUST_CHECK lc_status pl_destinations_add(struct pl_destinations *destinations, const char *name,
                                            struct pl_destination **added, struct lc_error *err);
/* Adds all of a YAML file: names, and below each its keys. Relative paths become absolute. */
LC_MUST_CHECK lc_status pl_destinations_read(struct pl_destinations *destinations, const char *path,
                                             struct lc_error *err);
/* Adds the one that "CALLED@HOST:PORT" or an http(s) URL means; its name is made of the text. */
LC_MUST_CHECK lc_status pl_destinations_add_address(struct pl_destinations *destinations,
                                                    const char *address,
                                                    struct pl_destination **added,
                                                    struct lc_error *err);
/* Cuts "CALLED@HOST:PORT" in place: text is then the title. False for another text, or a port
 * beyond 1 to 65535. */
bool pl_destination_cut_address(char *text, char **host, long long *port);
/* True for texts of that form. */
bool pl_destination_is_address(const char *text);
/* The one of this name, or NULL. */
struct pl_destination *pl_destinations_find(const struct pl_destinations *destinations,
                                            const char *name);

/* LC_ERR_NOT_FOUND that says which there are: name is none of the destinations known, which come
 * from `where` ("d.yaml"; NULL: nobody named a file). */
LC_MUST_CHECK lc_status pl_destinations_unknown(const struct pl_destinations *known,
                                                const char *name, const char *where,
                                                struct lc_error *err);

/* LC_ERR_CONFIG for what can never work; messages begin with the name. */
LC_MUST_CHECK lc_status pl_destination_check(const struct pl_destination *destination,
                                             struct lc_error *err);
/* Makes relative paths absolute. */
LC_MUST_CHECK lc_status pl_destination_settle(struct pl_destination *destination,
                                              struct lc_error *err);

static inline bool pl_destination_is_web(const struct pl_destination *destination) {
  return destination->url[0] != '\0';
}
/* The peer; texts stay the destination's. */
void pl_destination_peer(const struct pl_destination *destination, struct ct_peer *peer);
/* The web peer, with its secret read into `secret` (free with pl_secret_free). LC_ERR_CONFIG when
 * there is none where the destination says. */
LC_MUST_CHECK lc_status pl_destination_web(const struct pl_destination *destination,
                                           struct ct_web_peer *peer, struct lc_text *secret,
                                           struct lc_error *err);
/* Overwrites the text before it is freed. */
void pl_secret_free(struct lc_text *secret);
