/* Splits of a data set into folds. The same input and seed give the same folds on every machine,
 * and the order of the items does not matter beyond their own identity.
 *
 * Thread-safety: functions are safe on distinct outputs. */
#pragma once

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_C_BEGIN

#define CT_MAX_STRATA 16

/* Items of one group (patient) stay together; the share of each stratum (label class, 0 to
 * CT_MAX_STRATA - 1) is kept as even as groups allow. Groups in an order drawn from the seed, large
 * ones first, each go to the fold that ends nearest to its fair share. fold[i] in [0, n_folds).
 * LC_ERR_USAGE for a stratum out of range or fewer groups than folds. */
LC_MUST_CHECK lc_status ct_folds_by_group(const char *const *group, const int *stratum, size_t n,
                                          int n_folds, uint64_t seed, int *fold,
                                          struct lc_error *err);

/* Every item on its own, stratified: nodules of one patient land in several folds, so measures on
 * such folds leak patients. identity[i] names the item. */
LC_MUST_CHECK lc_status ct_folds_by_item(const char *const *identity, const int *stratum, size_t n,
                                         int n_folds, uint64_t seed, int *fold,
                                         struct lc_error *err);

LC_C_END
