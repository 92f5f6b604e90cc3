/* What the command line hands to an outbox: files and folders, for some destinations.
 *
 * Thread-safety: one thread. */
#ifndef PL_SEND_QUEUE_H
#define PL_SEND_QUEUE_H

#include "pipeline/delivery/pl_outbox.h"

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
                                      const struct pl_list *paths, bool replace,
                                      struct pl_queue_count *count, struct lc_error *err);

#endif
