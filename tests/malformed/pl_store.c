/* A result store that is cut short or whose arrays disagree is an error. (Metadata damaged on
 * purpose is beyond HDF5 1.10 itself: stores are read as the program's own files.) */
#include <math.h>

#include "common/lc_file.h"
#include "pipeline/store/pl_h5.h"
#include "pipeline/store/pl_store.h"
#include "tests/lc_test.h"

static char folder[256], good[LC_PATH_SIZE], bad[LC_PATH_SIZE];
static char *bytes;
static size_t count;

enum { NODULES = 2, VIEWS = 3, OUTPUTS = 2, TARGETS = 1, GRID = 4, EDGE = 6 };

static void names(struct pl_h5 *h5, const char *path, size_t n, const char *words) {
  pl_h5_texts(h5, path, 1, &n, 64, words, "names");
}

static void numbers(struct pl_h5 *h5, const char *path, enum pl_h5_type type, size_t rank,
                    const size_t *dims, const void *data) {
  struct pl_h5_array array = {path, type, rank, {0}, data, "1", "numbers"};
  memcpy(array.dims, dims, rank * sizeof *dims);
  pl_h5_array(h5, &array);
}

/* What pl_store_read reads of a store. */
static void write_store(const char *path, size_t outputs_of_logits) {
  static const float floats[NODULES * VIEWS * TARGETS * GRID * GRID] = {1, 2, 3};
  static const double doubles[] = {-2.5, -1.5, -0.5, 0.5, 1.5, 2.5};
  static const uint8_t mask[NODULES * EDGE * EDGE * EDGE] = {0, 1}, has_mask[NODULES] = {1, 0};
  static char words[3 * 64];
  struct pl_h5 h5;
  pl_h5_start(&h5);
  pl_h5_attribute_text(&h5, "/", "content", "lungcdam result of one series");
  pl_h5_attribute_integer(&h5, "/", "schema_version", 1);
  pl_h5_attribute_integer(&h5, "/", "weights_trained", 1);
  const char *hashes[] = {"weights_sha256", "configuration_sha256", "result_key",
                          "input_manifest_sha256", "nodule_source_sha256"};
  for (size_t i = 0; i < 5; i++) pl_h5_attribute_text(&h5, "/", hashes[i], "0123456789abcdef");
  pl_h5_attribute_text(&h5, "/", "architecture", "vit_tiny_patch16: 64x64");
  snprintf(words, sizeof words, "nodule-1");
  names(&h5, "axes/nodule", NODULES, words);
  names(&h5, "axes/output", OUTPUTS, words);
  names(&h5, "axes/target", TARGETS, words);
  static const char views[3][64] = {"axial", "coronal", "sagittal"};
  names(&h5, "axes/view", VIEWS, views[0]);
  numbers(&h5, "axes/x_mm", PL_H5_F64, 1, (size_t[]){EDGE}, doubles);
  names(&h5, "series/SOPInstanceUID", 1, words);
  pl_h5_attribute_text(&h5, "series", "SeriesInstanceUID", "1.2.3");
  numbers(&h5, "nodules/centre_mm", PL_H5_F64, 2, (size_t[]){NODULES, 3}, doubles);
  numbers(&h5, "prediction/mean_logit", PL_H5_F32, 2, (size_t[]){NODULES, outputs_of_logits},
          floats);
  numbers(&h5, "prediction/probability", PL_H5_F32, 2, (size_t[]){NODULES, OUTPUTS}, floats);
  numbers(&h5, "explanation/cdam", PL_H5_F32, 5, (size_t[]){NODULES, VIEWS, TARGETS, GRID, GRID},
          floats);
  numbers(&h5, "cube/mask", PL_H5_U8, 4, (size_t[]){NODULES, EDGE, EDGE, EDGE}, mask);
  numbers(&h5, "cube/has_mask", PL_H5_U8, 1, (size_t[]){NODULES}, has_mask);
  assert_ok(pl_h5_finish(&h5, path, &test_err));
}

static int set_up(void **state) {
  (void)state;
  lc_test_folder(folder);
  assert_ok(lc_path_join(good, folder, "good.h5", &test_err));
  assert_ok(lc_path_join(bad, folder, "bad.h5", &test_err));
  write_store(good, OUTPUTS);
  assert_ok(lc_file_read(good, 1 << 24, &bytes, &count, &test_err));
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  free(bytes);
  return lc_folder_remove(folder, NULL) != LC_OK;
}

static void test_whole_store(void **state) {
  (void)state;
  struct pl_result result;
  assert_ok(pl_store_read(&result, good, &test_err));
  assert_int_equal(result.nodules.n_nodules, NODULES);
  assert_int_equal(result.maps.grid_width, GRID);
  assert_int_equal(result.cubes[1].edge, EDGE);
  assert_true(fabs(result.step_mm - 1) < 1e-12);
  assert_int_equal(result.views[2], CT_SAGITTAL);
  assert_string_equal(result.nodules.nodules[0].id, "nodule-1");
  assert_string_equal(result.target_names[0], "nodule-1");
  assert_true(cdam_maps_get(&result.maps, 0, 0)[2] == 3);
  assert_int_equal(result.cubes[0].mask[1], 1);
  assert_null(result.cubes[1].mask); /* has_mask is 0 */
  assert_true(pl_result_place(&result, 1).centre_mm[0] == 0.5);
  pl_result_free(&result);
}

static void test_sizes_that_disagree(void **state) {
  (void)state;
  struct pl_result result;
  write_store(bad, OUTPUTS + 1);
  assert_fails(pl_store_read(&result, bad, &test_err), LC_ERR_FORMAT, "prediction/mean_logit");
  assert_fails(pl_store_read(&result, "/nowhere/results.h5", &test_err), LC_ERR_NOT_FOUND,
               "/nowhere/results.h5");
}

static void test_cut_short(void **state) {
  (void)state;
  struct pl_result result;
  for (size_t size = 0; size < count; size += count / 97 + 1) {
    assert_ok(lc_file_write(bad, bytes, size, &test_err));
    assert_fails(pl_store_read(&result, bad, &test_err), LC_ERR_FORMAT, "bad.h5");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_whole_store),
      cmocka_unit_test(test_sizes_that_disagree),
      cmocka_unit_test(test_cut_short),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
