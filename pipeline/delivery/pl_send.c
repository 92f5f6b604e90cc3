/* Queues files, sends what is due, destination by destination, decides when failed objects and
 * destinations are tried again, and waits between the tries. */
#include "pipeline/delivery/pl_send.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_random.h"
#include "common/lc_scope.h"
#include "ct_io/dicom_read/ct_files.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"

/* -- queueing ------------------------------------------------------------------------------- */

static bool ends_all(lc_status status) {
  return status == LC_ERR_NO_SPACE || status == LC_ERR_NOT_WRITABLE || status == LC_ERR_MEMORY ||
         status == LC_ERR_INTERRUPTED;
}

static lc_status queue_file(struct pl_outbox *outbox, const struct pl_destinations *destinations,
                            const char *path, bool named, bool replace,
                            struct pl_queue_count *count, struct lc_error *err) {
  for (size_t i = 0; i < destinations->n; i++) {
    enum pl_added added = PL_ADDED_QUEUED;
    lc_status status =
        pl_outbox_add(outbox, destinations->items[i].name, path, replace, &added, err);
    if (ends_all(status)) return status;
    if (!named && (status == LC_ERR_NO_DICOM || status == LC_ERR_UNSUPPORTED)) {
      lc_log(LC_LOG_DEBUG, "%s", err->message);
      count->other++;
      return LC_OK;
    }
    if (status != LC_OK) {
      lc_log(LC_LOG_ERROR, "%s (%s)", err->message, lc_status_name(status));
      count->failed++;
      count->worst = status;
      if (status != LC_ERR_MISMATCH) return LC_OK; /* no better for another destination */
      continue;
    }
    count->queued += added == PL_ADDED_QUEUED;
    count->known += added == PL_ADDED_KNOWN;
    count->refused_before += added == PL_ADDED_REFUSED_BEFORE;
  }
  return LC_OK;
}

/* Drafts and temporary files are hidden. */
static bool is_hidden(const char *root, const char *path) {
  return strstr(path + strlen(root), "/.") != NULL;
}

static lc_status queue_path(struct pl_outbox *outbox, const struct pl_destinations *destinations,
                            const char *root, bool replace, struct pl_queue_count *count,
                            struct lc_error *err) {
  LC_SCOPED(ct_files_free) struct ct_files files = {0};
  LC_SCOPED(pl_progress_end) struct pl_progress progress = {0};
  bool named = !lc_folder_exists(root);
  LC_TRY(ct_files_walk(&files, root, NULL, NULL, err));
  pl_progress_start(&progress, "queueing", "files", files.count);
  for (size_t i = 0; i < files.count; i++) {
    LC_TRY(pl_signal_check(err));
    if (named || !is_hidden(root, files.paths[i]))
      LC_TRY(queue_file(outbox, destinations, files.paths[i], named, replace, count, err));
    lc_progress_step(&progress.progress, 1);
  }
  return LC_OK;
}

lc_status pl_send_queue(struct pl_outbox *outbox, const struct pl_destinations *destinations,
                        const char *const *paths, size_t n, bool replace,
                        struct pl_queue_count *count, struct lc_error *err) {
  lc_status status = LC_OK;
  memset(count, 0, sizeof *count);
  for (size_t i = 0; i < n && status == LC_OK; i++)
    status = queue_path(outbox, destinations, paths[i], replace, count, err);
  lc_status synced = pl_outbox_sync(outbox, status == LC_OK ? err : NULL);
  return status == LC_OK ? synced : status;
}

/* -- one destination ------------------------------------------------------------------------ */

long long pl_send_delay_ms(const struct pl_destination *destination, const char *key,
                           long long failures) {
  const int enough = 40; /* doublings beyond any limit */
  double wait_s =
      destination->retry_first_s * pow(2, (double)(failures > enough ? enough : failures) - 1);
  if (wait_s > destination->retry_most_s) wait_s = destination->retry_most_s;
  uint64_t seed = 14695981039346656037U; /* FNV-1a of the key */
  for (const char *c = key; *c; c++) seed = (seed ^ (unsigned char)*c) * 1099511628211U;
  struct lc_random random;
  lc_random_init(&random, seed, "send-back-off", (uint64_t)failures);
  return (long long)(1000 * wait_s * lc_random_between(&random, 0.5, 1.0)) + 1;
}

lc_status pl_route_failed(struct pl_route *route, const char *text, struct lc_error *err) {
  struct pl_standing *standing = &route->standing;
  standing->failures++;
  long long delay =
      pl_send_delay_ms(route->destination, route->destination->name, standing->failures);
  standing->not_before_ms = pl_now_ms() + delay;
  lc_text_copy(standing->text, sizeof standing->text, text);
  lc_log(LC_LOG_WARNING, "%s: %s; next try in %.1f s", route->destination->name, text,
         (double)delay / 1000);
  return pl_outbox_set_standing(route->outbox, route->destination->name, standing, err);
}

lc_status pl_route_worked(struct pl_route *route, struct lc_error *err) {
  if (route->standing.failures == 0) return LC_OK;
  route->standing = (struct pl_standing){0};
  return pl_outbox_set_standing(route->outbox, route->destination->name, &route->standing, err);
}

lc_status pl_route_write(struct pl_route *route, const struct pl_entry *entry,
                         struct lc_error *err) {
  lc_status status = pl_outbox_change(route->outbox, entry, err);
  if (status == LC_ERR_NOT_FOUND) { /* it holds another content now, which is sent in its turn */
    lc_log(LC_LOG_DEBUG, "%s", err->message);
    return LC_OK;
  }
  if (status == LC_OK && pl_entry_is_final(route->destinations, entry) &&
      entry->state != PL_STATE_REFUSED)
    status = pl_outbox_release(route->outbox, entry, route->destinations, err);
  return status;
}

lc_status pl_route_put_off(struct pl_route *route, struct pl_entry *entry, const char *text,
                           struct lc_error *err) {
  const struct pl_destination *destination = route->destination;
  entry->attempts++;
  lc_text_copy(entry->text, sizeof entry->text, text);
  if (destination->retry_attempts > 0 && entry->attempts >= destination->retry_attempts) {
    entry->state = PL_STATE_REFUSED;
    snprintf(entry->text, sizeof entry->text, "given up after %lld tries: %.200s", entry->attempts,
             text);
    lc_log(LC_LOG_WARNING, "%s: %s: %s", destination->name, entry->source, entry->text);
  } else {
    entry->not_before_ms =
        pl_now_ms() +
        pl_send_delay_ms(destination, entry->object.sop_instance_uid, entry->attempts);
    lc_log(LC_LOG_INFO, "%s: %s: not now: %s", destination->name, entry->source, text);
  }
  return pl_route_write(route, entry, err);
}

lc_status pl_route_settle(struct pl_route *route, struct pl_entry *entry,
                          const struct ct_store_answer *answer, struct lc_error *err) {
  const int too_many = 3;
  if (answer->outcome == CT_STORE_RETRY) {
    LC_TRY(pl_route_put_off(route, entry, answer->text, err));
    if (++route->not_now_in_row < too_many) return LC_OK;
    route->not_now_in_row = 0;
    return pl_route_failed(route, answer->text, err);
  }
  route->not_now_in_row = 0;
  entry->not_before_ms = 0;
  entry->transaction_uid[0] = '\0';
  entry->warning = answer->warning;
  entry->state = answer->outcome == CT_STORE_STORED ? PL_STATE_SENT : PL_STATE_REFUSED;
  lc_text_copy(entry->text, sizeof entry->text, answer->text);
  if (entry->state == PL_STATE_REFUSED || entry->warning)
    lc_log(LC_LOG_WARNING, "%s: %s: %s%s", route->destination->name, entry->source,
           entry->state == PL_STATE_REFUSED ? "refused: " : "stored, ", answer->text);
  return pl_route_write(route, entry, err);
}

lc_status pl_route_refuse(struct pl_route *route, struct pl_entry *entry, const char *why,
                          struct lc_error *err) {
  struct ct_store_answer answer;
  ct_store_answer_set(&answer, CT_STORE_REFUSED, "%s", why);
  return pl_route_settle(route, entry, &answer, err);
}

lc_status pl_route_verify(struct pl_route *route, struct pl_entry *entry, bool *good,
                          struct lc_error *err) {
  struct lc_error why;
  lc_status status = pl_outbox_verify(route->outbox, entry, &why);
  *good = status == LC_OK;
  if (status == LC_ERR_FORMAT) return pl_route_refuse(route, entry, why.message, err);
  if (status != LC_OK) LC_FAIL(err, status, "%s", why.message);
  return LC_OK;
}

static lc_status serve(struct pl_route *route, struct lc_error *err) {
  LC_SCOPED(pl_entries_free) struct pl_entries due = {0};
  LC_SCOPED(pl_send_audit_free) struct pl_send_audit audit = {0};
  const char *name = route->destination->name;
  LC_TRY(pl_outbox_standing(route->outbox, name, &route->standing, err));
  if (!pl_route_is_due(route)) return LC_OK;
  LC_TRY(pl_outbox_due(route->outbox, name, PL_STATE_QUEUED, route->due_ms, &due, err));
  if (due.n > 0) {
    LC_TRY(pl_send_audit_begin(&audit, route, &due, err));
    lc_status status = (pl_destination_is_web(route->destination) ? pl_send_web : pl_send_dimse)(
        route, due.items, due.n, err);
    pl_send_audit_end(&audit, route, &due);
    LC_TRY(status);
  }
  if (route->destination->commitment_mode == PL_COMMITMENT_NONE || !pl_route_is_due(route))
    return LC_OK;
  return pl_send_commitment(route, err);
}

/* -- all destinations ----------------------------------------------------------------------- */

/* What is still to be done. next_ms: INT64_MAX where nothing is. */
static lc_status look_out(struct pl_outbox *outbox, const struct pl_destinations *destinations,
                          long long since_ms, struct pl_outlook *all, struct lc_error *err) {
  *all = (struct pl_outlook){.next_ms = INT64_MAX};
  for (size_t k = 0; k < destinations->n; k++) {
    struct pl_outlook one;
    LC_TRY(pl_outbox_look_ahead(outbox, destinations, destinations->items[k].name, since_ms, &one,
                                err));
    all->open += one.open;
    all->untried += one.untried;
    if (one.open > 0 && one.next_ms < all->next_ms) all->next_ms = one.next_ms;
  }
  return LC_OK;
}

/* Sleeps until then, or for a second: another process may have queued something meanwhile. */
static lc_status sleep_until(long long then_ms, struct lc_error *err) {
  long long now = pl_now_ms(), longest = now + 1000;
  if (then_ms > longest) then_ms = longest;
  while (now < then_ms) {
    long long left = then_ms - now < 100 ? then_ms - now : 100;
    nanosleep(&(struct timespec){.tv_nsec = (long)left * 1000000}, NULL);
    LC_TRY(pl_signal_check(err));
    now = pl_now_ms();
  }
  return LC_OK;
}

/* Settled by another process: *got stays false. */
static lc_status become_sender(struct pl_outbox *outbox, const struct pl_destinations *destinations,
                               bool once, long long start_ms, long long end_ms, bool *got,
                               struct lc_error *err) {
  bool logged = false;
  while (!(*got = pl_outbox_lock_sender(outbox))) {
    struct pl_outlook outlook;
    if (!logged) lc_log(LC_LOG_INFO, "%s: another process is sending from it", outbox->folder);
    logged = true;
    LC_TRY(look_out(outbox, destinations, start_ms, &outlook, err));
    if (outlook.open == 0 || (once && outlook.untried == 0)) return LC_OK;
    if (!once && pl_now_ms() >= end_ms) return LC_OK;
    LC_TRY(sleep_until(pl_now_ms() + 200, err));
  }
  return LC_OK;
}

static lc_status work(struct pl_route *routes, size_t n, struct pl_outbox *outbox,
                      const struct pl_destinations *destinations, bool once, long long start_ms,
                      long long end_ms, struct lc_error *err) {
  for (;;) {
    struct pl_outlook outlook;
    for (size_t i = 0; i < n; i++) {
      LC_TRY(pl_signal_check(err));
      routes[i].due_ms = once ? start_ms : pl_now_ms();
      LC_TRY(serve(&routes[i], err));
    }
    if (once) return LC_OK;
    LC_TRY(look_out(outbox, destinations, start_ms, &outlook, err));
    if (outlook.open == 0 || pl_now_ms() >= end_ms) return LC_OK;
    LC_TRY(sleep_until(outlook.next_ms < end_ms ? outlook.next_ms : end_ms, err));
  }
}

lc_status pl_send_run(struct pl_outbox *outbox, const struct pl_destinations *known,
                      const struct pl_destinations *destinations, double wait_s,
                      struct pl_audit *audit, struct lc_error *err) {
  bool got = false, once = wait_s <= 0;
  long long start_ms = pl_now_ms(), end_ms = INT64_MAX;
  if (wait_s < 1e12) end_ms = start_ms + (long long)(1000 * wait_s);
  LC_TRY(become_sender(outbox, destinations, once, start_ms, end_ms, &got, err));
  if (!got) return LC_OK;
  LC_TRY(pl_outbox_tidy(outbox, known, err));
  LC_FREED struct pl_route *routes = NULL;
  LC_TRY(lc_alloc(&routes, destinations->n, sizeof *routes, err));
  for (size_t i = 0; i < destinations->n; i++)
    routes[i] = (struct pl_route){.outbox = outbox,
                                  .destinations = known,
                                  .destination = &destinations->items[i],
                                  .audit = audit};
  /* What was queued while we waited for the lock is due too. */
  lc_status status =
      work(routes, destinations->n, outbox, destinations, once, pl_now_ms(), end_ms, err);
  for (size_t i = 0; i < destinations->n; i++) ct_commitment_close(&routes[i].listener);
  lc_status synced = pl_outbox_sync(outbox, status == LC_OK ? err : NULL);
  return status == LC_OK ? synced : status;
}

lc_status pl_send_echo(const struct pl_destination *destination, struct lc_error *err) {
  struct ct_web_peer web;
  struct ct_peer peer;
  LC_SCOPED(pl_secret_free) struct lc_text secret = {0};
  ct_net_failure failure;
  lc_status status;
  if (pl_destination_is_web(destination)) {
    status = pl_destination_web(destination, &web, &secret, err);
    if (status == LC_OK) status = ct_web_echo(&web, &failure, err);
  } else {
    pl_destination_peer(destination, &peer);
    status = ct_echo(&peer, NULL, err);
  }
  if (status != LC_OK) lc_error_prefix(err, "%s", destination->name);
  return status;
}
