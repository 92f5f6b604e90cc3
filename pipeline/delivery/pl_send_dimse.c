/* Sends the due objects of one destination by C-STORE, a batch an association. */
#include <stdlib.h>
#include <string.h>

#include "common/lc_log.h"
#include "pipeline/delivery/pl_sending.h"
#include "pipeline/report/pl_signal.h"

/* Bytes that are not those that were queued are not sent. */
static lc_status check_bytes(struct pl_route *route, struct pl_entry *entry, bool *good,
                             struct lc_error *err) {
  struct lc_error why;
  struct ct_store_answer answer;
  lc_status status = pl_outbox_verify(route->outbox, entry, &why);
  *good = status == LC_OK;
  if (*good) return LC_OK;
  if (status != LC_ERR_FORMAT) LC_FAIL(err, status, "%s", why.message);
  ct_store_answer_set(&answer, CT_STORE_REFUSED, "%s", why.message);
  return pl_route_settle(route, entry, &answer, err);
}

/* One object. *broken: the association is gone. */
static lc_status send_one(struct pl_route *route, struct ct_association *association,
                          struct pl_entry *entry, bool *broken, size_t *n_answered,
                          struct lc_error *err) {
  bool good;
  char path[LC_PATH_SIZE];
  struct ct_store_answer answer;
  struct lc_error why;
  LC_TRY(check_bytes(route, entry, &good, err));
  if (!good) return LC_OK;
  LC_TRY(pl_outbox_object(route->outbox, entry, path, err));
  lc_status status = ct_store_send(association, &entry->object, path, &answer, &why);
  if (status == LC_OK) {
    ++*n_answered;
    return pl_route_settle(route, entry, &answer, err);
  }
  *broken = true;
  LC_TRY(pl_route_put_off(route, entry, why.message, err));
  /* It may be this object that the peer stumbled over: others get another association, unless
   * nothing was ever answered in this one, or the peer hangs. */
  if (*n_answered > 0 && association->failure != CT_NET_TIMEOUT) {
    lc_log(LC_LOG_INFO, "%s", why.message);
    return LC_OK;
  }
  return pl_route_failed(route, why.message, err);
}

/* Nobody takes these kinds of object. */
static lc_status refuse_all(struct pl_route *route, struct pl_entry *entries, size_t n,
                            const char *why, struct lc_error *err) {
  for (size_t i = 0; i < n; i++) {
    struct ct_store_answer answer;
    ct_store_answer_set(&answer, CT_STORE_REFUSED, "%s", why);
    LC_TRY(pl_route_settle(route, &entries[i], &answer, err));
  }
  return LC_OK;
}

/* One association; *n_done of the entries are dealt with. */
static lc_status send_batch(struct pl_route *route, struct pl_entry *entries, size_t n,
                            const struct ct_object *objects, size_t *n_done, struct lc_error *err) {
  struct ct_peer peer;
  struct ct_association association;
  struct lc_error why;
  size_t n_fit, n_answered = 0, i = 0;
  bool broken = false;
  pl_destination_peer(route->destination, &peer);
  lc_status status = ct_store_open(&association, &peer, objects, n, false, &n_fit, &why);
  if (status != LC_OK) {
    *n_done = n_fit;
    if (status == LC_ERR_NETWORK && association.failure == CT_NET_NO_CONTEXT)
      return refuse_all(route, entries, n_fit, why.message, err);
    return pl_route_failed(route, why.message, err);
  }
  for (; i < n_fit && status == LC_OK && !broken && pl_route_is_due(route); i++) {
    status = pl_signal_check(err);
    if (status == LC_OK)
      status = send_one(route, &association, &entries[i], &broken, &n_answered, err);
  }
  ct_association_close(&association);
  *n_done = i;
  if (status == LC_OK && n_answered > 0 && pl_route_is_due(route))
    status = pl_route_worked(route, err);
  return status;
}

lc_status pl_send_dimse(struct pl_route *route, struct pl_entry *entries, size_t n,
                        struct lc_error *err) {
  struct ct_object *objects = calloc(n, sizeof *objects);
  if (!objects) LC_FAIL(err, LC_ERR_MEMORY, "cannot allocate a batch");
  for (size_t i = 0; i < n; i++) objects[i] = entries[i].object;
  lc_status status = LC_OK;
  for (size_t at = 0; at < n && status == LC_OK && pl_route_is_due(route);) {
    size_t batch = (size_t)route->destination->batch, done = 0;
    if (batch > n - at) batch = n - at;
    status = send_batch(route, entries + at, batch, objects + at, &done, err);
    at += done;
  }
  free(objects);
  return status;
}
