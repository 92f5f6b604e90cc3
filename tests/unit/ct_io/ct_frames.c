/* Planes in the patient, and multi-frame captures whose frames lie where they say. */
#include "tests/ct_dicom_test.h"

#include <math.h>

#include "common/lc_file.h"
#include "ct_io/dicom_write/ct_frames.h"
#include "tests/ct_source_test.h"

static const struct ct_cube cube = {.edge = 32, .spacing_mm = 1, .centre_mm = {-40.5, 12.25, -117}};

/* A sample of the cube and the pixel of its slice are the same point. */
static void test_cube_planes_hit_the_samples(void **state) {
  (void)state;
  for (int view = 0; view < CT_VIEW_COUNT; view++)
    for (size_t index = 0; index < 32; index += 7) {
      struct ct_plane plane = ct_plane_of_cube(&cube, (ct_view)view, index, 32, 32);
      for (size_t r = 0; r < 32; r += 5)
        for (size_t c = 0; c < 32; c += 3) {
          /* ct_cube_slice: which sample (x, y, z) the pixel shows */
          size_t at[CT_VIEW_COUNT][3] = {{c, r, index}, {c, index, 31 - r}, {index, c, 31 - r}};
          double point[3];
          ct_plane_to_patient(&plane, (double)r, (double)c, point);
          for (int axis = 0; axis < 3; axis++)
            assert_true(fabs(point[axis] - (cube.centre_mm[axis] + (double)at[view][axis] - 15.5)) <
                        1e-9);
        }
    }
}

/* The outer edges of a 28 x 28 patch grid are those of the 32 x 32 slice. */
static void test_patch_grid_covers_the_slice(void **state) {
  (void)state;
  struct ct_plane slice = ct_plane_of_cube(&cube, CT_CORONAL, 16, 32, 32);
  struct ct_plane grid = ct_plane_of_cube(&cube, CT_CORONAL, 16, 28, 28);
  double a[3], b[3];
  for (int corner = 0; corner < 2; corner++) {
    double s = corner ? 31.5 : -0.5, g = corner ? 27.5 : -0.5;
    ct_plane_to_patient(&slice, s, s, a);
    ct_plane_to_patient(&grid, g, g, b);
    for (int axis = 0; axis < 3; axis++) assert_true(fabs(a[axis] - b[axis]) < 1e-9);
  }
}

static void test_there_and_back(void **state) {
  (void)state;
  struct ct_plane plane = {.rows = 9,
                           .columns = 7,
                           .position_mm = {1, -2, 3},
                           .orientation = {0.8, 0.6, 0, -0.36, 0.48, 0.8},
                           .pixel_spacing_mm = {0.5, 0.7}};
  double point[3], row, column, distance;
  ct_plane_to_patient(&plane, 4.25, 2.5, point);
  const double normal[3] = {0.48, -0.64, 0.6}; /* row x column, by hand */
  for (int axis = 0; axis < 3; axis++) point[axis] += 1.5 * normal[axis];
  ct_plane_from_patient(&plane, point, &row, &column, &distance);
  assert_true(fabs(row - 4.25) < 1e-9 && fabs(column - 2.5) < 1e-9 && fabs(distance - 1.5) < 1e-9);
}

/* A linear function of the patient's place stays itself between the pixel centres. */
static void test_resampling_keeps_linear_functions(void **state) {
  (void)state;
  struct ct_plane from = ct_plane_of_cube(&cube, CT_AXIAL, 16, 28, 28), to = from;
  to.rows = to.columns = 100;
  to.pixel_spacing_mm[0] = to.pixel_spacing_mm[1] = 0.7;
  to.position_mm[0] -= 20;
  to.position_mm[1] -= 18;
  to.position_mm[2] += 1.2;
  float values[28 * 28], out[100 * 100];
  double p[3], row, column, distance;
  for (size_t r = 0; r < 28; r++)
    for (size_t c = 0; c < 28; c++) {
      ct_plane_to_patient(&from, (double)r, (double)c, p);
      values[r * 28 + c] = (float)(0.3 * p[0] - 0.2 * p[1]);
    }
  ct_plane_resample(values, &from, out, &to);
  size_t inside = 0, outside = 0;
  for (size_t r = 0; r < 100; r++)
    for (size_t c = 0; c < 100; c++) {
      ct_plane_to_patient(&to, (double)r, (double)c, p);
      ct_plane_from_patient(&from, p, &row, &column, &distance);
      double value = (double)out[r * 100 + c];
      if (row >= 0 && row <= 27 && column >= 0 && column <= 27) {
        inside++;
        assert_true(fabs(value - (0.3 * p[0] - 0.2 * p[1])) < 1e-4);
      } else if (fabs(row - 13.5) > 14.01 || fabs(column - 13.5) > 14.01) {
        outside++;
        assert_true(isnan(value));
      }
    }
  assert_true(inside > 1500 && outside > 5000);
}

enum { ROWS = 16, COLUMNS = 16, FRAMES = 3 };
static uint8_t pixels[FRAMES][ROWS * COLUMNS * 3];
static const size_t slice_indices[FRAMES] = {0, 1, 2};

static struct ct_frames make_frames(struct ct_frame_picture *pictures,
                                    const struct ct_plane *planes, size_t n) {
  static const char *labels[FRAMES] = {"nodule-1 axial", "nodule-1 coronal", "n"};
  for (size_t i = 0; i < n; i++) {
    for (size_t k = 0; k < sizeof pixels[i]; k++) pixels[i][k] = (uint8_t)(k * (i + 3));
    pictures[i] = (struct ct_frame_picture){
        .rgb = pixels[i], .label = labels[i], .plane = planes ? &planes[i] : NULL};
  }
  return (struct ct_frames){.about = derived_test_object(slice_indices, FRAMES),
                            .rows = ROWS,
                            .columns = COLUMNS,
                            .frames = pictures,
                            .n_frames = n,
                            .text_in_pixels = !planes};
}

static void test_figures_without_a_place(void **state) {
  (void)state;
  need_program("dciodvfy");
  struct ct_frame_picture pictures[FRAMES];
  struct ct_frames frames = make_frames(pictures, NULL, FRAMES);
  const char *path = source_test_path("figures.dcm");
  assert_ok(ct_frames_write(&frames, path, &test_err));
  assert_valid_dicom(path, "MultiframeTrueColorSCImage");
  assert_int_equal(dicom_count(path, "PlanePositionSequence"), 0);
  assert_string_equal(dicom_value(path, "BurnedInAnnotation"), "YES");
  assert_string_equal(dicom_value(path, "FrameLabelVector"), "nodule-1 axial\\nodule-1 coronal\\n");
  for (size_t i = 0; i < FRAMES; i++) /* source image, and source series */
    assert_int_equal(dicom_count(path, source_test_series()->slices[i].sop_instance_uid), 2);
}

/* The place of every frame is that of the CT slice, to the digits of the file. */
static void test_slices_in_place(void **state) {
  (void)state;
  need_program("dciodvfy");
  need_program("dcmdump");
  struct ct_frame_picture pictures[FRAMES];
  struct ct_plane planes[FRAMES];
  for (size_t i = 0; i < FRAMES; i++) planes[i] = ct_plane_of_slice(source_test_series(), i);
  struct ct_frames frames = make_frames(pictures, planes, FRAMES);
  const char *path = source_test_path("slices.dcm");
  assert_ok(ct_frames_write(&frames, path, &test_err));
  assert_valid_dicom(path, "MultiframeTrueColorSCImage");
  assert_string_equal(dicom_value(path, "BurnedInAnnotation"), "NO");
  assert_string_equal(dicom_value(path, "FrameOfReferenceUID"), "2.25.1002");
  for (size_t i = 0; i < FRAMES; i++) {
    const char *slice = source_test_series()->slices[i].path;
    assert_true(dicom_count(path, dicom_value(slice, "ImagePositionPatient")) >= 1);
  }
  assert_int_equal(
      dicom_count(path, dicom_value(source_test_series()->slices[0].path, "PixelSpacing")), FRAMES);
  frames.n_frames = 1;
  assert_ok(ct_frames_write(&frames, path, &test_err));
  assert_valid_dicom(path, "MultiframeTrueColorSCImage");
}

static void test_pixels_in_order(void **state) {
  (void)state;
  struct ct_frame_picture pictures[FRAMES];
  struct ct_frames frames = make_frames(pictures, NULL, FRAMES);
  const char *path = source_test_path("pixels.dcm");
  assert_ok(ct_frames_write(&frames, path, &test_err));
  char *bytes;
  size_t count;
  assert_ok(lc_file_read(path, 1 << 20, &bytes, &count, &test_err));
  assert_memory_equal(bytes + count - sizeof pixels, pixels, sizeof pixels);
  free(bytes);
}

static void test_refusals(void **state) {
  (void)state;
  struct ct_frame_picture pictures[FRAMES];
  struct ct_plane planes[FRAMES];
  for (size_t i = 0; i < FRAMES; i++) planes[i] = ct_plane_of_slice(source_test_series(), i);
  struct ct_frames frames = make_frames(pictures, planes, FRAMES);
  const char *path = source_test_path("refused.dcm");
  planes[2].rows++;
  assert_fails(ct_frames_write(&frames, path, &test_err), LC_ERR_USAGE, "frame 3 has a plane of");
  pictures[2].plane = NULL;
  assert_fails(ct_frames_write(&frames, path, &test_err), LC_ERR_USAGE, "frame 3: either all");
  pictures[1].label = "seventeen letters";
  assert_fails(ct_frames_write(&frames, path, &test_err), LC_ERR_USAGE, "frame 2 needs a label");
  frames.n_frames = 0;
  assert_fails(ct_frames_write(&frames, path, &test_err), LC_ERR_USAGE, "at least one picture");
  assert_false(lc_file_exists(path));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cube_planes_hit_the_samples),
      cmocka_unit_test(test_patch_grid_covers_the_slice),
      cmocka_unit_test(test_there_and_back),
      cmocka_unit_test(test_resampling_keeps_linear_functions),
      cmocka_unit_test(test_figures_without_a_place),
      cmocka_unit_test(test_slices_in_place),
      cmocka_unit_test(test_pixels_in_order),
      cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests(tests, source_test_make, source_test_remove);
}
