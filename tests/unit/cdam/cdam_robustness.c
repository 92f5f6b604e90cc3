/* Robustness on explainers that are formulas, randomised weights, imputation, and contests. */
#include <math.h>

#include "cdam/measures/cdam_contest.h"
#include "cdam/measures/cdam_impute.h"
#include "cdam/measures/cdam_randomise.h"
#include "cdam/measures/cdam_robustness.h"
#include "common/lc_parallel.h"
#include "common/lc_random.h"
#include "tests/lc_test.h"
#include "vit/weights/vit_arch.h"

static const struct cdam_draws draws = {11, 2};

/* Maps of one pixel a patch: gain times the image, plus noise that does not depend on it. */
struct linear {
  double gain, noise;
  uint32_t calls;
};

static lc_status explain(void *context, const float *images, size_t n, float *scores,
                         struct lc_error *err) {
  struct linear *linear = context;
  struct lc_random random;
  (void)err;
  lc_random_init(&random, 1, "test", ++linear->calls);
  for (size_t i = 0; i < n; i++)
    for (size_t p = 0; p < 36; p++)
      scores[i * 36 + p] = (float)(linear->gain * (double)images[i * 3 * 36 + p] +
                                   linear->noise * lc_random_normal(&random));
  return LC_OK;
}

static void sensitivity_by_hand(void **state) {
  (void)state;
  /* Distances 2 and 1; changes 5 and 3 of a map of length 5. */
  const float scores[2] = {3, 4}, moved[4] = {0, 0, 3, 1};
  struct cdam_robustness r;
  assert_ok(cdam_robustness_compare(scores, moved, (double[]){2, 1}, 2, 2, &r, &test_err));
  assert_near(r.max_sensitivity, 1, 1e-12);
  assert_near(r.mean_sensitivity, 0.8, 1e-12);
  assert_near(r.lipschitz, 3, 1e-12);
  assert_ok(cdam_robustness_compare((float[]){0, 0}, moved, (double[]){2, 1}, 2, 2, &r, &test_err));
  assert_true(isnan(r.max_sensitivity));
}

static void steady_maps_rank_first(void **state) {
  (void)state;
  float image[3 * 36], scores[36];
  for (size_t i = 0; i < 36; i++)
    for (size_t c = 0; c < 3; c++) image[c * 36 + i] = (float)sin((double)i);
  struct linear steady = {2, 0, 0}, jumpy = {2, 0.5, 0};
  struct cdam_explainer explainer = {6, 6, 36, &steady, explain};
  struct cdam_robustness calm, wild;
  assert_ok(explain(&steady, image, 1, scores, &test_err));
  assert_ok(cdam_robustness_of(&explainer, image, scores, NULL, &draws, &calm, &test_err));
  /* The map moves twice as far as one of the three channels of the image. */
  assert_near(calm.lipschitz, 2 / sqrt(3), 1e-4);
  assert_true(calm.max_sensitivity >= calm.mean_sensitivity && calm.mean_sensitivity > 0);
  assert_true(calm.max_sensitivity < 0.04 && calm.pearson > 0.999);
  explainer.context = &jumpy;
  assert_ok(cdam_robustness_of(&explainer, image, scores, NULL, &draws, &wild, &test_err));
  assert_true(wild.max_sensitivity > 4 * calm.max_sensitivity);
  assert_true(wild.mean_sensitivity > 4 * calm.mean_sensitivity);
  assert_true(wild.lipschitz > 4 * calm.lipschitz && wild.pearson < calm.pearson);
  struct cdam_robustness_settings wider = {.radius = 0.2, .samples = 4};
  struct cdam_robustness wide;
  explainer.context = &steady;
  assert_ok(cdam_robustness_of(&explainer, image, scores, &wider, &draws, &wide, &test_err));
  assert_true(wide.max_sensitivity > 5 * calm.max_sensitivity);
  wider.radius = -1;
  assert_fails(cdam_robustness_of(&explainer, image, scores, &wider, &draws, &wide, &test_err),
               LC_ERR_USAGE, "radius");
}

static struct vit_arch small_arch(void) {
  struct vit_arch arch;
  assert_ok(vit_arch_named(&arch, "vit_tiny_patch16", &test_err));
  arch.depth = 3;
  assert_ok(vit_arch_add_head(&arch, "malignancy", 0, 1, true, &test_err));
  return arch;
}

/* A "map" that is made of parameters: the first weights of head, blocks and embedding. */
static lc_status read_weights(void *context, const struct vit_model *model, float *scores,
                              struct lc_error *err) {
  (void)context;
  (void)err;
  memcpy(scores, model->heads[0].output.weight, 20 * sizeof *scores);
  for (size_t b = 0; b < 3; b++)
    memcpy(scores + 20 * (b + 1), model->blocks[b].fc1.weight, 20 * sizeof *scores);
  memcpy(scores + 80, model->patch_embed.weight, 20 * sizeof *scores);
  return LC_OK;
}

static void stages_randomise_from_the_top(void **state) {
  (void)state;
  struct vit_arch arch = small_arch();
  struct vit_model model;
  struct cdam_randomised randomised;
  assert_ok(vit_model_init(&model, &arch, 1, &test_err));
  assert_ok(cdam_randomised_init(&randomised, &model, 2, &test_err));
  assert_int_equal(randomised.stages, 5);
  float original[100], mixed[100];
  assert_ok(read_weights(NULL, &model, original, &test_err));
  /* Parts of the map in the order of the stages: head, last block .. first block, embedding. */
  const size_t part_of_stage[5] = {0, 3, 2, 1, 4};
  for (int cascading = 0; cascading < 2; cascading++)
    for (size_t stage = 0; stage < 5; stage++) {
      cdam_randomised_set(&randomised, stage, cascading);
      assert_ok(read_weights(NULL, &randomised.model, mixed, &test_err));
      for (size_t s = 0; s < 5; s++) {
        bool changed = cascading ? s <= stage : s == stage;
        size_t at = 20 * part_of_stage[s];
        assert_int_equal(memcmp(mixed + at, original + at, 20 * sizeof *mixed) != 0, changed);
      }
    }
  assert_false(randomised.model.trained);
  char name[VIT_NAME_SIZE];
  cdam_randomised_name(&randomised, 1, name);
  assert_string_equal(name, "block 2");
  cdam_randomised_name(&randomised, 4, name);
  assert_string_equal(name, "embedding");
  struct cdam_similarity curve[5];
  assert_ok(cdam_randomise_curve(&randomised, true, read_weights, NULL, original, 1, 100, curve,
                                 &test_err));
  assert_true(curve[0].pearson < 0.99 && curve[0].pearson > 0.5);
  for (size_t s = 1; s < 5; s++) assert_true(curve[s].pearson < curve[s - 1].pearson);
  assert_near(curve[4].pearson, 0, 0.3);
  cdam_randomised_free(&randomised);
  vit_model_free(&model);
}

static void imputation_by_hand(void **state) {
  (void)state;
  /* The centre of a 3 x 3: sides 1, corners 4: 4/6 + 16/12. */
  float image[9] = {4, 1, 4, 1, 100, 1, 4, 1, 4};
  const uint8_t centre[9] = {0, 0, 0, 0, 1, 0, 0, 0, 0};
  assert_ok(cdam_impute(image, centre, 3, 3, &test_err));
  assert_near((double)image[4], 2, 1e-6);
  /* Two missing in a row of three: x = y/2 + ... at the border only the sides are there, so that
   * x1 = (1 + x2) / 2 and x2 = x1. */
  float row[3] = {1, 50, 70};
  assert_ok(cdam_impute(row, (uint8_t[]){0, 1, 1}, 1, 3, &test_err));
  assert_near((double)row[1], 1, 1e-6);
  assert_near((double)row[2], 1, 1e-6);
  float all[4] = {1, 2, 3, 6};
  assert_ok(cdam_impute(all, (uint8_t[]){1, 1, 1, 1}, 2, 2, &test_err));
  for (size_t i = 0; i < 4; i++) assert_near((double)all[i], 3, 0);
}

static void imputation_keeps_planes(void **state) {
  (void)state;
  /* A plane is the mean of its neighbours, so holes inside it close without a trace. */
  float image[40 * 50], plane[40 * 50];
  uint8_t missing[40 * 50] = {0};
  for (size_t y = 0; y < 40; y++)
    for (size_t x = 0; x < 50; x++) {
      plane[y * 50 + x] = (float)x - 0.5F * (float)y;
      missing[y * 50 + x] = y > 3 && y < 36 && x > 2 && x < 45 && (x / 8 + y / 8) % 3 != 0;
      image[y * 50 + x] = missing[y * 50 + x] ? 1e4F : plane[y * 50 + x];
    }
  assert_ok(cdam_impute(image, missing, 40, 50, &test_err));
  assert_true(lc_test_difference(image, plane, 2000, NULL) < 1e-4);
}

static void contest_by_hand(void **state) {
  (void)state;
  /* Patient 0 has two items. The second contestant loses by 1 everywhere; the third is missing
   * once; the fourth is the first again. */
  const double values[3 * 4] = {3, 2, 5, 3, 5, 4, NAN, 5, 10, 9, 4, 10};
  const uint32_t groups[3] = {0, 0, 1};
  struct cdam_contest_table table = {3, 4, values, groups, 2, true};
  struct cdam_contest contest;
  assert_ok(cdam_contest_run(&table, 500, 0.95, 3, &contest, &test_err));
  assert_near(contest.mean[0].value, 6, 1e-12);
  assert_near(contest.mean[2].value, 4.5, 1e-12);
  assert_int_equal(contest.counts[2], 2);
  /* Only patient 0, or only patient 1: the ends of the interval. */
  assert_near(contest.mean[0].low, 4, 1e-12);
  assert_near(contest.mean[0].high, 10, 1e-12);
  const struct vit_interval *d = &contest.difference[0 * 4 + 1];
  assert_near(d->value, 1, 1e-12);
  assert_near(d->low, 1, 1e-12);
  assert_near(d->high, 1, 1e-12);
  assert_near(contest.difference[1 * 4 + 0].high, -1, 1e-12);
  assert_near(contest.difference[0 * 4 + 2].value, 2, 1e-12); /* (-2 + 6) / 2 */
  /* Items 0 and 2 define all: ranks 2.5, 4, 1, 2.5 and 1.5, 3, 4, 1.5. */
  assert_near(contest.mean_rank[0].value, 2, 1e-12);
  assert_near(contest.mean_rank[1].value, 3.5, 1e-12);
  assert_near(contest.mean_rank[2].value, 2.5, 1e-12);
  /* The first and fourth tie, both beat the second; nothing is known of the third. */
  assert_int_equal(contest.rank[0], 1);
  assert_int_equal(contest.rank[3], 1);
  assert_int_equal(contest.rank[2], 1);
  assert_int_equal(contest.rank[1], 3);
  assert_int_equal(contest.last_rank[0], 3);
  assert_int_equal(contest.last_rank[1], 4);
  assert_int_equal(contest.last_rank[2], 4);
  cdam_contest_free(&contest);
  table.larger_is_better = false;
  assert_ok(cdam_contest_run(&table, 500, 0.95, 3, &contest, &test_err));
  assert_int_equal(contest.rank[1], 1);
  assert_int_equal(contest.rank[0], 2);
  cdam_contest_free(&contest);
  table.items = 0;
  assert_fails(cdam_contest_run(&table, 0, 0, 1, &contest, &test_err), LC_ERR_USAGE, "0 items");
}

/* A contestant that only one patient defines is distinguished from no other, however large it is.
 */
static void one_patient_decides_nothing(void **state) {
  (void)state;
  const double values[4 * 2] = {100, 1, 90, 2, NAN, 3, NAN, 2};
  const uint32_t groups[4] = {0, 0, 1, 2};
  struct cdam_contest_table table = {4, 2, values, groups, 3, true};
  struct cdam_contest contest;
  assert_ok(cdam_contest_run(&table, 200, 0.95, 3, &contest, &test_err));
  assert_near(contest.mean[0].value, 95, 1e-12);
  assert_true(isnan(contest.mean[0].low) && isnan(contest.difference[1].low));
  assert_near(contest.difference[1].value, 93.5, 1e-12);
  assert_true(contest.mean[1].low < contest.mean[1].high);
  assert_int_equal(contest.rank[1], 1);
  assert_int_equal(contest.last_rank[0], 2);
  cdam_contest_free(&contest);
}

/* Differences are seen through the differences of items; threads change nothing. */
static void contest_finds_the_better(void **state) {
  (void)state;
  double values[60 * 3];
  uint32_t groups[60];
  struct lc_random random;
  lc_random_init(&random, 4, "test", 0);
  for (size_t i = 0; i < 60; i++) {
    double item = 10 * lc_random_normal(&random);
    groups[i] = (uint32_t)i / 2;
    values[3 * i] = item + 0.1 * lc_random_normal(&random);
    values[3 * i + 1] = item + 0.1 * lc_random_normal(&random);
    values[3 * i + 2] = item + 1 + 0.1 * lc_random_normal(&random);
  }
  struct cdam_contest_table table = {60, 3, values, groups, 30, true};
  struct cdam_contest one, many;
  int threads = lc_threads();
  lc_threads_set(1);
  assert_ok(cdam_contest_run(&table, 0, 0, 9, &one, &test_err));
  lc_threads_set(4);
  assert_ok(cdam_contest_run(&table, 0, 0, 9, &many, &test_err));
  lc_threads_set(threads);
  assert_memory_equal(one.mean, many.mean, 15 * sizeof *one.mean);
  assert_int_equal(one.rank[2], 1);
  assert_int_equal(one.rank[0], 2);
  assert_int_equal(one.rank[1], 2);
  assert_true(one.mean[2].low < one.mean[0].high); /* the means alone would not show it */
  cdam_contest_free(&one);
  cdam_contest_free(&many);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sensitivity_by_hand),           cmocka_unit_test(steady_maps_rank_first),
      cmocka_unit_test(stages_randomise_from_the_top), cmocka_unit_test(imputation_by_hand),
      cmocka_unit_test(imputation_keeps_planes),       cmocka_unit_test(contest_by_hand),
      cmocka_unit_test(one_patient_decides_nothing),   cmocka_unit_test(contest_finds_the_better)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
