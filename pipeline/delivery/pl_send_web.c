/* Sends the due objects of one destination by STOW-RS, a batch a request. */
#include <sys/stat.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/delivery/pl_send.h"
#include "pipeline/report/pl_signal.h"

/* A request is no longer than this unless one object alone is. */
#define REQUEST_BYTES ((off_t)64 << 20)

struct batch {
  struct pl_entry **entries;
  struct ct_object *objects;
  char (*paths)[LC_PATH_SIZE];
  const char **names;
  struct ct_store_answer *answers;
  size_t n;
};

static void free_batch(struct batch *batch) {
  free(batch->entries);
  free(batch->objects);
  free(batch->paths);
  free(batch->names);
  free(batch->answers);
}

/* Whatever it returns, free_batch ends it. */
static lc_status make_batch(struct batch *batch, size_t n, struct lc_error *err) {
  LC_TRY(lc_alloc(&batch->entries, n, sizeof(struct pl_entry *), err));
  LC_TRY(lc_alloc(&batch->objects, n, sizeof *batch->objects, err));
  LC_TRY(lc_alloc(&batch->paths, n, sizeof *batch->paths, err));
  LC_TRY(lc_alloc(&batch->names, n, sizeof(const char *), err));
  return lc_alloc(&batch->answers, n, sizeof *batch->answers, err);
}

/* Adds an entry whose bytes are good; others are refused. */
static lc_status add(struct pl_route *route, struct batch *batch, struct pl_entry *entry,
                     off_t *bytes, struct lc_error *err) {
  struct stat info;
  bool good;
  LC_TRY(pl_route_verify(route, entry, &good, err));
  if (!good) return LC_OK;
  char *path = batch->paths[batch->n];
  LC_TRY(pl_outbox_object(route->outbox, entry, path, err));
  if (stat(path, &info) == 0) *bytes += info.st_size;
  batch->entries[batch->n] = entry;
  batch->objects[batch->n] = entry->object;
  batch->names[batch->n] = path;
  batch->n++;
  return LC_OK;
}

/* One request for n objects of the batch. */
static lc_status post(struct pl_route *route, struct batch *batch, size_t first, size_t n,
                      const struct ct_web_peer *peer, struct lc_error *err) {
  struct lc_error why;
  ct_net_failure failure;
  lc_status status = ct_stow_send(peer, batch->names + first, batch->objects + first, n,
                                  batch->answers + first, &failure, &why);
  if (status == LC_OK) {
    LC_TRY(pl_route_worked(route, err));
    for (size_t i = first; i < first + n; i++)
      LC_TRY(pl_route_settle(route, batch->entries[i], &batch->answers[i], err));
    return LC_OK;
  }
  if (status == LC_ERR_UNSUPPORTED && n > 1) { /* which of them is it? */
    lc_log(LC_LOG_INFO, "%s; sending its %zu objects one by one", why.message, n);
    for (size_t i = first; i < first + n && pl_route_is_due(route); i++) {
      LC_TRY(pl_signal_check(err));
      LC_TRY(post(route, batch, i, 1, peer, err));
    }
    return LC_OK;
  }
  if (status == LC_ERR_UNSUPPORTED)
    return pl_route_refuse(route, batch->entries[first], why.message, err);
  /* The server may stumble over this object: others first, next time. */
  if (n == 1 && failure != CT_NET_CONNECT && failure != CT_NET_TLS && failure != CT_NET_REJECTED)
    LC_TRY(pl_route_put_off(route, batch->entries[first], why.message, err));
  return pl_route_failed(route, why.message, err);
}

lc_status pl_send_web(struct pl_route *route, struct pl_entry *entries, size_t n,
                      struct lc_error *err) {
  struct ct_web_peer peer;
  LC_SCOPED(pl_secret_free) struct lc_text secret = {0};
  LC_SCOPED(free_batch) struct batch batch = {0};
  struct lc_error why;
  /* A server that failed twice on requests of many gets them singly. */
  size_t most = route->standing.failures >= 2 ? 1 : (size_t)route->destination->batch;
  if (most > n) most = n;
  if (pl_destination_web(route->destination, &peer, &secret, &why) != LC_OK)
    return pl_route_failed(route, why.message, err);
  LC_TRY(make_batch(&batch, most, err));
  for (size_t at = 0; at < n && pl_route_is_due(route);) {
    off_t bytes = 0;
    batch.n = 0;
    LC_TRY(pl_signal_check(err));
    for (; at < n && batch.n < most && bytes < REQUEST_BYTES; at++)
      LC_TRY(add(route, &batch, &entries[at], &bytes, err));
    if (batch.n > 0) LC_TRY(post(route, &batch, 0, batch.n, &peer, err));
  }
  return LC_OK;
}
