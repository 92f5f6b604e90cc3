/* Every kind of derived object from real series: what dciodvfy says, and whether places in the
 * patient agree with the source. */
#include "ct_io/dicom_read/ct_index.h"
#include "tests/ct_dicom_test.h"

#include <math.h>

#include "common/lc_file.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/dicom_write/ct_frames.h"
#include "ct_io/dicom_write/ct_parametric_map.h"
#include "ct_io/dicom_write/ct_presentation.h"
#include "ct_io/dicom_write/ct_report.h"
#include "ct_io/dicom_write/ct_segmentation.h"

static char folder[256];

static int set_up(void **state) {
  (void)state;
  lc_test_folder(folder);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  if (getenv("LC_TEST_KEEP")) { /* to look at what was written */
    print_message("kept: %s\n", folder);
    return 0;
  }
  return lc_folder_remove(folder, NULL) != LC_OK;
}

/* One real series, a cube in its middle, and what objects made from it say. */
struct example {
  const char *name;
  struct ct_index index;
  const struct ct_series *series;
  struct ct_cube cube;
  size_t slice;      /* the CT slice next to the cube's centre */
  size_t sources[2]; /* that one, and a neighbour */
  struct ct_derived about;
};

static struct example open_example(const char *name, const char *where) {
  struct example e = {.name = name};
  assert_ok(ct_index_scan(&e.index, &where, 1, NULL, NULL, &test_err));
  assert_ok(ct_index_choose(&e.index, NULL, &e.series, &test_err));
  e.cube.edge = 32;
  e.cube.spacing_mm = 1;
  const double middle[3] = {(double)(e.series->columns - 1) / 3, (double)(e.series->rows - 1) / 2,
                            (double)(e.series->n_slices - 1) / 2};
  ct_series_to_patient(e.series, middle, e.cube.centre_mm);
  e.slice = ct_series_nearest_slice(e.series, e.cube.centre_mm);
  e.sources[0] = e.slice;
  e.sources[1] = e.slice > 0 ? e.slice - 1 : 1;
  return e;
}

static const char *path_of(const struct example *e, const char *name) {
  static char paths[4][LC_PATH_SIZE];
  static int turn;
  char file[128], *path = paths[turn++ % 4];
  snprintf(file, sizeof file, "%s-%s", e->name, name);
  assert_ok(lc_path_join(path, folder, file, &test_err));
  return path;
}

static void describe(struct example *e, int series_number, const char *role) {
  e->about = (struct ct_derived){
      .source = e->series,
      .source_slices = e->sources,
      .n_source_slices = 2,
      .series_number = series_number,
      .instance_number = 1,
      .series_description = "lungcdam CDAM malignancy (research use only)",
      .image_comments = "nodule-1",
      .content_label = "MALIGNANCY",
      .content_description = "CDAM of malignancy",
      .derivation_description = "CDAM of vit_small_patch8, weights 0123456789abcdef",
      .software_version = "0.1.0",
      .is_class_activation = true,
  };
  snprintf(e->about.series_instance_uid, CT_UID_SIZE, "2.25.%d", series_number);
  snprintf(e->about.sop_instance_uid, CT_UID_SIZE, "2.25.%d%zu", series_number, strlen(role));
}

static void numbers(const char *text, double *values, int n) {
  for (int i = 0; i < n; i++) {
    char *end;
    values[i] = strtod(text, &end);
    assert_true(end != text);
    text = *end == '\\' ? end + 1 : end;
  }
}

/* The CT slice next to the nodule in its own size: a pixel of the overlay is where the source's is.
 */
static void check_frames(struct example *e) {
  describe(e, 9200, "slice");
  struct ct_plane plane = ct_plane_of_slice(e->series, e->slice);
  size_t pixels = plane.rows * plane.columns;
  uint8_t *rgb = calloc(pixels, 3);
  assert_non_null(rgb);
  struct ct_frame_picture picture = {.rgb = rgb, .label = "nodule-1 axial", .plane = &plane};
  struct ct_frames frames = {.about = e->about,
                             .rows = plane.rows,
                             .columns = plane.columns,
                             .frames = &picture,
                             .n_frames = 1};
  const char *path = path_of(e, "slice.dcm"), *source = e->series->slices[e->slice].path;
  assert_ok(ct_frames_write(&frames, path, &test_err));
  free(rgb);
  assert_valid_dicom(path, "MultiframeTrueColorSCImage");
  const char *tags[] = {"ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"};
  const int counts[] = {3, 6, 2};
  for (int t = 0; t < 3; t++) {
    double ours[6], theirs[6];
    numbers(dicom_value(path, tags[t]), ours, counts[t]);
    numbers(dicom_value(source, tags[t]), theirs, counts[t]);
    for (int i = 0; i < counts[t]; i++) assert_true(fabs(ours[i] - theirs[i]) < 1e-6);
  }
}

static void check_parametric_map(struct example *e) {
  describe(e, 9300, "map");
  float values[28 * 28];
  for (int i = 0; i < 28 * 28; i++) values[i] = (float)(i - 400) * 1e-4f;
  struct ct_parametric_map map = {.about = e->about,
                                  .values = values,
                                  .plane = ct_plane_of_cube(&e->cube, CT_CORONAL, 16, 28, 28),
                                  .quantity = "CDAM malignancy"};
  const char *path = path_of(e, "map.dcm");
  assert_ok(ct_parametric_map_write(&map, path, &test_err));
  assert_valid_dicom(path, "ParametricMap");
}

static void check_segmentation(struct example *e) {
  describe(e, 9400, "segmentation");
  static const uint8_t mask[2 * 4 * 5] = {[7] = 1, [30] = 1}; /* in both slices */
  struct ct_segment segment = {.kind = CT_SEGMENT_NODULE,
                               .label = "nodule-1",
                               .first = {100, 90, e->slice > 0 ? e->slice - 1 : 0},
                               .size = {5, 4, 2},
                               .mask = mask};
  struct ct_segmentation segmentation = {.about = e->about, .segments = &segment, .n_segments = 1};
  const char *path = path_of(e, "segmentation.dcm");
  assert_ok(ct_segmentation_write(&segmentation, path, &test_err));
  assert_valid_dicom(path, "Segmentation");
  assert_string_equal(dicom_value(path, "NumberOfFrames"), "2");
}

static void check_report(struct example *e) {
  describe(e, 9500, "report");
  struct ct_measurement measurements[] = {ct_measurement_named("malignancy", 0.91, true),
                                          ct_measurement_named("diameter", 29.5, false)};
  struct ct_finding finding = {.tracking_id = "nodule-1",
                               .tracking_uid = "2.25.6001",
                               .measurements = measurements,
                               .n_measurements = 2,
                               .comment = "5\302\260 \342\206\222 x"};
  struct ct_report report = {.about = e->about,
                             .model_name = "vit_small_patch8",
                             .model_version = "0123456789abcdef",
                             .parameters = "mean of three views",
                             .findings = &finding,
                             .n_findings = 1};
  const char *path = path_of(e, "report.dcm");
  assert_ok(ct_report_write(&report, path, &test_err));
  assert_valid_dicom(path, "Comprehensive3DSR");
  assert_int_equal(dicom_count(path, e->series->slices[e->slice].sop_instance_uid), 2);
  /* Both sources are in ISO_IR 100, which has the degree sign and lacks the arrow. */
  assert_int_equal(dicom_count(path, "UT [5\260 ? x]"), 1);
}

static void check_presentation(struct example *e) {
  describe(e, 9600, "presentation");
  float line[4][2] = {{100, 100}, {140, 100}, {140, 130}, {100, 100}};
  struct ct_drawn_outline outline = {
      .layer = "READER 1", .slice = e->slice, .xy = line, .n_points = 4};
  struct ct_presentation presentation = {.about = e->about, .outlines = &outline, .n_outlines = 1};
  const char *path = path_of(e, "presentation.dcm");
  assert_ok(ct_presentation_write(&presentation, path, &test_err));
  assert_valid_dicom(path, "GrayscaleSoftcopyPresentationState");
}

static void each_example(void (*check)(struct example *)) {
  need_program("dciodvfy");
  need_program("dcmdump");
  const char *examples[][2] = {
      {"lidc", LC_TEST_DATA_DIR "/LIDC-IDRI/LIDC-IDRI-0001"},
      {"siemens", LC_TEST_DATA_DIR "/other_vendors/siemens_sensation10_8mm"},
      {"enhanced", LC_TEST_DATA_DIR "/dicom_hard_cases/multiframe_ct/eCT_Supplemental.dcm"},
  };
  for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
    struct example e = open_example(examples[i][0], examples[i][1]);
    check(&e);
    ct_index_free(&e.index);
  }
}

static void test_frames(void **state) {
  (void)state;
  each_example(check_frames);
}

static void test_parametric_map(void **state) {
  (void)state;
  each_example(check_parametric_map);
}

static void test_segmentation(void **state) {
  (void)state;
  each_example(check_segmentation);
}

static void test_report(void **state) {
  (void)state;
  each_example(check_report);
}

static void test_presentation(void **state) {
  (void)state;
  each_example(check_presentation);
}

/* A map that grows along x on the cube's axial slice grows along x on the CT slice, by the
 * millimetre, and is nowhere else. */
static void check_map_in_place(struct example *e) {
  struct ct_plane grid = ct_plane_of_cube(&e->cube, CT_AXIAL, 16, 28, 28);
  struct ct_plane slice = ct_plane_of_slice(e->series, e->slice);
  float map[28 * 28], *out = malloc(slice.rows * slice.columns * sizeof *out);
  assert_non_null(out);
  double p[3];
  for (size_t i = 0; i < 28 * 28; i++) {
    size_t r = i / 28, c = i % 28;
    ct_plane_to_patient(&grid, (double)r, (double)c, p);
    map[i] = (float)(p[0] - e->cube.centre_mm[0]);
  }
  ct_plane_resample(map, &grid, out, &slice);
  size_t n = 0;
  for (size_t r = 0; r < slice.rows; r++)
    for (size_t c = 0; c < slice.columns; c++) {
      double value = (double)out[r * slice.columns + c], at[3];
      if (isnan(value)) continue;
      n++;
      /* ct_series_to_patient is another way to the same point */
      ct_series_to_patient(e->series, (double[3]){(double)c, (double)r, (double)e->slice}, at);
      double x = at[0] - e->cube.centre_mm[0];
      if (fabs(x) < 15) assert_true(fabs(value - x) < 0.01);
      assert_true(fabs(x) <= 16.001 && fabs(at[1] - e->cube.centre_mm[1]) <= 16.001);
    }
  double expected = 32 * 32 / (slice.pixel_spacing_mm[0] * slice.pixel_spacing_mm[1]);
  assert_true(fabs((double)n - expected) < 0.05 * expected);
  free(out);
}

static void test_map_in_place(void **state) {
  (void)state;
  each_example(check_map_in_place);
}

int main(void) {
  lc_test_need_data();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_frames),         cmocka_unit_test(test_map_in_place),
      cmocka_unit_test(test_parametric_map), cmocka_unit_test(test_segmentation),
      cmocka_unit_test(test_report),         cmocka_unit_test(test_presentation),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
