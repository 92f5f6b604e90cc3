/* Presentation states: valid, with lines where the pixels are. */
#include "tests/ct_dicom_test.h"

#include <math.h>

#include "ct_io/dicom_write/ct_presentation.h"
#include "tests/ct_source_test.h"

static const size_t slices[2] = {0, 2};

/* Two readers on two slices; the first reader's line is closed, the second's is not. */
static int32_t ring[5][2] = {{3, 4}, {7, 4}, {7, 9}, {3, 9}, {3, 4}};
static int32_t triangle[3][2] = {{10, 2}, {12, 2}, {11, 5}};
static struct ct_outline ring_outlines[2] = {
    {.sop_instance_uid = "2.25.100300", .inclusion = true, .xy = ring, .n_points = 5},
    {.sop_instance_uid = "2.25.999", .inclusion = true, .xy = ring, .n_points = 5}};
static struct ct_outline triangle_outlines[1] = {
    {.sop_instance_uid = "2.25.100302", .inclusion = true, .xy = triangle, .n_points = 3}};
static const struct ct_mark marks[2] = {
    {.session = 0, .outlines = ring_outlines, .n_outlines = 2},
    {.session = 2, .outlines = triangle_outlines, .n_outlines = 1}};

static void draw(struct ct_drawn_outline **outlines, size_t *n) {
  const struct ct_mark *both[2] = {&marks[0], &marks[1]};
  struct ct_nodule nodule = {.marks = both, .n_marks = 2};
  assert_ok(ct_drawn_outlines_of(outlines, n, &nodule, source_test_series(), &test_err));
}

static const struct ct_drawn_text text = {
    .layer = "LABEL", .slice = 2, .xy = {10, 1}, .text = "nodule-1 (research use only)"};

static struct ct_presentation make(const struct ct_drawn_outline *outlines, size_t n) {
  struct ct_presentation presentation = {.about = derived_test_object(slices, 2),
                                         .outlines = outlines,
                                         .n_outlines = n,
                                         .texts = &text,
                                         .n_texts = 1};
  presentation.about.series_number = 9600;
  return presentation;
}

static void test_outlines_of_a_nodule(void **state) {
  (void)state;
  struct ct_drawn_outline *outlines;
  size_t n;
  draw(&outlines, &n);
  assert_int_equal(n, 2); /* the slice 2.25.999 is not in the series */
  assert_string_equal(outlines[0].layer, "READER 1");
  assert_string_equal(outlines[1].layer, "READER 3");
  assert_int_equal(outlines[0].n_points, 5);
  assert_int_equal(outlines[1].n_points, 4); /* closed */
  assert_memory_equal(outlines[1].xy[0], outlines[1].xy[3], sizeof outlines[1].xy[0]);
  assert_int_equal(outlines[1].slice, 2);
  ct_drawn_outlines_free(outlines, n);
}

static void test_valid(void **state) {
  (void)state;
  need_program("dciodvfy");
  struct ct_drawn_outline *outlines;
  size_t n;
  draw(&outlines, &n);
  struct ct_presentation presentation = make(outlines, n);
  const char *path = source_test_path("state.dcm");
  assert_ok(ct_presentation_write(&presentation, path, &test_err));
  ct_drawn_outlines_free(outlines, n);
  assert_valid_dicom(path, "GrayscaleSoftcopyPresentationState");
}

static void test_lines_and_window(void **state) {
  (void)state;
  need_program("dcmdump");
  struct ct_drawn_outline *outlines;
  size_t n;
  draw(&outlines, &n);
  struct ct_presentation presentation = make(outlines, n);
  const char *path = source_test_path("state.dcm");
  assert_ok(ct_presentation_write(&presentation, path, &test_err));
  ct_drawn_outlines_free(outlines, n);
  /* centre of pixel (3, 4) is 3.5, 4.5 from the image's corner */
  assert_int_equal(dicom_count(path, "FL 3.5\\4.5\\7.5\\4.5\\7.5\\9.5\\3.5\\9.5\\3.5\\4.5"), 1);
  assert_int_equal(dicom_count(path, "FL 10.5\\2.5\\12.5\\2.5\\11.5\\5.5\\10.5\\2.5"), 1);
  assert_string_equal(dicom_value(path, "AnchorPoint"), "10.5\\1.5");
  assert_string_equal(dicom_value(path, "WindowCenter"), "-600");
  assert_string_equal(dicom_value(path, "WindowWidth"), "1500");
  assert_string_equal(dicom_value(path, "RescaleIntercept"), "-1024");
  /* each slice: in the series reference and in its annotations */
  assert_int_equal(dicom_count(path, "[2.25.100300]"), 2);
  assert_int_equal(dicom_count(path, "[2.25.100302]"), 3);
  assert_int_equal(dicom_count(path, "[2.25.100301]"), 0);
  assert_string_equal(dicom_value(path, "Modality"), "PR");
  assert_string_equal(dicom_value(path, "PresentationCreationDate"), "20000102");
}

/* dcmp2pgm, DCMTK's reader of presentation states, shows the slice through the window. */
static void test_dcmtk_applies_it(void **state) {
  (void)state;
  need_program("dcmp2pgm");
  struct ct_drawn_outline *outlines;
  size_t n;
  draw(&outlines, &n);
  struct ct_presentation presentation = make(outlines, n);
  const char *path = source_test_path("state.dcm"), *out = source_test_path("out.pgm");
  assert_ok(ct_presentation_write(&presentation, path, &test_err));
  ct_drawn_outlines_free(outlines, n);
  char command[3 * LC_PATH_SIZE], output[4096], *bytes;
  snprintf(command, sizeof command, "dcmp2pgm -p '%s' '%s' '%s'", path,
           source_test_series()->slices[0].path, out);
  if (run_command(command, output, sizeof output) != 0) fail_msg("%s: %s", command, output);
  size_t count;
  assert_ok(lc_file_read(out, 1 << 20, &bytes, &count, &test_err));
  assert_memory_equal(bytes, "P5", 2);
  const unsigned char *grey = (const unsigned char *)bytes + count - 16 * 16;
  for (int i = 0; i < 16 * 16; i++) { /* the slice holds i - 1000 HU */
    double expected = (i - 1000 + 1350) / 1500.0 * 255;
    if (fabs(grey[i] - expected) > 2) fail_msg("pixel %d: %d, expected %g", i, grey[i], expected);
  }
  free(bytes);
}

static void test_refusals(void **state) {
  (void)state;
  struct ct_drawn_outline *outlines;
  size_t n;
  draw(&outlines, &n);
  struct ct_presentation presentation = make(outlines, n);
  const char *path = source_test_path("refused.dcm");
  presentation.about.n_source_slices = 1;
  assert_fails(ct_presentation_write(&presentation, path, &test_err), LC_ERR_USAGE,
               "outline 2 lies on slice 2, which the object does not name");
  presentation = make(outlines, n);
  snprintf(outlines[0].layer, CT_LAYER_SIZE, "lower case");
  assert_fails(ct_presentation_write(&presentation, path, &test_err), LC_ERR_USAGE, "outline 1");
  presentation.n_outlines = presentation.n_texts = 0;
  assert_fails(ct_presentation_write(&presentation, path, &test_err), LC_ERR_USAGE, "at least one");
  ct_drawn_outlines_free(outlines, n);
  assert_false(lc_file_exists(path));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_outlines_of_a_nodule),
      cmocka_unit_test(test_valid),
      cmocka_unit_test(test_lines_and_window),
      cmocka_unit_test(test_dcmtk_applies_it),
      cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests(tests, source_test_make, source_test_remove);
}
