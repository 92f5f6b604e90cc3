/* Measures that look at maps alone: cases worked out by hand, and perfect against random maps. */
#include <math.h>

#include "cdam/measures/cdam_compactness.h"
#include "cdam/measures/cdam_localisation.h"
#include "cdam/measures/cdam_similarity.h"
#include "common/lc_random.h"
#include "tests/lc_test.h"

static void compactness_by_hand(void **state) {
  (void)state;
  /* The largest score is 4 (0.2 at 5 %), the largest |score| 8 (0.4 at 5 %). */
  const float scores[8] = {4, -8, 0.1F, 0.3F, 0, 2, -0.35F, 1};
  double t = CDAM_COMPACT_THRESHOLD;
  assert_near(cdam_compact_share(scores, 8, t, CDAM_SIGNED_MAXIMUM), 2.0 / 8, 0);
  assert_near(cdam_compact_share(scores, 8, t, CDAM_ABSOLUTE_MAXIMUM), 4.0 / 8, 0);
  double shares[3];
  const double thresholds[] = {0, 0.2, 1};
  for (size_t i = 0; i < 3; i++)
    shares[i] = cdam_compact_share(scores, 8, thresholds[i], CDAM_ABSOLUTE_MAXIMUM);
  assert_near(shares[0], 0, 0); /* strictly below */
  assert_near(shares[1], 5.0 / 8, 0);
  assert_near(shares[2], 7.0 / 8, 0);
  const float negative[2] = {-1, -2}, nothing[3] = {0};
  assert_near(cdam_compact_share(negative, 2, t, CDAM_SIGNED_MAXIMUM), 0, 0);
  assert_true(isnan(cdam_compact_share(nothing, 3, t, CDAM_ABSOLUTE_MAXIMUM)));
}

static void concentration_by_hand(void **state) {
  (void)state;
  const float two[2] = {-3, 1}, one[4] = {0, 0, -5, 0}, same[4] = {2, 2, -2, 2}, none[2] = {0};
  double gini;
  assert_ok(cdam_gini(two, 2, &gini, &test_err));
  assert_near(gini, 0.25, 1e-12); /* (-1 * 1 + 1 * 3) / (2 * 4) */
  assert_ok(cdam_gini(one, 4, &gini, &test_err));
  assert_near(gini, 0.75, 1e-12);
  assert_ok(cdam_gini(same, 4, &gini, &test_err));
  assert_near(gini, 0, 1e-12);
  assert_ok(cdam_gini(none, 2, &gini, &test_err));
  assert_true(isnan(gini));
  const float halves[3] = {1, -1, 2};
  assert_near(cdam_entropy(halves, 3), 1.5 * log(2), 1e-12);
  assert_near(cdam_entropy(one, 4), 0, 1e-12);
  assert_near(cdam_entropy(same, 4), log(4), 1e-12);
  assert_true(isnan(cdam_entropy(none, 2)));
  assert_int_equal(cdam_effective_complexity(halves, 3, 1), 1);
  assert_int_equal(cdam_effective_complexity(halves, 3, 0.5), 3);
}

static void compact_maps_rank_first(void **state) {
  (void)state;
  float point[100] = {0}, noise[100];
  struct lc_random random;
  lc_random_init(&random, 1, "test", 0);
  point[37] = 1;
  for (int i = 0; i < 100; i++) noise[i] = (float)lc_random_normal(&random);
  double sharp, flat, t = CDAM_COMPACT_THRESHOLD;
  assert_ok(cdam_gini(point, 100, &sharp, &test_err));
  assert_ok(cdam_gini(noise, 100, &flat, &test_err));
  assert_true(sharp > 0.98 && flat < 0.5);
  assert_true(cdam_entropy(point, 100) < cdam_entropy(noise, 100));
  assert_true(cdam_compact_share(point, 100, t, CDAM_SIGNED_MAXIMUM) > 0.98);
  assert_true(cdam_compact_share(noise, 100, t, CDAM_SIGNED_MAXIMUM) < 0.2);
  assert_true(cdam_effective_complexity(point, 100, t) < cdam_effective_complexity(noise, 100, t));
}

static void coverage_divides_pixels(void **state) {
  (void)state;
  const uint8_t centre[9] = {0, 0, 0, 0, 1, 0, 0, 0, 0};
  double coverage[4];
  cdam_coverage(centre, 3, 3, 2, 2, coverage);
  for (int i = 0; i < 4; i++) assert_near(coverage[i], 1.0 / 9, 1e-12); /* (1/3)^2 of a patch */
  uint8_t mask[8 * 12] = {0};
  for (int y = 0; y < 8; y++)
    for (int x = 0; x < 6; x++) mask[y * 12 + x] = 255;
  double cells[2 * 3];
  cdam_coverage(mask, 8, 12, 2, 3, cells);
  const double expected[6] = {1, 0.5, 0, 1, 0.5, 0};
  for (int i = 0; i < 6; i++) assert_near(cells[i], expected[i], 1e-12);
  /* A mask smaller than the grid is enlarged. */
  const uint8_t corner[4] = {1, 0, 0, 0};
  double fine[16], total = 0;
  cdam_coverage(corner, 2, 2, 4, 4, fine);
  for (int i = 0; i < 16; i++) total += fine[i];
  assert_near(total, 4, 1e-12);
  assert_near(fine[5], 1, 1e-12);
}

static void localisation_by_hand(void **state) {
  (void)state;
  const float scores[4] = {3, -1, 1, 0};
  struct cdam_localisation r;
  assert_ok(cdam_localise(scores, (double[]){1, 0, 0, 0}, 4, CDAM_POSITIVE, &r, &test_err));
  assert_near(r.mass, 0.75, 1e-12);
  assert_near(r.rank, 1, 1e-12);
  assert_near(r.pointing, 1, 0);
  assert_near(r.auroc, 1, 1e-12);
  assert_ok(cdam_localise(scores, (double[]){0, 1, 0, 0}, 4, CDAM_ABSOLUTE, &r, &test_err));
  assert_near(r.mass, 0.2, 1e-12);
  assert_near(r.rank, 0, 1e-12);
  assert_near(r.pointing, 0, 0);
  assert_near(r.auroc, 1.5 / 3, 1e-12); /* below 3, ties with 1, above 0 */
  /* One patch half covered and one whole: 1.5 patches inside, 2.5 outside. Rank: of the top 1.5
   * half a patch is inside. ROC: outside 0.5 at score 3 ties with 0.5 inside; 1 at score 1 has 0.5
   * above; 1 at score 0 has 0.5 above and ties with 1. */
  assert_ok(cdam_localise(scores, (double[]){0.5, 0, 0, 1}, 4, CDAM_POSITIVE, &r, &test_err));
  assert_near(r.mass, 1.5 / 4, 1e-12);
  assert_near(r.rank, 0.5 / 1.5, 1e-12);
  assert_near(r.pointing, 1, 0);
  assert_near(r.auroc, (0.5 * 0.25 + 0.5 + 1) / (1.5 * 2.5), 1e-12);
}

static void localisation_of_nothing(void **state) {
  (void)state;
  const float scores[3] = {1, 2, 3}, negative[3] = {-1, -2, -3};
  struct cdam_localisation r;
  assert_ok(cdam_localise(scores, (double[]){0, 0, 0}, 3, CDAM_POSITIVE, &r, &test_err));
  assert_true(isnan(r.mass) && isnan(r.rank) && isnan(r.pointing) && isnan(r.auroc));
  assert_ok(cdam_localise(scores, (double[]){1, 1, 1}, 3, CDAM_POSITIVE, &r, &test_err));
  assert_true(isnan(r.mass) && isnan(r.auroc));
  /* No score speaks: everything ties, and chance is what is left. */
  assert_ok(cdam_localise(negative, (double[]){1, 0, 0}, 3, CDAM_POSITIVE, &r, &test_err));
  assert_true(isnan(r.mass) && isnan(r.pointing));
  assert_near(r.rank, 1.0 / 3, 1e-12);
  assert_near(r.auroc, 0.5, 1e-12);
  assert_ok(cdam_localise(scores, NULL, 0, CDAM_POSITIVE, &r, &test_err));
  assert_true(isnan(r.rank));
}

static void truth_beats_chance(void **state) {
  (void)state;
  double coverage[196] = {0}, mass = 0, rank = 0, auroc = 0;
  float truth[196], noise[196];
  struct cdam_localisation r;
  struct lc_random random;
  lc_random_init(&random, 2, "test", 0);
  for (int i = 0; i < 20; i++) coverage[80 + i] = i < 10 ? 1 : 0.5;
  for (int i = 0; i < 196; i++) truth[i] = (float)coverage[i];
  assert_ok(cdam_localise(truth, coverage, 196, CDAM_POSITIVE, &r, &test_err));
  assert_true(r.mass > 0.8 && r.rank > 0.8 && r.pointing > 0.99 && r.auroc > 0.95);
  for (int n = 0; n < 200; n++) {
    for (int i = 0; i < 196; i++) noise[i] = (float)lc_random_normal(&random);
    assert_ok(cdam_localise(noise, coverage, 196, CDAM_ABSOLUTE, &r, &test_err));
    mass += r.mass / 200;
    rank += r.rank / 200;
    auroc += r.auroc / 200;
  }
  assert_near(mass, 15.0 / 196, 0.01);
  assert_near(rank, 15.0 / 196, 0.015);
  assert_near(auroc, 0.5, 0.02);
}

static void two_objects(void **state) {
  (void)state;
  const float scores[4] = {3, -5, 1, 7};
  const double first[4] = {1, 1, 0, 0}, second[4] = {0, 0, 1, 0};
  assert_near(cdam_mass_between(scores, first, second, 4, CDAM_POSITIVE), 3.0 / 4, 1e-12);
  assert_near(cdam_mass_between(scores, first, second, 4, CDAM_ABSOLUTE), 8.0 / 9, 1e-12);
  assert_true(isnan(cdam_mass_between((float[]){-1, 0, -1, 2}, first, second, 4, CDAM_POSITIVE)));
}

static void similarity_by_hand(void **state) {
  (void)state;
  const float a[3] = {1, 2, 3}, b[3] = {1, 2, 4}, c[3] = {-3, 1, 2}, d[3] = {3, 1, 2};
  const float same[3] = {1, 1, 1};
  struct cdam_similarity s;
  assert_ok(cdam_similarity_of(a, b, 3, &s, &test_err));
  assert_near(s.pearson, 3 / sqrt(2 * 42.0 / 9), 1e-12);
  assert_near(s.spearman, 1, 1e-12);
  assert_near(s.cosine, 17 / sqrt(14.0 * 21), 1e-12);
  assert_ok(cdam_similarity_of(c, d, 3, &s, &test_err));
  assert_near(s.spearman, -0.5, 1e-12);
  assert_near(s.spearman_absolute, 1, 1e-12);
  assert_near(s.cosine, -4.0 / 14, 1e-12);
  assert_ok(cdam_similarity_of(a, same, 3, &s, &test_err));
  assert_true(isnan(s.pearson) && isnan(s.spearman));
}

static void class_sensitivity(void **state) {
  (void)state;
  /* Two targets that agree completely, and a third that is the first's contrary. */
  const double values[3 * 3] = {1, 2, -1, 2, 4, -2, 4, 8, -3};
  double agreement[9];
  assert_ok(cdam_target_agreement(values, 3, 3, agreement, &test_err));
  assert_near(agreement[1], 1, 1e-12);
  /* (1, 2, 4) and (-1, -2, -3): 3 / sqrt(42/9 * 2), negative. */
  assert_near(agreement[2], -3 / sqrt(2 * 42.0 / 9), 1e-12);
  assert_near(agreement[3 * 2], agreement[2], 0);
}

static void repeatability(void **state) {
  (void)state;
  const float runs[2 * 3] = {1, 2, 3, 1, 2, 5};
  double pearson;
  assert_ok(cdam_repeatability_of(runs, 2, 3, &pearson, &test_err));
  /* Pearson of (-1, 0, 1) and (-5, -2, 7) / 3. */
  assert_near(pearson, 4 / sqrt(2 * 78.0 / 9), 1e-12);
  const float same[3 * 2] = {1, 2, 1, 2, 1, 2};
  assert_ok(cdam_repeatability_of(same, 3, 2, &pearson, &test_err));
  assert_near(pearson, 1, 1e-12);
  assert_fails(cdam_repeatability_of(runs, 1, 3, &pearson, &test_err), LC_ERR_USAGE, "two or more");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(compactness_by_hand),
                                     cmocka_unit_test(concentration_by_hand),
                                     cmocka_unit_test(compact_maps_rank_first),
                                     cmocka_unit_test(coverage_divides_pixels),
                                     cmocka_unit_test(localisation_by_hand),
                                     cmocka_unit_test(localisation_of_nothing),
                                     cmocka_unit_test(truth_beats_chance),
                                     cmocka_unit_test(two_objects),
                                     cmocka_unit_test(similarity_by_hand),
                                     cmocka_unit_test(class_sensitivity),
                                     cmocka_unit_test(repeatability)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
