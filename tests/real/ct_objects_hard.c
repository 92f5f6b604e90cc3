/* Objects derived from every usable series of the hard cases: implicit and big endian, compressed,
 * with odd, empty and missing attributes. */
#include "ct_io/dicom_read/ct_index.h"
#include "tests/ct_dicom_test.h"

#include "common/lc_file.h"
#include "ct_io/dicom_write/ct_capture.h"
#include "ct_io/dicom_write/ct_frames.h"
#include "ct_io/dicom_write/ct_parametric_map.h"
#include "ct_io/dicom_write/ct_presentation.h"
#include "ct_io/dicom_write/ct_report.h"
#include "ct_io/dicom_write/ct_segmentation.h"

static struct ct_derived describe(const struct ct_series *series, const size_t *slice) {
  return (struct ct_derived){.source = series,
                             .source_slices = slice,
                             .n_source_slices = 1,
                             .series_instance_uid = "2.25.2001",
                             .sop_instance_uid = "2.25.2002",
                             .series_number = 9200,
                             .instance_number = 1,
                             .series_description = "lungcdam (research use only)",
                             .content_description = "CDAM of malignancy",
                             .derivation_description = "CDAM",
                             .software_version = "0.1.0",
                             .is_class_activation = true};
}

enum { KINDS = 6 };
static const char *const iods[KINDS] = {"MultiframeTrueColorSCImage",
                                        "SCImage",
                                        "ParametricMap",
                                        "Segmentation",
                                        "Comprehensive3DSR",
                                        "GrayscaleSoftcopyPresentationState"};

static lc_status write_kind(int kind, const struct ct_series *series, const char *path) {
  static const size_t slice = 0;
  struct ct_derived about = describe(series, &slice);
  struct ct_plane plane = ct_plane_of_slice(series, 0);
  struct ct_cube cube = {.edge = 32, .spacing_mm = 1};
  memcpy(cube.centre_mm, plane.position_mm, sizeof cube.centre_mm);
  static const float values[28 * 28] = {1, -1};
  static const uint8_t mask[] = {1};
  struct ct_plane grid = ct_plane_of_cube(&cube, CT_AXIAL, 16, 28, 28);
  size_t pixels = plane.rows * plane.columns;
  if (kind <= 1) {
    uint8_t *rgb = calloc(pixels, 3);
    assert_non_null(rgb);
    struct ct_frame_picture picture = {.rgb = rgb, .label = "nodule-1", .plane = &plane};
    struct ct_frames frames = {about, plane.rows, plane.columns, &picture, 1, false};
    struct ct_capture capture = {about, rgb, plane.rows, plane.columns};
    lc_status status = kind == 0 ? ct_frames_write(&frames, path, &test_err)
                                 : ct_capture_write(&capture, path, &test_err);
    free(rgb);
    return status;
  }
  if (kind == 2) {
    struct ct_parametric_map map = {
        .about = about, .values = values, .plane = grid, .quantity = "CDAM"};
    return ct_parametric_map_write(&map, path, &test_err);
  }
  if (kind == 3) {
    struct ct_segment segment = {.label = "n", .size = {1, 1, 1}, .mask = mask};
    struct ct_segmentation segmentation = {.about = about, .segments = &segment, .n_segments = 1};
    return ct_segmentation_write(&segmentation, path, &test_err);
  }
  if (kind == 4) {
    struct ct_measurement measurement = ct_measurement_named("malignancy", 0.5, true);
    struct ct_finding finding = {.tracking_id = "nodule-1",
                                 .tracking_uid = "2.25.3",
                                 .measurements = &measurement,
                                 .n_measurements = 1};
    struct ct_report report = {.about = about,
                               .model_name = "vit",
                               .model_version = "1",
                               .parameters = "none",
                               .findings = &finding,
                               .n_findings = 1};
    return ct_report_write(&report, path, &test_err);
  }
  float line[2][2] = {{1, 1}, {3, 3}};
  struct ct_drawn_outline outline = {.layer = "READER 1", .xy = line, .n_points = 2};
  struct ct_presentation presentation = {.about = about, .outlines = &outline, .n_outlines = 1};
  return ct_presentation_write(&presentation, path, &test_err);
}

static void test_every_usable_series(void **state) {
  (void)state;
  need_program("dciodvfy");
  char folder[256], path[LC_PATH_SIZE];
  lc_test_folder(folder);
  assert_ok(lc_path_join(path, folder, "object.dcm", &test_err));
  const char *where = LC_TEST_DATA_DIR "/dicom_hard_cases";
  struct ct_index index;
  assert_ok(ct_index_scan(&index, &where, 1, NULL, NULL, &test_err));
  size_t n = 0;
  for (size_t i = 0; i < index.n_series; i++) {
    const struct ct_series *series = &index.series[i];
    /* One file has a single UID of no root for study, series and frame of reference. */
    if (series->verdict == CT_REFUSED || strncmp(series->study_instance_uid, "9.99", 4) == 0)
      continue;
    for (int kind = 0; kind < KINDS; kind++) {
      assert_ok(write_kind(kind, series, path));
      assert_valid_dicom(path, iods[kind]);
      n++;
    }
  }
  assert_true(n >= 60);
  ct_index_free(&index);
  assert_ok(lc_folder_remove(folder, &test_err));
}

int main(void) {
  lc_test_need_data();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_usable_series)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
