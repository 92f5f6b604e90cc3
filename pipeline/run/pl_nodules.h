/* The nodules of a series, found where the configuration says and grouped as it says.
 *
 * Thread-safety: one finder, one thread. */
#pragma once

#include "ct_io/nodule/ct_nodule_finder.h"
#include "pipeline/config/pl_config.h"
#include "pipeline/store/pl_result.h"

/* Fills nodules, nodule_source and its hash of a result whose series is set. at_hand: all series
 * that are worked on, or NULL (ct_nodule_finder.h). The nodules' marks and the source's name belong
 * to the finder and are valid until its next search. LC_ERR_MISMATCH when the file is of
 * another series, LC_ERR_NO_NODULES when there is none. */
LC_MUST_CHECK lc_status pl_nodules_find(struct ct_nodule_finder *finder,
                                        const struct pl_config *config,
                                        const struct ct_series *const *at_hand, size_t n_at_hand,
                                        struct pl_result *result, struct lc_error *err);
