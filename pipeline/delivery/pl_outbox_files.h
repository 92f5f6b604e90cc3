/* The files of an outbox, for the sources that make it up. Used only there.
 *
 * Thread-safety: one outbox, one thread. */
#ifndef PL_OUTBOX_FILES_H
#define PL_OUTBOX_FILES_H

#include "pipeline/delivery/pl_outbox.h"

/* One process at a time changes entries. */
LC_MUST_CHECK lc_status pl_outbox_lock(struct pl_outbox *outbox, struct lc_error *err);
void pl_outbox_unlock(struct pl_outbox *outbox);

/* The outbox's folder and, below it, what fmt makes. */
LC_PRINTF(4, 5)
LC_MUST_CHECK lc_status pl_outbox_path(const struct pl_outbox *outbox, char out[LC_PATH_SIZE],
                                       struct lc_error *err, const char *fmt, ...);

/* LC_ERR_NOT_FOUND; LC_ERR_FORMAT when it is damaged. */
LC_MUST_CHECK lc_status pl_outbox_load(const struct pl_outbox *outbox, const char *destination,
                                       const char *sop_instance_uid, struct pl_entry *entry,
                                       struct lc_error *err);
/* Under the lock. */
LC_MUST_CHECK lc_status pl_outbox_save(struct pl_outbox *outbox, const struct pl_entry *entry,
                                       struct lc_error *err);

/* "UID.json"; false for another name. */
bool pl_outbox_uid_of(const char *file_name, char uid[CT_UID_SIZE]);
/* Calls visit for each name in a folder below the outbox that is not hidden, until one fails. */
LC_MUST_CHECK lc_status pl_outbox_each_file(const struct pl_outbox *outbox, const char *below,
                                            lc_status (*visit)(void *context, const char *name,
                                                               struct lc_error *err),
                                            void *context, struct lc_error *err);

#endif
