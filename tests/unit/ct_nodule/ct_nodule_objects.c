/* DICOM objects that other programs wrote (tests/nodule_objects), read back: nodules, places,
 * volumes, readers and ratings are those that the script which wrote them computed. */
#include "tests/lc_test.h"

#include <math.h>

#include "common/lc_csv.h"
#include "common/lc_file.h"
#include "ct_io/nodule/ct_nodule.h"
#include "ct_io/nodule/ct_nodule_finder.h"

#define OBJECTS LC_TEST_SOURCE_DIR "/tests/nodule_objects/"

enum { SLICES = 12 };
static struct ct_slice slices[SLICES];
static struct ct_series series = {.slices = slices,
                                  .n_slices = SLICES,
                                  .rows = 31,
                                  .columns = 33,
                                  .pixel_spacing_mm = {0.7, 0.8},
                                  .slice_spacing_mm = 1.25,
                                  .slice_thickness_mm = 1.25,
                                  .orientation = {1, 0, 0, 0, 1, 0},
                                  .normal = {0, 0, 1},
                                  .study_instance_uid = "2.25.10",
                                  .series_instance_uid = "2.25.11",
                                  .frame_of_reference_uid = "2.25.12"};

static int set_up(void **state) {
  (void)state;
  for (int k = 0; k < SLICES; k++) {
    slices[k] = (struct ct_slice){.path = (char *)"none/ct.dcm",
                                  .position_mm = {-20, 15, -100 + 1.25 * k},
                                  .along_mm = -100 + 1.25 * k};
    snprintf(slices[k].sop_instance_uid, CT_UID_SIZE, "2.25.%d", 1000 + k);
  }
  return 0;
}

/* What was read of one file, or of a folder. */
struct read {
  struct ct_nodule_finder finder;
  struct ct_annotation *annotation;
  struct ct_nodule_list list;
};

static void open_path(struct read *read, const char *path) {
  *read = (struct read){.annotation = NULL};
  assert_ok(ct_nodule_finder_find(&read->finder, path, &series, &read->annotation, &test_err));
  assert_ok(ct_nodules_from_annotation(&read->list, read->annotation, &series, NULL, &test_err));
}

static void open_object(struct read *read, const char *name) {
  char path[500];
  snprintf(path, sizeof path, OBJECTS "%s", name);
  open_path(read, path);
}

static void close_read(struct read *read) {
  ct_nodule_list_free(&read->list);
  ct_nodule_finder_free(&read->finder);
}

static const struct ct_nodule *nodule_named(const struct read *read, const char *name) {
  for (size_t i = 0; i < read->list.n_nodules; i++) {
    const struct ct_nodule *nodule = &read->list.nodules[i];
    if (nodule->n_marks && strcmp(nodule->marks[0]->nodule_id, name) == 0) return nodule;
  }
  fail_msg("no nodule %s among %zu", name, read->list.n_nodules);
  return NULL;
}

static const struct ct_point *point_named(const struct read *read, const char *name) {
  for (size_t i = 0; i < read->annotation->n_points; i++)
    if (strcmp(read->annotation->points[i].name, name) == 0) return &read->annotation->points[i];
  fail_msg("no point %s among %zu", name, read->annotation->n_points);
  return NULL;
}

enum { FILE_NAME, NAME, KIND, X, Y, Z, VOLUME, READER, RATINGS, NUMBER };

static double number(const struct lc_csv *csv, size_t row, size_t column) {
  double value = 0;
  assert_ok(lc_csv_number(csv, row, column, &value, &test_err));
  return value;
}

static double volume_of(const struct ct_nodule *nodule) {
  struct ct_consensus consensus;
  assert_ok(ct_nodule_consensus(&consensus, nodule, &series, 0.5, &test_err));
  double volume = consensus.volume_mm3;
  ct_consensus_free(&consensus);
  return volume;
}

static void check_ratings(const struct ct_nodule *nodule, const char *expected) {
  char text[64] = "";
  for (int r = 0; *expected && r < CT_RATING_COUNT; r++)
    snprintf(text + strlen(text), sizeof text - strlen(text), r ? " %d" : "%d",
             nodule->marks[0]->rating[r]);
  assert_string_equal(text, expected);
  assert_int_equal(nodule->marks[0]->has_ratings, *expected != '\0');
}

static void check_nodule(const struct read *read, const struct lc_csv *csv, size_t row) {
  const struct ct_nodule *nodule = nodule_named(read, lc_csv_cell(csv, row, NAME));
  bool exact = strcmp(lc_csv_cell(csv, row, KIND), "mask") == 0;
  double volume = number(csv, row, VOLUME), layer = pow(volume, 2.0 / 3) * 4.84 * 0.7;
  assert_int_equal(nodule->n_marks, 1);
  assert_int_equal(nodule->marks[0]->faults, 0);
  for (size_t c = 0; c < 3; c++)
    assert_near(nodule->centre_mm[c], number(csv, row, X + c), exact ? 1e-6 : 0.5);
  /* Of a shape on the series' own grid, or contours on its slices, every voxel; of one on another
   * grid within half a layer of voxels. */
  assert_near(volume_of(nodule), volume, exact ? 1e-6 : 0.5 * layer);
  assert_string_equal(nodule->marks[0]->reader, lc_csv_cell(csv, row, READER));
  check_ratings(nodule, lc_csv_cell(csv, row, RATINGS));
  if (*lc_csv_cell(csv, row, NUMBER)) {
    assert_true(nodule->marks[0]->region->has_probability);
    assert_near(nodule->marks[0]->region->probability, number(csv, row, NUMBER), 1e-12);
  }
}

static void check_point(const struct read *read, const struct lc_csv *csv, size_t row) {
  const struct ct_point *point = point_named(read, lc_csv_cell(csv, row, NAME));
  bool cad = strcmp(lc_csv_cell(csv, row, FILE_NAME), "cad_report.dcm") == 0;
  for (size_t c = 0; c < 3; c++) assert_near(point->centre_mm[c], number(csv, row, X + c), 1e-5);
  if (cad)
    assert_near(point->probability, number(csv, row, NUMBER), 1e-12);
  else
    assert_true(isnan(point->probability));
  if (!cad && strcmp(point->name, "place") == 0)
    assert_near(point->diameter_mm, number(csv, row, NUMBER), 1e-12);
}

static void test_what_the_script_put_in(void **state) {
  struct lc_csv csv;
  struct read read = {.annotation = NULL};
  size_t n_checked = 0;
  (void)state;
  assert_ok(lc_csv_read(&csv, OBJECTS "truth.csv", &test_err));
  for (size_t row = 0; row < csv.n_rows; row++) {
    const char *kind = lc_csv_cell(&csv, row, KIND);
    if (strcmp(kind, "rating") == 0) continue;
    close_read(&read);
    open_object(&read, lc_csv_cell(&csv, row, FILE_NAME));
    if (strcmp(kind, "point") == 0)
      check_point(&read, &csv, row);
    else
      check_nodule(&read, &csv, row);
    n_checked++;
  }
  assert_int_equal(n_checked, 16);
  close_read(&read);
  lc_csv_free(&csv);
}

/* What a file holds beside its nodules: how many there are, left out, and unplaced. */
static void counts_are(const char *name, const char *kind, size_t nodules, size_t unreadable,
                       size_t unplaced, size_t files) {
  struct read read;
  open_object(&read, name);
  assert_string_equal(read.annotation->source->name, kind);
  if (read.list.n_nodules != nodules || read.list.n_unreadable != unreadable ||
      read.list.n_marks_unplaced != unplaced || read.list.n_unreadable_files != files)
    fail_msg("%s: %zu nodules, %zu unreadable, %zu unplaced, %zu of another frame", name,
             read.list.n_nodules, read.list.n_unreadable, read.list.n_marks_unplaced,
             read.list.n_unreadable_files);
  close_read(&read);
}

static void test_what_is_left_out(void **state) {
  (void)state;
  /* A lung, which is none, and a nodule without frames. */
  counts_are("seg_binary.dcm", "dicom_seg", 3, 1, 0, 0);
  counts_are("seg_fractional.dcm", "dicom_seg", 1, 0, 0, 0);
  counts_are("seg_labels.dcm", "dicom_seg", 2, 0, 0, 0);
  /* A lung and a PTV; an open line, and a contour off the slices. */
  counts_are("rtstruct.dcm", "rtstruct", 3, 1, 1, 0);
  /* One of another frame of reference. */
  counts_are("report_regions.dcm", "report", 4, 0, 0, 1);
  /* One that is not for presentation; a certainty of 250 %, and a finding without a place. */
  counts_are("cad_report.dcm", "cad_report", 2, 2, 0, 0);
}

static void test_a_report_without_its_segments(void **state) {
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *found;
  struct ct_nodule_list list;
  (void)state;
  assert_ok(
      ct_nodule_finder_find(&finder, OBJECTS "report_segments.dcm", &series, &found, &test_err));
  assert_ok(ct_nodules_from_annotation(&list, found, &series, NULL, &test_err));
  assert_int_equal(list.n_nodules, 0);
  assert_int_equal(list.n_marks_unplaced, 2);
  ct_nodule_list_free(&list);
  ct_nodule_finder_free(&finder);
}

static void copy_to(const char *folder, const char *name) {
  char from[500], to[500], *bytes;
  size_t n;
  snprintf(from, sizeof from, OBJECTS "%s", name);
  snprintf(to, sizeof to, "%s/%.20s_without_ending", folder, name);
  assert_ok(lc_file_read(from, 1 << 20, &bytes, &n, &test_err));
  assert_ok(lc_file_write(to, bytes, n, &test_err));
  free(bytes);
}

/* The public DICOM version of LIDC-IDRI: outlines in one object, ratings in another. In a folder
 * objects are found by their first bytes, whatever their names. */
static void test_ratings_of_segments(void **state) {
  char folder[256];
  struct lc_csv csv;
  struct read read;
  (void)state;
  lc_test_folder(folder);
  copy_to(folder, "report_segments.dcm");
  copy_to(folder, "seg_binary.dcm");
  open_path(&read, folder);
  assert_int_equal(read.annotation->n_marks, 3);
  assert_int_equal(read.list.n_nodules, 3);
  assert_ok(lc_csv_read(&csv, OBJECTS "truth.csv", &test_err));
  for (size_t row = 0; row < csv.n_rows; row++) {
    const char *name = lc_csv_cell(&csv, row, NAME);
    if (strcmp(lc_csv_cell(&csv, row, KIND), "rating") != 0) continue;
    const struct ct_nodule *nodule = nodule_named(&read, name);
    check_ratings(nodule, lc_csv_cell(&csv, row, RATINGS));
    assert_string_equal(nodule->marks[0]->reader, "Reader^Two");
    assert_int_equal(nodule->n_readers, 1);
    assert_true(nodule->marks[0]->region->mask.inside != NULL);
  }
  close_read(&read);
  lc_csv_free(&csv);
  assert_ok(lc_folder_remove(folder, &test_err));
}

/* A segment that holds several nodules: its connected parts are marks, where that is asked for. */
static void test_parts_of_a_segment(void **state) {
  const char *const path = OBJECTS "seg_oblique.dcm";
  const struct ct_nodule_search search = {.paths = &path, .n_paths = 1, .components = true};
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *found;
  size_t voxels[2] = {0};
  (void)state;
  for (int again = 0; again < 2; again++) { /* what is split already stays */
    assert_ok(ct_nodule_finder_search(&finder, &search, &series, &found, &test_err));
    assert_int_equal(found->n_marks, 2); /* the halves of the box beside its gap */
  }
  for (size_t m = 0; m < 2; m++) {
    const struct ct_grid_mask *mask = &found->marks[m].region->mask;
    assert_int_equal(mask->size[0], 13);
    assert_int_equal(mask->size[1], 17);
    assert_int_equal(mask->size[2], 7);
    for (size_t i = 0; i < 13 * 17 * 7; i++) voxels[m] += mask->inside[i];
    assert_int_equal(voxels[m], 13 * 17 * 7);
  }
  assert_string_equal(found->marks[1].nodule_id, "lesion-2");
  assert_near(found->marks[1].region->mask.origin_mm[0] - found->marks[0].region->mask.origin_mm[0],
              9 * 0.6 * 0.48, 1e-5);
  ct_nodule_finder_free(&finder);
}

/* Which series an object is of. */
static void test_matching(void **state) {
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *found;
  (void)state;
  strcpy(series.series_instance_uid, "2.25.77"); /* another series of the frame of reference */
  assert_ok(ct_nodule_finder_find(&finder, OBJECTS "seg_binary.dcm", &series, &found, &test_err));
  assert_int_equal(found->n_marks, 3);
  strcpy(series.frame_of_reference_uid, "2.25.78");
  assert_fails(ct_nodule_finder_find(&finder, OBJECTS "seg_binary.dcm", &series, &found, &test_err),
               LC_ERR_MISMATCH, "annotates series 2.25.11, expected 2.25.77");
  strcpy(series.series_instance_uid, "2.25.11"); /* its series, and not its frame of reference */
  assert_fails(ct_nodule_finder_find(&finder, OBJECTS "seg_binary.dcm", &series, &found, &test_err),
               LC_ERR_MISMATCH, "names series 2.25.11, and the frame of reference 2.25.12");
  strcpy(series.frame_of_reference_uid, "2.25.12");
  ct_nodule_finder_free(&finder);
}

/* Objects that the index met: of the same study, wherever they lie, but not this program's own. */
static void test_objects_of_the_index(void **state) {
  struct ct_slice object = {.path = (char *)OBJECTS "seg_labels.dcm",
                            .sop_class_uid = "1.2.840.10008.5.1.4.1.1.66.7"};
  struct ct_series met = {.slices = &object, .n_slices = 1, .study_instance_uid = "2.25.10"};
  const struct ct_index index = {.series = &met, .n_series = 1};
  struct ct_nodule_finder finder = {.index = &index};
  struct ct_annotation *found;
  char folder[256], path[300];
  (void)state;
  lc_test_folder(folder);
  snprintf(path, sizeof path, "%s/ct.dcm", folder);
  for (int k = 0; k < SLICES; k++) slices[k].path = path;
  assert_ok(ct_nodule_finder_find(&finder, NULL, &series, &found, &test_err));
  assert_int_equal(found->n_marks, 2);
  strcpy(met.manufacturer, "lungcdam");
  assert_fails(ct_nodule_finder_find(&finder, NULL, &series, &found, &test_err), LC_ERR_NO_NODULES,
               "beside series 2.25.11");
  ct_nodule_finder_free(&finder);
  assert_ok(lc_folder_remove(folder, &test_err));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_what_the_script_put_in, set_up),
      cmocka_unit_test_setup(test_what_is_left_out, set_up),
      cmocka_unit_test_setup(test_a_report_without_its_segments, set_up),
      cmocka_unit_test_setup(test_ratings_of_segments, set_up),
      cmocka_unit_test_setup(test_parts_of_a_segment, set_up),
      cmocka_unit_test_setup(test_matching, set_up),
      cmocka_unit_test_setup(test_objects_of_the_index, set_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
