/* Estimators against each other on the same items: means, paired differences and ranks, with
 * intervals by bootstrap over patients.
 *
 * Thread-safety: no state. */
#pragma once

#include "vit/train/vit_metrics.h"

/* One measure. */
struct cdam_contest_table {
  size_t items, contestants;
  const double *values;   /* [item, contestant]; NaN where a measure is not defined */
  const uint32_t *groups; /* [item] patient, 0 .. n_groups - 1 */
  size_t n_groups;
  bool larger_is_better;
};

struct cdam_contest {
  size_t contestants;
  size_t *counts;                  /* [contestant] items that define the measure */
  struct vit_interval *mean;       /* [contestant] over those */
  struct vit_interval *mean_rank;  /* [contestant] rank within an item, 1 the best, ties at their
                                      mean rank, over items that define all contestants */
  struct vit_interval *difference; /* [a, b] mean of a - b over items that define both */
  size_t *rank;                    /* [contestant] 1 + how many are better than it */
  size_t *last_rank;               /* [contestant] contestants - how many are worse than it */
};

/* a is better than b when the interval of their paired difference leaves out 0, in the measure's
 * direction. Contestants that no interval distinguishes have overlapping ranges rank to last_rank:
 * equal numbers are ties. What only one patient defines has no interval (NaN) and
 * decides nothing. Intervals are not corrected for the number of comparisons.
 *
 * replicates 0: 2000; level 0: 0.95. Free with cdam_contest_free whatever the
 * status. LC_ERR_USAGE without items. */
LC_MUST_CHECK lc_status cdam_contest_run(const struct cdam_contest_table *table, size_t replicates,
                                         double level, uint64_t seed, struct cdam_contest *contest,
                                         struct lc_error *err);
void cdam_contest_free(struct cdam_contest *contest);
