/* Curves, probes and completeness on models that are formulas, by hand; truth against chance. */
#include <math.h>

#include "cdam/measures/cdam_curve.h"
#include "cdam/measures/cdam_probe.h"
#include "common/lc_random.h"
#include "tests/cdam_formula.h"
#include "tests/lc_test.h"

static const struct cdam_draws draws = {7, 3};
static const float weights[4] = {4, 2, 1, -1};

static void ties_have_no_place(void **state) {
  (void)state;
  float same[50] = {0};
  uint32_t first[50], second[50];
  size_t in_place = 0, moved = 0;
  same[20] = 1;
  assert_ok(cdam_order(same, 50, &draws, first, &test_err));
  assert_ok(cdam_order(same, 50, &(struct cdam_draws){7, 4}, second, &test_err));
  assert_int_equal(first[0], 20);
  assert_int_equal(second[0], 20);
  uint8_t seen[50] = {0};
  for (size_t i = 0; i < 50; i++) {
    seen[first[i]]++;
    in_place += first[i] == i;
    moved += first[i] != second[i];
  }
  for (size_t i = 0; i < 50; i++) assert_int_equal(seen[i], 1);
  assert_true(in_place < 10 && moved > 30);
}

static void curves_by_hand(void **state) {
  (void)state;
  struct cdam_formula formula = {4, weights, 1, 0, 0};
  struct cdam_evaluator evaluator = cdam_formula_evaluator(&formula);
  struct cdam_curve_settings settings = {.steps = 4, .random_orders = 2};
  struct cdam_curves curves;
  assert_ok(cdam_curves_measure(&evaluator, weights, (size_t[]){0}, 1, &settings, &draws, &curves,
                                &test_err));
  assert_int_equal(curves.points, 5);
  const double most[5] = {7, 3, 1, 0, 1}, least[5] = {7, 8, 7, 5, 1};
  for (size_t i = 0; i < 5; i++) {
    assert_int_equal(curves.removed[i], i);
    assert_near(curves.most[i], most[i], 1e-12);
    assert_near(curves.least[i], least[i], 1e-12);
  }
  assert_near(curves.random[0], 7, 1e-12);
  assert_near(curves.random[4], 1, 1e-12);
  struct cdam_curve_summary summary;
  cdam_curves_summarise(&curves, 0, 0, &summary);
  assert_near(summary.deletion, 2, 1e-12);
  assert_near(summary.insertion, 6, 1e-12);
  assert_near(summary.gap, 4, 1e-12);
  assert_near(summary.gap_share, 4.0 / 6, 1e-12);
  assert_near(summary.monotonicity, 3.0 / 4, 1e-12);
  assert_near(summary.decision, 2.0 / 3, 1e-12);
  cdam_curves_free(&curves);
}

static void curves_at_shares(void **state) {
  (void)state;
  struct cdam_formula formula = {4, weights, 1, 0, 0};
  struct cdam_evaluator evaluator = cdam_formula_evaluator(&formula);
  struct cdam_curve_settings settings = {.shares = (double[]){0.25, 0.75}, .n_shares = 2};
  struct cdam_curves curves;
  assert_ok(cdam_curves_measure(&evaluator, weights, (size_t[]){0}, 1, &settings, &draws, &curves,
                                &test_err));
  assert_int_equal(curves.points, 4);
  const double most[4] = {7, 3, 0, 1};
  for (size_t i = 0; i < 4; i++) assert_near(curves.most[i], most[i], 1e-12);
  struct cdam_curve_summary summary;
  cdam_curves_summarise(&curves, 0, 0, &summary);
  assert_near(summary.deletion, 0.25 * 5 + 0.5 * 1.5 + 0.25 * 0.5, 1e-12);
  cdam_curves_free(&curves);
  settings.shares = (double[]){0.75, 0.25};
  assert_fails(cdam_curves_measure(&evaluator, weights, (size_t[]){0}, 1, &settings, &draws,
                                   &curves, &test_err),
               LC_ERR_USAGE, "ascending shares");
  cdam_curves_free(&curves);
  assert_fails(
      cdam_curves_measure(&evaluator, weights, (size_t[]){1}, 1, NULL, &draws, &curves, &test_err),
      LC_ERR_USAGE, "target 1 of 1");
}

/* 64 patches with a few that matter, neighbours that act together, and maps to judge. */
struct contest {
  float weights[64], truth[64], noise[64], opposite[64];
  struct cdam_formula formula;
  struct cdam_evaluator evaluator;
};

static void contest_init(struct contest *c, uint64_t item) {
  struct lc_random random;
  lc_random_init(&random, 5, "test", item);
  for (size_t i = 0; i < 64; i++) {
    c->weights[i] = (float)(0.1 * lc_random_normal(&random) + (i % 9 == 0 ? 2 : 0));
    c->truth[i] = c->weights[i] + 0.05F;
    c->noise[i] = (float)lc_random_normal(&random);
    c->opposite[i] = -c->truth[i];
  }
  c->formula = (struct cdam_formula){64, c->weights, -1, 0.05, 0};
  c->evaluator = cdam_formula_evaluator(&c->formula);
}

static void truth_beats_chance_on_curves(void **state) {
  (void)state;
  double truth_gap = 0, noise_gap = 0, random = 0, straight = 0;
  for (uint64_t item = 0; item < 20; item++) {
    struct contest c;
    contest_init(&c, item);
    float maps[3 * 64];
    memcpy(maps, c.truth, sizeof c.truth);
    memcpy(maps + 64, c.noise, sizeof c.noise);
    memcpy(maps + 128, c.opposite, sizeof c.opposite);
    struct cdam_curves curves;
    struct cdam_curve_summary truth, noise, opposite;
    assert_ok(cdam_curves_measure(&c.evaluator, maps, (size_t[]){0, 0, 0}, 3, NULL,
                                  &(struct cdam_draws){1, item}, &curves, &test_err));
    cdam_curves_summarise(&curves, 0, 0, &truth);
    cdam_curves_summarise(&curves, 1, 0, &noise);
    cdam_curves_summarise(&curves, 2, 0, &opposite);
    assert_true(truth.gap > noise.gap && noise.gap > opposite.gap);
    assert_true(truth.deletion < truth.random && truth.random < truth.insertion);
    assert_true(truth.decision <= noise.decision);
    truth_gap += truth.gap_share / 20;
    noise_gap += noise.gap_share / 20;
    random += noise.random / 20;
    straight += 0.5 * (curves.most[0] + curves.most[curves.points - 1]) / 20;
    cdam_curves_free(&curves);
  }
  assert_true(truth_gap > 0.7);
  assert_near(noise_gap, 0, 0.15);
  assert_near(random, straight, 1); /* of a range of 19; pairs bend it a little */
}

/* Three quarters of the patches speak a little for the target, one quarter loudly against it: mixed
 * groups rise, so only a map that parts them keeps falling. */
static void monotonicity_ranks(void **state) {
  (void)state;
  for (uint64_t item = 0; item < 10; item++) {
    struct contest c;
    contest_init(&c, item);
    for (size_t i = 0; i < 64; i++) c.truth[i] = c.weights[i] = i % 4 == 0 ? -1 : 0.1F;
    c.formula.pair = 0;
    float maps[2 * 64];
    memcpy(maps, c.truth, sizeof c.truth);
    memcpy(maps + 64, c.noise, sizeof c.noise);
    struct cdam_curves curves;
    struct cdam_curve_summary truth, noise;
    assert_ok(cdam_curves_measure(&c.evaluator, maps, (size_t[]){0, 0}, 2,
                                  &(struct cdam_curve_settings){.steps = 16}, &draws, &curves,
                                  &test_err));
    cdam_curves_summarise(&curves, 0, 0, &truth);
    cdam_curves_summarise(&curves, 1, 0, &noise);
    assert_near(truth.monotonicity, 0.75, 1e-12);
    assert_true(noise.monotonicity < 0.65);
    cdam_curves_free(&curves);
  }
}

static void curve_shares_batches(void **state) {
  (void)state;
  struct contest c;
  contest_init(&c, 0);
  struct cdam_curves together, alone;
  float maps[2 * 64];
  memcpy(maps, c.truth, sizeof c.truth);
  memcpy(maps + 64, c.noise, sizeof c.noise);
  assert_ok(cdam_curves_measure(&c.evaluator, maps, (size_t[]){0, 0}, 2, NULL, &draws, &together,
                                &test_err));
  assert_ok(cdam_curves_measure(&c.evaluator, c.noise, (size_t[]){0}, 1, NULL, &draws, &alone,
                                &test_err));
  assert_memory_equal(together.most + together.points, alone.most, 21 * sizeof(double));
  assert_memory_equal(together.least + together.points, alone.least, 21 * sizeof(double));
  assert_memory_equal(together.random, alone.random, 21 * sizeof(double));
  cdam_curves_free(&together);
  cdam_curves_free(&alone);
}

static void probe_by_hand(void **state) {
  (void)state;
  struct cdam_formula formula = {4, weights, 1, 0, 0};
  struct cdam_evaluator evaluator = cdam_formula_evaluator(&formula);
  struct cdam_probe probe;
  struct cdam_faithfulness r;
  assert_ok(cdam_probe_tokens(&evaluator, &probe, &test_err));
  assert_near(probe.whole[0], 7, 1e-12);
  for (size_t i = 0; i < 4; i++) assert_near(probe.drop[i], (double)weights[i], 1e-12);
  assert_ok(cdam_probe_judge(&probe, weights, 0, &r, &test_err));
  assert_near(r.pearson, 1, 1e-12);
  assert_near(r.spearman, 1, 1e-12);
  assert_near(r.monotone, 1, 1e-12); /* |-1| and 1 tie on both sides */
  assert_near(r.infidelity, 0, 1e-12);
  assert_near(r.infidelity_scaled, 0, 1e-12);
  /* Twice the truth: only infidelity minds, (16 + 4 + 1 + 1) / 4. */
  assert_ok(cdam_probe_judge(&probe, (float[]){8, 4, 2, -2}, 0, &r, &test_err));
  assert_near(r.pearson, 1, 1e-12);
  assert_near(r.infidelity, 5.5, 1e-12);
  assert_near(r.infidelity_scaled, 0, 1e-12);
  /* Only the first: covariance 2.5, spreads 0.75 and 13; 15 / 4 off; 1 - 4^2 / (1 * 22). */
  assert_ok(cdam_probe_judge(&probe, (float[]){1, 0, 0, 0}, 0, &r, &test_err));
  assert_near(r.pearson, 2.5 / sqrt(0.75 * 13), 1e-12);
  assert_near(r.infidelity, 15.0 / 4, 1e-12);
  assert_near(r.infidelity_scaled, 1 - 16.0 / 22, 1e-12);
  assert_ok(cdam_probe_judge(&probe, (float[]){1, 1, 1, 1}, 0, &r, &test_err));
  assert_true(isnan(r.pearson));
  assert_fails(cdam_probe_judge(&probe, weights, 1, &r, &test_err), LC_ERR_USAGE, "target 1 of 1");
  cdam_probe_free(&probe);
}

static void groups_of_ranks(void **state) {
  (void)state;
  /* Scores 1, 5, 3, 2 in pairs: {1, 2} then {3, 0}; pairs of neighbours add 10. Without patches 1
   * and 2 no neighbours are left: f = 1 + 4 - 1 = 4 of 7 + 30; without 3 and 0 one pair is. */
  struct cdam_formula formula = {4, weights, 1, 10, 0};
  struct cdam_evaluator evaluator = cdam_formula_evaluator(&formula);
  struct cdam_probe probe;
  assert_ok(cdam_probe_ranks(&evaluator, (float[]){1, 5, 3, 2}, 2, &draws, &probe, &test_err));
  assert_int_equal(probe.sets, 2);
  const uint8_t expected[8] = {0, 1, 1, 0, 1, 0, 0, 1};
  assert_memory_equal(probe.removed, expected, 8);
  assert_near(probe.drop[0], 33, 1e-12);
  assert_near(probe.drop[1], 37 - 14, 1e-12);
  cdam_probe_free(&probe);
  assert_ok(cdam_probe_ranks(&evaluator, weights, 3, &draws, &probe, &test_err));
  assert_int_equal(probe.sets, 2); /* three and one */
  assert_int_equal(probe.removed[4 + 3], 1);
  cdam_probe_free(&probe);
}

static void sets_are_what_they_say(void **state) {
  (void)state;
  struct contest c;
  contest_init(&c, 1);
  struct cdam_probe probe;
  assert_ok(cdam_probe_subsets(&c.evaluator, 10, 30, &draws, &probe, &test_err));
  for (size_t s = 0; s < 30; s++) {
    size_t size = 0;
    for (size_t p = 0; p < 64; p++) size += probe.removed[s * 64 + p];
    assert_int_equal(size, 10);
  }
  assert_memory_not_equal(probe.removed, probe.removed + 64, 64);
  cdam_probe_free(&probe);
  /* All 36 places of a 3 x 3 box on 8 x 8, each once: corners are hit once, the middle nine times.
   */
  assert_ok(cdam_probe_boxes(&c.evaluator, 8, 8, 3, 1000, &draws, &probe, &test_err));
  assert_int_equal(probe.sets, 36);
  size_t hits[64] = {0};
  for (size_t s = 0; s < 36; s++)
    for (size_t p = 0; p < 64; p++) hits[p] += probe.removed[s * 64 + p];
  assert_int_equal(hits[0], 1);
  assert_int_equal(hits[63], 1);
  assert_int_equal(hits[1], 2);
  assert_int_equal(hits[9], 4);
  assert_int_equal(hits[27], 9);
  cdam_probe_free(&probe);
  assert_fails(cdam_probe_boxes(&c.evaluator, 8, 8, 9, 5, &draws, &probe, &test_err), LC_ERR_USAGE,
               "edge 9");
  assert_fails(cdam_probe_subsets(&c.evaluator, 65, 5, &draws, &probe, &test_err), LC_ERR_USAGE,
               "expected 1 to 64");
}

static void truth_beats_chance_on_probes(void **state) {
  (void)state;
  for (uint64_t item = 0; item < 10; item++) {
    struct contest c;
    contest_init(&c, item);
    struct cdam_probe probes[3];
    struct cdam_draws d = {2, item};
    assert_ok(cdam_probe_tokens(&c.evaluator, &probes[0], &test_err));
    assert_ok(cdam_probe_subsets(&c.evaluator, 8, 100, &d, &probes[1], &test_err));
    assert_ok(cdam_probe_boxes(&c.evaluator, 8, 8, 2, 40, &d, &probes[2], &test_err));
    for (int i = 0; i < 3; i++) {
      struct cdam_faithfulness truth, noise, opposite;
      assert_ok(cdam_probe_judge(&probes[i], c.truth, 0, &truth, &test_err));
      assert_ok(cdam_probe_judge(&probes[i], c.noise, 0, &noise, &test_err));
      assert_ok(cdam_probe_judge(&probes[i], c.opposite, 0, &opposite, &test_err));
      assert_true(truth.pearson > 0.98 && truth.pearson > noise.pearson);
      assert_near(opposite.pearson, -truth.pearson, 1e-9);
      assert_true(truth.spearman > noise.spearman);
      assert_true(truth.monotone > noise.monotone);
      assert_true(truth.infidelity < noise.infidelity);
      assert_true(truth.infidelity_scaled < 0.05);
      assert_true(truth.infidelity_scaled < noise.infidelity_scaled);
      cdam_probe_free(&probes[i]);
    }
  }
}

static void completeness_by_hand(void **state) {
  (void)state;
  struct cdam_formula formula = {4, weights, 1, 0, 0};
  struct cdam_evaluator evaluator = cdam_formula_evaluator(&formula);
  struct cdam_completeness r;
  assert_ok(cdam_completeness_of(&evaluator, weights, 0, &r, &test_err));
  assert_near(r.change, 6, 1e-12);
  assert_near(r.gap, 0, 1e-12);
  assert_ok(cdam_completeness_of(&evaluator, (float[]){1, 0, 0, 0}, 0, &r, &test_err));
  assert_near(r.gap, -5, 1e-12);
  assert_near(r.gap_share, 5.0 / 6, 1e-12);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ties_have_no_place),     cmocka_unit_test(curves_by_hand),
      cmocka_unit_test(curves_at_shares),       cmocka_unit_test(truth_beats_chance_on_curves),
      cmocka_unit_test(monotonicity_ranks),     cmocka_unit_test(curve_shares_batches),
      cmocka_unit_test(probe_by_hand),          cmocka_unit_test(groups_of_ranks),
      cmocka_unit_test(sets_are_what_they_say), cmocka_unit_test(truth_beats_chance_on_probes),
      cmocka_unit_test(completeness_by_hand)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
