/* HDF5 files of others: what leads out of the file, needs a filter that is not HDF5's own, is
 * neither number nor text, or claims to be larger than the file can hold is refused by name. */
#include <hdf5.h>
#include <sys/stat.h>

#include "common/lc_file.h"
#include "pipeline/store/pl_crops.h"
#include "pipeline/store/pl_dataset.h"
#include "pipeline/store/pl_h5.h"
#include "pipeline/store/pl_store.h"
#include "tests/lc_test.h"

enum { N = 3, SIZE = 4, FILTER = 32000, BYTES = N * SIZE * SIZE };

static char folder[256], path[300], other[300];
static const int16_t hu[BYTES];

static void put(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dims,
                const void *data) {
  hid_t space = H5Screate_simple(rank, dims, NULL);
  hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  assert_true(set >= 0);
  assert_true(!data || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
  H5Dclose(set);
  H5Sclose(space);
}

static const hsize_t cube[] = {N, SIZE, SIZE};

/* A crop set that is read, but for its "hu", which the caller adds. */
static hid_t begin(const char *at) {
  static const double numbers[N] = {1, 2, 3};
  static const char texts[N][8] = {"train", "train", "test"};
  static const char *const columns[] = {
      "pixel_spacing_mm",       "nodule_id",          "malignancy_1_to_5",
      "equivalent_diameter_px", "ratings/subtlety",   "ratings/calcification",
      "ratings/margin",         "ratings/lobulation", "ratings/spiculation",
      "ratings/texture",        "ratings/sphericity"};
  hid_t file = H5Fcreate(at, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  assert_true(file >= 0);
  H5Gclose(H5Gcreate2(file, "ratings", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
    put(file, columns[i], H5T_NATIVE_DOUBLE, 1, cube, numbers);
  hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, sizeof texts[0]);
  put(file, "patient_id", text, 1, cube, texts);
  put(file, "split", text, 1, cube, texts);
  H5Tclose(text);
  return file;
}

/* Both readers of crop sets refuse it and say what was expected. */
static void refused(hid_t file, const char *expected) {
  struct pl_crops crops;
  struct pl_dataset dataset;
  assert_true(H5Fclose(file) >= 0);
  assert_fails(pl_crops_read(&crops, path, &test_err), LC_ERR_FORMAT, expected);
  assert_non_null(strstr(test_err.message, path));
  assert_fails(pl_crop_set_read(&dataset, path, SIZE, 1, &test_err), LC_ERR_FORMAT, expected);
}

/* "hu" as this creation property list and type make it; without data, which would be written. */
static void hu_made_by(hid_t file, hid_t creation, hid_t type, const hsize_t *dims) {
  hid_t space = H5Screate_simple(3, dims, NULL);
  hid_t set = H5Dcreate2(file, "hu", type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  assert_true(set >= 0);
  H5Dclose(set);
  H5Sclose(space);
  H5Pclose(creation);
}

static void test_the_rest_is_fine(void **state) {
  (void)state;
  struct pl_crops crops;
  struct pl_dataset dataset;
  hid_t file = begin(path);
  put(file, "crops", H5T_NATIVE_INT16, 3, cube, hu);
  H5Lcreate_soft("/crops", file, "hu", H5P_DEFAULT, H5P_DEFAULT); /* another name within the file */
  H5Fclose(file);
  assert_ok(pl_crops_read(&crops, path, &test_err));
  assert_int_equal(crops.n, N);
  pl_crops_free(&crops);
  assert_ok(pl_crop_set_read(&dataset, path, SIZE, 1, &test_err));
  pl_dataset_free(&dataset);
}

/* The bytes of any file of the user would become voxels. */
static void test_external_storage(void **state) {
  (void)state;
  hid_t file = begin(path), creation = H5Pcreate(H5P_DATASET_CREATE);
  assert_ok(lc_file_write(other, (const char *)hu, sizeof hu, &test_err));
  assert_true(H5Pset_external(creation, other, 0, sizeof hu) >= 0);
  hu_made_by(file, creation, H5T_NATIVE_INT16, cube);
  refused(file, "\"hu\": expected data in this file, not in an external one");
}

static void test_virtual_dataset(void **state) {
  (void)state;
  hid_t source = begin(other), file = begin(path);
  put(source, "hu", H5T_NATIVE_INT16, 3, cube, hu);
  H5Fclose(source);
  hid_t creation = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(3, cube, NULL);
  assert_true(H5Pset_virtual(creation, space, other, "hu", space) >= 0);
  H5Sclose(space);
  hu_made_by(file, creation, H5T_NATIVE_INT16, cube);
  refused(file, "\"hu\": expected data in this file, not a virtual dataset");
}

static hid_t follow(const char *name, hid_t group, const void *data, size_t size, hid_t access
#if H5L_LINK_CLASS_T_VERS > 0
                    ,
                    hid_t transfer
#endif
) {
#if H5L_LINK_CLASS_T_VERS > 0
  (void)transfer;
#endif
  (void)name, (void)data, (void)size, (void)access;
  return H5Oopen(group, "crops", H5P_DEFAULT);
}

static void test_links(void **state) {
  (void)state;
  hid_t source = begin(other), file = begin(path);
  put(source, "hu", H5T_NATIVE_INT16, 3, cube, hu);
  H5Fclose(source);
  H5Lcreate_external(other, "/hu", file, "hu", H5P_DEFAULT, H5P_DEFAULT);
  refused(file, "\"hu\": expected data in this file, not a link to another file");
  /* A soft link that leads through an external one. */
  file = begin(path);
  H5Lcreate_external(other, "/", file, "elsewhere", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_soft("/elsewhere/hu", file, "hu", H5P_DEFAULT, H5P_DEFAULT);
  refused(file, "\"hu\": expected a link to data in this file");
  file = begin(path);
  H5Lcreate_soft("/hu", file, "hu", H5P_DEFAULT, H5P_DEFAULT); /* to itself */
  refused(file, "\"hu\": expected a link to data in this file");
  /* What is optional is not passed over when it lies elsewhere. */
  file = begin(path);
  put(file, "hu", H5T_NATIVE_INT16, 3, cube, hu);
  H5Ldelete(file, "ratings", H5P_DEFAULT);
  H5Lcreate_external(other, "/ratings", file, "ratings", H5P_DEFAULT, H5P_DEFAULT);
  refused(file, "\"ratings\": expected data in this file, not a link to another file");
  const H5L_class_t class = {.version = H5L_LINK_CLASS_T_VERS,
                             .id = (H5L_type_t)200,
                             .comment = "of a user",
                             .trav_func = follow};
  assert_true(H5Lregister(&class) >= 0);
  file = begin(path);
  put(file, "crops", H5T_NATIVE_INT16, 3, cube, hu);
  assert_true(H5Lcreate_ud(file, "hu", class.id, "x", 1, H5P_DEFAULT, H5P_DEFAULT) >= 0);
  refused(file, "\"hu\": expected data in this file, not a link that a user defined");
  assert_true(H5Lunregister(class.id) >= 0);
}

static size_t as_it_is(unsigned flags, size_t n, const unsigned values[], size_t bytes,
                       size_t *capacity, void **data) {
  (void)flags, (void)n, (void)values, (void)capacity, (void)data;
  return bytes;
}

/* A filter that is there works for the library's other users, and is refused here. */
static void test_filters(void **state) {
  (void)state;
  const H5Z_class2_t class = {H5Z_CLASS_T_VERS, FILTER, 1, 1, "of a user", NULL, NULL, as_it_is};
  hid_t file = begin(path), creation = H5Pcreate(H5P_DATASET_CREATE);
  assert_true(H5Zregister(&class) >= 0);
  H5Pset_chunk(creation, 3, cube);
  assert_true(H5Pset_filter(creation, FILTER, H5Z_FLAG_MANDATORY, 0, NULL) >= 0);
  hu_made_by(file, creation, H5T_NATIVE_INT16, cube);
  hid_t set = H5Dopen2(file, "hu", H5P_DEFAULT);
  assert_true(H5Dwrite(set, H5T_NATIVE_INT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, hu) >= 0);
  H5Dclose(set);
  refused(file, "\"hu\": expected no filters but deflate, shuffle, fletcher32 and szip");
  assert_true(H5Zunregister(FILTER) >= 0);
  unsigned loads = 1;
  assert_true(H5PLget_loading_state(&loads) >= 0);
  assert_int_equal(loads, 0);
}

static void test_types(void **state) {
  (void)state;
  hid_t text = H5Tcopy(H5T_C_S1), texts = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, (size_t)1 << 30);
  H5Tset_size(texts, H5T_VARIABLE);
  hid_t pair = H5Tcreate(H5T_COMPOUND, 8), opaque = H5Tcreate(H5T_OPAQUE, (size_t)1 << 31);
  H5Tinsert(pair, "hu", 0, H5T_NATIVE_INT16);
  const struct {
    hid_t type;
    const char *expected;
  } cases[] = {{H5T_STD_REF_OBJ, "numbers or texts of fixed length"},
               {H5T_STD_REF_DSETREG, "numbers or texts of fixed length"},
               {pair, "numbers or texts of fixed length"},
               {opaque, "numbers or texts of fixed length"},
               {text, "texts of at most 65536 bytes"},
               {texts, "texts of fixed length"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    hid_t file = begin(path);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_LATE);
    hid_t named = H5Tcopy(cases[i].type);
    assert_true(H5Tcommit2(file, "type", named, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT) >= 0);
    hu_made_by(file, creation, named, cube);
    H5Tclose(named);
    refused(file, cases[i].expected);
  }
  H5Tclose(pair);
  H5Tclose(opaque);
  H5Tclose(text);
  H5Tclose(texts);
}

/* A few hundred bytes claim terabytes. */
static void test_sizes(void **state) {
  (void)state;
  const hsize_t huge[] = {10000000, 1024, 1024}, chunk[] = {1, 16384, 16384}, small[] = {1, 64, 64};
  hid_t file = begin(path), creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(creation, 3, small);
  hu_made_by(file, creation, H5T_NATIVE_INT16, huge);
  refused(file, "\"hu\": expected data, and none was ever written");
  file = begin(path);
  creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(creation, 3, small);
  hu_made_by(file, creation, H5T_NATIVE_INT16, huge);
  const int16_t one = 1;
  hid_t set = H5Dopen2(file, "hu", H5P_DEFAULT), space = H5Dget_space(set);
  hid_t memory = H5Screate(H5S_SCALAR);
  H5Sselect_elements(space, H5S_SELECT_SET, 1, (const hsize_t[]){5, 5, 5});
  assert_true(H5Dwrite(set, H5T_NATIVE_INT16, memory, space, H5P_DEFAULT, &one) >= 0);
  H5Sclose(memory);
  H5Sclose(space);
  H5Dclose(set);
  refused(file, "\"hu\": expected no more values than the file can hold");
  file = begin(path);
  creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(creation, 3, chunk);
  hu_made_by(file, creation, H5T_NATIVE_INT16, (const hsize_t[]){1, 16384, 16384});
  refused(file, "\"hu\": expected chunks of at most 256 MiB");
}

/* A text attribute of many values is no text: all of them would not fit where one does. */
static void test_attributes(void **state) {
  (void)state;
  struct pl_dataset dataset;
  struct pl_result result;
  static char many[4096][24];
  char out[24];
  for (size_t i = 0; i < 4096; i++) strcpy(many[i], "lungcdam nodule data se");
  for (int i = 0; i < 2; i++) {
    const hsize_t n = 4096;
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t type = H5Tcopy(i ? H5T_STD_REF_OBJ : H5T_C_S1), space = H5Screate_simple(1, &n, NULL);
    if (!i) H5Tset_size(type, sizeof many[0] / 2);
    hid_t made = H5Acreate2(file, "content", type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(made >= 0 && H5Awrite(made, type, many) >= 0);
    H5Aclose(made);
    H5Sclose(space);
    H5Tclose(type);
    H5Fclose(file);
    assert_ok(pl_h5_read_attribute(path, "content", out, sizeof out, &test_err));
    assert_string_equal(out, "");
    assert_fails(pl_dataset_read(&dataset, path, true, &test_err), LC_ERR_FORMAT,
                 "no nodule data set");
    assert_fails(pl_store_read(&result, path, &test_err), LC_ERR_FORMAT, "content");
  }
}

/* Opening it would wait for a writer for ever. */
static void test_named_pipe(void **state) {
  (void)state;
  struct pl_crops crops;
  remove(path);
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_fails(pl_crops_read(&crops, path, &test_err), LC_ERR_FORMAT, "not an HDF5 file");
  assert_int_equal(remove(path), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_rest_is_fine),
      cmocka_unit_test(test_external_storage),
      cmocka_unit_test(test_virtual_dataset),
      cmocka_unit_test(test_links),
      cmocka_unit_test(test_filters),
      cmocka_unit_test(test_types),
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_attributes),
      cmocka_unit_test(test_named_pipe),
  };
  snprintf(path, sizeof path, "%s/set.h5", lc_test_folder(folder));
  snprintf(other, sizeof other, "%s/other", folder);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return lc_folder_remove(folder, NULL) == LC_OK ? failed : 1;
}
