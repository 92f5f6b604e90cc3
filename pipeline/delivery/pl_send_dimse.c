/* Sends the due objects of one destination by C-STORE, a batch an association. */
#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/delivery/pl_send.h"
#include "pipeline/report/pl_signal.h"

/* One object. *broken: the association is gone. */
static lc_status send_one(struct pl_route *route, struct ct_association *association,
                          struct pl_entry *entry, bool *broken, size_t *n_answered,
                          struct lc_error *err) {
  bool good;
  char path[LC_PATH_SIZE];
  struct ct_store_answer answer;
  struct lc_error why;
  LC_TRY(pl_route_verify(route, entry, &good, err));
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
  for (size_t i = 0; i < n; i++) LC_TRY(pl_route_refuse(route, &entries[i], why, err));
  return LC_OK;
}

/* One association; *n_done of the entries are dealt with. */
static lc_status send_batch(struct pl_route *route, struct pl_entry *entries, size_t n,
                            const struct ct_object *objects, size_t *n_done, struct lc_error *err) {
  struct ct_peer peer;
  LC_SCOPED(ct_association_close) struct ct_association association = {0};
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
  for (; i < n_fit && !broken && pl_route_is_due(route); i++) {
    LC_TRY(pl_signal_check(err));
    LC_TRY(send_one(route, &association, &entries[i], &broken, &n_answered, err));
  }
  *n_done = i;
  return n_answered > 0 && pl_route_is_due(route) ? pl_route_worked(route, err) : LC_OK;
}

lc_status pl_send_dimse(struct pl_route *route, struct pl_entry *entries, size_t n,
                        struct lc_error *err) {
  LC_FREED struct ct_object *objects = NULL;
  LC_TRY(lc_alloc(&objects, n, sizeof *objects, err));
  for (size_t i = 0; i < n; i++) objects[i] = entries[i].object;
  for (size_t at = 0, done; at < n && pl_route_is_due(route); at += done) {
    size_t batch = (size_t)route->destination->batch;
    if (batch > n - at) batch = n - at;
    LC_TRY(send_batch(route, entries + at, batch, objects + at, &done, err));
  }
  return LC_OK;
}
