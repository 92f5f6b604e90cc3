/* Makes the parameters of the model of tensors that are not one to one: query, key and value of
 * their own become one matrix, biases that a model has nowhere become zeros, a patch embedding of
 * one channel becomes one of three equal channels, and tokens that have rows of the position
 * encoding take them in.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#pragma once

#include "vit/loading/vit_entries.h"

/* What needs no shape of the model. */
LC_MUST_CHECK lc_status vit_fold(struct vit_entries *entries, struct lc_error *err);
/* patches: of the stored grid. Afterwards pos_embed has a row for CLS or none but those of patches,
 * and dist_token is a register token. LC_ERR_TENSOR when the rows are for something else. */
LC_MUST_CHECK lc_status vit_fold_positions(struct vit_entries *entries, size_t patches,
                                           struct lc_error *err);
