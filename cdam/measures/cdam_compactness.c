/* Computes how few patches a map points at. */
#include "cdam/measures/cdam_compactness.h"

#include <math.h>
#include <stdlib.h>

#include "cdam/measures/cdam_measure.h"
#include "common/lc_scope.h"

static double size_of(float score) {
  return fabs((double)score);
}

double cdam_compact_share(const float *scores, size_t n, double threshold, cdam_maximum maximum) {
  double largest = -INFINITY, total = 0;
  for (size_t i = 0; i < n; i++) {
    double value = maximum == CDAM_SIGNED_MAXIMUM ? (double)scores[i] : size_of(scores[i]);
    largest = fmax(largest, value);
    total += size_of(scores[i]);
  }
  if (n == 0 || !(total > 0)) return NAN;
  size_t below = 0;
  for (size_t i = 0; i < n; i++) below += size_of(scores[i]) < threshold * largest;
  return (double)below / (double)n;
}

static int compare_double(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

lc_status cdam_gini(const float *scores, size_t n, double *gini, struct lc_error *err) {
  LC_FREED double *sorted = NULL;
  double total = 0, weighted = 0;
  LC_TRY(lc_alloc(&sorted, n + 1, sizeof *sorted, err));
  for (size_t i = 0; i < n; i++) sorted[i] = size_of(scores[i]);
  qsort(sorted, n, sizeof *sorted, compare_double);
  for (size_t i = 0; i < n; i++) {
    total += sorted[i];
    weighted += (2 * (double)i + 1 - (double)n) * sorted[i];
  }
  *gini = total > 0 ? weighted / ((double)n * total) : NAN;
  return LC_OK;
}

double cdam_entropy(const float *scores, size_t n) {
  double total = 0, entropy = 0;
  for (size_t i = 0; i < n; i++) total += size_of(scores[i]);
  if (!(total > 0)) return NAN;
  for (size_t i = 0; i < n; i++) {
    double share = size_of(scores[i]) / total;
    if (share > 0) entropy -= share * log(share);
  }
  return entropy;
}

size_t cdam_effective_complexity(const float *scores, size_t n, double tolerance) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) count += size_of(scores[i]) > tolerance;
  return count;
}

enum { SHARE_SIGNED, SHARE_ABSOLUTE, GINI, ENTROPY, COMPLEXITY, N_VALUES };

static void keep_points(const struct cdam_subject *subject, size_t m) {
  double *share = subject->points.compact;
  if (!share) return;
  share += 2 * m * CDAM_COMPACT_POINTS;
  for (int maximum = CDAM_SIGNED_MAXIMUM; maximum <= CDAM_ABSOLUTE_MAXIMUM; maximum++)
    for (size_t i = 0; i < CDAM_COMPACT_POINTS; i++)
      *share++ = cdam_compact_share(cdam_subject_map(subject, m), subject->patches,
                                    (double)i / (CDAM_COMPACT_POINTS - 1), (cdam_maximum)maximum);
}

static lc_status run(struct cdam_subject *subject, double *values, struct lc_error *err) {
  const double t = CDAM_COMPACT_THRESHOLD;
  size_t n = subject->patches;
  for (size_t m = 0; m < subject->maps; m++, values += N_VALUES) {
    const float *map = cdam_subject_map(subject, m);
    double largest = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)map[i]));
    keep_points(subject, m);
    values[SHARE_SIGNED] = cdam_compact_share(map, n, t, CDAM_SIGNED_MAXIMUM);
    values[SHARE_ABSOLUTE] = cdam_compact_share(map, n, t, CDAM_ABSOLUTE_MAXIMUM);
    LC_TRY(cdam_gini(map, n, &values[GINI], err));
    values[ENTROPY] = cdam_entropy(map, n);
    if (largest > 0) values[COMPLEXITY] = (double)cdam_effective_complexity(map, n, t * largest);
  }
  return LC_OK;
}

static const struct cdam_value values_of[N_VALUES] = {
    [SHARE_SIGNED] = {"share_signed", CDAM_LARGER,
                      "patches with |score| below 5 % of the largest score"},
    [SHARE_ABSOLUTE] = {"share_absolute", CDAM_LARGER,
                        "patches with |score| below 5 % of the largest |score|"},
    [GINI] = {"gini", CDAM_LARGER, "Gini index of |scores|"},
    [ENTROPY] = {"entropy", CDAM_SMALLER, "entropy of |scores|, nats"},
    [COMPLEXITY] = {"effective_complexity", CDAM_SMALLER,
                    "patches with |score| above 5 % of the largest |score|"}};

const struct cdam_measure cdam_measure_compactness = {
    .group = "compactness", .values = values_of, .n_values = N_VALUES, .run = run};
