/* Sends what is due, destination by destination, decides when failed objects and destinations are
 * tried again, and waits between the tries. */
#include "pipeline/delivery/pl_send.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/lc_log.h"
#include "common/lc_random.h"
#include "pipeline/delivery/pl_sending.h"
#include "pipeline/report/pl_signal.h"

bool pl_send_final(const void *destinations, const struct pl_entry *entry) {
  if (entry->state == PL_STATE_CONFIRMED || entry->state == PL_STATE_REFUSED) return true;
  if (entry->state == PL_STATE_QUEUED) return false;
  const struct pl_destination *destination =
      pl_destinations_find((const struct pl_destinations *)destinations, entry->destination);
  return destination && destination->commitment_mode == PL_COMMITMENT_NONE;
}

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

/* -- one destination ------------------------------------------------------------------------ */

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
  if (status == LC_OK && pl_send_final(route->destinations, entry) &&
      entry->state != PL_STATE_REFUSED)
    status = pl_outbox_release(route->outbox, entry, pl_send_final, route->destinations, err);
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

static int in_turn(const void *a, const void *b) {
  const struct pl_entry *x = (const struct pl_entry *)a, *y = (const struct pl_entry *)b;
  if (x->attempts != y->attempts) return x->attempts < y->attempts ? -1 : 1;
  if (x->queued_ms != y->queued_ms) return x->queued_ms < y->queued_ms ? -1 : 1;
  return strcmp(x->object.sop_instance_uid, y->object.sop_instance_uid);
}

/* Moves what is queued and due to the front, in turn. */
static size_t choose_due(const struct pl_route *route, struct pl_entries *entries) {
  size_t n = 0;
  for (size_t i = 0; i < entries->n; i++) {
    const struct pl_entry *entry = &entries->items[i];
    if (entry->state != PL_STATE_QUEUED || entry->not_before_ms > route->due_ms) continue;
    struct pl_entry chosen = *entry;
    entries->items[i] = entries->items[n];
    entries->items[n++] = chosen;
  }
  if (n > 0) qsort(entries->items, n, sizeof *entries->items, in_turn);
  return n;
}

static lc_status serve(struct pl_route *route, struct lc_error *err) {
  struct pl_entries entries;
  pl_outbox_standing(route->outbox, route->destination->name, &route->standing);
  if (!pl_route_is_due(route)) return LC_OK;
  LC_TRY(pl_outbox_list(route->outbox, route->destination->name, &entries, err));
  size_t n = choose_due(route, &entries);
  lc_status status = LC_OK;
  if (n > 0)
    status = pl_destination_is_web(route->destination)
                 ? pl_send_web(route, entries.items, n, err)
                 : pl_send_dimse(route, entries.items, n, err);
  pl_entries_free(&entries);
  if (status == LC_OK && route->destination->commitment_mode != PL_COMMITMENT_NONE &&
      pl_route_is_due(route))
    status = pl_send_commitment(route, err);
  return status;
}

/* -- all destinations ----------------------------------------------------------------------- */

/* What is still to be done. */
struct outlook {
  size_t open;
  size_t untried;    /* open, and not put off beyond `since` */
  long long next_ms; /* when the next may be tried; LLONG_MAX for none */
};

static lc_status look_out(struct pl_outbox *outbox, const struct pl_destinations *destinations,
                          long long since_ms, struct outlook *outlook, struct lc_error *err) {
  *outlook = (struct outlook){.next_ms = INT64_MAX};
  for (size_t k = 0; k < destinations->n; k++) {
    struct pl_standing standing;
    struct pl_entries entries;
    const char *name = destinations->items[k].name;
    char folder[PL_DESTINATION_NAME + 16];
    snprintf(folder, sizeof folder, "entries/%s", name);
    pl_outbox_standing(outbox, name, &standing);
    LC_TRY(pl_outbox_list(outbox, name, &entries, err));
    for (size_t i = 0; i < entries.n; i++) {
      const struct pl_entry *entry = &entries.items[i];
      if (pl_send_final(destinations, entry)) continue;
      long long when = entry->not_before_ms > standing.not_before_ms ? entry->not_before_ms
                                                                     : standing.not_before_ms;
      outlook->open++;
      outlook->untried += when <= since_ms;
      if (when < outlook->next_ms) outlook->next_ms = when;
    }
    pl_entries_free(&entries);
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
    struct outlook outlook;
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
    struct outlook outlook;
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
                      const struct pl_destinations *destinations,
                      const struct pl_send_options *options, struct lc_error *err) {
  bool got = false, once = options->wait_s <= 0;
  long long start_ms = pl_now_ms(), end_ms = INT64_MAX;
  if (options->wait_s < 1e12) end_ms = start_ms + (long long)(1000 * options->wait_s);
  struct lc_error own;
  if (!err) err = &own;
  LC_TRY(become_sender(outbox, destinations, once, start_ms, end_ms, &got, err));
  if (!got) return LC_OK;
  LC_TRY(pl_outbox_tidy(outbox, pl_send_final, known, err));
  struct pl_route *routes = calloc(destinations->n + 1, sizeof *routes);
  if (!routes) LC_FAIL(err, LC_ERR_MEMORY, "cannot allocate %zu destinations", destinations->n);
  for (size_t i = 0; i < destinations->n; i++)
    routes[i] = (struct pl_route){
        .outbox = outbox, .destinations = known, .destination = &destinations->items[i]};
  /* What was queued while we waited for the lock is due too. */
  lc_status status =
      work(routes, destinations->n, outbox, destinations, once, pl_now_ms(), end_ms, err);
  for (size_t i = 0; i < destinations->n; i++) ct_commitment_close(&routes[i].listener);
  free(routes);
  struct lc_error late;
  lc_status synced = pl_outbox_sync(outbox, &late);
  if (status == LC_OK && synced != LC_OK)
    status = lc_fail(err, synced, __FILE__, __LINE__, "%s", late.message);
  return status;
}

lc_status pl_send_echo(const struct pl_destination *destination, struct lc_error *err) {
  lc_status status;
  if (pl_destination_is_web(destination)) {
    struct ct_web_peer peer;
    struct lc_text secret = {0};
    ct_net_failure failure;
    status = pl_destination_web(destination, &peer, &secret, err);
    if (status == LC_OK) status = ct_web_echo(&peer, &failure, err);
    pl_secret_free(&secret);
  } else {
    struct ct_peer peer;
    pl_destination_peer(destination, &peer);
    status = ct_echo(&peer, NULL, err);
  }
  if (status != LC_OK) lc_error_prefix(err, "%s", destination->name);
  return status;
}
