/* Finding the annotation of a series: beside it, in a file that is named, in a folder; kinds of
 * files are told apart by name and first bytes. */
#include "tests/lc_test.h"

#include "common/lc_file.h"
#include "ct_io/nodule/ct_nodule.h"
#include "ct_io/nodule/ct_nodule_finder.h"

#define XML(uid, x)                                                                                \
  "<LidcReadMessage><ResponseHeader><SeriesInstanceUid>" uid "</SeriesInstanceUid>"                \
  "</ResponseHeader><readingSession><unblindedReadNodule><noduleID>1</noduleID><roi>"              \
  "<imageZposition>1.5</imageZposition><imageSOP_UID>1.2.3.1</imageSOP_UID>"                       \
  "<inclusion>TRUE</inclusion><edgeMap><xCoord>" x "</xCoord><yCoord>2</yCoord></edgeMap>"         \
  "<edgeMap><xCoord>9</xCoord><yCoord>9</yCoord></edgeMap></roi></unblindedReadNodule>"            \
  "</readingSession></LidcReadMessage>"
#define HEADING "seriesuid,coordX,coordY,coordZ,diameter_mm\n"

static char folder[256];

/* A series of one slice in the folder. */
static struct ct_slice slice = {.sop_instance_uid = "1.2.3.1"};
static struct ct_series series = {.slices = &slice,
                                  .n_slices = 1,
                                  .rows = 64,
                                  .columns = 64,
                                  .pixel_spacing_mm = {1, 1},
                                  .slice_spacing_mm = 1,
                                  .orientation = {1, 0, 0, 0, 1, 0},
                                  .normal = {0, 0, 1},
                                  .series_instance_uid = "1.2.3",
                                  .frame_of_reference_uid = "1.2.9"};

static const char *file(const char *name) {
  static char path[400];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void put(const char *name, const char *text) {
  assert_ok(lc_file_write(file(name), text, strlen(text), &test_err));
}

static lc_status find(struct ct_nodule_finder *finder, const char *where,
                      struct ct_annotation **found) {
  return ct_nodule_finder_find(finder, where, &series, found, &test_err);
}

static int empty_folder(void **state) {
  static char path[400];
  (void)state;
  if (*folder) assert_ok(lc_folder_remove(folder, &test_err));
  snprintf(path, sizeof path, "%s/1.dcm", lc_test_folder(folder));
  slice.path = path;
  return 0;
}

static void kind_is(const char *name, const char *text, const char *kind) {
  const struct ct_nodule_source *source;
  put(name, text);
  assert_ok(ct_nodule_source_of(&source, file(name), &test_err));
  assert_string_equal(source->name, kind);
}

static void test_kinds(void **state) {
  const struct ct_nodule_source *source;
  size_t n;
  (void)state;
  const struct ct_nodule_source *const *table = ct_nodule_sources(&n);
  for (size_t i = 0; i < n; i++)
    if (!*table[i]->name || !*table[i]->title || !*table[i]->doc) fail_msg("entry %zu is bare", i);
  kind_is("a.XML", "anything", "lidc_xml");
  kind_is("a.txt", " \n<LidcReadMessage/>", "lidc_xml");
  kind_is("a.CSV", HEADING, "csv");
  put("b.txt", HEADING);
  assert_fails(ct_nodule_source_of(&source, file("b.txt"), &test_err), LC_ERR_FORMAT,
               "b.txt: of no kind that nodules are read from, expected one of LIDC XML, ");
  assert_true(ct_nodule_source_wants("b.xml"));
  assert_false(ct_nodule_source_wants("b.csv")); /* a list: only where it is named */
  assert_false(ct_nodule_source_wants("b.dcm"));
}

static void test_beside_the_series(void **state) {
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *found;
  char one[LC_SHA256_HEX], two[LC_SHA256_HEX], lines[2 * LC_SHA256_HEX + 2], all[LC_SHA256_HEX];
  (void)state;
  put("points.csv", HEADING "1.2.3,0,0,1,5\n");
  assert_fails(find(&finder, NULL, &found), LC_ERR_NO_NODULES,
               "1.dcm: no nodules beside series 1.2.3 (LIDC XML, ");
  put("broken.xml", "<");
  assert_fails(find(&finder, NULL, &found), LC_ERR_FORMAT, "broken.xml:1: unclosed token");
  put("other.xml", XML("7.7", "1"));
  assert_fails(find(&finder, NULL, &found), LC_ERR_MISMATCH,
               "other.xml: annotates series 7.7, expected series 1.2.3");
  put("b.xml", XML("1.2.3", "1"));
  put("a.xml", XML("1.2.3", "1") "\n");
  put("c.xml", XML("1.2.3", "70"));
  assert_ok(find(&finder, NULL, &found));
  assert_int_equal(found->n_marks, 2); /* b repeats a */
  assert_int_equal(found->marks[0].faults & CT_FAULT_REPEATED, CT_FAULT_REPEATED);
  assert_int_equal(found->marks[1].session, 1);
  assert_int_equal(found->marks[1].faults & CT_FAULT_OUTSIDE_IMAGE, CT_FAULT_OUTSIDE_IMAGE);
  assert_string_equal(found->path, file("a.xml"));
  assert_string_equal(found->also.paths[1], file("c.xml"));
  assert_string_equal(found->source->title, "LIDC XML");
  assert_int_equal(finder.set.problems.count, 1);
  assert_ok(lc_folder_remove(file("c.xml"), &test_err));
  assert_ok(find(&finder, NULL, &found)); /* other files: read again */
  assert_int_equal(found->n_marks, 1);
  assert_ok(ct_annotation_hash(found, all, &test_err));
  assert_ok(lc_hash_file_hex(file("a.xml"), one, &test_err));
  assert_ok(lc_hash_file_hex(file("b.xml"), two, &test_err));
  snprintf(lines, sizeof lines, "%s\n%s\n", one, two);
  assert_ok(lc_hash_bytes_hex(lines, strlen(lines), two, &test_err));
  assert_string_equal(all, two);
  ct_nodule_finder_free(&finder);
}

static void test_a_file_that_is_named(void **state) {
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *found;
  struct ct_nodule_list list;
  (void)state;
  assert_fails(find(&finder, file("none.xml"), &found), LC_ERR_NOT_FOUND,
               "none.xml: cannot be read: No such file");
  ct_nodule_finder_free(&finder);
  assert_fails(find(&finder, "/dev/null", &found), LC_ERR_FORMAT, "not a regular file");
  ct_nodule_finder_free(&finder);
  put("other.xml", XML("7.7", "1"));
  assert_fails(find(&finder, file("other.xml"), &found), LC_ERR_MISMATCH,
               "other.xml: annotates series 7.7, expected 1.2.3");
  ct_nodule_finder_free(&finder);
  put("chest.xml", "<IdriReadMessage/>");
  assert_fails(find(&finder, file("chest.xml"), &found), LC_ERR_MISMATCH, "a chest X-ray");
  ct_nodule_finder_free(&finder);
  put("other.csv", HEADING "7.7,0,0,1,5\n");
  assert_fails(find(&finder, file("other.csv"), &found), LC_ERR_NO_NODULES,
               "other.csv: no nodule of 3 mm or more for series 1.2.3");
  ct_nodule_finder_free(&finder);
  put("points.csv", HEADING "1.2.3,4,5,1,6\n7.7,0,0,0,1\n1.2.3,7,8,1,2\n");
  assert_ok(find(&finder, file("points.csv"), &found));
  put("points.csv", "gone"); /* read once */
  assert_ok(find(&finder, file("points.csv"), &found));
  assert_ok(ct_nodules_from_annotation(&list, found, &series, NULL, &test_err));
  assert_int_equal(list.n_nodules, 2);
  assert_int_equal(list.nodules[1].line, 4);
  assert_true(list.nodules[0].bounds_mm[0][1] == 2 && list.tolerance_used == 0);
  ct_nodule_list_free(&list);
  ct_nodule_finder_free(&finder);
}

static void test_a_folder(void **state) {
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *found;
  char where[300];
  (void)state;
  snprintf(where, sizeof where, "%s", folder);
  put("broken.xml", "<");
  put("other.xml", XML("7.7", "1"));
  assert_fails(find(&finder, where, &found), LC_ERR_NO_NODULES,
               "none of its 1 files of nodules is for series 1.2.3");
  ct_nodule_finder_free(&finder);
  assert_ok(lc_folder_make(file("deep"), &test_err));
  put("deep/one.xml", XML("1.2.3", "1"));
  assert_ok(find(&finder, where, &found));
  assert_string_equal(found->path, file("deep/one.xml"));
  ct_nodule_finder_free(&finder);
}

/* Marks and points of one annotation, named by the frame of reference alone. */
static void test_frame_of_reference(void **state) {
  struct ct_nodule_list list;
  int32_t points[3][2] = {{10, 10}, {14, 10}, {10, 14}};
  struct ct_outline outline = {.inclusion = true, .xy = points, .n_points = 3};
  struct ct_mark mark = {.outlines = &outline, .n_outlines = 1};
  struct ct_point point = {.centre_mm = {1, 2, 0}, .diameter_mm = 4};
  struct ct_annotation annotations[2] = {
      {.path = (char *)"frame", .marks = &mark, .n_marks = 1, .points = &point, .n_points = 1},
      {.series_instance_uid = "7.7"}};
  const struct ct_annotation_set set = {.annotations = annotations, .n_annotations = 2};
  (void)state;
  strcpy(outline.sop_instance_uid, "1.2.3.1");
  strcpy(annotations[0].frame_of_reference_uid, "1.2.9");
  assert_ptr_equal(ct_annotation_set_find(&set, "1.2.3", NULL, "1.2.9"), &annotations[0]);
  assert_ptr_equal(ct_annotation_set_find(&set, "7.7", "1.2", "1.2.9"), &annotations[1]);
  assert_null(ct_annotation_set_find(&set, "1.2.3", NULL, NULL));
  assert_ok(ct_nodules_from_annotation(&list, &annotations[0], &series, NULL, &test_err));
  assert_int_equal(list.n_nodules, 2);
  assert_int_equal(list.nodules[0].n_marks, 1);
  assert_string_equal(list.nodules[1].id, "nodule-2");
  assert_true(list.nodules[1].diameter_mm == 4);
  ct_nodule_list_free(&list);
  strcpy(annotations[0].frame_of_reference_uid, "1.2.8");
  assert_fails(ct_nodules_from_annotation(&list, &annotations[0], &series, NULL, &test_err),
               LC_ERR_MISMATCH, "frame: annotates");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_kinds, empty_folder),
      cmocka_unit_test_setup(test_beside_the_series, empty_folder),
      cmocka_unit_test_setup(test_a_file_that_is_named, empty_folder),
      cmocka_unit_test_setup(test_a_folder, empty_folder),
      cmocka_unit_test(test_frame_of_reference),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return lc_folder_remove(folder, &test_err) == LC_OK ? failed : 1;
}
