/* Sends what an outbox holds (docs/send.md).
 *
 * Objects go to each destination in associations or requests of at most `batch`, the untried first,
 * then by time of queueing. What fails for a reason of the destination (no connection, rejected,
 * TLS, time-out, three objects in a row answered with "not now") puts off the destination, what
 * fails for a reason of the object puts off the object; each wait is twice the former, up to a
 * limit, times a number from 0.5 to 1 that is drawn by name and number of failures. A bad object
 * never stops the others, nor one destination another.
 *
 * Thread-safety: one thread; pl_signal ends it between two objects. */
#pragma once

#include "ct_io/net/ct_commitment.h"
#include "pipeline/delivery/pl_outbox.h"
#include "pipeline/guard/pl_audit.h"
#include "pipeline/report/pl_table.h"

struct pl_queue_count {
  size_t queued, known, refused_before; /* objects times destinations */
  size_t other;                         /* files in folders that are not DICOM, or a DICOMDIR */
  size_t failed;                        /* files that could not be queued, each logged */
  lc_status worst;                      /* of the last of them */
};

/* Queues the files, and all DICOM files below the folders except hidden ones, for each destination.
 * A file that cannot be queued is logged and counted, and the others go on; a path that does not
 * exist, a full disk and a signal end it. What was queued is on the disk then. */
LC_MUST_CHECK lc_status pl_send_queue(struct pl_outbox *outbox,
                                      const struct pl_destinations *destinations,
                                      const char *const *paths, size_t n, bool replace,
                                      struct pl_queue_count *count, struct lc_error *err);

/* Serves the destinations given, which are some of all those known to the outbox. wait_s 0: what is
 * due is tried once; above: until nothing is open, but no longer than so many seconds; HUGE_VAL:
 * however long it takes. While another
 * process sends from this outbox, waits until that has settled or tried everything here, or goes on
 * in its place when it ends. audit: of what is sent, or NULL. LC_OK whatever became of the objects:
 * that is in the outbox. LC_ERR_INTERRUPTED, LC_ERR_NO_SPACE, LC_ERR_NOT_WRITABLE.
 */
LC_MUST_CHECK lc_status pl_send_run(struct pl_outbox *outbox, const struct pl_destinations *known,
                                    const struct pl_destinations *destinations, double wait_s,
                                    struct pl_audit *audit, struct lc_error *err);

/* C-ECHO, or a question to the web server; the message says what went wrong. */
LC_MUST_CHECK lc_status pl_send_echo(const struct pl_destination *destination,
                                     struct lc_error *err);

/* How long to wait after so many failures (1 and more). key names what failed. */
long long pl_send_delay_ms(const struct pl_destination *destination, const char *key,
                           long long failures);

/* -- how it stands, for people and programs (pl_send_table.c) -- */

#define PL_TIME_SIZE 32

/* "2026-01-31T12:00:00Z"; "" for 0 and less. */
void pl_send_time(char out[PL_TIME_SIZE], long long unix_ms);

/* One line a destination. */
LC_MUST_CHECK lc_status pl_send_print_status(struct pl_outbox *outbox,
                                             const struct pl_destinations *known,
                                             const struct pl_destinations *chosen,
                                             enum pl_table_form form, struct lc_error *err);
/* One line an object, each with a reason for its state; chosen NULL: of every destination. */
LC_MUST_CHECK lc_status pl_send_print_list(struct pl_outbox *outbox,
                                           const struct pl_destinations *known,
                                           const struct pl_destinations *chosen,
                                           enum pl_table_form form, struct lc_error *err);

/* -- one destination being served, for the sources of pl_send: used only there -- */

struct pl_route {
  struct pl_outbox *outbox;
  const struct pl_destinations *destinations; /* all that the outbox knows */
  const struct pl_destination *destination;
  struct pl_audit *audit; /* or NULL */
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

/* What the audit trail needs to know of objects on their way: whose their studies are, read before
 * their bytes are let go of. A zeroed struct is empty. */
struct pl_send_study;
struct pl_send_audit {
  struct pl_send_study *studies; /* owned */
  size_t n;
};
void pl_send_audit_free(struct pl_send_audit *audit);
/* Tells the route's trail, if it has one, that these objects are about to be sent, */
LC_MUST_CHECK lc_status pl_send_audit_begin(struct pl_send_audit *audit,
                                            const struct pl_route *route,
                                            const struct pl_entries *due, struct lc_error *err);
/* and which have arrived. */
void pl_send_audit_end(const struct pl_send_audit *audit, const struct pl_route *route,
                       const struct pl_entries *due);

/* Sends entries[n], all queued and due. They return early when the
 * destination was put off. */
LC_MUST_CHECK lc_status pl_send_dimse(struct pl_route *route, struct pl_entry *entries, size_t n,
                                      struct lc_error *err);
LC_MUST_CHECK lc_status pl_send_web(struct pl_route *route, struct pl_entry *entries, size_t n,
                                    struct lc_error *err);
/* Asks for commitment of what is sent, due, and not confirmed, and waits for the results. */
LC_MUST_CHECK lc_status pl_send_commitment(struct pl_route *route, struct lc_error *err);
