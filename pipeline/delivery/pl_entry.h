/* One entry of an outbox as a file: JSON with a digest over itself, so that damage is seen.
 *
 * Thread-safety: pure functions. */
#ifndef PL_ENTRY_H
#define PL_ENTRY_H

#include "pipeline/delivery/pl_outbox.h"

LC_MUST_CHECK lc_status pl_entry_write(const struct pl_entry *entry, struct lc_text *json,
                                       struct lc_error *err);
/* LC_ERR_FORMAT for what is not an undamaged entry; name is for messages. */
LC_MUST_CHECK lc_status pl_entry_read(struct pl_entry *entry, const char *json, size_t length,
                                      const char *name, struct lc_error *err);

#endif
