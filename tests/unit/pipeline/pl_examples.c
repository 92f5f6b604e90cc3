/* Cubes of a data set as examples: the images that `lungcdam run` makes, views and slices by the
 * draw, the folds that the file holds, readers, and ratings that are missing. */
#include "tests/lc_test.h"

#include <math.h>

#include "common/lc_file.h"
#include "common/lc_random.h"
#include "pipeline/learn/pl_examples.h"
#include "pipeline/store/pl_dataset.h"

enum { N = 6, EDGE = 8, PIXELS = 20 };

struct world {
  char folder[256], path[512];
  struct pl_recipe recipe;
  struct pl_crops crops;
  struct vit_arch arch;
  struct pl_examples learn;
};

static void write_set(const char *path) {
  struct pl_dataset set;
  const struct pl_dataset_about about = {
      .settings = "test", .key = "", .left_out = "", .n_folds = 2, .fold_seed = 1};
  struct lc_random random;
  assert_ok(pl_dataset_alloc(&set, N, EDGE, 3, 1, &test_err));
  lc_random_init(&random, 3, "voxels", 0);
  for (size_t v = 0; v < N * EDGE * EDGE * EDGE; v++)
    set.hu[v] = (int16_t)lc_random_between(&random, -1300, 900);
  for (int i = 0; i < N; i++) {
    struct pl_sample *s = &set.samples[i];
    snprintf(s->patient_id, sizeof s->patient_id, "P-%d", i / 2);
    snprintf(s->nodule, sizeof s->nodule, "nodule-%d", i % 2 + 1);
    snprintf(s->study_instance_uid, sizeof s->study_instance_uid, "1.2.%d", i / 2);
    snprintf(s->series_instance_uid, sizeof s->series_instance_uid, "1.2.3.%d", i / 2);
    s->n_readers = i == 3 ? 2 : 4;
    s->fold_patient = i / 2 == 1;
    s->fold_nodule = i % 2;
    s->diameter_mm = 5 + i;
    for (int r = 0; r < CT_RATING_COUNT; r++) s->mean[r] = s->median[r] = 1 + (i + r) % 5;
    s->median[CT_MALIGNANCY] = i % 2 ? 4.5 : 2;
  }
  set.samples[0].mean[CT_SPICULATION] = NAN;
  set.samples[1].median[CT_MALIGNANCY] = NAN;
  set.samples[4].median[CT_MALIGNANCY] = 3;
  assert_ok(pl_dataset_write(&set, &about, NULL, NULL, path, &test_err));
  pl_dataset_free(&set);
}

static void world_init(struct world *w, int split, long long fold) {
  const struct pl_overrides overrides = {0};
  memset(w, 0, sizeof *w);
  snprintf(w->path, sizeof w->path, "%s/set.h5", lc_test_folder(w->folder));
  write_set(w->path);
  assert_ok(pl_recipe_make(&w->recipe, &overrides, &test_err));
  w->recipe.data_pixels = PIXELS;
  w->recipe.model_patch = 4;
  w->recipe.data_split = split;
  w->recipe.data_fold = fold;
  w->recipe.data_images = CT_IMAGES_CUBE;
  w->recipe.data_zscore = CT_ZSCORE_CUBE;
  w->recipe.augment_slices = 2;
  free(w->recipe.data_crops);
  w->recipe.data_crops = strdup(w->path);
  assert_ok(pl_list_add(&w->recipe.data_views, "coronal", &test_err));
  assert_ok(pl_list_add(&w->recipe.data_views, "sagittal", &test_err));
  assert_ok(pl_recipe_crops(&w->recipe, &w->crops, &test_err));
  assert_ok(pl_recipe_arch(&w->recipe, &w->arch, &test_err));
  assert_ok(pl_examples_init(&w->learn, &w->crops, &w->recipe, &w->arch, "train", NULL, &test_err));
}

static void world_free(struct world *w) {
  pl_examples_free(&w->learn);
  pl_crops_free(&w->crops);
  pl_recipe_free(&w->recipe);
  assert_ok(lc_folder_remove(w->folder, &test_err));
}

/* Bit by bit, each view, slice and kind of normalisation. */
static void images_are_those_of_run(void **state) {
  (void)state;
  struct world w;
  world_init(&w, PL_SPLIT_STORED_PATIENT, 1);
  const ct_zscore kinds[] = {CT_ZSCORE_CUBE, CT_ZSCORE_SLICE, CT_ZSCORE_FIXED};
  static float image[3 * PIXELS * PIXELS], expected[3 * PIXELS * PIXELS];
  static float voxels[EDGE * EDGE * EDGE];
  w.recipe.data_mean = -500;
  w.recipe.data_deviation = 300;
  for (size_t i = 0; i < w.learn.n; i++)
    for (int k = 0; k < 3; k++)
      for (int view = 0; view < CT_VIEW_COUNT; view++)
        for (size_t slice = 0; slice < EDGE; slice++) {
          w.recipe.data_zscore = (int)kinds[k];
          for (size_t v = 0; v < EDGE * EDGE * EDGE; v++)
            voxels[v] = (float)w.crops.cubes[w.learn.rows[i] * EDGE * EDGE * EDGE + v] +
                        (v % 2 ? 0.4F : -0.4F); /* as run has them, before they are whole */
          const struct ct_image_source source = {.size = EDGE, .spacing_mm = 1, .cube = voxels};
          struct ct_preparation how = {.images = CT_IMAGES_CUBE,
                                       .hu_low = -1000,
                                       .hu_high = 400,
                                       .zscore = kinds[k],
                                       .mean = -500,
                                       .deviation = 300,
                                       .height = PIXELS,
                                       .width = PIXELS};
          struct ct_image_place place = {(ct_view)view, slice};
          assert_ok(ct_image_make(&how, &source, place, NULL, expected, &test_err));
          assert_ok(pl_examples_image(&w.learn, i, place, NULL, image, &test_err));
          assert_memory_equal(image, expected, sizeof image);
        }
  world_free(&w);
}

/* The eight rotations and flips of finished images are those of the other augmentation. */
static void images_turn_alike(void **state) {
  (void)state;
  struct world w;
  world_init(&w, PL_SPLIT_STORED_PATIENT, 1);
  static float base[3 * PIXELS * PIXELS], turned[3 * PIXELS * PIXELS], expected[PIXELS * PIXELS];
  struct ct_image_place place = pl_examples_place(&w.learn, 1);
  struct ct_augment_draw draw;
  assert_ok(pl_examples_image(&w.learn, 0, place, NULL, base, &test_err));
  for (unsigned k = 0; k < 8; k++) {
    ct_augment_symmetry(k, &draw);
    const struct ct_augment_source source = {.hu = base, .size = PIXELS, .step = 1};
    ct_augment_apply(&draw, &source, expected, PIXELS);
    assert_ok(pl_examples_image(&w.learn, 0, place, &draw, turned, &test_err));
    float back[PIXELS * PIXELS] = {0};
    ct_image_add_turned_back(k, turned, PIXELS, 1, back);
    assert_memory_equal(back, base, sizeof back);
    for (size_t c = 0; c < 3; c++)
      assert_memory_equal(turned + c * PIXELS * PIXELS, expected, sizeof expected);
  }
  world_free(&w);
}

/* Without cubes' images, the chosen slice goes through the interpolation of crops. */
static void crops_of_other_views(void **state) {
  (void)state;
  struct world w;
  world_init(&w, PL_SPLIT_STORED_PATIENT, 1);
  w.recipe.data_images = CT_IMAGES_CROP;
  w.recipe.data_zscore = CT_ZSCORE_FIXED;
  w.recipe.data_spacing_mm = 1;
  w.recipe.data_pixels = EDGE;
  w.recipe.data_hu_low = -4000;
  w.recipe.data_hu_high = 4000;
  float image[3 * EDGE * EDGE];
  struct ct_image_place place = {CT_CORONAL, 3};
  assert_ok(pl_examples_image(&w.learn, 0, place, NULL, image, &test_err));
  const int16_t *cube = w.crops.cubes + w.learn.rows[0] * EDGE * EDGE * EDGE;
  for (size_t row = 0; row < EDGE; row++) /* rows from head to foot */
    for (size_t x = 0; x < EDGE; x++)
      assert_true(image[row * EDGE + x] ==
                  (float)cube[(EDGE - 1 - row) * EDGE * EDGE + 3 * EDGE + x]);
  world_free(&w);
}

static void places_are_drawn(void **state) {
  (void)state;
  struct world w;
  world_init(&w, PL_SPLIT_STORED_PATIENT, 1);
  size_t views[3] = {0}, slices[EDGE] = {0}, same = 0;
  for (uint64_t epoch = 0; epoch < 300; epoch++) {
    struct ct_image_place a = pl_examples_draw_place(&w.learn, epoch, 1);
    struct ct_image_place b = pl_examples_draw_place(&w.learn, epoch, 1);
    struct ct_image_place c = pl_examples_draw_place(&w.learn, epoch, 2);
    assert_true(a.view == b.view && a.slice == b.slice);
    same += a.view == c.view && a.slice == c.slice;
    views[a.view]++;
    slices[a.slice]++;
  }
  for (size_t v = 0; v < 3; v++) assert_true(views[v] > 60);
  for (size_t s = 0; s < EDGE; s++) assert_true(s >= 2 && s <= 6 ? slices[s] > 30 : slices[s] == 0);
  assert_true(same < 60);
  assert_int_equal(pl_examples_places(&w.learn), 3);
  for (size_t k = 0; k < 3; k++) {
    assert_int_equal(pl_examples_place(&w.learn, k).view, k);
    assert_int_equal(pl_examples_place(&w.learn, k).slice, EDGE / 2);
  }
  w.recipe.augment_slices = 4;
  struct pl_examples other;
  assert_fails(pl_examples_init(&other, &w.crops, &w.recipe, &w.arch, "train", NULL, &test_err),
               LC_ERR_CONFIG, "half of a cube of 8");
  free(w.crops.cubes);
  w.crops.cubes = NULL;
  assert_fails(pl_examples_init(&other, &w.crops, &w.recipe, &w.arch, "train", NULL, &test_err),
               LC_ERR_CONFIG, "needs cubes");
  world_free(&w);
}

static void folds_and_readers_of_the_file(void **state) {
  (void)state;
  struct world w;
  world_init(&w, PL_SPLIT_STORED_PATIENT, 1);
  assert_int_equal(w.learn.n, 4); /* patients 0 and 2 */
  for (size_t i = 0; i < 4; i++) assert_true(w.learn.rows[i] / 2 != 1);
  assert_int_equal(pl_crops_stored_folds(&w.crops, PL_FOLD_PATIENT), 2);
  assert_fails(pl_crops_stored_fold(&w.crops, PL_FOLD_PATIENT, 2, &test_err), LC_ERR_CONFIG,
               "holds 2 folds");
  assert_ok(pl_crops_stored_fold(&w.crops, PL_FOLD_NODULE, 0, &test_err));
  for (size_t i = 0; i < N; i++)
    assert_string_equal(w.crops.crops[i].split, i % 2 ? "train" : "validate");
  w.recipe.data_min_readers = 3;
  struct pl_examples rated;
  assert_ok(pl_examples_init(&rated, &w.crops, &w.recipe, &w.arch, "train", NULL, &test_err));
  assert_int_equal(rated.n, 2); /* nodule 3 has two readers */
  assert_true(rated.rows[0] == 1 && rated.rows[1] == 5);
  pl_examples_free(&rated);
  for (size_t i = 0; i < N; i++) w.crops.crops[i].fold_patient = -1;
  assert_fails(pl_crops_stored_fold(&w.crops, PL_FOLD_PATIENT, 0, &test_err), LC_ERR_CONFIG,
               "holds no folds");
  world_free(&w);
}

/* A label that is missing is not taught, and the nodule's others are. */
static void missing_ratings_are_masked(void **state) {
  (void)state;
  struct world w;
  world_init(&w, PL_SPLIT_STORED_PATIENT, 1); /* rows 0, 1, 4, 5 */
  struct vit_samples samples = pl_examples_samples(&w.learn);
  static float image[3 * PIXELS * PIXELS];
  for (size_t i = 0; i < 4; i++) {
    float targets[9] = {0}, weight = 1;
    uint8_t present[9] = {0};
    const struct vit_sample sample = {image, targets, present, &weight};
    assert_ok(samples.load(samples.context, 0, i, &sample, &test_err));
    assert_int_equal(present[0], i != 1 && i != 2); /* unrated; exactly 3 */
    for (size_t b = 0; b < PL_BIOMARKERS; b++) {
      bool missing = i == 0 && strcmp(pl_biomarker_names[b], "spiculation") == 0;
      assert_int_equal(present[1 + b], !missing);
      assert_true(isfinite(targets[1 + b]));
    }
  }
  world_free(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(images_are_those_of_run),       cmocka_unit_test(images_turn_alike),
      cmocka_unit_test(crops_of_other_views),          cmocka_unit_test(places_are_drawn),
      cmocka_unit_test(folds_and_readers_of_the_file), cmocka_unit_test(missing_ratings_are_masked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
