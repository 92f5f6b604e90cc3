/* Parametric maps: valid, the very floats, where the plane is. */
#include "tests/ct_dicom_test.h"

#include <math.h>

#include "ct_io/dicom_write/ct_parametric_map.h"
#include "tests/ct_source_test.h"

enum { EDGE = 28 };
static float values[EDGE * EDGE];
static const size_t slices[2] = {0, 2};
static const struct ct_cube cube = {.edge = 32, .spacing_mm = 1, .centre_mm = {-40.5, 12.25, -117}};

static struct ct_parametric_map make_map(ct_view view) {
  for (size_t k = 0; k < EDGE * EDGE; k++) values[k] = (float)sin((double)k) * 1.7e-3f;
  return (struct ct_parametric_map){.about = derived_test_object(slices, 2),
                                    .values = values,
                                    .plane = ct_plane_of_cube(&cube, view, 16, EDGE, EDGE),
                                    .quantity = "CDAM malignancy",
                                    .tracking_id = "nodule-1",
                                    .tracking_uid = "2.25.6001"};
}

static void test_valid(void **state) {
  (void)state;
  need_program("dciodvfy");
  struct ct_parametric_map map = make_map(CT_SAGITTAL);
  const char *path = source_test_path("map.dcm");
  assert_ok(ct_parametric_map_write(&map, path, &test_err));
  assert_valid_dicom(path, "ParametricMap");
  map.tracking_id = map.tracking_uid = NULL;
  map.about.is_class_activation = false;
  path = source_test_path("one.dcm");
  assert_ok(ct_parametric_map_write(&map, path, &test_err));
  assert_valid_dicom(path, "ParametricMap");
  assert_int_equal(dicom_count(path, "[130402]"), 0);
  assert_int_equal(dicom_count(path, "[130404]"), 1);
}

static void test_the_very_floats(void **state) {
  (void)state;
  struct ct_parametric_map map = make_map(CT_SAGITTAL);
  const char *path = source_test_path("map.dcm");
  assert_ok(ct_parametric_map_write(&map, path, &test_err));
  char *bytes;
  size_t count;
  assert_ok(lc_file_read(path, 1 << 20, &bytes, &count, &test_err));
  assert_memory_equal(bytes + count - sizeof values, values, sizeof values);
  free(bytes);
}

static void numbers(const char *text, double *out, int n) {
  for (int i = 0; i < n; i++) {
    char *end;
    out[i] = strtod(text, &end);
    assert_true(end != text);
    text = end + 1;
  }
}

static void test_place_and_meaning(void **state) {
  (void)state;
  need_program("dcmdump");
  struct ct_parametric_map map = make_map(CT_SAGITTAL);
  const char *path = source_test_path("map.dcm");
  assert_ok(ct_parametric_map_write(&map, path, &test_err));
  double at[3], cosines[6], spacing[2];
  numbers(dicom_value(path, "ImagePositionPatient"), at, 3);
  numbers(dicom_value(path, "ImageOrientationPatient"), cosines, 6);
  numbers(dicom_value(path, "PixelSpacing"), spacing, 2);
  for (int k = 0; k < 3; k++) assert_true(fabs(at[k] - map.plane.position_mm[k]) < 1e-6);
  for (int k = 0; k < 6; k++) assert_true(cosines[k] == map.plane.orientation[k]);
  for (int k = 0; k < 2; k++) assert_true(fabs(spacing[k] - 32.0 / 28) < 1e-6);
  assert_string_equal(dicom_value(path, "NumberOfFrames"), "1");
  assert_string_equal(dicom_value(path, "FrameOfReferenceUID"), "2.25.1002");
  assert_string_equal(dicom_value(path, "ContentQualification"), "RESEARCH");
  assert_string_equal(dicom_value(path, "RealWorldValueSlope"), "1");
  /* The window reaches from the largest score's contrary to it, with zero in the middle. */
  double largest = 0;
  for (int k = 0; k < EDGE * EDGE; k++) largest = fmax(largest, fabs((double)values[k]));
  assert_string_equal(dicom_value(path, "WindowCenter"), "0");
  assert_near(strtod(dicom_value(path, "WindowWidth"), NULL), 2 * largest, 1e-6 * largest);
  assert_string_equal(dicom_value(path, "ContentDate"), "20000102");
  /* derivation, and the quantity */
  assert_int_equal(dicom_count(path, "[130402]"), 2);
  assert_int_equal(dicom_count(path, "[121322]"), 2);
  assert_int_equal(dicom_count(path, "[2.25.6001]"), 1);
  assert_string_equal(dicom_value(path, "FrameLaterality"), "U");
}

static void test_refusals(void **state) {
  (void)state;
  struct ct_parametric_map map = make_map(CT_SAGITTAL);
  const char *path = source_test_path("refused.dcm");
  values[7] = NAN;
  assert_fails(ct_parametric_map_write(&map, path, &test_err), LC_ERR_NUMERIC, "is no number");
  map = make_map(CT_AXIAL);
  map.tracking_uid = NULL;
  assert_fails(ct_parametric_map_write(&map, path, &test_err), LC_ERR_USAGE, "tracking");
  map.values = NULL;
  map.tracking_id = NULL;
  assert_fails(ct_parametric_map_write(&map, path, &test_err), LC_ERR_USAGE, "needs values");
  assert_false(lc_file_exists(path));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_valid),
      cmocka_unit_test(test_the_very_floats),
      cmocka_unit_test(test_place_and_meaning),
      cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests(tests, source_test_make, source_test_remove);
}
