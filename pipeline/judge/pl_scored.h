/* What was found for one item, an image that is judged: computed, and kept in a small file written
 * whole, so that a run can stop and go on anywhere.
 *
 * Thread-safety: distinct items, distinct threads; HDF5 from one. */
#pragma once

#include "pipeline/judge/pl_judge.h"

struct pl_scored_item {
  double *values;     /* [contestant, measure], NaN where not defined */
  double *outputs;    /* [target] what the model says */
  double *most;       /* [contestant, point] */
  double *least;      /* [contestant, point] */
  double *random;     /* [point] */
  double *compact;    /* [contestant, 2, threshold]: signed and absolute maximum */
  double *randomised; /* [contestant, stage] Spearman of |scores| */
  double *share;      /* [point] */
  float *maps;        /* [contestant, target, patch] */
};
/* Free with pl_scored_item_free whatever the status. */
LC_MUST_CHECK lc_status pl_scored_item_init(struct pl_scored_item *scored,
                                            const struct pl_judge *judge, struct lc_error *err);
void pl_scored_item_free(struct pl_scored_item *scored);

/* Judges all contestants on one item. */
LC_MUST_CHECK lc_status pl_judge_item(const struct pl_judge *judge, size_t item,
                                      struct pl_scored_item *scored, struct lc_error *err);

/* One file an item. pl_scored_item_read: found is false when there is none with the judge's key. */
LC_MUST_CHECK lc_status pl_scored_item_write(const struct pl_judge *judge, size_t item,
                                             const struct pl_scored_item *scored, const char *path,
                                             struct lc_error *err);
LC_MUST_CHECK lc_status pl_scored_item_read(const struct pl_judge *judge, size_t item,
                                            const char *path, struct pl_scored_item *scored,
                                            bool *found, struct lc_error *err);
