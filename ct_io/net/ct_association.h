/* An association with a DICOM peer, asked for by us (PS3.8 section 7), and C-ECHO on it (PS3.7
 * section 9.1.5).
 *
 * Everything ends in bounded time, also where a peer accepts a connection and then says nothing or
 * sends a byte now and then: what takes longer than the peer's bounds is cut off. Failures of the
 * network are LC_ERR_NETWORK; ct_net_failure distinguishes them, and the message names the peer and
 * what it did. After such a failure the association is gone: only ct_association_close is allowed.
 *
 * Thread-safety: one association, one thread. The time to connect is one setting of the whole
 * process: with several threads the largest asked for last counts. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/net/ct_peer.h"

LC_C_BEGIN

typedef enum ct_net_failure {
  CT_NET_NONE = 0,
  CT_NET_CONNECT,    /* unknown host, refused or unreachable */
  CT_NET_TLS,        /* handshake, certificate */
  CT_NET_REJECTED,   /* the association, for good: AE titles not recognised, for example */
  CT_NET_BUSY,       /* the association, for the moment (PS3.8 9.3.4: rejected-transient) */
  CT_NET_NO_CONTEXT, /* the peer takes none of the kinds of object or transfer syntaxes */
  CT_NET_TIMEOUT,    /* no answer in time */
  CT_NET_ABORTED,    /* A-ABORT, or the connection was closed in the middle */
  CT_NET_PROTOCOL    /* an answer that is none */
} ct_net_failure;

/* A short word: "connect", "tls", "rejected", ... */
const char *ct_net_failure_name(ct_net_failure failure);

/* One presentation context that we propose. */
struct ct_context {
  const char *abstract_syntax;          /* SOP class UID */
  const char *const *transfer_syntaxes; /* [n_transfer_syntaxes], the best first */
  size_t n_transfer_syntaxes;
  bool scp_role; /* we propose to be the provider: C-STORE sub-operations of C-GET */
};

#define CT_MAX_CONTEXTS 128 /* of one association: identifiers are odd numbers up to 255 */

/* A zeroed struct is closed. */
struct ct_association {
  void *handle;
  ct_net_failure failure; /* of the last call that returned LC_ERR_NETWORK */
};

/* Connects and negotiates. LC_ERR_CONFIG (ct_peer_check), LC_ERR_NETWORK. A peer that accepts the
 * association but no context is CT_NET_NO_CONTEXT. */
LC_MUST_CHECK lc_status ct_association_open(struct ct_association *association,
                                            const struct ct_peer *peer,
                                            const struct ct_context *contexts, size_t n_contexts,
                                            struct lc_error *err);
/* Releases the association, or aborts it where it broke. Safe on a closed one. */
void ct_association_close(struct ct_association *association);

/* Whether the peer accepted this pair. */
bool ct_association_accepts(const struct ct_association *association, const char *abstract_syntax,
                            const char *transfer_syntax);

/* The peer must have accepted the Verification SOP Class. */
LC_MUST_CHECK lc_status ct_association_echo(struct ct_association *association,
                                            struct lc_error *err);
/* All of it: open, C-ECHO, close. failure may be NULL. */
LC_MUST_CHECK lc_status ct_echo(const struct ct_peer *peer, ct_net_failure *failure,
                                struct lc_error *err);

LC_C_END
