/* From annotated series to a nodule data set, series by series, so that a stop loses little.
 *
 * Each series becomes one part, a small data set file in PATH.parts, named by the series UID and
 * keyed by its input and the settings. A later run keeps the parts whose key still fits and makes
 * the others; the whole is then joined from the parts in the order of patients and series.
 *
 * Thread-safety: one thread. */
#pragma once

#include "pipeline/learn/pl_survey.h"
#include "pipeline/store/pl_dataset.h"

struct pl_dataset_rules {
  size_t edge;       /* samples along each axis, 32 */
  double spacing_mm; /* 1 */
  double level;      /* of the consensus, 0.5 */
  int min_readers;   /* nodules of fewer are left out, 1 */
  struct ct_grouping grouping;
  int n_folds; /* 5 */
  uint64_t fold_seed;
  bool points;             /* a list of points instead of annotations: of all series */
  const char *const *only; /* series UIDs, or NULL for all */
  size_t n_only;
};

/* What became of the series. */
struct pl_prepare_counts {
  size_t n_series, n_kept, n_made, n_failed, n_nodules, n_left_out;
};

/* LC_ERR_NO_NODULES when there is nothing to put into it; LC_ERR_PARTIAL when some series or nodule
 * failed and the others are written. path is replaced when it exists. */
LC_MUST_CHECK lc_status pl_prepare(const struct pl_survey *survey,
                                   const struct pl_dataset_rules *how, const char *path,
                                   struct pl_prepare_counts *done, struct lc_error *err);

/* The parts of a data set: removed, for starting again. */
LC_MUST_CHECK lc_status pl_prepare_forget(const char *path, struct lc_error *err);
