/* How it stands with an outbox, for people and programs: tables of destinations and of objects.
 *
 * Thread-safety: one outbox, one thread. */
#ifndef PL_SEND_TABLE_H
#define PL_SEND_TABLE_H

#include "pipeline/delivery/pl_send.h"
#include "pipeline/report/pl_table.h"

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

#endif
