/* Nodules of DICOM series, or of results that lungcdam run made, as images to explain: prepared as
 * the run's configuration says, one image a nodule and view. Nodule crops, prepared as in training.
 *
 * Thread-safety: HDF5 is used from one thread at a time. */
#pragma once

#include "pipeline/config/pl_config.h"
#include "pipeline/config/pl_recipe.h"
#include "pipeline/explain/pl_explain.h"

/* n nodules from number `first` on, counted through the series that the configuration names. The
 * model is loaded. LC_ERR_NO_NODULES when there are none. */
LC_MUST_CHECK lc_status pl_explain_read_series(struct pl_explain *explain,
                                               const struct pl_overrides *overrides, size_t first,
                                               size_t n, struct lc_error *err);
/* The same from the folder of one series in the output of lungcdam run, whose cubes and
 * configuration are used; keys override the latter. */
LC_MUST_CHECK lc_status pl_explain_read_result(struct pl_explain *explain, const char *folder,
                                               const struct pl_list *keys, size_t first, size_t n,
                                               struct lc_error *err);
/* n nodules of a split (NULL: the recipe's data.validate) from number `first` on; fewer when the
 * split ends. The model is loaded. */
LC_MUST_CHECK lc_status pl_explain_read_crops(struct pl_explain *explain,
                                              const struct pl_recipe_overrides *overrides,
                                              const char *split, size_t first, size_t n,
                                              struct lc_error *err);
