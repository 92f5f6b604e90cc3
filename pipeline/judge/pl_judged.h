/* All items together: contests between the contestants, tables, and the report.
 *
 * Thread-safety: one run, one thread. */
#pragma once

#include "cdam/measures/cdam_contest.h"
#include "pipeline/judge/pl_scored.h"
#include "pipeline/store/pl_output.h"

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
