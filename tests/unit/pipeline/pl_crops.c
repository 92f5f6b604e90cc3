/* Reading nodule crops, turning them into examples, and measuring predictions on them, on a small
 * file made here. */
#include "tests/lc_test.h"

#include <hdf5.h>
#include <hdf5_hl.h>
#include <math.h>

#include "common/lc_file.h"
#include "pipeline/learn/pl_evaluate.h"
#include "pipeline/learn/pl_examples.h"

enum { N = 6, SIZE = 9 };

static const char patients[N][8] = {"P-1", "P-2", "P-1", "P-3", "P-4", "P-4"};
static const char splits[N][8] = {"train", "train", "train", "validate", "validate", "validate"};
static const float malignancy[N] = {5, 1, 3, 2, 4.5F, 3.25F};
static const float spacing[N] = {0.5F, 0.7F, 0.5F, 0.6F, 0.8F, 0.8F};
static const float diameter[N] = {10, 20, 30, 10, 20, 25};

static void write_texts(hid_t file, const char *name, const char (*texts)[8]) {
  const hsize_t n = N;
  hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &n, NULL);
  H5Tset_size(type, 8);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts) >= 0);
  H5Dclose(set);
  H5Sclose(space);
  H5Tclose(type);
}

/* Ratings of biomarker b of nodule i are 1 + (i + b) % 5; HU are 100 i + 10 row + column. */
static void write_file(const char *path, const char *left_out) {
  const hsize_t dims[] = {N, SIZE, SIZE};
  short hu[N][SIZE][SIZE];
  const int ids[N] = {4, 5, 6, 7, 8, 9};
  hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  assert_true(file >= 0);
  for (int i = 0; i < N; i++)
    for (int r = 0; r < SIZE; r++)
      for (int c = 0; c < SIZE; c++) hu[i][r][c] = (short)(100 * i + 10 * r + c);
  H5LTmake_dataset_short(file, "hu", 3, dims, &hu[0][0][0]);
  H5LTmake_dataset_int(file, "nodule_id", 1, dims, ids);
  H5LTmake_dataset_float(file, "malignancy_1_to_5", 1, dims, malignancy);
  H5LTmake_dataset_float(file, "pixel_spacing_mm", 1, dims, spacing);
  H5LTmake_dataset_float(file, "equivalent_diameter_px", 1, dims, diameter);
  H5Gclose(H5Gcreate2(file, "ratings", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  for (int b = 0; b < PL_BIOMARKERS; b++) {
    float values[N];
    char name[64];
    snprintf(name, sizeof name, "ratings/%s", pl_biomarker_names[b]);
    for (int i = 0; i < N; i++) values[i] = (float)(1 + (i + b) % 5);
    if (b != 5 && strcmp(name, left_out) != 0) H5LTmake_dataset_float(file, name, 1, dims, values);
  }
  const hsize_t by_reader[] = {N, 4};
  float readers[N][4];
  for (int i = 0; i < N; i++) /* nodule i was rated by i readers, at most four */
    for (int k = 0; k < 4; k++) readers[i][k] = k < i ? 2 : k % 2 ? 0 : NAN;
  H5LTmake_dataset_float(file, "malignancy_by_reader", 2, by_reader, &readers[0][0]);
  write_texts(file, "patient_id", patients);
  write_texts(file, "split", splits);
  H5Fclose(file);
}

struct world {
  char folder[256], path[512];
  struct pl_recipe recipe;
  struct pl_crops crops;
  struct vit_arch arch;
  struct pl_examples learn, measure;
};

static void world_init(struct world *w) {
  const struct pl_overrides overrides = {0};
  memset(w, 0, sizeof *w);
  snprintf(w->path, sizeof w->path, "%s/crops.h5", lc_test_folder(w->folder));
  write_file(w->path, "");
  assert_ok(pl_recipe_make(&w->recipe, &overrides, &test_err));
  w->recipe.data_pixels = 8;
  w->recipe.data_spacing_mm = 0.35;
  w->recipe.model_patch = 4;
  assert_ok(pl_crops_read(&w->crops, w->path, &test_err));
  assert_ok(pl_recipe_arch(&w->recipe, &w->arch, &test_err));
  assert_ok(pl_examples_init(&w->learn, &w->crops, &w->recipe, &w->arch, "train", NULL, &test_err));
  assert_ok(pl_examples_init(&w->measure, &w->crops, &w->recipe, &w->arch, "validate",
                             &w->learn.scale, &test_err));
}

static void world_free(struct world *w) {
  pl_examples_free(&w->learn);
  pl_examples_free(&w->measure);
  pl_crops_free(&w->crops);
  pl_recipe_free(&w->recipe);
  assert_ok(lc_folder_remove(w->folder, &test_err));
}

static void files_are_read(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  assert_int_equal(w.crops.n, N);
  assert_int_equal(w.crops.size, SIZE);
  assert_int_equal(w.crops.n_groups, 4);
  assert_int_equal(w.crops.crops[0].group, w.crops.crops[2].group);
  assert_true(w.crops.crops[0].group != w.crops.crops[1].group);
  assert_true(w.crops.hu[(2 * SIZE + 3) * SIZE + 4] == 234);
  assert_near(w.crops.crops[4].biomarkers[5], 20 * 0.8, 1e-5); /* diameter in mm */
  assert_near(w.crops.crops[4].biomarkers[6], 1 + (4 + 6) % 5, 0);
  assert_int_equal(w.crops.crops[4].nodule, 8);
  assert_int_equal(w.learn.n, 3);
  assert_int_equal(w.measure.n, 3);
  for (int i = 0; i < N; i++) assert_int_equal(w.crops.crops[i].readers, i < 4 ? i : 4);
  assert_int_equal(pl_crops_stored_folds(&w.crops, PL_FOLD_PATIENT), 0);
  uint32_t *rows;
  size_t n;
  assert_fails(pl_crops_split(&w.crops, "test", &rows, &n, &test_err), LC_ERR_NOT_FOUND,
               "train, validate");
  write_file(w.path, "ratings/margin");
  struct pl_crops other;
  assert_fails(pl_crops_read(&other, w.path, &test_err), LC_ERR_FORMAT, "\"ratings/margin\"");
  assert_ok(lc_file_write(w.path, "nothing", 7, &test_err));
  assert_fails(pl_crops_read(&other, w.path, &test_err), LC_ERR_FORMAT, "not an HDF5 file");
  world_free(&w);
}

static void labels_and_masks(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  struct vit_samples samples = pl_examples_samples(&w.learn);
  assert_int_equal(samples.outputs, 9);
  float images[3][3 * 64], targets[3][9], weight = 1;
  uint8_t present[3][9] = {{0}};
  double sums[PL_BIOMARKERS] = {0}, squares[PL_BIOMARKERS] = {0};
  for (size_t i = 0; i < 3; i++) {
    const struct vit_sample sample = {images[i], targets[i], present[i], &weight};
    assert_ok(samples.load(samples.context, 0, i, &sample, &test_err));
    for (size_t b = 0; b < PL_BIOMARKERS; b++) {
      sums[b] += (double)targets[i][1 + b];
      squares[b] += (double)targets[i][1 + b] * (double)targets[i][1 + b];
      assert_int_equal(present[i][1 + b], 1);
    }
  }
  for (size_t b = 0; b < PL_BIOMARKERS; b++) { /* z-scores */
    assert_near(sums[b], 0, 1e-5);
    assert_near(squares[b], 3, 1e-4);
  }
  assert_true(present[0][0] == 1 && targets[0][0] == 1); /* rated 5 */
  assert_true(present[1][0] == 1 && targets[1][0] == 0); /* rated 1 */
  assert_true(present[2][0] == 0);                       /* rated 3: undecided */
  char name[VIT_SAMPLE_NAME];
  samples.identify(samples.context, 2, name);
  /* Such names are for messages. */
  assert_memory_equal(name, "id-", 3);
  assert_string_equal(name + strlen(name) - 9, " nodule 6");
  assert_null(strstr(name, "P-1"));
  world_free(&w);
}

/* The linear ramp of the file, resampled by hand: example 0 has 0.5 mm pixels, output pixels are
 * 0.35 mm apart, so HU rise by 7 a row and by 0.7 a column. */
/* Nodule 2 of the split to learn from is rated exactly 3. */
static void malignancy_is_taught_in_grades(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  static float image[3 * 8 * 8];
  float targets[9], weight;
  uint8_t present[9];
  const struct vit_sample sample = {image, targets, present, &weight};
  struct vit_samples samples = pl_examples_samples(&w.learn);
  for (int grading = PL_GRADING_BINARY; grading <= PL_GRADING_GRADED; grading++)
    for (size_t i = 0; i < 3; i++) {
      memset(present, 0, sizeof present);
      w.recipe.tasks_grading = grading;
      w.recipe.tasks_steepness = 2;
      assert_ok(samples.load(samples.context, 0, i, &sample, &test_err));
      const double rating = (double)malignancy[i];
      assert_int_equal(present[0], grading != PL_GRADING_BINARY || rating != 3);
      if (!present[0]) continue;
      double graded = 1 / (1 + exp(-2 * (rating - 3)));
      double plain = rating == 3 ? 0.5 : rating > 3;
      assert_near(targets[0], grading == PL_GRADING_GRADED ? graded : plain, 1e-6);
    }
  world_free(&w);
}

/* Mixing lies between the two: with one image as its own only partner nothing changes; labels stay
 * between the smallest and the largest; the draw depends on epoch and index alone. */
static void mixing_keeps_within_what_is_mixed(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  static float image[3 * 8 * 8], again[3 * 8 * 8];
  float targets[9], targets_again[9], weight;
  uint8_t present[9] = {0}, present_again[9] = {0};
  const struct vit_sample sample = {image, targets, present, &weight};
  const struct vit_sample second = {again, targets_again, present_again, &weight};
  struct vit_samples samples = pl_examples_samples(&w.learn);
  w.recipe.tasks_grading = PL_GRADING_HALF;
  w.recipe.augment_mixup = 0.5;
  size_t between = 0;
  for (uint64_t epoch = 0; epoch < 50; epoch++) {
    memset(present, 0, sizeof present);
    memset(present_again, 0, sizeof present_again);
    assert_ok(samples.load(samples.context, epoch, 1, &sample, &test_err)); /* benign: target 0 */
    assert_ok(samples.load(samples.context, epoch, 1, &second, &test_err));
    assert_memory_equal(image, again, sizeof image);
    assert_memory_equal(targets, targets_again, sizeof targets);
    assert_true(present[0] && targets[0] >= 0 && targets[0] <= 1);
    between += targets[0] > 0.01F && targets[0] < 0.99F;
  }
  assert_true(between > 5);
  w.learn.n = 1;
  w.recipe.augment_quarter_turns = false;
  assert_ok(samples.load(samples.context, 0, 0, &sample, &test_err));
  w.recipe.augment_mixup = 0;
  assert_ok(samples.load(samples.context, 0, 0, &second, &test_err));
  for (size_t k = 0; k < 9; k++) assert_near(targets[k], targets_again[k], 1e-6);
  for (size_t k = 0; k < 192; k++) assert_near(image[k], again[k], 1e-5);
  world_free(&w);
}

static void images_are_resampled_and_normalised(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  struct ct_image_place place = pl_examples_place(&w.learn, 0);
  float image[3 * 64];
  w.recipe.data_zscore = CT_ZSCORE_FIXED;
  w.recipe.data_mean = 40;
  w.recipe.data_deviation = 10;
  w.recipe.data_hu_high = 60;
  assert_ok(pl_examples_image(&w.learn, 0, place, NULL, image, &test_err));
  for (size_t r = 0; r < 8; r++)
    for (size_t c = 0; c < 8; c++) {
      double hu = 44 + 7 * ((double)r - 3.5) + 0.7 * ((double)c - 3.5);
      assert_near((double)image[r * 8 + c], (fmin(hu, 60) - 40) / 10, 1e-5);
      assert_true(image[64 + r * 8 + c] == image[r * 8 + c]);
      assert_true(image[128 + r * 8 + c] == image[r * 8 + c]);
    }
  w.recipe.data_zscore = CT_ZSCORE_SLICE;
  assert_ok(pl_examples_image(&w.learn, 0, place, NULL, image, &test_err));
  double sum = 0, squares = 0;
  for (size_t i = 0; i < 64; i++) {
    sum += (double)image[i] / 64;
    squares += (double)image[i] * (double)image[i] / 64;
  }
  assert_near(sum, 0, 1e-6);
  assert_near(squares, 1, 1e-5);
  assert_fails(pl_examples_image(&w.learn, 3, place, NULL, image, &test_err), LC_ERR_USAGE,
               "example 3");
  world_free(&w);
}

/* Patients in both splits are found out. */
static void splits_share_no_patient(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  assert_ok(pl_examples_disjoint(&w.learn, &w.measure, &test_err));
  w.crops.crops[5].group = w.crops.crops[1].group;
  assert_fails(pl_examples_disjoint(&w.learn, &w.measure, &test_err), LC_ERR_MISMATCH,
               "patient id-");
  assert_null(strstr(test_err.message, "P-4"));
  world_free(&w);
}

/* Folds by patient are disjoint, cover everything and part no patient; by nodule they may. */
static void folds_part_no_patient(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  for (int unit = PL_FOLD_PATIENT; unit <= PL_FOLD_NODULE; unit++) {
    size_t times[N] = {0}, most = 0, least = N;
    uint32_t folds = unit == PL_FOLD_PATIENT ? 4 : 3;
    for (uint32_t fold = 0; fold < folds; fold++) {
      assert_ok(pl_crops_fold(&w.crops, (enum pl_fold_unit)unit, folds, fold, 9, &test_err));
      size_t size = 0;
      for (size_t i = 0; i < N; i++) {
        bool here = strcmp(w.crops.crops[i].split, "validate") == 0;
        times[i] += here;
        size += here;
        for (size_t k = 0; k < i && unit == PL_FOLD_PATIENT; k++)
          if (w.crops.crops[i].group == w.crops.crops[k].group)
            assert_string_equal(w.crops.crops[i].split, w.crops.crops[k].split);
      }
      most = size > most ? size : most;
      least = size < least ? size : least;
    }
    for (size_t i = 0; i < N; i++) assert_int_equal(times[i], 1);
    if (unit == PL_FOLD_NODULE) assert_true(most == 2 && least == 2);
  }
  assert_fails(pl_crops_fold(&w.crops, PL_FOLD_PATIENT, 5, 0, 9, &test_err), LC_ERR_CONFIG,
               "4 patients");
  assert_fails(pl_crops_fold(&w.crops, PL_FOLD_PATIENT, 3, 3, 9, &test_err), LC_ERR_CONFIG,
               "fold 3 of 3");
  world_free(&w);
}

/* Perfect biomarkers, and logits in the wrong order, measured by hand. */
static void measures_are_those_of_the_predictions(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  double values[3 * 9];
  for (size_t i = 0; i < 3; i++) {
    values[i * 9] = -1.0 * (double)i; /* labels are 0, 1, 1 */
    for (size_t b = 0; b < PL_BIOMARKERS; b++)
      values[i * 9 + 1 + b] =
          (w.crops.crops[3 + i].biomarkers[b] - w.learn.scale.mean[b]) / w.learn.scale.deviation[b];
  }
  const struct pl_predictions predictions = {.n = 3, .outputs = 9, .values = values};
  struct pl_evaluation e;
  assert_ok(pl_evaluate(&w.measure, &predictions, 200, 1, &e, &test_err));
  assert_int_equal(e.patients, 2);
  assert_int_equal(e.decided, 3);
  assert_int_equal(e.malignant, 2);
  assert_near(e.malignancy[PL_AUROC].value, 0, 0);
  assert_near(e.malignancy[PL_ACCURACY].value, 0, 0); /* 0.5 counts as positive */
  for (size_t b = 0; b < PL_BIOMARKERS; b++) {
    assert_near(e.biomarkers[b][PL_R2].value, 1, 1e-9);
    assert_near(e.biomarkers[b][PL_RMSE].value, 0, 1e-9);
  }
  assert_near(e.mean_r2.value, 1, 1e-9);
  struct lc_text text = {0};
  pl_predictions_csv(&w.measure, &predictions, &text);
  assert_non_null(strstr(lc_text_get(&text), "\nP-4,8,4.5,-1,0.268941421,"));
  lc_text_free(&text);
  pl_evaluation_json(&e, &text);
  assert_non_null(strstr(lc_text_get(&text), "\"mean_r2\": {\n      \"value\": 1.0"));
  lc_text_free(&text);
  world_free(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(files_are_read),
      cmocka_unit_test(labels_and_masks),
      cmocka_unit_test(malignancy_is_taught_in_grades),
      cmocka_unit_test(mixing_keeps_within_what_is_mixed),
      cmocka_unit_test(images_are_resampled_and_normalised),
      cmocka_unit_test(splits_share_no_patient),
      cmocka_unit_test(folds_part_no_patient),
      cmocka_unit_test(measures_are_those_of_the_predictions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
