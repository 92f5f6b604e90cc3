/* Cross-validation: one training a fold, and what they have in common.
 *
 * OUTPUT/fold-0, fold-1, ... are folders of trainings (pl_training.h); folds.json and folds.csv
 * beside them hold every measure of every fold, with mean and standard deviation.
 *
 * Thread-safety: as pl_training.h. */
#pragma once

#include "common/lc_text.h"
#include "pipeline/config/pl_recipe.h"
#include "pipeline/store/pl_output.h"

/* Trains on all folds of data.split in turn, whatever data.fold says. Folds that are done are not
 * trained again with PL_EXISTING_RESUME. table: the summary for people. LC_ERR_CONFIG when
 * data.split names no folds; else as pl_training_run. */
LC_MUST_CHECK lc_status pl_folds_run(const struct pl_recipe *recipe, enum pl_existing existing,
                                     struct lc_text *table, struct lc_error *err);

/* Summary of OUTPUT/fold-0 ... fold-(n - 1), from the evaluation.json of each. Part of
 * pl_folds_run. */
LC_MUST_CHECK lc_status pl_folds_summarise(const char *folder, size_t n, struct lc_text *table,
                                           struct lc_error *err);
