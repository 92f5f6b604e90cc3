/* The truth of phantoms: read back at the places of pixels, and held against maps by hand.
 * needs: phantom */
#include "tests/lc_test.h"

#include <math.h>

#include "common/lc_file.h"
#include "pipeline/judge/pl_judged.h"
#include "pipeline/store/pl_truth.h"

enum { EDGE = 20, SLICES = 3, PIXELS = 8, GRID = 4, PATCHES = GRID * GRID };

static void set(uint8_t *features, size_t z, size_t y, size_t x, int flags) {
  features[(z * EDGE + y) * EDGE + x] = (uint8_t)flags;
}

/* Voxels of 2 x 2 x 3 mm from (-10, 20, 100). */
static void make_phantom(struct ct_phantom *p) {
  *p = (struct ct_phantom){.n_nodules = 1};
  p->volume.size[0] = p->volume.size[1] = EDGE;
  p->volume.size[2] = SLICES;
  const double spacing[3] = {2, 2, 3}, origin[3] = {-10, 20, 100};
  memcpy(p->volume.spacing_mm, spacing, sizeof spacing);
  memcpy(p->volume.origin_mm, origin, sizeof origin);
  for (int i = 0; i < 3; i++) p->volume.direction[4 * i] = 1;
  p->truth = calloc(SLICES, EDGE * EDGE);
  p->features = calloc(SLICES, EDGE * EDGE);
  p->sop_instance_uids = calloc(SLICES, sizeof *p->sop_instance_uids);
  assert_true(p->truth && p->features && p->sop_instance_uids);
  set(p->features, 1, 5, 7, CT_FEATURE_BODY | CT_FEATURE_CALCIUM); /* (4, 30, 103) */
  set(p->features, 2, 5, 7, CT_FEATURE_SPICULES);
}

static void test_reading(void **state) {
  (void)state;
  char folder[256], path[LC_PATH_SIZE];
  struct ct_phantom p;
  struct ct_phantom_options how = {.seed = 1};
  uint8_t got[5 * 5];
  lc_test_folder(folder);
  assert_ok(lc_path_join(path, folder, PL_TRUTH_FILE, &test_err));
  make_phantom(&p);
  assert_ok(pl_truth_write(&p, &how, path, &test_err));
  /* Pixels of 1 mm around (5, 30): the voxel covers x from 3 to 5, y from 29 to 31. */
  assert_ok(pl_truth_features(path, (double[]){5.2, 30.2, 104.4}, 1, 5, got, &test_err));
  for (int y = 0; y < 5; y++)
    for (int x = 0; x < 5; x++) { /* centres at 3.2 .. 7.2 and 28.2 .. 32.2 */
      bool inside = x <= 1 && (y == 1 || y == 2);
      assert_int_equal(got[y * 5 + x], inside ? CT_FEATURE_BODY | CT_FEATURE_CALCIUM : 0);
    }
  assert_ok(pl_truth_features(path, (double[]){4, 30, 104.6}, 1, 1, got, &test_err));
  assert_int_equal(got[0], CT_FEATURE_SPICULES); /* the next slice */
  assert_ok(pl_truth_features(path, (double[]){4, 30, 200}, 1, 5, got, &test_err));
  for (int i = 0; i < 25; i++) assert_int_equal(got[i], 0);
  assert_ok(lc_file_write(path, "no", 2, &test_err));
  assert_fails(pl_truth_features(path, (double[]){0, 0, 0}, 1, 5, got, &test_err), LC_ERR_FORMAT,
               "not an HDF5 file");
  assert_fails(pl_truth_features(folder, (double[]){0, 0, 0}, 1, 5, got, &test_err), LC_ERR_FORMAT,
               "not an HDF5 file");
  ct_phantom_free(&p);
  assert_ok(lc_folder_remove(folder, &test_err));
}

/* A nodule of 2 x 2 patches in the middle of 4 x 4, whose first patch is calcium, with spicules on
 * the patch left of it; half of the patch below that one too. */
struct world {
  struct pl_judge judge;
  struct pl_judge_config config;
  struct pl_judge_contestant contestant;
  struct cdam_estimator estimator;
  double covered[CDAM_FEATURES * PATCHES], touched[PATCHES];
  uint8_t features[PIXELS * PIXELS];
};

static void paint(uint8_t *features, size_t row, size_t column, size_t rows, int flags) {
  for (size_t y = 0; y < rows; y++)
    for (size_t x = 0; x < 2; x++)
      features[(2 * row + y) * PIXELS + 2 * column + x] |= (uint8_t)flags;
}

static void world_init(struct world *w) {
  memset(w, 0, sizeof *w);
  w->estimator = (struct cdam_estimator){.name = "made up", .is_signed = true};
  w->contestant.estimator = &w->estimator;
  w->judge = (struct pl_judge){.config = &w->config,
                               .n_items = 1,
                               .pixels = PIXELS,
                               .grid = GRID,
                               .patches = PATCHES,
                               .cells = GRID,
                               .features = w->features,
                               .contestants = &w->contestant,
                               .n_contestants = 1,
                               .n_targets = 1};
  for (size_t row = 1; row < 3; row++)
    for (size_t column = 1; column < 3; column++)
      paint(w->features, row, column, 2, CT_FEATURE_BODY);
  paint(w->features, 1, 1, 2, CT_FEATURE_CALCIUM);
  paint(w->features, 1, 0, 2, CT_FEATURE_SPICULES | CT_FEATURE_CAUSE);
  paint(w->features, 2, 0, 1, CT_FEATURE_SPICULES);
  assert_ok(pl_judge_list_measures(&w->judge, &test_err));
  assert_ok(pl_judge_features(&w->judge, 0, w->covered, w->touched, &test_err));
}

static void world_free(struct world *w) {
  free(w->judge.measures);
}

static double judged(struct world *w, const float *map, const char *name) {
  bool is_signed = w->contestant.estimator && w->contestant.estimator->is_signed;
  struct cdam_subject subject = {.settings = &w->judge.measuring,
                                 .maps = 1,
                                 .targets = 1,
                                 .cells = PATCHES,
                                 .finer = map,
                                 .is_signed = &is_signed,
                                 .features = w->covered,
                                 .touched = w->touched};
  for (size_t m = 0; m < w->judge.n_measures; m++)
    if (strcmp(w->judge.measures[m].name, name) == 0) {
      double value;
      assert_string_equal(w->judge.measures[m].group, "truth");
      assert_ok(cdam_measures_run(&w->judge.measures[m], 1, &subject, &value, &test_err));
      return value;
    }
  fail_msg("no measure %s", name);
  return NAN;
}

static void test_measures(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  /* Patch 4 is all spicules, patch 8 half: 1.5 of 16 patches. */
  float map[PATCHES] = {0};
  map[4] = 3;
  map[8] = 1;
  map[15] = 1;
  map[5] = -2; /* against, on the calcium */
  map[0] = -2; /* and elsewhere */
  assert_near(judged(&w, map, "spicules_mass"), (3 + 0.5) / 5, 1e-12);
  assert_near(judged(&w, map, "spicules_above"), 0.7 - 1.5 / 16, 1e-12);
  /* The highest 1.5 patches: all of 4, and half a patch shared by 8 (half inside) and 15. */
  assert_near(judged(&w, map, "spicules_rank"), (1 + 0.5 * 0.25) / 1.5, 1e-12);
  assert_near(judged(&w, map, "cause_mass"), 0.6, 1e-12);
  assert_near(judged(&w, map, "cause_rank"), 1, 1e-12);
  assert_near(judged(&w, map, "cause_within"), 1, 1e-12);
  assert_near(judged(&w, map, "calcium_mass"), 0.5, 1e-12);
  /* The calcium's patch ties with one of 15 others and beats the rest. */
  assert_near(judged(&w, map, "calcium_auroc"), (14 + 0.5) / 15, 1e-12);
  assert_near(judged(&w, map, "calcium_within"), 1, 1e-12);
  assert_true(isnan(judged(&w, map, "lobes_mass"))); /* it has none */
  assert_true(isnan(judged(&w, map, "core_within")));
  /* On the body alone: within the nodule that is wrong, and the image's other patches tie. */
  float body[PATCHES] = {0};
  body[5] = body[6] = body[9] = body[10] = 1;
  assert_near(judged(&w, body, "spicules_mass"), 0, 1e-12);
  assert_near(judged(&w, body, "cause_within"), 0.5 / 5, 1e-12); /* ties with patch 8 of five */
  assert_near(judged(&w, body, "cause_auroc"), 0.5 * 11 / 15, 1e-12);
  /* An unsigned map is not turned round for what speaks against. */
  w.estimator.is_signed = false;
  float high[PATCHES] = {0};
  high[5] = 1;
  assert_near(judged(&w, high, "calcium_mass"), 1, 1e-12);
  world_free(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_reading),
                                     cmocka_unit_test(test_measures)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
