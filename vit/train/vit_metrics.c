/* Computes AUROC with DeLong's variance (Sun and Xu, eq. 9), ROC and precision-recall curves,
 * decisions, Brier score, calibration, and errors and correlations of regression values. */
#include "vit/train/vit_metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"

/* A score that remembers where it came from; sorting keeps equal scores in index order. */
struct ranked {
  double score;
  size_t index;
};

static int compare_ranked(const void *a, const void *b) {
  const struct ranked *x = a, *y = b;
  if (x->score != y->score) return x->score < y->score ? -1 : 1;
  return x->index < y->index ? -1 : x->index > y->index;
}

static lc_status sort_scores(const double *scores, size_t n, struct ranked **sorted,
                             struct lc_error *err) {
  for (size_t i = 0; i < n; i++)
    if (!isfinite(scores[i]))
      LC_FAIL(err, LC_ERR_NUMERIC, "score %zu is %g, expected a finite number", i, scores[i]);
  LC_TRY(lc_alloc(sorted, n, sizeof **sorted, err));
  for (size_t i = 0; i < n; i++) (*sorted)[i] = (struct ranked){scores[i], i};
  qsort(*sorted, n, sizeof **sorted, compare_ranked);
  return LC_OK;
}

/* Ranks from 1, ties at their mean: ranks[index]. */
static void mean_ranks(const struct ranked *sorted, size_t n, double *ranks) {
  if (!sorted) return;
  for (size_t start = 0, end; start < n; start = end) {
    for (end = start + 1; end < n && sorted[end].score == sorted[start].score;) end++;
    double rank = 0.5 * (double)(start + 1 + end);
    for (size_t i = start; i < end; i++) ranks[sorted[i].index] = rank;
  }
}

static lc_status rank(const double *values, size_t n, double *ranks, struct lc_error *err) {
  struct ranked *sorted = NULL;
  LC_TRY(sort_scores(values, n, &sorted, err));
  mean_ranks(sorted, n, ranks);
  free(sorted);
  return LC_OK;
}

double vit_normal_quantile(double p) {
  if (!(p > 0 && p < 1)) return NAN;
  /* Newton on the distribution function; it is concave or convex on each side of the middle, so
   * that starting at zero converges from one side. */
  double x = 0;
  for (int i = 0; i < 100; i++) {
    double excess = 0.5 * erfc(-x * 0.70710678118654752440) - p;
    double step = excess / (0.39894228040143267794 * exp(-0.5 * x * x));
    x -= step;
    if (fabs(step) <= 1e-15 * fabs(x)) break;
  }
  return x;
}

/* Variance of the area from the placements of each score among the others (Sun and Xu, eq. 9). */
static double delong_variance(const double *placements, const uint8_t *labels, size_t n,
                              size_t positives, double area) {
  double sums[2] = {0, 0};
  size_t counts[2] = {n - positives, positives};
  for (size_t i = 0; i < n; i++) {
    double d = placements[i] - area;
    sums[labels[i] != 0] += d * d;
  }
  double variance = 0;
  for (int c = 0; c < 2; c++) variance += sums[c] / (double)(counts[c] - 1) / (double)counts[c];
  return variance;
}

static lc_status rank_within(const double *scores, const uint8_t *labels, size_t n, double *within,
                             struct lc_error *err) {
  lc_status status = LC_OK;
  double *part = NULL, *ranks = NULL;
  LC_TRY_GOTO(lc_alloc(&part, n, sizeof *part, err), done);
  LC_TRY_GOTO(lc_alloc(&ranks, n, sizeof *ranks, err), done);
  for (int label = 0; label < 2; label++) {
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
      if ((labels[i] != 0) == label) part[m++] = scores[i];
    LC_TRY_GOTO(rank(part, m, ranks, err), done);
    m = 0;
    for (size_t i = 0; i < n; i++)
      if ((labels[i] != 0) == label) within[i] = ranks[m++];
  }
done:
  free(part);
  free(ranks);
  return status;
}

lc_status vit_auroc(const double *scores, const uint8_t *labels, size_t n, double level,
                    struct vit_interval *area, struct lc_error *err) {
  lc_status status = LC_OK;
  double *all = NULL, *within = NULL;
  size_t positives = 0;
  *area = (struct vit_interval){NAN, NAN, NAN};
  for (size_t i = 0; i < n; i++) positives += labels[i] != 0;
  size_t negatives = n - positives;
  if (positives == 0 || negatives == 0) return LC_OK;
  LC_TRY_GOTO(lc_alloc(&all, n, sizeof *all, err), done);
  LC_TRY_GOTO(lc_alloc(&within, n, sizeof *within, err), done);
  LC_TRY_GOTO(rank(scores, n, all, err), done);
  LC_TRY_GOTO(rank_within(scores, labels, n, within, err), done);
  /* A positive's placement is the share of negatives below it; a negative's, of positives above. */
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    double others_below = all[i] - within[i];
    all[i] = labels[i] ? others_below / (double)negatives : 1 - others_below / (double)positives;
    if (labels[i]) sum += all[i];
  }
  area->value = sum / (double)positives;
  if (positives > 1 && negatives > 1) {
    double error = sqrt(delong_variance(all, labels, n, positives, area->value));
    double reach = vit_normal_quantile(0.5 + 0.5 * level) * error;
    area->low = fmax(0, area->value - reach);
    area->high = fmin(1, area->value + reach);
  }
done:
  free(all);
  free(within);
  return status;
}

lc_status vit_roc_curve(const double *scores, const uint8_t *labels, size_t n,
                        struct vit_roc_point **points, size_t *n_points, struct lc_error *err) {
  struct ranked *sorted = NULL;
  size_t positives = 0, tp = 0, fp = 0, at = 0;
  for (size_t i = 0; i < n; i++) positives += labels[i] != 0;
  if (positives == 0 || positives == n)
    LC_FAIL(err, LC_ERR_USAGE, "a ROC curve needs both labels; %zu of %zu are positive", positives,
            n);
  LC_TRY(sort_scores(scores, n, &sorted, err));
  lc_status status = lc_alloc(points, n + 1, sizeof **points, err);
  if (status == LC_OK) {
    (*points)[at++] = (struct vit_roc_point){INFINITY, 0, 0};
    for (size_t i = n; i-- > 0;) {
      if (labels[sorted[i].index])
        tp++;
      else
        fp++;
      if (i > 0 && sorted[i - 1].score == sorted[i].score) continue;
      (*points)[at++] = (struct vit_roc_point){
          sorted[i].score, (double)fp / (double)(n - positives), (double)tp / (double)positives};
    }
    *n_points = at;
  }
  free(sorted);
  return status;
}

lc_status vit_precision_curve(const double *scores, const uint8_t *labels, size_t n,
                              struct vit_precision_point **points, size_t *n_points,
                              struct lc_error *err) {
  struct vit_roc_point *roc = NULL;
  size_t n_roc = 0, positives = 0;
  LC_TRY(vit_roc_curve(scores, labels, n, &roc, &n_roc, err));
  for (size_t i = 0; i < n; i++) positives += labels[i] != 0;
  lc_status status = lc_alloc(points, n_roc - 1, sizeof **points, err);
  for (size_t i = 1; i < n_roc && status == LC_OK; i++) {
    double found = roc[i].sensitivity * (double)positives;
    double called = found + roc[i].false_positive_rate * (double)(n - positives);
    (*points)[i - 1] =
        (struct vit_precision_point){roc[i].threshold, roc[i].sensitivity, found / called};
  }
  *n_points = n_roc - 1;
  free(roc);
  return status;
}

lc_status vit_specificity_at(const double *scores, const uint8_t *labels, size_t n,
                             double sensitivity, double *specificity, struct lc_error *err) {
  struct vit_roc_point *points = NULL;
  size_t n_points, positives = 0, i = 0;
  *specificity = NAN;
  for (size_t k = 0; k < n; k++) positives += labels[k] != 0;
  if (positives == 0 || positives == n) return LC_OK;
  LC_TRY(vit_roc_curve(scores, labels, n, &points, &n_points, err));
  while (i + 1 < n_points && points[i].sensitivity < sensitivity) i++;
  *specificity = 1 - points[i].false_positive_rate;
  free(points);
  return LC_OK;
}

lc_status vit_average_precision(const double *scores, const uint8_t *labels, size_t n,
                                double *average_precision, struct lc_error *err) {
  struct ranked *sorted = NULL;
  size_t positives = 0, tp = 0, seen = 0, counted = 0;
  double sum = 0;
  *average_precision = NAN;
  for (size_t i = 0; i < n; i++) positives += labels[i] != 0;
  if (positives == 0) return LC_OK;
  LC_TRY(sort_scores(scores, n, &sorted, err));
  for (size_t i = n; i-- > 0;) {
    tp += labels[sorted[i].index] != 0;
    seen++;
    if (i > 0 && sorted[i - 1].score == sorted[i].score) continue;
    sum += (double)(tp - counted) / (double)positives * ((double)tp / (double)seen);
    counted = tp;
  }
  free(sorted);
  *average_precision = sum;
  return LC_OK;
}

static double ratio(size_t part, size_t whole) {
  return whole ? (double)part / (double)whole : NAN;
}

void vit_decide(const double *probabilities, const uint8_t *labels, size_t n, double threshold,
                struct vit_decision *d) {
  memset(d, 0, sizeof *d);
  d->threshold = threshold;
  for (size_t i = 0; i < n; i++) {
    bool called = probabilities[i] >= threshold;
    if (labels[i])
      *(called ? &d->true_positives : &d->false_negatives) += 1;
    else
      *(called ? &d->false_positives : &d->true_negatives) += 1;
  }
  size_t tp = d->true_positives, wrong = d->false_positives + d->false_negatives;
  d->accuracy = ratio(tp + d->true_negatives, n);
  d->sensitivity = ratio(tp, tp + d->false_negatives);
  d->specificity = ratio(d->true_negatives, d->true_negatives + d->false_positives);
  d->precision = ratio(tp, tp + d->false_positives);
  d->f1 = ratio(2 * tp, 2 * tp + wrong);
}

double vit_brier(const double *probabilities, const uint8_t *labels, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    double d = probabilities[i] - (labels[i] ? 1 : 0);
    sum += d * d;
  }
  return n ? sum / (double)n : NAN;
}

double vit_calibration(const double *probabilities, const uint8_t *labels, size_t n,
                       struct vit_calibration_bin *bins, size_t n_bins) {
  if (n_bins == 0) return NAN;
  for (size_t b = 0; b < n_bins; b++)
    bins[b] = (struct vit_calibration_bin){.low = (double)b / (double)n_bins,
                                           .high = (double)(b + 1) / (double)n_bins};
  for (size_t i = 0; i < n; i++) {
    double place = floor(probabilities[i] * (double)n_bins);
    size_t b = place > 0 ? (size_t)place : 0;
    if (b >= n_bins) b = n_bins - 1;
    bins[b].count++;
    bins[b].mean_probability += probabilities[i];
    bins[b].positive_share += labels[i] ? 1 : 0;
  }
  double error = 0;
  for (size_t b = 0; b < n_bins; b++) {
    error += fabs(bins[b].positive_share - bins[b].mean_probability);
    bins[b].mean_probability /= (double)bins[b].count; /* 0 / 0 is the NaN that is promised */
    bins[b].positive_share /= (double)bins[b].count;
  }
  return n ? error / (double)n : NAN;
}

static double mean(const double *values, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += values[i];
  return sum / (double)n;
}

static double correlation(const double *a, const double *b, size_t n) {
  double mean_a = mean(a, n), mean_b = mean(b, n), aa = 0, bb = 0, ab = 0;
  for (size_t i = 0; i < n; i++) {
    double x = a[i] - mean_a, y = b[i] - mean_b;
    aa += x * x;
    bb += y * y;
    ab += x * y;
  }
  return aa > 0 && bb > 0 ? ab / (sqrt(aa) * sqrt(bb)) : NAN;
}

lc_status vit_regress(const double *predicted, const double *truth, size_t n,
                      struct vit_regression *r, struct lc_error *err) {
  lc_status status = LC_OK;
  double *ranks = NULL;
  *r = (struct vit_regression){n, NAN, NAN, NAN, NAN, NAN, NAN};
  if (n == 0) return LC_OK;
  LC_TRY_GOTO(lc_alloc(&ranks, 2 * n, sizeof *ranks, err), done);
  LC_TRY_GOTO(rank(predicted, n, ranks, err), done);
  LC_TRY_GOTO(rank(truth, n, ranks + n, err), done);
  double squares = 0, distances = 0, spread = 0, middle = mean(truth, n);
  for (size_t i = 0; i < n; i++) {
    double d = predicted[i] - truth[i], away = truth[i] - middle;
    squares += d * d;
    distances += fabs(d);
    spread += away * away;
  }
  r->mse = squares / (double)n;
  r->rmse = sqrt(r->mse);
  r->mae = distances / (double)n;
  if (spread > 0) r->r2 = 1 - squares / spread;
  r->pearson = correlation(predicted, truth, n);
  r->spearman = correlation(ranks, ranks + n, n);
done:
  free(ranks);
  return status;
}
