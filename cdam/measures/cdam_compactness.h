/* Compactness: how few patches an explanation points at.
 *
 * All measures look at the sizes of the scores of one map, [patches]. A map of zeros has none: NaN.
 * Thread-safety: no state. */
#pragma once

#include "common/lc_status.h"

/* What "the maximum" is in "below 5 % of the maximum"; published text allows both. */
typedef enum cdam_maximum {
  CDAM_SIGNED_MAXIMUM = 0, /* the largest score */
  CDAM_ABSOLUTE_MAXIMUM    /* the largest |score| */
} cdam_maximum;

/* The paper's threshold. */
#define CDAM_COMPACT_THRESHOLD 0.05

/* Share of patches with |score| < threshold * maximum, in [0, 1]; larger: more compact (Brocki,
 * Binda, Chung, arXiv 2312.02364, compactness benchmark). Where no score is positive the signed
 * reading gives 0: nothing lies below a negative number. */
double cdam_compact_share(const float *scores, size_t n, double threshold, cdam_maximum maximum);

/* Gini index of |scores|: sum over i of (2 i - n - 1) a_i / (n sum a), a ascending, i from 1; in
 * [0, 1 - 1/n]; larger: sparser (Chalasani et al., ICML 2020; Hurley and Rickard, IEEE Trans Inf
 * Theory 55:4723, 2009). */
LC_MUST_CHECK lc_status cdam_gini(const float *scores, size_t n, double *gini,
                                  struct lc_error *err);

/* Entropy of |scores| / sum |scores| in nats, in [0, ln n]; smaller: more compact (Bhatt, Weller,
 * Moura, IJCAI 2020, eq. 4, "complexity"). */
double cdam_entropy(const float *scores, size_t n);

/* Number of patches with |score| > tolerance, 0 .. n; smaller: more compact (Nguyen and Martinez,
 * arXiv 2007.07584, with the fixed tolerance that evaluation libraries use). Scores of different
 * estimators differ in unit: give a tolerance in units of the map's maximum. */
size_t cdam_effective_complexity(const float *scores, size_t n, double tolerance);
