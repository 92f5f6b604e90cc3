/* How good predictions are: discrimination, decisions and calibration of probabilities; error and
 * correlation of regression values; intervals by bootstrap over patients.
 *
 * A measure that the data does not define (an AUROC without positives, a correlation with a
 * constant) is NaN, never a made-up number. All sums are in double, in index order.
 * Thread-safety: no state. */
#pragma once

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_C_BEGIN

/* A value with its confidence interval. */
struct vit_interval {
  double value, low, high;
};

/* Area under the ROC curve, ties counted half, with the interval of DeLong, DeLong and
 * Clarke-Pearson (Biometrics 44:837, 1988) by the fast algorithm of Sun and Xu (IEEE Signal Process
 * Lett 21:1389, 2014), cut to [0, 1]. scores [n]: higher speaks for the positive label; labels [n]:
 * 0 or 1. level: 0.95. The limits are NaN with fewer than two of either label. LC_ERR_NUMERIC for
 * a score that is not finite. */
LC_MUST_CHECK lc_status vit_auroc(const double *scores, const uint8_t *labels, size_t n,
                                  double level, struct vit_interval *area, struct lc_error *err);

/* One point of the ROC curve; the first is (0, 0) at threshold infinity. */
struct vit_roc_point {
  double threshold; /* called positive when score >= threshold */
  double false_positive_rate, sensitivity;
};

/* The whole curve, one point a distinct score and the first. free(*points). LC_ERR_USAGE when a
 * label is missing altogether. */
LC_MUST_CHECK lc_status vit_roc_curve(const double *scores, const uint8_t *labels, size_t n,
                                      struct vit_roc_point **points, size_t *n_points,
                                      struct lc_error *err);

/* One point of the precision-recall curve; sensitivity is the recall. */
struct vit_precision_point {
  double threshold; /* called positive when score >= threshold */
  double sensitivity, precision;
};

/* One point a distinct score, by falling threshold (as scikit-learn's precision_recall_curve
 * without its last point (0, 1), in the other order). free(*points). LC_ERR_USAGE when a label is
 * missing altogether. */
LC_MUST_CHECK lc_status vit_precision_curve(const double *scores, const uint8_t *labels, size_t n,
                                            struct vit_precision_point **points, size_t *n_points,
                                            struct lc_error *err);

/* The highest specificity of a threshold whose sensitivity is at least `sensitivity`; NaN when a
 * label is missing altogether. */
LC_MUST_CHECK lc_status vit_specificity_at(const double *scores, const uint8_t *labels, size_t n,
                                           double sensitivity, double *specificity,
                                           struct lc_error *err);

/* Precision at every distinct score, weighted by the gain in sensitivity (as scikit-learn's
 * average_precision_score: no interpolation). */
LC_MUST_CHECK lc_status vit_average_precision(const double *scores, const uint8_t *labels, size_t n,
                                              double *average_precision, struct lc_error *err);

/* Decisions at a threshold: positive when probability >= threshold. */
struct vit_decision {
  double threshold;
  size_t true_positives, false_positives, true_negatives, false_negatives;
  double accuracy, sensitivity, specificity, precision, f1;
};

void vit_decide(const double *probabilities, const uint8_t *labels, size_t n, double threshold,
                struct vit_decision *decision);

/* Mean squared difference of probability and label (Brier 1950). */
double vit_brier(const double *probabilities, const uint8_t *labels, size_t n);

/* One bin [low, high) of predicted probability; the last includes 1. */
struct vit_calibration_bin {
  double low, high;
  size_t count;
  double mean_probability; /* NaN when empty */
  double positive_share;   /* NaN when empty */
};

/* Bins of equal width, bins[n_bins]; returns the expected calibration error, the count-weighted
 * mean of |share - probability| (Naeini 2015, Guo, arXiv 1706.04599). NaN when n is 0. */
double vit_calibration(const double *probabilities, const uint8_t *labels, size_t n,
                       struct vit_calibration_bin *bins, size_t n_bins);

/* Regression of n values. r2 is 1 - squared error / squared deviation of the truth from its mean,
 * as scikit-learn's r2_score. */
struct vit_regression {
  size_t n;
  double mse, rmse, mae, r2;
  double pearson;
  double spearman; /* Pearson of the ranks, ties at their mean rank */
};

LC_MUST_CHECK lc_status vit_regress(const double *predicted, const double *truth, size_t n,
                                    struct vit_regression *result, struct lc_error *err);

/* Percentile bootstrap by group (Efron 1979; groups because nodules of one patient are alike): each
 * replicate draws as many groups as there are, with replacement, and takes all samples of each. */
struct vit_bootstrap {
  const uint32_t *groups; /* [n] group of each sample, 0 .. n_groups - 1, e.g. the patient */
  size_t n, n_groups;
  size_t replicates; /* 2000 */
  uint64_t seed;
  double level; /* 0.95 */
};

/* Writes `count` measures of the samples indices[n] (repeats included) to values; NaN where the
 * draw does not define one. Called from several threads at once. */
typedef void (*vit_measure)(void *context, const size_t *indices, size_t n, double *values,
                            size_t count);

/* Fills intervals[count]: value from all samples once, limits the percentiles (linear between order
 * statistics) over the replicates that define the measure; NaN when fewer than half do. Same bits
 * for any number of threads. */
LC_MUST_CHECK lc_status vit_bootstrap_run(const struct vit_bootstrap *bootstrap,
                                          vit_measure measure, void *context,
                                          struct vit_interval *intervals, size_t count,
                                          struct lc_error *err);

/* Inverse of the standard normal distribution function, 0 < p < 1. */
double vit_normal_quantile(double p);

LC_C_END
