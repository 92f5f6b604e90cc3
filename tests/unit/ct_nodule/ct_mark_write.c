/* Writing LIDC XML: what was written reads back, in the order and with the namespaces of TCIA. */
#include "tests/lc_test.h"

#include "common/lc_file.h"
#include "ct_io/nodule/ct_mark.h"

static int32_t ring[5][2] = {{10, 9}, {9, 10}, {10, 11}, {11, 10}, {10, 9}};
static int32_t point[1][2] = {{300, 400}};

static void make(struct ct_annotation *a, struct ct_mark marks[3], struct ct_outline outlines[3]) {
  memset(a, 0, sizeof *a);
  memset(marks, 0, 3 * sizeof *marks);
  memset(outlines, 0, 3 * sizeof *outlines);
  snprintf(a->series_instance_uid, sizeof a->series_instance_uid, "1.2.3");
  snprintf(a->study_instance_uid, sizeof a->study_instance_uid, "1.2.4");
  a->n_sessions = 2;
  a->marks = marks;
  a->n_marks = 3;
  for (int i = 0; i < 3; i++) {
    snprintf(outlines[i].sop_instance_uid, sizeof outlines[i].sop_instance_uid, "1.2.5.%d", i);
    outlines[i].inclusion = true;
    outlines[i].z_mm = -117.5 + 1.25 * i;
    marks[i].outlines = &outlines[i];
    marks[i].n_outlines = 1;
    snprintf(marks[i].reader, sizeof marks[i].reader, "a & b <c>");
    snprintf(marks[i].nodule_id, sizeof marks[i].nodule_id, "\"%d\"", i);
  }
  marks[0].kind = CT_MARK_NON_NODULE;
  outlines[0].xy = point;
  outlines[0].n_points = 1;
  outlines[1].xy = ring;
  outlines[1].n_points = 5;
  marks[1].has_ratings = true;
  for (int r = 0; r < CT_RATING_COUNT; r++) marks[1].rating[r] = 1 + r % 5;
  marks[2].kind = CT_MARK_SMALL;
  outlines[2].xy = point;
  outlines[2].n_points = 1;
}

static void test_reads_back(void **state) {
  (void)state;
  char folder[256], path[LC_PATH_SIZE];
  struct ct_annotation a, read;
  struct ct_mark marks[3];
  struct ct_outline outlines[3];
  make(&a, marks, outlines);
  lc_test_folder(folder);
  assert_ok(lc_path_join(path, folder, "069.xml", &test_err));
  assert_ok(ct_annotation_write(&a, path, &test_err));
  assert_ok(ct_annotation_read(&read, path, &test_err));
  assert_string_equal(read.series_instance_uid, "1.2.3");
  assert_string_equal(read.study_instance_uid, "1.2.4");
  assert_int_equal(read.n_sessions, 2);
  assert_int_equal(read.n_marks, 3);
  /* Nodules come first, as in TCIA's files. */
  const int order[3] = {1, 2, 0};
  for (int i = 0; i < 3; i++) {
    const struct ct_mark *got = &read.marks[i], *put = &marks[order[i]];
    assert_int_equal(got->kind, put->kind);
    assert_string_equal(got->reader, put->reader);
    assert_string_equal(got->nodule_id, put->nodule_id);
    assert_memory_equal(got->rating, put->rating, sizeof got->rating);
    assert_int_equal(got->has_ratings, put->has_ratings);
    assert_int_equal(got->outlines[0].n_points, put->outlines[0].n_points);
    assert_memory_equal(got->outlines[0].xy, put->outlines[0].xy,
                        got->outlines[0].n_points * sizeof(int32_t[2]));
    assert_true(got->outlines[0].z_mm == put->outlines[0].z_mm);
  }
  ct_annotation_free(&read);
  assert_ok(lc_folder_remove(folder, &test_err));
}

static void test_elements_stand_in_order(void **state) {
  (void)state;
  static const char *const order[] = {"<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
                                      "<LidcReadMessage uid=\"",
                                      "xmlns=\"http://www.nih.gov\"",
                                      "<ResponseHeader>",
                                      "<Version>",
                                      "<MessageId>",
                                      "<DateRequest>",
                                      "<TimeRequest>",
                                      "<RequestingSite>removed",
                                      "<ServicingSite>removed",
                                      "<TaskDescription>Second unblinded read",
                                      "<CtImageFile>removed",
                                      "<SeriesInstanceUid>1.2.3<",
                                      "<DateService>",
                                      "<TimeService>",
                                      "<ResponseDescription>1 - Reading complete",
                                      "<StudyInstanceUID>1.2.4<",
                                      "</ResponseHeader>",
                                      "<readingSession>",
                                      "<annotationVersion>",
                                      "<servicingRadiologistID>",
                                      "<unblindedReadNodule>",
                                      "<noduleID>",
                                      "<characteristics>",
                                      "<subtlety>",
                                      "<internalStructure>",
                                      "<calcification>",
                                      "<sphericity>",
                                      "<margin>",
                                      "<lobulation>",
                                      "<spiculation>",
                                      "<texture>",
                                      "<malignancy>",
                                      "</characteristics>",
                                      "<roi>",
                                      "<imageZposition>",
                                      "<imageSOP_UID>",
                                      "<inclusion>TRUE",
                                      "<edgeMap>",
                                      "<xCoord>10<",
                                      "<yCoord>9<",
                                      "</edgeMap>",
                                      "</roi>",
                                      "</unblindedReadNodule>",
                                      "<nonNodule>",
                                      "<nonNoduleID>",
                                      "<imageZposition>",
                                      "<imageSOP_UID>",
                                      "<locus>",
                                      "<xCoord>300<",
                                      "<yCoord>400<",
                                      "</locus>",
                                      "</nonNodule>",
                                      "</readingSession>",
                                      "<readingSession>",
                                      "</LidcReadMessage>"};
  char folder[256], path[LC_PATH_SIZE], *bytes;
  size_t count;
  struct ct_annotation a;
  struct ct_mark marks[3];
  struct ct_outline outlines[3];
  make(&a, marks, outlines);
  lc_test_folder(folder);
  assert_ok(lc_path_join(path, folder, "069.xml", &test_err));
  assert_ok(ct_annotation_write(&a, path, &test_err));
  assert_ok(lc_file_read(path, 1 << 20, &bytes, &count, &test_err));
  const char *at = bytes;
  for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
    at = strstr(at, order[i]);
    if (!at) fail_msg("%s is missing or out of order", order[i]);
    at++;
  }
  free(bytes);
  assert_ok(lc_folder_remove(folder, &test_err));
}

static void test_refuses(void **state) {
  (void)state;
  struct ct_annotation a;
  struct ct_mark marks[3];
  struct ct_outline outlines[3];
  make(&a, marks, outlines);
  a.is_chest_xray = true;
  assert_fails(ct_annotation_write(&a, "/tmp/none.xml", &test_err), LC_ERR_UNSUPPORTED, "X-ray");
  a.is_chest_xray = false;
  marks[1].session = 2;
  assert_fails(ct_annotation_write(&a, "/tmp/none.xml", &test_err), LC_ERR_USAGE, "session 2");
  marks[1].session = 0;
  outlines[1].z_mm = 0.0 / 0.0;
  assert_fails(ct_annotation_write(&a, "/tmp/none.xml", &test_err), LC_ERR_NUMERIC, "z position");
  outlines[1].z_mm = 0;
  assert_fails(ct_annotation_write(&a, "/proc/none/a.xml", &test_err), LC_ERR_NOT_WRITABLE,
               "/proc");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_reads_back),
                                     cmocka_unit_test(test_elements_stand_in_order),
                                     cmocka_unit_test(test_refuses)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
