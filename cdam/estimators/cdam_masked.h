/* Forward passes with patches left out, for estimators that work by removal; private to this room.
 *
 * Thread-safety: one call a task at a time; masks run on lc_threads(), and `keep` is called from
 * several threads at once. */
#pragma once

#include "cdam/estimators/cdam_estimator.h"

/* Values of targets for sequences with patches left out. */
struct cdam_masked {
  const struct cdam_task *task;
  size_t n_masks;
  /* Writes the patches that mask number `mask` keeps, ascending numbers of the grid row by row,
   * into kept [task->trace->patches], and returns how many. */
  size_t (*keep)(const void *context, size_t mask, uint32_t *kept);
  const void *context;
};
/* values: [mask, image, target], image from 0 to task->trace->batch - 1. Masks in parallel, one
 * forward pass for each image. */
LC_MUST_CHECK lc_status cdam_masked_values(const struct cdam_masked *masked, double *values,
                                           struct lc_error *err);
/* Values of the targets in the task's own trace: [image, target]. */
void cdam_full_values(const struct cdam_task *task, double *values);
