/* How alike maps are: class sensitivity, repeatability and the curves of weight randomisation.
 *
 * A measure that the data does not define (a correlation with a constant map) is NaN.
 * Sums are in double, in index order. Thread-safety: no state. */
#pragma once

#include "common/lc_status.h"

/* Two maps of the same patches. All in [-1, 1]; 1: the same up to scale (and offset, for Pearson;
 * up to any increasing function, for Spearman). */
struct cdam_similarity {
  double pearson;
  double spearman;          /* Pearson of ranks, ties at their mean rank */
  double spearman_absolute; /* the same of |scores| (Adebayo et al., NeurIPS 2018, section 4) */
  double cosine;            /* sum a b / (|a| |b|) */
};

LC_MUST_CHECK lc_status cdam_similarity_of(const float *a, const float *b, size_t n,
                                           struct cdam_similarity *similarity,
                                           struct lc_error *err);

/* Pearson correlation of n pairs; NaN when n < 2 or one side is constant. */
double cdam_pearson(const double *a, const double *b, size_t n);

/* Class sensitivity is how much the maps of targets of one image differ (Brocki, Binda, Chung,
 * arXiv 2312.02364, section 4; random-logit test of Sixt, Granz, Landgraf, ICML 2020), read beside
 * the agreement of the targets themselves: the Pearson correlation over images of what the model
 * says. values: [images, targets]; agreement: [targets, targets]. Two targets that always say the
 * same may well have the same map. LC_ERR_MEMORY. */
LC_MUST_CHECK lc_status cdam_target_agreement(const double *values, size_t images, size_t targets,
                                              double *agreement, struct lc_error *err);

/* Maps of one image and target that ought to be the same (Smooth CDAM with other seeds): mean
 * Pearson correlation over pairs of runs, in [-1, 1]; 1: repeats exactly. scores: [runs, patches];
 * at least two runs. */
LC_MUST_CHECK lc_status cdam_repeatability_of(const float *scores, size_t runs, size_t patches,
                                              double *pearson, struct lc_error *err);
