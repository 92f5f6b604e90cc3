/* The summary of a run: one row a nodule, with one column for each output of the model.
 *
 * Thread-safety: one thread. */
#pragma once

#include "common/lc_text.h"
#include "pipeline/report/pl_table.h"
#include "pipeline/store/pl_result.h"

#define PL_SUMMARY_FIXED                                                                           \
  16                       /* columns before the outputs; after them, how the series was repaired */
#define PL_SUMMARY_SHOWN 9 /* outputs on the terminal; JSON and CSV have all */

struct pl_summary {
  struct pl_table table;
  struct pl_column *columns;
  char (*names)[2][VIT_NAME_SIZE + 16]; /* [output]: key, title */
  size_t n_outputs;
  struct lc_text repaired; /* a line for each series that a rule was applied to */
};

/* "spiculation" for "biomarkers.spiculation"; the whole name when only a number follows the dot. */
const char *pl_short_name(const char *name);

void pl_summary_init(struct pl_summary *summary, const struct vit_arch *arch);
void pl_summary_add(struct pl_summary *summary, const struct pl_result *result);
void pl_summary_free(struct pl_summary *summary);
