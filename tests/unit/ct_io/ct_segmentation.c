/* Segmentations: valid, the very pixels, each frame where its plane is. */
#include "tests/ct_dicom_test.h"

#include <math.h>

#include "ct_io/dicom_write/ct_segmentation.h"
#include "ct_io/nodule/ct_nodule_source.h"
#include "tests/ct_source_test.h"

enum { EDGE = 5 }; /* 25 pixels a frame: frames do not start at whole bytes */
static const size_t slices[3] = {0, 1, 2};
static const struct ct_cube cubes[2] = {
    {.edge = EDGE, .spacing_mm = 1, .centre_mm = {-160, 3, -116.5}},
    {.edge = EDGE, .spacing_mm = 0.5, .centre_mm = {-162, 3, -115.5}},
};
static uint8_t masks[2][EDGE * EDGE * EDGE];
static struct ct_plane planes[2][EDGE];

/* A ball, and a box in the first two planes. */
static struct ct_segmentation make(struct ct_segment *segments) {
  memset(masks, 0, sizeof masks);
  for (int z = 0; z < EDGE; z++)
    for (int y = 0; y < EDGE; y++)
      for (int x = 0; x < EDGE; x++) {
        int i = (z * EDGE + y) * EDGE + x;
        masks[0][i] = (z - 2) * (z - 2) + (y - 2) * (y - 2) + (x - 2) * (x - 2) <= 2;
        masks[1][i] = (uint8_t)(z < 2 && x > 0 ? 255 : 0);
      }
  for (int s = 0; s < 2; s++) ct_segment_planes_of_cube(&cubes[s], planes[s]);
  segments[0] = (struct ct_segment){.kind = CT_SEGMENT_NODULE,
                                    .label = "nodule-1 consensus of 4 readers",
                                    .planes = planes[0],
                                    .n_planes = EDGE,
                                    .mask = masks[0],
                                    .tracking_id = "nodule-1",
                                    .tracking_uid = "2.25.5005"};
  segments[1] = (struct ct_segment){.kind = CT_SEGMENT_RELEVANCE,
                                    .label = "nodule-1 speaks for malignancy",
                                    .algorithm = "CDAM malignancy > 0",
                                    .planes = planes[1],
                                    .n_planes = EDGE,
                                    .mask = masks[1]};
  return (struct ct_segmentation){
      .about = derived_test_object(slices, 3), .segments = segments, .n_segments = 2};
}

static void test_valid(void **state) {
  (void)state;
  need_program("dciodvfy");
  struct ct_segment segments[2];
  struct ct_segmentation segmentation = make(segments);
  const char *path = source_test_path("seg.dcm");
  assert_ok(ct_segmentation_write(&segmentation, path, &test_err));
  assert_valid_dicom(path, "Segmentation");
}

/* The ball has pixels in 3 planes, the box in 2: 5 frames of 25 bits. */
static void test_the_very_pixels(void **state) {
  (void)state;
  need_program("dcmdump");
  struct ct_segment segments[2];
  struct ct_segmentation segmentation = make(segments);
  const char *path = source_test_path("seg.dcm");
  assert_ok(ct_segmentation_write(&segmentation, path, &test_err));
  assert_string_equal(dicom_value(path, "NumberOfFrames"), "5");
  char *bytes;
  size_t count;
  assert_ok(lc_file_read(path, 1 << 20, &bytes, &count, &test_err));
  const unsigned char *bits = (const unsigned char *)bytes + count - 16; /* 125 bits */
  const int frames[5][2] = {{0, 1}, {0, 2}, {0, 3}, {1, 0}, {1, 1}};
  for (int f = 0, at = 0; f < 5; f++)
    for (int i = 0; i < EDGE * EDGE; i++, at++) {
      int expected = masks[frames[f][0]][frames[f][1] * EDGE * EDGE + i] != 0;
      assert_int_equal(bits[at / 8] >> (at % 8) & 1, expected);
    }
  free(bytes);
}

static void test_place(void **state) {
  (void)state;
  need_program("dcmdump");
  struct ct_segment segments[2];
  struct ct_segmentation segmentation = make(segments);
  const char *path = source_test_path("seg.dcm");
  assert_ok(ct_segmentation_write(&segmentation, path, &test_err));
  /* The ball's first plane is one millimetre below its centre; pixel (0, 0) two mm off in x, y. */
  assert_string_equal(dicom_value(path, "ImagePositionPatient"), "-162\\1\\-117.5");
  assert_int_equal(dicom_count(path, "DS [-163\\2\\-116.5]"), 1); /* the box's */
  assert_int_equal(dicom_count(path, "DS [1\\0\\0\\0\\1\\0]"), 5);
  assert_int_equal(dicom_count(path, "DS [0.5\\0.5]"), 2);
  /* z = -117.5 .. -115.5 and -116.5, -116: the slices at -117.5, -116.25 and -115 */
  assert_int_equal(dicom_count(path, "UI [2.25.100300]"), 2);
  assert_int_equal(dicom_count(path, "UI [2.25.100301]"), 1 + 3);
  assert_int_equal(dicom_count(path, "UI [2.25.100302]"), 1 + 1);
  assert_int_equal(dicom_count(path, "[27925004]"), 1);
  assert_int_equal(dicom_count(path, "[111099]"), 1);
  assert_string_equal(dicom_value(path, "TrackingUID"), "2.25.5005");
  assert_string_equal(dicom_value(path, "FrameOfReferenceUID"), "2.25.1002");
}

/* Read as a source of nodules: the ball is one, the region that a map points to is not. */
static void test_read_back(void **state) {
  (void)state;
  struct ct_segment segments[2];
  struct ct_segmentation segmentation = make(segments);
  const struct ct_nodule_source *source;
  struct ct_annotations found = {0};
  const char *path = source_test_path("seg.dcm");
  assert_ok(ct_segmentation_write(&segmentation, path, &test_err));
  assert_ok(ct_nodule_source_of(&source, path, &test_err));
  assert_ok(source->read(&found, path, &test_err));
  assert_int_equal(found.n, 1);
  assert_string_equal(found.items->frame_of_reference_uid, "2.25.1002");
  assert_int_equal(found.items->n_marks, 1);
  const struct ct_mark *mark = found.items->marks;
  const struct ct_grid_mask *mask = &mark->region->mask;
  assert_string_equal(mark->nodule_id, "nodule-1");
  assert_string_equal(mark->region->tracking_uid, "2.25.5005");
  for (int c = 0; c < 3; c++) {
    assert_int_equal(mask->size[c], 3); /* the ball's box in its cube */
    assert_near(mask->origin_mm[c], cubes[0].centre_mm[c] - 1, 1e-6);
    for (int axis = 0; axis < 3; axis++)
      assert_near(mask->step_mm[axis][c], axis == c ? 1 : 0, 1e-6);
  }
  for (size_t i = 0; i < 27; i++) {
    size_t x = i % 3 + 1, y = i / 3 % 3 + 1, z = i / 9 + 1;
    assert_int_equal(mask->inside[i], masks[0][(z * EDGE + y) * EDGE + x]);
  }
  ct_annotations_free(&found);
}

static void test_refusals(void **state) {
  (void)state;
  struct ct_segment segments[2];
  struct ct_segmentation segmentation = make(segments);
  const char *path = source_test_path("refused.dcm");
  segments[1].algorithm = NULL;
  assert_fails(ct_segmentation_write(&segmentation, path, &test_err), LC_ERR_USAGE,
               "segment 2 does not say what made it");
  segmentation = make(segments);
  planes[1][4].rows++;
  assert_fails(ct_segmentation_write(&segmentation, path, &test_err), LC_ERR_USAGE,
               "segment 2 has planes of another size");
  segmentation = make(segments);
  memset(masks[0], 0, sizeof masks[0]);
  assert_fails(ct_segmentation_write(&segmentation, path, &test_err), LC_ERR_USAGE,
               "segment 1 (nodule-1 consensus of 4 readers) has no pixel");
  segmentation = make(segments);
  segments[0].tracking_uid = NULL;
  assert_fails(ct_segmentation_write(&segmentation, path, &test_err), LC_ERR_USAGE, "tracking");
  assert_false(lc_file_exists(path));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_valid),    cmocka_unit_test(test_the_very_pixels),
      cmocka_unit_test(test_place),    cmocka_unit_test(test_read_back),
      cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests(tests, source_test_make, source_test_remove);
}
