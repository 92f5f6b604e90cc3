/* Storage commitment: the archive promises to keep what it received (PS3.4 annex J, push model).
 *
 * A request is an N-ACTION with a transaction UID; the answer is an N-EVENT-REPORT, which some
 * archives send on the same association and others on one that they open to us, minutes later. An
 * event is reported once: a caller that missed it asks again with a new transaction.
 *
 * Thread-safety: one association or listener, one thread. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/net/ct_store.h"

LC_C_BEGIN

/* Asks for n objects. The association was opened with ct_store_open(..., commitment true). LC_OK:
 * the archive will answer. LC_ERR_UNSUPPORTED: it does not offer the service or refuses the
 * request, with its status. LC_ERR_NETWORK. */
LC_MUST_CHECK lc_status ct_commitment_request(struct ct_association *association,
                                              const char *transaction_uid,
                                              const struct ct_object *const *objects, size_t n,
                                              struct lc_error *err);

/* One object of a result. */
struct ct_commitment_item {
  char sop_instance_uid[CT_UID_SIZE];
  bool committed;
  uint16_t reason; /* FailureReason (PS3.3 C.14.1.1) when not */
};

/* A zeroed struct is no result. */
struct ct_commitment_result {
  char transaction_uid[CT_UID_SIZE];
  struct ct_commitment_item *items; /* owned */
  size_t n;
};
void ct_commitment_result_free(struct ct_commitment_result *result);
/* "no such object", ... for a FailureReason. */
const char *ct_commitment_reason(uint16_t reason);

/* Waits on the same association for at most so many seconds. transaction_uid is "" when nothing
 * came. LC_ERR_NETWORK when the association broke. */
LC_MUST_CHECK lc_status ct_commitment_receive(struct ct_association *association, int seconds,
                                              struct ct_commitment_result *result,
                                              struct lc_error *err);

/* A port where archives report their results; C-ECHO is answered too. */
struct ct_commitment_listener {
  void *handle;
};
/* self: our certificate and key when tls is set, the time-outs and max_pdu; self->calling_ae is our
 * title, the only one that callers may use. listening: a socket that listens, taken over where this
 * is LC_OK. */
LC_MUST_CHECK lc_status ct_commitment_listen(struct ct_commitment_listener *listener,
                                             const struct ct_peer *self, int listening,
                                             struct lc_error *err);
/* Waits for at most so many seconds for an association, and serves it to its end. transaction_uid
 * is "" when nothing came or the caller said nothing useful. A caller that misbehaves is logged and
 * left, and is no failure. Of several results on one association the first is returned and the
 * others by the next calls. */
LC_MUST_CHECK lc_status ct_commitment_wait(struct ct_commitment_listener *listener, int seconds,
                                           struct ct_commitment_result *result,
                                           struct lc_error *err);
void ct_commitment_close(struct ct_commitment_listener *listener);

LC_C_END
