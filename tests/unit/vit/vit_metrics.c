/* Measures against scikit-learn and SciPy, against cases worked by hand, and what the bootstrap
 * promises. */
#include "tests/lc_test.h"

#include <math.h>

#include "common/lc_parallel.h"
#include "common/lc_random.h"
#include "tests/reference/training_values.h"
#include "vit/train/vit_metrics.h"

enum { N = 60 };

static void discrimination_agrees_with_scikit_learn(void **state) {
  (void)state;
  struct vit_interval area;
  double precision;
  assert_ok(vit_auroc(binary_scores, binary_labels, N, 0.95, &area, &test_err));
  assert_near(area.value, binary_auroc[0], 1e-12);
  assert_near(area.low, binary_auroc[1], 1e-12);
  assert_near(area.high, binary_auroc[2], 1e-12);
  assert_ok(vit_average_precision(binary_scores, binary_labels, N, &precision, &test_err));
  assert_near(precision, binary_measures[5], 1e-12);
  struct vit_roc_point *points;
  size_t n;
  assert_ok(vit_roc_curve(binary_scores, binary_labels, N, &points, &n, &test_err));
  assert_int_equal(n, sizeof binary_roc_sensitivity / sizeof *binary_roc_sensitivity);
  for (size_t i = 0; i < n; i++) {
    assert_near(points[i].sensitivity, binary_roc_sensitivity[i], 1e-12);
    assert_near(points[i].false_positive_rate, binary_roc_false_positive[i], 1e-12);
  }
  free(points);
}

static void precision_curve_agrees_with_scikit_learn(void **state) {
  (void)state;
  struct vit_precision_point *points;
  size_t n;
  double specificity;
  assert_ok(vit_precision_curve(binary_scores, binary_labels, N, &points, &n, &test_err));
  assert_int_equal(n, sizeof binary_curve_recall / sizeof *binary_curve_recall);
  for (size_t i = 0; i < n; i++) {
    assert_near(points[i].sensitivity, binary_curve_recall[i], 1e-12);
    assert_near(points[i].precision, binary_curve_precision[i], 1e-12);
  }
  free(points);
  assert_ok(vit_specificity_at(binary_scores, binary_labels, N, 0.95, &specificity, &test_err));
  assert_near(specificity, *binary_specificity_at_95, 1e-12);
  const uint8_t alike[2] = {1, 1};
  assert_ok(vit_specificity_at(binary_scores, alike, 2, 0.95, &specificity, &test_err));
  assert_true(isnan(specificity));
}

static void decisions_agree_with_scikit_learn(void **state) {
  (void)state;
  struct vit_decision d;
  vit_decide(binary_scores, binary_labels, N, 0.5, &d);
  assert_near(d.accuracy, binary_measures[0], 1e-12);
  assert_near(d.sensitivity, binary_measures[1], 1e-12);
  assert_near(d.specificity, binary_measures[2], 1e-12);
  assert_near(d.precision, binary_measures[3], 1e-12);
  assert_near(d.f1, binary_measures[4], 1e-12);
  assert_near(vit_brier(binary_scores, binary_labels, N), binary_measures[6], 1e-12);
}

static void calibration_agrees_with_scikit_learn(void **state) {
  (void)state;
  struct vit_calibration_bin bins[7];
  double error = vit_calibration(binary_scores, binary_labels, N, bins, 7);
  assert_near(error, binary_calibration_error[0], 1e-12);
  for (size_t b = 0; b < 7; b++) {
    assert_near((double)bins[b].count, binary_calibration_count[b], 0);
    assert_near(bins[b].mean_probability, binary_calibration_mean[b], 1e-12);
    assert_near(bins[b].positive_share, binary_calibration_share[b], 1e-12);
  }
}

/* Three positives and two negatives, counted by hand: 5 of 6 pairs in order, one of them a tie. */
static void a_case_by_hand(void **state) {
  (void)state;
  const double scores[] = {0.9, 0.8, 0.3, 0.3, 0.1};
  const uint8_t labels[] = {1, 1, 1, 0, 0};
  struct vit_interval area;
  assert_ok(vit_auroc(scores, labels, 5, 0.95, &area, &test_err));
  assert_near(area.value, 5.5 / 6, 1e-15);
  /* placements 1, 1, 3/4 and 5/6, 1: variances 1/48 / 3 and 1/72 / 2 */
  double reach = 1.9599639845400545 * sqrt(1.0 / 144 + 1.0 / 144);
  assert_near(area.low, 5.5 / 6 - reach, 1e-12);
  assert_near(area.high, 1, 0);
  struct vit_decision d;
  vit_decide(scores, labels, 5, 0.3, &d);
  assert_int_equal(d.true_positives, 3);
  assert_int_equal(d.false_positives, 1);
  assert_int_equal(d.true_negatives, 1);
  assert_int_equal(d.false_negatives, 0);
  struct vit_calibration_bin bins[2];
  const double edges[] = {0, 0.5, 1};
  const uint8_t edge_labels[] = {0, 1, 1};
  double error = vit_calibration(edges, edge_labels, 3, bins, 2);
  assert_int_equal(bins[0].count, 1); /* 0.5 and 1 are in the upper bin */
  assert_near(error, 2.0 / 3 * 0.25, 1e-15);
}

static void undefined_measures_are_nan(void **state) {
  (void)state;
  const double scores[] = {0.2, 0.7}, constant[] = {1, 1};
  const uint8_t labels[] = {0, 0};
  struct vit_interval area;
  double precision;
  struct vit_decision d;
  struct vit_regression r;
  assert_ok(vit_auroc(scores, labels, 2, 0.95, &area, &test_err));
  assert_true(isnan(area.value) && isnan(area.low));
  assert_ok(vit_average_precision(scores, labels, 2, &precision, &test_err));
  assert_true(isnan(precision));
  vit_decide(scores, labels, 2, 0.5, &d);
  assert_true(isnan(d.sensitivity) && d.specificity == 0.5);
  assert_ok(vit_regress(scores, constant, 2, &r, &test_err));
  assert_true(isnan(r.r2) && isnan(r.pearson) && isnan(r.spearman) && r.mae > 0);
  assert_true(isnan(vit_brier(scores, labels, 0)));
  struct vit_roc_point *points;
  size_t n;
  assert_fails(vit_roc_curve(scores, labels, 2, &points, &n, &test_err), LC_ERR_USAGE, "0 of 2");
  const double bad[] = {0.2, NAN};
  const uint8_t both[] = {0, 1};
  assert_fails(vit_auroc(bad, both, 2, 0.95, &area, &test_err), LC_ERR_NUMERIC, "score 1");
}

static void regression_agrees_with_scipy(void **state) {
  (void)state;
  struct vit_regression r;
  assert_ok(vit_regress(regression_predicted, regression_truth, 40, &r, &test_err));
  assert_near(r.mse, regression_measures[0], 1e-12);
  assert_near(r.rmse, regression_measures[1], 1e-12);
  assert_near(r.mae, regression_measures[2], 1e-12);
  assert_near(r.r2, regression_measures[3], 1e-12);
  assert_near(r.pearson, regression_measures[4], 1e-12);
  assert_near(r.spearman, regression_measures[5], 1e-12);
}

static void normal_quantiles_are_the_tables(void **state) {
  (void)state;
  assert_near(vit_normal_quantile(0.5), 0, 0);
  assert_near(vit_normal_quantile(0.975), 1.959963984540054, 1e-12);
  assert_near(vit_normal_quantile(0.005), -2.575829303548901, 1e-12);
  assert_near(vit_normal_quantile(0.9999), 3.719016485455709, 1e-10);
  assert_true(isnan(vit_normal_quantile(1)));
}

struct draws {
  const double *values;
  const uint32_t *groups;
  size_t group_size;
};

/* The mean, and 1 when every group came whole. */
static void mean_and_wholeness(void *context, const size_t *indices, size_t n, double *values,
                               size_t count) {
  const struct draws *d = context;
  double sum = 0;
  size_t seen[64] = {0};
  assert_int_equal(count, 2);
  for (size_t i = 0; i < n; i++) {
    sum += d->values[indices[i]];
    seen[d->groups[indices[i]]]++;
  }
  values[0] = n ? sum / (double)n : NAN;
  values[1] = 1;
  for (size_t g = 0; g < 64; g++)
    if (seen[g] % d->group_size) values[1] = 0;
}

/* The interval of a mean over independent groups is that of theory: 1.96 standard errors. */
static void bootstrap_of_a_mean(void **state) {
  (void)state;
  enum { GROUPS = 64, SIZE = 4 };
  double values[GROUPS * SIZE], middle = 0, spread = 0;
  uint32_t groups[GROUPS * SIZE];
  struct lc_random random;
  lc_random_init(&random, 5, "test", 0);
  for (size_t g = 0; g < GROUPS; g++) {
    double value = lc_random_normal(&random);
    middle += value / (double)GROUPS;
    spread += value * value / (double)GROUPS;
    for (size_t k = 0; k < SIZE; k++) { /* groups interleaved, all of one value */
      values[k * GROUPS + g] = value;
      groups[k * GROUPS + g] = (uint32_t)g;
    }
  }
  double error = sqrt((spread - middle * middle) / (double)GROUPS);
  struct draws draws = {values, groups, SIZE};
  struct vit_bootstrap bootstrap = {.groups = groups,
                                    .n = GROUPS * SIZE,
                                    .n_groups = GROUPS,
                                    .replicates = 4000,
                                    .seed = 9,
                                    .level = 0.95};
  struct vit_interval intervals[2], again[2];
  lc_threads_set(1);
  assert_ok(vit_bootstrap_run(&bootstrap, mean_and_wholeness, &draws, intervals, 2, &test_err));
  assert_near(intervals[0].value, middle, 1e-12);
  assert_near(intervals[0].low, middle - 1.96 * error, 0.15 * error);
  assert_near(intervals[0].high, middle + 1.96 * error, 0.15 * error);
  assert_true(intervals[1].low == 1 && intervals[1].high == 1);
  lc_threads_set(4);
  assert_ok(vit_bootstrap_run(&bootstrap, mean_and_wholeness, &draws, again, 2, &test_err));
  lc_threads_set(0);
  assert_memory_equal(intervals, again, sizeof intervals);
  bootstrap.seed = 10;
  assert_ok(vit_bootstrap_run(&bootstrap, mean_and_wholeness, &draws, again, 2, &test_err));
  assert_true(intervals[0].low != again[0].low);
  groups[3] = GROUPS;
  assert_fails(vit_bootstrap_run(&bootstrap, mean_and_wholeness, &draws, again, 2, &test_err),
               LC_ERR_USAGE, "sample 3");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(discrimination_agrees_with_scikit_learn),
      cmocka_unit_test(precision_curve_agrees_with_scikit_learn),
      cmocka_unit_test(decisions_agree_with_scikit_learn),
      cmocka_unit_test(calibration_agrees_with_scikit_learn),
      cmocka_unit_test(a_case_by_hand),
      cmocka_unit_test(undefined_measures_are_nan),
      cmocka_unit_test(regression_agrees_with_scipy),
      cmocka_unit_test(normal_quantiles_are_the_tables),
      cmocka_unit_test(bootstrap_of_a_mean),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
