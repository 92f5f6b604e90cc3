/* A result store that is cut short or whose arrays disagree is an error. (Metadata damaged on
 * purpose is beyond HDF5 1.10 itself: stores are read as the program's own files.) */
#include <math.h>

#include "common/lc_file.h"
#include "tests/lc_test.h"
#include "tests/pl_store_test.h"

static char folder[256], good[LC_PATH_SIZE], bad[LC_PATH_SIZE];
static char *bytes;
static size_t count;

static int set_up(void **state) {
  (void)state;
  lc_test_folder(folder);
  assert_ok(lc_path_join(good, folder, "good.h5", &test_err));
  assert_ok(lc_path_join(bad, folder, "bad.h5", &test_err));
  assert_ok(store_write(good, OUTPUTS, &test_err));
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
  assert_ok(store_write(bad, OUTPUTS + 1, &test_err));
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
