#include "pipeline/store/pl_h5.h"

#include <hdf5.h>
#include <hdf5_hl.h>

#include "common/lc_file.h"
#include "common/lc_hash.h"
#include "tests/lc_test.h"

static char folder[256];
static float cube[2][8][8][8];

static lc_status write_file(const char *name) {
  char path[300];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  for (size_t i = 0; i < sizeof cube / sizeof(float); i++) ((float *)cube)[i] = (float)i - 1000;
  struct pl_h5 h5;
  pl_h5_start(&h5);
  pl_h5_attribute_text(&h5, "/", "notice", "research use only");
  const size_t two = 2;
  pl_h5_texts(&h5, "axes/nodule", 1, &two, 16,
              "nodule-1\0\0\0\0\0\0\0\0nodule-\xc3\xa4\0\0\0\0\0\0\0", "ids");
  pl_h5_scale(&h5, "axes/nodule");
  pl_h5_array(&h5, &(struct pl_h5_array){"cube/hu", PL_H5_F32, 4, {2, 8, 8, 8}, cube, "HU", "d"});
  pl_h5_attach(&h5, "cube/hu", 0, "axes/nodule");
  return pl_h5_finish(&h5, path, &test_err);
}

static void files_are_byte_identical(void **state) {
  (void)state;
  char a[300], b[300], hash_a[65], hash_b[65];
  snprintf(a, sizeof a, "%s/a.h5", folder);
  snprintf(b, sizeof b, "%s/b.h5", folder);
  assert_ok(write_file("a.h5"));
  sleep(1); /* object times count seconds */
  assert_ok(write_file("b.h5"));
  assert_ok(lc_hash_file_hex(a, hash_a, &test_err));
  assert_ok(lc_hash_file_hex(b, hash_b, &test_err));
  assert_string_equal(hash_a, hash_b);
}

/* Read with the library's own calls: filters, chunk, scale, text type, values. */
static void conventions_are_kept(void **state) {
  (void)state;
  char path[300];
  snprintf(path, sizeof path, "%s/a.h5", folder);
  assert_ok(write_file("a.h5"));

  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  hid_t set = H5Dopen2(file, "cube/hu", H5P_DEFAULT);
  hid_t layout = H5Dget_create_plist(set);
  hsize_t chunk[4];
  assert_int_equal(H5Pget_chunk(layout, 4, chunk), 4);
  assert_int_equal(chunk[0], 1);
  assert_int_equal(chunk[3], 8);
  assert_true(
      H5Pget_filter_by_id2(layout, H5Z_FILTER_FLETCHER32, NULL, NULL, NULL, 0, NULL, NULL) >= 0);
  assert_true(H5Pget_filter_by_id2(layout, H5Z_FILTER_SHUFFLE, NULL, NULL, NULL, 0, NULL, NULL) >=
              0);
  assert_int_equal(H5DSget_num_scales(set, 0), 1);
  static float back[2][8][8][8];
  assert_true(H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, back) >= 0);
  assert_memory_equal(back, cube, sizeof cube);
  hid_t ids = H5Dopen2(file, "axes/nodule", H5P_DEFAULT);
  hid_t type = H5Dget_type(ids);
  assert_int_equal(H5Tget_cset(type), H5T_CSET_UTF8);
  assert_int_equal(H5Tget_size(type), 16);
  assert_false(H5Tis_variable_str(type));
  H5Tclose(type);
  H5Dclose(ids);
  H5Pclose(layout);
  H5Dclose(set);
  H5Fclose(file);
  char notice[64], missing[64];
  assert_ok(pl_h5_read_attribute(path, "notice", notice, sizeof notice, &test_err));
  assert_string_equal(notice, "research use only");
  assert_ok(pl_h5_read_attribute(path, "missing", missing, sizeof missing, &test_err));
  assert_string_equal(missing, "");
}

static void first_failure_is_reported_and_nothing_written(void **state) {
  (void)state;
  char path[300];
  snprintf(path, sizeof path, "%s/never.h5", folder);
  struct pl_h5 h5;
  pl_h5_start(&h5);
  pl_h5_attach(&h5, "cube/hu", 0, "axes/none");
  pl_h5_attribute_text(&h5, "nowhere", "a", "b");
  assert_fails(pl_h5_finish(&h5, path, &test_err), LC_ERR_INTERNAL, "attach a scale to cube/hu");
  assert_false(lc_file_exists(path));
}

static void text_that_is_not_hdf5_is_refused(void **state) {
  (void)state;
  char path[300], value[16];
  snprintf(path, sizeof path, "%s/text.h5", folder);
  assert_ok(lc_file_write(path, "hello", 5, &test_err));
  assert_fails(pl_h5_read_attribute(path, "a", value, sizeof value, &test_err), LC_ERR_FORMAT,
               "not an HDF5 file");
}

int main(void) {
  lc_test_folder(folder);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(files_are_byte_identical), cmocka_unit_test(conventions_are_kept),
      cmocka_unit_test(first_failure_is_reported_and_nothing_written),
      cmocka_unit_test(text_that_is_not_hdf5_is_refused)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (lc_folder_remove(folder, NULL) != LC_OK) return 1;
  return failed;
}
