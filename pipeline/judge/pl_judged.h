/* What is found: for each item, an image that is judged, and for all together, contests between the
 * contestants, tables, and the report.
 *
 * Thread-safety: distinct items, distinct threads; the rest, and HDF5, from one. */
#pragma once

#include "cdam/measures/cdam_contest.h"
#include "pipeline/judge/pl_judge.h"
#include "pipeline/store/pl_output.h"

/* One item: computed, and kept in a small file written whole, so that a run can stop and go on
 * anywhere. */
struct pl_scored_item {
  double *values;     /* [contestant, measure], NaN where not defined */
  double *outputs;    /* [target] what the model says */
  double *most;       /* [contestant, point] */
  double *least;      /* [contestant, point] */
  double *random;     /* [point] */
  double *compact;    /* [contestant, 2, threshold]: signed and absolute maximum */
  double *randomised; /* [contestant, stage] Spearman of |scores| */
  double *share;      /* [point] */
  float *maps;        /* [contestant, target, cell] */
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

struct pl_judged {
  const struct pl_judge *judge;
  struct pl_scored_item *scored; /* [item] */
  struct cdam_contest *contests; /* [measure] */
  size_t n_groups;
  uint32_t *groups; /* [item] patients of the items, 0 .. n_groups - 1 */
};
LC_MUST_CHECK lc_status pl_judged_contests(struct pl_judged *judged, struct lc_error *err);
void pl_judged_free(struct pl_judged *judged);

/* Writes summary.csv, differences.csv, items.csv, judge.h5 and report.html to the folder. */
LC_MUST_CHECK lc_status pl_judged_write(const struct pl_judged *judged, const char *folder,
                                        struct lc_error *err);
/* The summary for people. */
LC_MUST_CHECK lc_status pl_judged_print(const struct pl_judged *judged, struct lc_text *out,
                                        struct lc_error *err);
LC_MUST_CHECK lc_status pl_judged_html(const struct pl_judged *judged, const char *folder,
                                       struct lc_text *out, struct lc_error *err);

/* The whole command. LC_ERR_EXISTS when the folder holds a run and neither overwrite nor resume was
 * asked for; LC_ERR_INTERRUPTED after a signal: the run can be resumed. summary may be NULL. */
LC_MUST_CHECK lc_status pl_judge_run(const struct pl_judge_config *config,
                                     enum pl_existing existing, struct lc_text *summary,
                                     struct lc_error *err);
