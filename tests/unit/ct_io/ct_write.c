/* CT Image Storage files: valid, the same bytes each time, pixels and geometry as given. */
#include "tests/ct_dicom_test.h"

#include <sys/stat.h>

#include "common/lc_file.h"
#include "ct_io/dicom_write/ct_write.h"

enum { COLUMNS = 6, ROWS = 4, SLICES = 3 };

static const char sop_uid[] = "2.25.1003";

static struct ct_write_header make_header(void) {
  return (struct ct_write_header){
      .patient_id = "PHANTOM-0007",
      .patient_name = "Phantom^Seven",
      .patient_sex = "F",
      .patient_age = "061Y",
      .study_instance_uid = "2.25.1000",
      .series_instance_uid = "2.25.1001",
      .frame_of_reference_uid = "2.25.1002",
      .study_date = "20000102",
      .study_time = "101112",
      .study_id = "1",
      .study_description = "Lung phantom",
      .series_description = "Th\303\266rax 1.25 mm",
      .series_number = 2,
      .manufacturer = "lungcdam",
      .model_name = "phantom",
      .software_version = "0.1.0",
      .convolution_kernel = "STANDARD",
      .kvp = 120,
      .tube_current_ma = 199.6,
      .exposure_mas = 100,
      .reconstruction_diameter_mm = 360,
      .slice_thickness_mm = 1.25,
      .image_comments = "Synthetic phantom, not a patient",
  };
}

/* Rotated by atan(3/4) about z, so that row and column direction cannot be mixed up. */
static struct ct_volume make_volume(int16_t *hu) {
  for (int i = 0; i < COLUMNS * ROWS * SLICES; i++) hu[i] = (int16_t)(-1400 + 37 * i);
  return (struct ct_volume){.hu = hu,
                            .size = {COLUMNS, ROWS, SLICES},
                            .spacing_mm = {0.5, 0.75, 1.25},
                            .origin_mm = {-100.125, 20, -300.0 / 7},
                            .direction = {0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1}};
}

static void write_one(const char *path, size_t k) {
  int16_t hu[COLUMNS * ROWS * SLICES];
  struct ct_write_header header = make_header();
  struct ct_volume volume = make_volume(hu);
  assert_ok(ct_write_slice(&header, &volume, k, sop_uid, path, &test_err));
}

static int make_folder(void **state) {
  static char folder[256];
  *state = (void *)(uintptr_t)lc_test_folder(folder);
  return 0;
}

static int remove_folder(void **state) {
  return lc_folder_remove(*state, NULL) != LC_OK;
}

static void test_dciodvfy_accepts(void **state) {
  need_program("dciodvfy");
  char path[LC_PATH_SIZE];
  assert_ok(lc_path_join(path, *state, "a.dcm", &test_err));
  write_one(path, 1);
  assert_valid_dicom(path, "CTImage");
}

static void test_sparse_header_is_valid(void **state) {
  need_program("dciodvfy");
  char path[LC_PATH_SIZE];
  assert_ok(lc_path_join(path, *state, "sparse.dcm", &test_err));
  int16_t hu[COLUMNS * ROWS * SLICES];
  struct ct_volume volume = make_volume(hu);
  struct ct_write_header header = {.study_instance_uid = "2.25.1000",
                                   .series_instance_uid = "2.25.1001",
                                   .frame_of_reference_uid = "2.25.1002"};
  assert_ok(ct_write_slice(&header, &volume, 0, sop_uid, path, &test_err));
  assert_valid_dicom(path, "CTImage");
}

static void test_attributes(void **state) {
  need_program("dcmdump");
  char path[LC_PATH_SIZE];
  assert_ok(lc_path_join(path, *state, "a.dcm", &test_err));
  write_one(path, 2);
  const char *expected[][2] = {
      {"PatientID", "PHANTOM-0007"},
      {"PatientName", "Phantom^Seven"},
      {"StudyInstanceUID", "2.25.1000"},
      {"SeriesInstanceUID", "2.25.1001"},
      {"SOPInstanceUID", sop_uid},
      {"MediaStorageSOPInstanceUID", sop_uid},
      {"ImplementationVersionName", "LUNGCDAM"},
      {"TransferSyntaxUID", "LittleEndianExplicit"},
      {"SpecificCharacterSet", "ISO_IR 192"},
      {"SeriesDescription", "Th\303\266rax 1.25 mm"},
      {"InstanceNumber", "3"},
      {"PatientPosition", "HFS"},
      {"XRayTubeCurrent", "200"},
      {"ImageOrientationPatient", "0.8\\0.6\\0\\-0.6\\0.8\\0"},
      {"PixelSpacing", "0.75\\0.5"},
      {"RescaleIntercept", "-1024"},
      {"PixelRepresentation", "1"},
  };
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
    assert_string_equal(dicom_value(path, expected[i][0]), expected[i][1]);
  double position[3];
  assert_int_equal(sscanf(dicom_value(path, "ImagePositionPatient"), "%lf\\%lf\\%lf", &position[0],
                          &position[1], &position[2]),
                   3);
  assert_true(position[0] == -100.125 && position[1] == 20);
  double z = -300.0 / 7 + 2.5; /* 16 characters of a DS hold it to 1e-12 */
  assert_true(position[2] > z - 1e-12 && position[2] < z + 1e-12);
}

static void test_pixels(void **state) {
  char path[LC_PATH_SIZE], *bytes;
  assert_ok(lc_path_join(path, *state, "a.dcm", &test_err));
  write_one(path, 1);
  int16_t hu[COLUMNS * ROWS * SLICES], stored;
  make_volume(hu);
  size_t count, pixel_bytes = sizeof stored * COLUMNS * ROWS;
  assert_ok(lc_file_read(path, 1 << 20, &bytes, &count, &test_err));
  for (size_t i = 0; i < COLUMNS * ROWS; i++) { /* PixelData is the last attribute */
    memcpy(&stored, bytes + count - pixel_bytes + i * sizeof stored, sizeof stored);
    assert_int_equal(stored - 1024, hu[COLUMNS * ROWS + i]);
  }
  free(bytes);
}

static void test_same_bytes(void **state) {
  char a[LC_PATH_SIZE], b[LC_PATH_SIZE], *bytes_a, *bytes_b;
  assert_ok(lc_path_join(a, *state, "a.dcm", &test_err));
  assert_ok(lc_path_join(b, *state, "b.dcm", &test_err));
  write_one(a, 1);
  sleep(1); /* a time stamp of whole seconds would show */
  write_one(b, 1);
  size_t count_a, count_b;
  assert_ok(lc_file_read(a, 1 << 20, &bytes_a, &count_a, &test_err));
  assert_ok(lc_file_read(b, 1 << 20, &bytes_b, &count_b, &test_err));
  assert_int_equal(count_a, count_b);
  assert_memory_equal(bytes_a, bytes_b, count_a);
  free(bytes_a);
  free(bytes_b);
}

static void test_refusals_leave_nothing(void **state) {
  char path[LC_PATH_SIZE];
  assert_ok(lc_path_join(path, *state, "refused.dcm", &test_err));
  int16_t hu[COLUMNS * ROWS * SLICES];
  struct ct_write_header header = make_header();
  struct ct_volume volume = make_volume(hu);
  assert_fails(ct_write_slice(&header, &volume, SLICES, sop_uid, path, &test_err), LC_ERR_USAGE,
               "slice 3 of a volume with 3");
  assert_fails(ct_write_slice(&header, &volume, 0, "1.02", path, &test_err), LC_ERR_USAGE,
               "SOPInstanceUID \"1.02\"");
  hu[3] = 31744;
  assert_fails(ct_write_slice(&header, &volume, 0, sop_uid, path, &test_err), LC_ERR_NUMERIC,
               "31744 HU");
  assert_false(lc_file_exists(path));
  assert_ok(lc_path_join(path, *state, "absent/a.dcm", &test_err));
  assert_fails(ct_write_slice(&header, &volume, 1, sop_uid, path, &test_err), LC_ERR_NOT_WRITABLE,
               "absent/a.dcm");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_dciodvfy_accepts), cmocka_unit_test(test_sparse_header_is_valid),
      cmocka_unit_test(test_attributes),       cmocka_unit_test(test_pixels),
      cmocka_unit_test(test_same_bytes),       cmocka_unit_test(test_refusals_leave_nothing),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
