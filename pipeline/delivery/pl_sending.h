/* One destination being served, for the sources of pl_send. Used only there.
 *
 * Thread-safety: one thread. */
#pragma once

#include "ct_io/net/ct_commitment.h"
#include "pipeline/delivery/pl_send.h"

struct pl_route {
  struct pl_outbox *outbox;
  const struct pl_destinations *destinations; /* all that the outbox knows */
  const struct pl_destination *destination;
  struct pl_standing standing;
  struct ct_commitment_listener listener; /* opened when first needed */
  long long due_ms;                       /* what is put off beyond this time is not touched */
  int not_now_in_row;                     /* answers */
};

/* Puts off the destination. text: what happened. */
LC_MUST_CHECK lc_status pl_route_failed(struct pl_route *route, const char *text,
                                        struct lc_error *err);
/* It answered: earlier failures are forgotten. */
LC_MUST_CHECK lc_status pl_route_worked(struct pl_route *route, struct lc_error *err);
static inline bool pl_route_is_due(const struct pl_route *route) {
  return route->standing.not_before_ms <= route->due_ms;
}

/* Writes what became of an object, and lets go of bytes that nobody needs any more. */
LC_MUST_CHECK lc_status pl_route_settle(struct pl_route *route, struct pl_entry *entry,
                                        const struct ct_store_answer *answer, struct lc_error *err);
/* The same for an object that nobody takes. */
LC_MUST_CHECK lc_status pl_route_refuse(struct pl_route *route, struct pl_entry *entry,
                                        const char *why, struct lc_error *err);
/* Bytes that are not those that were queued are not sent: refuses such an object. */
LC_MUST_CHECK lc_status pl_route_verify(struct pl_route *route, struct pl_entry *entry, bool *good,
                                        struct lc_error *err);
/* Puts off one object; after too many tries it is refused. */
LC_MUST_CHECK lc_status pl_route_put_off(struct pl_route *route, struct pl_entry *entry,
                                         const char *text, struct lc_error *err);
/* Writes a changed entry; one that was replaced meanwhile is left alone. */
LC_MUST_CHECK lc_status pl_route_write(struct pl_route *route, const struct pl_entry *entry,
                                       struct lc_error *err);

/* Sends entries[n], all queued and due. They return early when the
 * destination was put off. */
LC_MUST_CHECK lc_status pl_send_dimse(struct pl_route *route, struct pl_entry *entries, size_t n,
                                      struct lc_error *err);
LC_MUST_CHECK lc_status pl_send_web(struct pl_route *route, struct pl_entry *entries, size_t n,
                                    struct lc_error *err);
/* Asks for commitment of what is sent, due, and not confirmed, and waits for the results. */
LC_MUST_CHECK lc_status pl_send_commitment(struct pl_route *route, struct lc_error *err);
