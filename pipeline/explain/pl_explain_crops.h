/* Nodule crops as images to explain, prepared as in training (pl_examples.h).
 *
 * Thread-safety: HDF5 is used from one thread at a time. */
#pragma once

#include "pipeline/config/pl_recipe.h"
#include "pipeline/explain/pl_explain.h"

/* n nodules of a split (NULL: the recipe's data.validate) from number `first` on; fewer when the
 * split ends. The model is loaded. */
LC_MUST_CHECK lc_status pl_explain_read_crops(struct pl_explain *explain,
                                              const struct pl_overrides *overrides,
                                              const char *split, size_t first, size_t n,
                                              struct lc_error *err);
