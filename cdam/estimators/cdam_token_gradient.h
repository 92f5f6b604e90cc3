/* Input x gradient at the tokens that enter the first block, in double, by rules for the backward
 * pass; private to this room.
 *
 *   score of patch i = sum_k T_ik G_ik,   T: patch embedding and position encoding
 *
 * Thread-safety: one call a task at a time. */
#pragma once

#include "cdam/engine/cdam_double.h"
#include "cdam/estimators/cdam_estimator.h"

LC_MUST_CHECK lc_status cdam_token_gradient(const struct cdam_task *task, struct cdam_rules rules,
                                            struct cdam_maps *maps, struct lc_error *err);
