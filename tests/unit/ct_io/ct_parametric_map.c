/* Parametric maps: valid, the very floats, and each frame where its plane is. */
#include "tests/ct_dicom_test.h"

#include <math.h>

#include "ct_io/dicom_write/ct_parametric_map.h"
#include "tests/ct_source_test.h"

enum { EDGE = 28, FRAMES = 3 };
static float values[FRAMES][EDGE * EDGE];
static const size_t slices[2] = {0, 2};
static const struct ct_cube cube = {.edge = 32, .spacing_mm = 1, .centre_mm = {-40.5, 12.25, -117}};

static struct ct_parametric_map make_map(struct ct_map_frame *frames) {
  for (size_t i = 0; i < FRAMES; i++) {
    for (size_t k = 0; k < EDGE * EDGE; k++)
      values[i][k] = (float)sin((double)(k + 100 * i)) * 1.7e-3f;
    frames[i] = (struct ct_map_frame){
        .values = values[i],
        .plane = ct_plane_of_cube(&cube, (ct_view)i, 16, EDGE, EDGE),
        .source_slices = slices,
        .n_source_slices = 2,
    };
  }
  return (struct ct_parametric_map){.about = derived_test_object(slices, 2),
                                    .frames = frames,
                                    .n_frames = FRAMES,
                                    .quantity = "CDAM malignancy"};
}

static void test_valid(void **state) {
  (void)state;
  need_program("dciodvfy");
  struct ct_map_frame frames[FRAMES];
  struct ct_parametric_map map = make_map(frames);
  const char *path = source_test_path("map.dcm");
  assert_ok(ct_parametric_map_write(&map, path, &test_err));
  assert_valid_dicom(path, "ParametricMap");
  map.n_frames = 1;
  map.about.is_class_activation = false;
  path = source_test_path("one.dcm");
  assert_ok(ct_parametric_map_write(&map, path, &test_err));
  assert_valid_dicom(path, "ParametricMap");
  assert_int_equal(dicom_count(path, "[130402]"), 0);
  assert_int_equal(dicom_count(path, "[130404]"), 1);
}

static void test_the_very_floats(void **state) {
  (void)state;
  struct ct_map_frame frames[FRAMES];
  struct ct_parametric_map map = make_map(frames);
  const char *path = source_test_path("map.dcm");
  assert_ok(ct_parametric_map_write(&map, path, &test_err));
  char *bytes;
  size_t count;
  assert_ok(lc_file_read(path, 1 << 20, &bytes, &count, &test_err));
  assert_memory_equal(bytes + count - sizeof values, values, sizeof values);
  free(bytes);
}

/* The nth "(tag) DS [...]" that dcmdump prints for an attribute, as numbers. */
static void nth_numbers(const char *path, const char *attribute, int nth, double *out, int n) {
  static char text[1 << 16];
  char command[4300];
  snprintf(command, sizeof command, "dcmdump -q +L +P %s '%s'", attribute, path);
  run_command(command, text, sizeof text);
  char *at = text;
  for (int i = 0; i <= nth; i++) {
    at = strchr(at, '[');
    assert_non_null(at);
    at++;
  }
  for (int i = 0; i < n; i++) {
    char *end;
    out[i] = strtod(at, &end);
    assert_true(end != at);
    at = end + 1;
  }
}

static void test_place_and_meaning(void **state) {
  (void)state;
  need_program("dcmdump");
  struct ct_map_frame frames[FRAMES];
  struct ct_parametric_map map = make_map(frames);
  const char *path = source_test_path("map.dcm");
  assert_ok(ct_parametric_map_write(&map, path, &test_err));
  for (int i = 0; i < FRAMES; i++) {
    double at[3], cosines[6], spacing[2];
    nth_numbers(path, "ImagePositionPatient", i, at, 3);
    nth_numbers(path, "ImageOrientationPatient", i, cosines, 6);
    nth_numbers(path, "PixelSpacing", i, spacing, 2);
    for (int k = 0; k < 3; k++) assert_true(fabs(at[k] - frames[i].plane.position_mm[k]) < 1e-6);
    for (int k = 0; k < 6; k++) assert_true(cosines[k] == frames[i].plane.orientation[k]);
    for (int k = 0; k < 2; k++) assert_true(fabs(spacing[k] - 32.0 / 28) < 1e-6);
  }
  assert_string_equal(dicom_value(path, "FrameOfReferenceUID"), "2.25.1002");
  assert_string_equal(dicom_value(path, "ContentQualification"), "RESEARCH");
  assert_string_equal(dicom_value(path, "RealWorldValueSlope"), "1");
  /* The window reaches from the largest score's contrary to it, with zero in the middle. */
  double largest = 0;
  for (int k = 0; k < FRAMES * EDGE * EDGE; k++)
    largest = fmax(largest, fabs((double)(&values[0][0])[k]));
  assert_string_equal(dicom_value(path, "WindowCenter"), "0");
  assert_near(strtod(dicom_value(path, "WindowWidth"), NULL), 2 * largest, 1e-6 * largest);
  assert_string_equal(dicom_value(path, "ContentDate"), "20000102");
  /* derivation of each frame, and the quantity */
  assert_int_equal(dicom_count(path, "[130402]"), FRAMES + 1);
  assert_int_equal(dicom_count(path, "[121322]"), 2 * FRAMES);
}

static void test_refusals(void **state) {
  (void)state;
  struct ct_map_frame frames[FRAMES];
  struct ct_parametric_map map = make_map(frames);
  const char *path = source_test_path("refused.dcm");
  values[1][7] = NAN;
  assert_fails(ct_parametric_map_write(&map, path, &test_err), LC_ERR_NUMERIC, "frame 2 holds");
  values[1][7] = 0;
  frames[2].plane.rows = 27;
  assert_fails(ct_parametric_map_write(&map, path, &test_err), LC_ERR_USAGE, "frame 3 has another");
  map.n_frames = 0;
  assert_fails(ct_parametric_map_write(&map, path, &test_err), LC_ERR_USAGE, "needs a frame");
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
