/* Nodule data sets and crop sets: what is written comes back, and what is damaged is named. */
#include "tests/lc_test.h"

#include <hdf5.h>
#include <math.h>

#include "common/lc_file.h"
#include "pipeline/store/pl_crops.h"
#include "pipeline/store/pl_dataset.h"

enum { N = 7, EDGE = 8 };

static char folder[256], path[300];

static void make(struct pl_dataset *dataset) {
  assert_ok(pl_dataset_alloc(dataset, N, EDGE, 3, 1.25, &test_err));
  for (size_t i = 0; i < N; i++) {
    struct pl_sample *sample = &dataset->samples[i];
    snprintf(sample->patient_id, sizeof sample->patient_id, "patient-%zu", i / 2);
    memset(sample->series_instance_uid, '0' + (int)i, 64); /* the longest UID there is */
    snprintf(sample->nodule, sizeof sample->nodule, "nodule-%zu", i);
    sample->label = (int)(i % 4) - 2;
    sample->median[CT_MALIGNANCY] = i ? (double)i : NAN;
    sample->ratings[1][CT_MALIGNANCY] = (int)i;
    sample->n_sops = i % 3;
    sample->sops = calloc(3, sizeof *sample->sops);
    for (size_t k = 0; k < sample->n_sops; k++)
      snprintf(sample->sops[k], CT_UID_SIZE, "1.2.%zu.%zu", i, k);
    for (size_t v = 0; v < EDGE * EDGE * EDGE; v++) {
      dataset->hu[i * EDGE * EDGE * EDGE + v] = (int16_t)(100 * i + v);
      dataset->mask[i * EDGE * EDGE * EDGE + v] = v % 5 == i;
    }
  }
}

static void put(struct pl_dataset *dataset) {
  struct pl_dataset_about about = {"edge: 8\n", "", "", 0, 1};
  assert_ok(pl_dataset_write(dataset, &about, NULL, NULL, path, &test_err));
}

static void test_what_is_written_comes_back(void **state) {
  (void)state;
  struct pl_dataset made, read;
  make(&made);
  assert_ok(pl_dataset_fold(&made, 2, 3, &test_err));
  put(&made);
  assert_ok(pl_dataset_read(&read, path, true, &test_err));
  assert_int_equal(read.n, N);
  assert_int_equal(read.edge, EDGE);
  assert_int_equal(read.dims, 3);
  assert_true(read.spacing_mm == 1.25);
  assert_memory_equal(read.hu, made.hu, N * EDGE * EDGE * EDGE * sizeof *made.hu);
  assert_memory_equal(read.mask, made.mask, N * EDGE * EDGE * EDGE);
  for (size_t i = 0; i < N; i++) {
    const struct pl_sample *a = &made.samples[i], *b = &read.samples[i];
    assert_string_equal(a->patient_id, b->patient_id);
    assert_string_equal(a->series_instance_uid, b->series_instance_uid);
    assert_int_equal(strlen(b->series_instance_uid), 64);
    assert_memory_equal(a->ratings, b->ratings, sizeof a->ratings);
    assert_int_equal(a->label, b->label);
    assert_int_equal(a->fold_patient, b->fold_patient);
    assert_in_range(b->fold_nodule, 0, 1);
    assert_true(i ? a->median[CT_MALIGNANCY] == b->median[CT_MALIGNANCY]
                  : isnan(b->median[CT_MALIGNANCY]));
    assert_int_equal(a->n_sops, b->n_sops);
    for (size_t k = 0; k < a->n_sops; k++) assert_string_equal(a->sops[k], b->sops[k]);
  }
  pl_dataset_free(&read);
  assert_ok(pl_dataset_read(&read, path, false, &test_err));
  assert_null(read.hu);
  pl_dataset_free(&read);
  pl_dataset_free(&made);
}

/* Training reads the same file: middle slices, labels by the median, fold 0 to validate. */
static void test_as_crops(void **state) {
  (void)state;
  struct pl_dataset made;
  struct pl_crops crops;
  make(&made);
  assert_ok(pl_dataset_fold(&made, 2, 3, &test_err));
  put(&made);
  assert_ok(pl_crops_read(&crops, path, &test_err));
  assert_int_equal(crops.n, N);
  assert_int_equal(crops.size, EDGE);
  assert_int_equal(crops.n_groups, (N + 1) / 2);
  for (size_t i = 0; i < N; i++) {
    assert_true(crops.hu[i * EDGE * EDGE] == (float)(100 * i + EDGE / 2 * EDGE * EDGE));
    assert_memory_equal(crops.mask + i * EDGE * EDGE,
                        made.mask + (i * EDGE + EDGE / 2) * EDGE * EDGE, EDGE * EDGE);
    assert_true(crops.crops[i].spacing_mm == 1.25);
    assert_int_equal(crops.crops[i].nodule, i);
    assert_string_equal(crops.crops[i].split,
                        made.samples[i].fold_patient == 0 ? "validate" : "train");
  }
  assert_true(isnan(crops.crops[0].malignancy) && crops.crops[4].malignancy == 4);
  pl_crops_free(&crops);
  pl_dataset_free(&made);
}

/* Removes one dataset, or puts one of another shape in its place. */
static void damage(const char *name, bool replace) {
  hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
  assert_true(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
  if (replace) {
    hsize_t dims[2] = {N + 1, 2};
    hid_t space = H5Screate_simple(2, dims, NULL);
    H5Dclose(H5Dcreate2(file, name, H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
  }
  H5Fclose(file);
}

static void test_damage_is_named(void **state) {
  (void)state;
  static const char *const names[] = {
      "cubes/hu",          "cubes/mask",    "cubes/n_padded",
      "nodules/PatientID", "nodules/label", "nodules/SOPInstanceUID",
      "ratings/by_mark",   "ratings/mean",  "folds/patient"};
  struct pl_dataset made, read;
  make(&made);
  for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
    put(&made);
    damage(names[i / 2], i % 2 == 1);
    assert_fails(pl_dataset_read(&read, path, true, &test_err), LC_ERR_FORMAT, names[i / 2]);
    assert_non_null(strstr(test_err.message, path));
    assert_null(read.samples);
  }
  pl_dataset_free(&made);
}

static void test_other_files(void **state) {
  (void)state;
  struct pl_dataset read;
  assert_ok(lc_file_write(path, "not HDF5", 8, &test_err));
  assert_fails(pl_dataset_read(&read, path, true, &test_err), LC_ERR_FORMAT, path);
  assert_fails(pl_crop_set_read(&read, path, 32, 1, &test_err), LC_ERR_FORMAT, "not an HDF5 file");
  H5Fclose(H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
  assert_fails(pl_dataset_read(&read, path, true, &test_err), LC_ERR_FORMAT,
               "no nodule data set, see lungcdam prepare");
  assert_fails(pl_crop_set_read(&read, path, 32, 1, &test_err), LC_ERR_FORMAT,
               "\"hu\": expected a dataset of 3 dimensions");
  struct pl_dataset none = {0};
  struct pl_dataset_about about = {"", "", "", 0, 1};
  assert_fails(pl_dataset_write(&none, &about, NULL, NULL, path, &test_err), LC_ERR_NO_NODULES,
               "no nodule to write");
}

/* Cutting the file short anywhere is an error, never a crash. */
static void test_cuts(void **state) {
  (void)state;
  struct pl_dataset made, read;
  char *bytes;
  size_t size;
  make(&made);
  put(&made);
  pl_dataset_free(&made);
  assert_ok(lc_file_read(path, 1 << 24, &bytes, &size, &test_err));
  for (size_t i = 0; i < 40; i++) {
    assert_ok(lc_file_write(path, bytes, size * i / 40, &test_err));
    assert_int_equal(pl_dataset_read(&read, path, true, &test_err), LC_ERR_FORMAT);
  }
  free(bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_is_written_comes_back),
      cmocka_unit_test(test_as_crops),
      cmocka_unit_test(test_damage_is_named),
      cmocka_unit_test(test_other_files),
      cmocka_unit_test(test_cuts),
  };
  snprintf(path, sizeof path, "%s/set.h5", lc_test_folder(folder));
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return lc_folder_remove(folder, NULL) == LC_OK ? failed : 1;
}
