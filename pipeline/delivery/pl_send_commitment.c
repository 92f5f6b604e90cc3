/* Asks an archive for storage commitment of the objects it was sent and records its answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "ct_io/ct/ct_uid.h"
#include "pipeline/delivery/pl_send.h"
#include "pipeline/guard/pl_listen.h"
#include "pipeline/report/pl_signal.h"

/* What one N-ACTION asks for. */
struct transaction {
  char uid[CT_UID_SIZE];
  struct pl_entry **entries;
  const struct ct_object **objects;
  size_t n, n_waiting;
};

static void free_transaction(struct transaction *transaction) {
  free(transaction->entries);
  free((void *)transaction->objects);
}

/* A transaction is new each time: archives keep no second answer. */
static lc_status name_transaction(struct transaction *transaction, const struct pl_route *route,
                                  struct lc_error *err) {
  char moment[64];
  snprintf(moment, sizeof moment, "%lld.%ld", pl_now_ms(), (long)getpid());
  const char *const parts[] = {"storage commitment", route->destination->name, moment,
                               transaction->objects[0]->sop_instance_uid};
  return ct_uid_make(transaction->uid, NULL, parts, sizeof parts / sizeof *parts, err);
}

/* What the archive says of one object. */
static lc_status apply_item(struct pl_route *route, struct pl_entry *entry,
                            const struct ct_commitment_item *item, struct lc_error *err) {
  const uint16_t no_such_object = 0x0112, class_conflict = 0x0119, class_unsupported = 0x0122;
  char text[128];
  entry->transaction_uid[0] = '\0';
  entry->not_before_ms = 0;
  if (item->committed) {
    entry->state = PL_STATE_CONFIRMED;
    if (!entry->warning) entry->text[0] = '\0'; /* why an earlier try failed matters no more */
    return pl_route_write(route, entry, err);
  }
  snprintf(text, sizeof text, "not committed, reason %04X: %s", (unsigned)item->reason,
           ct_commitment_reason(item->reason));
  if (item->reason == class_conflict || item->reason == class_unsupported)
    return pl_route_refuse(route, entry, text, err);
  if (item->reason == no_such_object) entry->state = PL_STATE_QUEUED;
  return pl_route_put_off(route, entry, text, err);
}

/* A result may also be that of an earlier process: the transaction is in the entries. */
static lc_status apply_result(struct pl_route *route, const struct ct_commitment_result *result,
                              struct transaction *transaction, struct lc_error *err) {
  LC_SCOPED(pl_entries_free) struct pl_entries entries = {0};
  LC_TRY(pl_outbox_due(route->outbox, route->destination->name, PL_STATE_SENT, INT64_MAX, &entries,
                       err));
  for (size_t k = 0; k < result->n; k++) {
    for (size_t i = 0; i < entries.n; i++) {
      struct pl_entry *entry = &entries.items[i];
      if (strcmp(entry->transaction_uid, result->transaction_uid) != 0 ||
          strcmp(entry->object.sop_instance_uid, result->items[k].sop_instance_uid) != 0)
        continue;
      if (strcmp(transaction->uid, result->transaction_uid) == 0 && transaction->n_waiting > 0)
        transaction->n_waiting--;
      LC_TRY(apply_item(route, entry, &result->items[k], err));
    }
  }
  return LC_OK;
}

/* Waits for results until all are there or the time is over. association is NULL for a listener. */
static lc_status wait_for_results(struct pl_route *route, struct ct_association *association,
                                  struct transaction *transaction, struct lc_error *err) {
  long long end_ms = pl_now_ms() + 1000 * route->destination->commitment_wait_s;
  while (transaction->n_waiting > 0 && pl_now_ms() < end_ms) {
    LC_SCOPED(ct_commitment_result_free) struct ct_commitment_result result = {0};
    struct lc_error why;
    LC_TRY(pl_signal_check(err));
    lc_status status = association ? ct_commitment_receive(association, 1, &result, &why)
                                   : ct_commitment_wait(&route->listener, 1, &result, &why);
    if (status != LC_OK) { /* it is asked for again */
      lc_log(LC_LOG_WARNING, "%s: %s", route->destination->name, why.message);
      return LC_OK;
    }
    if (result.transaction_uid[0]) LC_TRY(apply_result(route, &result, transaction, err));
  }
  if (transaction->n_waiting > 0)
    lc_log(LC_LOG_WARNING, "%s: %zu objects are not confirmed within %lld s",
           route->destination->name, transaction->n_waiting, route->destination->commitment_wait_s);
  return LC_OK;
}

static lc_status note_request(struct pl_route *route, struct transaction *transaction,
                              struct lc_error *err) {
  for (size_t i = 0; i < transaction->n; i++) {
    struct pl_entry *entry = transaction->entries[i];
    memcpy(entry->transaction_uid, transaction->uid, sizeof transaction->uid);
    entry->not_before_ms = pl_now_ms() + 1000 * route->destination->commitment_wait_s;
    LC_TRY(pl_route_write(route, entry, err));
  }
  transaction->n_waiting = transaction->n;
  return LC_OK;
}

static lc_status put_off_all(struct pl_route *route, const struct transaction *transaction,
                             const char *why, struct lc_error *err) {
  lc_log(LC_LOG_WARNING, "%s: %s", route->destination->name, why);
  for (size_t i = 0; i < transaction->n; i++)
    LC_TRY(pl_route_put_off(route, transaction->entries[i], why, err));
  return LC_OK;
}

/* The port is opened before the archive is asked: its answer may come at once. */
static lc_status listen_if_needed(struct pl_route *route, struct lc_error *why) {
  const struct pl_destination *destination = route->destination;
  if (destination->commitment_mode != PL_COMMITMENT_LISTEN || route->listener.handle) return LC_OK;
  struct ct_peer self;
  const struct pl_listen listen = {.address = destination->commitment_listen,
                                   .port = (int)destination->commitment_port,
                                   .insecure = destination->commitment_insecure};
  int listening, port;
  pl_destination_peer(destination, &self);
  LC_TRY(pl_listen_open(&listen, 0, &listening, &port, why));
  lc_status status = ct_commitment_listen(&route->listener, &self, listening, why);
  if (status != LC_OK) close(listening);
  return status;
}

static lc_status ask(struct pl_route *route, struct transaction *transaction,
                     struct lc_error *err) {
  struct ct_peer peer;
  LC_SCOPED(ct_association_close) struct ct_association association = {0};
  struct lc_error why;
  size_t none;
  bool same = route->destination->commitment_mode == PL_COMMITMENT_SAME;
  pl_destination_peer(route->destination, &peer);
  LC_TRY(name_transaction(transaction, route, err));
  lc_status status = listen_if_needed(route, &why);
  if (status == LC_OK) status = ct_store_open(&association, &peer, NULL, 0, true, &none, &why);
  /* Noted before it is asked: the answer may overtake ours. */
  if (status == LC_OK) status = note_request(route, transaction, &why);
  if (status == LC_OK)
    status = ct_commitment_request(&association, transaction->uid, transaction->objects,
                                   transaction->n, &why);
  if (!same || status != LC_OK) ct_association_close(&association);
  if (status == LC_ERR_UNSUPPORTED || association.failure == CT_NET_NO_CONTEXT)
    return put_off_all(route, transaction, why.message, err);
  if (status == LC_ERR_NETWORK || status == LC_ERR_CONFIG)
    return pl_route_failed(route, why.message, err);
  if (status != LC_OK) LC_FAIL(err, status, "%s", why.message);
  return wait_for_results(route, same ? &association : NULL, transaction, err);
}

lc_status pl_send_commitment(struct pl_route *route, struct lc_error *err) {
  LC_SCOPED(pl_entries_free) struct pl_entries entries = {0};
  LC_SCOPED(free_transaction) struct transaction transaction = {.n = 0};
  size_t most = (size_t)route->destination->batch;
  LC_TRY(pl_outbox_due(route->outbox, route->destination->name, PL_STATE_SENT, route->due_ms,
                       &entries, err));
  LC_TRY(lc_alloc(&transaction.entries, most, sizeof(struct pl_entry *), err));
  LC_TRY(lc_alloc(&transaction.objects, most, sizeof(const struct ct_object *), err));
  for (size_t i = 0; i < entries.n && pl_route_is_due(route); i++) {
    transaction.objects[transaction.n] = &entries.items[i].object;
    transaction.entries[transaction.n++] = &entries.items[i];
    if (transaction.n < most && i + 1 < entries.n) continue;
    LC_TRY(pl_signal_check(err));
    LC_TRY(ask(route, &transaction, err));
    transaction.n = 0;
  }
  return LC_OK;
}
