/* Segmentations: valid, the very voxels, on the grid of the source. */
#include "tests/ct_dicom_test.h"

#include "ct_io/dicom_write/ct_segmentation.h"
#include "ct_io/nodule/ct_nodule_source.h"
#include "tests/ct_source_test.h"

/* The source: 16 x 16 pixels, 3 slices. */
enum { SIDE = 16, PIXELS = SIDE * SIDE };
static const size_t slices[1] = {0};
static const size_t first[2][3] = {{3, 9, 0}, {14, 1, 1}}, size[2][3] = {{5, 5, 3}, {2, 3, 2}};
static uint8_t masks[2][5 * 5 * 3];

/* A ball, and a box that touches the border of the image, in the second and third slice. */
static struct ct_segmentation make(struct ct_segment *segments) {
  memset(masks, 0, sizeof masks);
  for (int z = 0; z < 3; z++)
    for (int y = 0; y < 5; y++)
      for (int x = 0; x < 5; x++)
        masks[0][(z * 5 + y) * 5 + x] =
            4 * (z - 1) * (z - 1) + (y - 2) * (y - 2) + (x - 2) * (x - 2) <= 4;
  for (int i = 0; i < 2 * 3 * 2; i++) masks[1][i] = 255;
  segments[0] = (struct ct_segment){.kind = CT_SEGMENT_NODULE,
                                    .label = "nodule-1 consensus of 4 readers",
                                    .mask = masks[0],
                                    .tracking_id = "nodule-1",
                                    .tracking_uid = "2.25.5005"};
  segments[1] = (struct ct_segment){.kind = CT_SEGMENT_RELEVANCE,
                                    .label = "nodule-1 speaks for malignancy",
                                    .algorithm = "CDAM malignancy > 0",
                                    .mask = masks[1]};
  for (int s = 0; s < 2; s++) {
    memcpy(segments[s].first, first[s], sizeof first[s]);
    memcpy(segments[s].size, size[s], sizeof size[s]);
  }
  return (struct ct_segmentation){.about = derived_test_object(slices, 1),
                                  .name = "lidc_axial",
                                  .version = "1.0",
                                  .segments = segments,
                                  .n_segments = 2};
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

/* The ball has voxels in 3 slices, the box in 2: 5 frames of 256 bits, each a whole CT slice. */
static void test_the_very_voxels(void **state) {
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
  const unsigned char *bits = (const unsigned char *)bytes + count - 5 * PIXELS / 8;
  const size_t frames[5][2] = {{0, 0}, {0, 1}, {0, 2}, {1, 1}, {1, 2}}; /* segment, slice */
  for (size_t f = 0, at = 0; f < 5; f++)
    for (size_t i = 0; i < PIXELS; i++, at++) {
      size_t s = frames[f][0], x = i % SIDE - first[s][0], y = i / SIDE - first[s][1];
      size_t z = frames[f][1] - first[s][2];
      bool inside =
          x < size[s][0] && y < size[s][1] && masks[s][(z * size[s][1] + y) * size[s][0] + x];
      assert_int_equal(bits[at / 8] >> (at % 8) & 1, inside);
    }
  free(bytes);
}

/* Rows, columns, spacing, directions and places are those of the CT slices. */
static void test_place(void **state) {
  (void)state;
  need_program("dcmdump");
  struct ct_segment segments[2];
  struct ct_segmentation segmentation = make(segments);
  const char *path = source_test_path("seg.dcm");
  assert_ok(ct_segmentation_write(&segmentation, path, &test_err));
  const char *const same[] = {"Rows", "Columns", "PixelSpacing", "ImageOrientationPatient",
                              "ImagePositionPatient"};
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    char ours[256];
    snprintf(ours, sizeof ours, "%s", dicom_value(path, same[i]));
    assert_string_equal(ours, dicom_value(source_test_series()->slices[0].path, same[i]));
  }
  assert_string_equal(dicom_value(path, "SpacingBetweenSlices"), "1.25");
  for (size_t k = 0; k < 3; k++) {
    char position[128];
    snprintf(position, sizeof position, "DS [%s]",
             dicom_value(source_test_series()->slices[k].path, "ImagePositionPatient"));
    assert_int_equal(dicom_count(path, position), k == 0 ? 1 : 2);
  }
  /* Each slice is the source of its frames, and once among the instances of the series. */
  assert_int_equal(dicom_count(path, "UI [2.25.100300]"), 1 + 1);
  assert_int_equal(dicom_count(path, "UI [2.25.100301]"), 1 + 2);
  assert_int_equal(dicom_count(path, "UI [2.25.100302]"), 1 + 2);
  assert_int_equal(dicom_count(path, "CS [YES]"), 5 /* SpatialLocationsPreserved */);
  assert_int_equal(dicom_count(path, "[27925004]"), 1);
  assert_int_equal(dicom_count(path, "[111099]"), 1);
  assert_string_equal(dicom_value(path, "TrackingUID"), "2.25.5005");
  assert_string_equal(dicom_value(path, "FrameOfReferenceUID"), "2.25.1002");
  /* The readers' segment names no algorithm, the map's does. */
  assert_int_equal(dicom_count(path, "[MANUAL]"), 1);
  assert_int_equal(dicom_count(path, "[AUTOMATIC]"), 1);
  assert_int_equal(dicom_count(path, "[lidc_axial]"), 1);
  assert_int_equal(dicom_count(path, "[CDAM malignancy > 0]"), 1);
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
  const double spacing_mm[3] = {0.703125, 0.6, 1.25},
               origin_mm[3] = {-166.123456, -1.0 / 3, -117.5};
  const double axes[3][3] = {
      {0.8, 0.6, 0}, {-0.6, 0.8, 0}, {0, 0, 1}}; /* of columns, rows, slices */
  for (int c = 0; c < 3; c++) {
    double first_mm = origin_mm[c];
    for (int axis = 0; axis < 3; axis++) {
      assert_near(mask->step_mm[axis][c], axes[axis][c] * spacing_mm[axis], 1e-5);
      first_mm += (double)first[0][axis] * axes[axis][c] * spacing_mm[axis];
    }
    assert_int_equal(mask->size[c], size[0][c]); /* the ball's box, on the grid of the source */
    assert_near(mask->origin_mm[c], first_mm, 1e-5);
  }
  for (size_t i = 0; i < 5 * 5 * 3; i++) assert_int_equal(mask->inside[i], masks[0][i]);
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
  segmentation.version = NULL;
  assert_fails(ct_segmentation_write(&segmentation, path, &test_err), LC_ERR_USAGE,
               "segment 2 does not say what made it");
  segmentation = make(segments);
  segments[1].first[0] = 15;
  assert_fails(ct_segmentation_write(&segmentation, path, &test_err), LC_ERR_USAGE,
               "segment 2 leaves the source series");
  segmentation = make(segments);
  memset(masks[0], 0, sizeof masks[0]);
  assert_fails(ct_segmentation_write(&segmentation, path, &test_err), LC_ERR_USAGE,
               "segment 1 (nodule-1 consensus of 4 readers) has no voxel");
  segmentation = make(segments);
  segments[0].tracking_uid = NULL;
  assert_fails(ct_segmentation_write(&segmentation, path, &test_err), LC_ERR_USAGE, "tracking");
  assert_false(lc_file_exists(path));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_valid),    cmocka_unit_test(test_the_very_voxels),
      cmocka_unit_test(test_place),    cmocka_unit_test(test_read_back),
      cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests(tests, source_test_make, source_test_remove);
}
