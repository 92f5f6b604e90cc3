/* The measures beside Quantus on the same inputs, where the two have the same definition
 * (make_quantus_values.py; docs/measures.md lists what differs). */
#include <math.h>

#include "cdam/measures/cdam_compactness.h"
#include "cdam/measures/cdam_curve.h"
#include "cdam/measures/cdam_impute.h"
#include "cdam/measures/cdam_localisation.h"
#include "cdam/measures/cdam_probe.h"
#include "cdam/measures/cdam_robustness.h"
#include "cdam/measures/cdam_similarity.h"
#include "tests/cdam_formula.h"
#include "tests/lc_test.h"
#include "tests/reference/quantus_values.h"

static const struct cdam_draws draws = {1, 1};
static struct cdam_formula formula;
static struct cdam_evaluator evaluator;

static int set_up(void **state) {
  (void)state;
  formula = (struct cdam_formula){36, quantus_weights, quantus_formula[0], quantus_formula[1], 0};
  evaluator = cdam_formula_evaluator(&formula);
  return 0;
}

static void compactness(void **state) {
  (void)state;
  double gini;
  assert_ok(cdam_gini(quantus_scores, 36, &gini, &test_err));
  assert_near(gini, quantus_gini[0], 1e-6); /* Quantus adds 1e-7 to each score */
  assert_near(cdam_entropy(quantus_scores, 36), quantus_entropy[0], 1e-9);
  assert_near((double)cdam_effective_complexity(quantus_scores, 36, 0.5), quantus_effective[0], 0);
}

static void localisation(void **state) {
  (void)state;
  double coverage[36];
  struct cdam_localisation r;
  cdam_coverage(quantus_mask, 6, 6, 6, 6, coverage);
  for (int reading = 0; reading < 2; reading++) {
    const double *expected = reading == 0 ? quantus_positive : quantus_absolute;
    assert_ok(cdam_localise(quantus_scores, coverage, 36, (cdam_reading)reading, &r, &test_err));
    assert_near(r.mass, expected[0], 1e-12);
    assert_near(r.rank, expected[1], 1e-12);
    assert_near(r.pointing, expected[2], 0);
    assert_near(r.auroc, expected[3], 1e-12);
  }
}

static void similarity(void **state) {
  (void)state;
  struct cdam_similarity r;
  assert_ok(cdam_similarity_of(quantus_scores, quantus_other, 36, &r, &test_err));
  assert_near(r.pearson, quantus_similarity[0], 1e-9);
  assert_near(r.spearman, quantus_similarity[1], 1e-9);
  assert_near(r.cosine, quantus_similarity[2], 1e-9);
}

static void sets_that_quantus_drew(void **state) {
  (void)state;
  struct cdam_probe probe;
  struct cdam_faithfulness r;
  assert_ok(cdam_probe_measure(&evaluator, quantus_subsets, 40, &probe, &test_err));
  assert_ok(cdam_probe_judge(&probe, quantus_scores, 0, &r, &test_err));
  assert_near(r.pearson, quantus_subset_correlation[0], 1e-9);
  cdam_probe_free(&probe);
  assert_ok(cdam_probe_measure(&evaluator, quantus_blocks, sizeof quantus_blocks / 36, &probe,
                               &test_err));
  assert_ok(cdam_probe_judge(&probe, quantus_scores, 0, &r, &test_err));
  assert_near(r.infidelity, quantus_infidelity[0], 1e-9 * quantus_infidelity[0]);
  cdam_probe_free(&probe);
}

static void estimates(void **state) {
  (void)state;
  struct cdam_probe probe;
  struct cdam_faithfulness r;
  assert_ok(cdam_probe_ranks(&evaluator, quantus_scores, 1, &draws, &probe, &test_err));
  assert_ok(cdam_probe_judge(&probe, quantus_scores, 0, &r, &test_err));
  assert_near(r.pearson, quantus_estimate_1[0], 1e-9);
  cdam_probe_free(&probe);
  assert_ok(cdam_probe_ranks(&evaluator, quantus_scores, 4, &draws, &probe, &test_err));
  assert_ok(cdam_probe_judge(&probe, quantus_scores, 0, &r, &test_err));
  assert_near(r.pearson, quantus_estimate_4[0], 1e-9);
  cdam_probe_free(&probe);
  /* Quantus ranks |scores| from the least; in groups of four the sets are the same. */
  float sizes[36];
  for (size_t i = 0; i < 36; i++) sizes[i] = fabsf(quantus_scores[i]);
  assert_ok(cdam_probe_ranks(&evaluator, sizes, 4, &draws, &probe, &test_err));
  assert_ok(cdam_probe_judge(&probe, sizes, 0, &r, &test_err));
  assert_near(r.monotone, quantus_monotone[0], 1e-9);
  cdam_probe_free(&probe);
}

static void curves(void **state) {
  (void)state;
  struct cdam_curves c;
  struct cdam_curve_settings settings = {.steps = 12};
  assert_ok(cdam_curves_measure(&evaluator, quantus_scores, (size_t[]){0}, 1, &settings, &draws, &c,
                                &test_err));
  for (size_t i = 0; i < 12; i++) assert_near(c.most[i + 1], quantus_flipping[i], 1e-9);
  cdam_curves_free(&c);
}

/* The formula on an image whose missing pixels are imputed. */
static lc_status imputed(void *context, const uint8_t *kept, size_t n, double *values,
                         struct lc_error *err) {
  (void)context;
  for (size_t v = 0; v < n; v++) {
    float x[36];
    uint8_t missing[36];
    for (size_t i = 0; i < 36; i++) missing[i] = !kept[v * 36 + i];
    memcpy(x, road_image, sizeof x);
    LC_TRY(cdam_impute(x, missing, 6, 6, err));
    values[v] = road_bias[0];
    for (size_t i = 0; i < 36; i++) {
      values[v] += (double)quantus_weights[i] * (double)x[i];
      if (i > 0) values[v] += quantus_formula[1] * (double)x[i] * (double)x[i - 1];
    }
  }
  return LC_OK;
}

static void road(void **state) {
  (void)state;
  uint32_t order[36];
  uint8_t missing[36] = {0};
  float filled[36];
  assert_ok(cdam_order(quantus_scores, 36, &draws, order, &test_err));
  for (size_t i = 0; i < 18; i++) missing[order[i]] = 1;
  memcpy(filled, road_image, sizeof filled);
  assert_ok(cdam_impute(filled, missing, 6, 6, &test_err));
  for (size_t i = 0; i < 36; i++) assert_near((double)filled[i], road_filled[i], 1e-6);

  struct cdam_evaluator filling = {36, 1, NULL, imputed};
  struct cdam_curve_settings settings = {.shares = road_shares, .n_shares = 7};
  struct cdam_curves c;
  struct cdam_curve_summary summary;
  double mean = 0, changes = 0;
  assert_ok(cdam_curves_measure(&filling, quantus_scores, (size_t[]){0}, 1, &settings, &draws, &c,
                                &test_err));
  for (size_t i = 0; i < 7; i++) {
    assert_near(c.most[i + 1] > 0 ? 1 : 0, quantus_road[i], 0);
    mean += quantus_road[i] / 7;
    changes += quantus_road[i] < 1;
  }
  cdam_curves_summarise(&c, 0, 0, &summary);
  assert_near(summary.decision, mean, 1e-12);
  assert_true(changes > 0 && changes < 7);
  cdam_curves_free(&c);
}

static void robustness(void **state) {
  (void)state;
  struct cdam_robustness r;
  assert_ok(cdam_robustness_compare(quantus_scores, moved_max, steps_max, 8, 36, &r, &test_err));
  assert_near(r.max_sensitivity, quantus_max[0], 1e-6);
  assert_ok(cdam_robustness_compare(quantus_scores, moved_mean, steps_mean, 8, 36, &r, &test_err));
  assert_near(r.mean_sensitivity, quantus_mean[0], 1e-6);
  assert_ok(cdam_robustness_compare(quantus_scores, moved_lipschitz, steps_lipschitz, 8, 36, &r,
                                    &test_err));
  assert_near(r.lipschitz, quantus_lipschitz[0], 1e-6);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(compactness), cmocka_unit_test(localisation),
      cmocka_unit_test(similarity),  cmocka_unit_test(sets_that_quantus_drew),
      cmocka_unit_test(estimates),   cmocka_unit_test(curves),
      cmocka_unit_test(road),        cmocka_unit_test(robustness)};
  return cmocka_run_group_tests(tests, set_up, NULL);
}
