/* Outlines whose SOPInstanceUID is shared, unknown or contradicted by their imageZposition, and
 * files in which single values cannot be read. The outline is the border of columns 6 to 14 and
 * rows 8 to 16: its middle is (0, 0) mm. */
#include "ct_io/nodule/ct_annotation_set.h"
#include "ct_io/nodule/ct_nodule.h"
#include "tests/ct_dicom_field.h"

enum { SLICES = 20 };

/* The SOPInstanceUIDs of the slices, and that which outlines name. */
struct naming {
  int (*object)(int k); /* number in the UID of slice k; below 0: none */
};

static bool edit(struct dcm_set *set, int k, void *context) {
  const struct naming *naming = context;
  int object = naming->object(k);
  dcm_remove(set, 0x00080018);
  if (object >= 0) dcm_print(set, 0x00080018, "UI", "2.25.1001.%d", object);
  return true;
}

static int own(int k) {
  return k;
}

static int lower_shared(int k) {
  return k == 3 ? 10 : k;
}

static int upper_shared(int k) {
  return k == 17 ? 10 : k;
}

static int all_shared(int k) {
  (void)k;
  return 10;
}

static int none(int k) {
  (void)k;
  return -1;
}

static int others(int k) {
  return k + 100;
}

static void scan(struct ct_index *index, int (*object)(int k)) {
  struct naming naming = {object};
  struct field_series s = field_series_default();
  s.edit = edit;
  s.context = &naming;
  field_write(&s, field_folder);
  field_scan(index, field_folder, NULL);
  assert_int_equal(index->n_series, 1);
  assert_int_equal(index->series[0].n_slices, SLICES);
}

/* An outline of slice `object` at z, as text of an XML file. */
static void add_outline(char *text, size_t size, int object, double z) {
  size_t n = strlen(text);
  n += (size_t)snprintf(text + n, size - n,
                        "<roi><imageZposition>%g</imageZposition><imageSOP_UID>2.25.1001.%d"
                        "</imageSOP_UID><inclusion>TRUE</inclusion>",
                        z, object);
  static const int corners[][2] = {{6, 8}, {14, 8}, {14, 16}, {6, 16}, {6, 8}};
  for (int i = 0; i < 5; i++)
    n += (size_t)snprintf(text + n, size - n,
                          "<edgeMap><xCoord>%d</xCoord><yCoord>%d</yCoord></edgeMap>",
                          corners[i][0], corners[i][1]);
  snprintf(text + n, size - n, "</roi>");
}

#define HEAD                                                                                       \
  "<LidcReadMessage><ResponseHeader><SeriesInstanceUid>2.25.1001</SeriesInstanceUid>"              \
  "</ResponseHeader><readingSession><servicingRadiologistID>R</servicingRadiologistID>"
#define TAIL "</readingSession></LidcReadMessage>"

static char text[1 << 15];

static void begin(const char *id) {
  size_t n = strlen(text);
  snprintf(text + n, sizeof text - n, "<unblindedReadNodule><noduleID>%s</noduleID>", id);
}

static void end(void) {
  strcat(text, "</unblindedReadNodule>");
}

static void read_text(struct ct_annotation *annotation) {
  char path[LC_PATH_SIZE];
  snprintf(path, sizeof path, "%s/marks.xml", field_folder);
  strcat(text, TAIL);
  assert_ok(lc_file_write(path, text, strlen(text), &test_err));
  assert_ok(ct_annotation_read(annotation, path, &test_err));
}

/* A mark of three outlines, slices 9 to 11 by their UIDs, at z = off + the places of those: where
 * the nodule is (NAN: nowhere), and what is odd about the mark. */
static void check(int (*object)(int k), double off, double z, unsigned faults) {
  struct ct_index index;
  struct ct_annotation annotation;
  struct ct_nodule_list list;
  scan(&index, object);
  strcpy(text, HEAD);
  begin("a");
  for (int k = 9; k < 12; k++) add_outline(text, sizeof text, k, -20 + 2 * k + off);
  end();
  read_text(&annotation);
  const struct ct_series *series = &index.series[0];
  bool odd = ct_annotation_check(&annotation, series) > 0;
  assert_int_equal(annotation.marks[0].faults &
                       (CT_FAULT_UNKNOWN_SLICE | CT_FAULT_OUTSIDE_IMAGE | CT_FAULT_SLICE_DISAGREES),
                   faults);
  assert_int_equal(odd, faults != 0);
  assert_ok(ct_nodules_from_annotation(&list, &annotation, series, NULL, &test_err));
  if (isnan(z)) {
    struct lc_error why;
    assert_int_equal(list.n_nodules, 0);
    assert_int_equal(list.n_marks_unplaced, 1);
    assert_true(ct_nodules_unplaced(&list, &why));
  } else {
    assert_int_equal(list.n_nodules, 1);
    assert_near(list.nodules[0].centre_mm[0], 0, 1e-9);
    assert_near(list.nodules[0].centre_mm[1], 0, 1e-9);
    assert_near(list.nodules[0].centre_mm[2], z, 1e-9);
  }
  ct_nodule_list_free(&list);
  ct_annotation_free(&annotation);
  ct_index_free(&index);
}

static void one_slice_that_has_the_uid(void **state) {
  (void)state;
  check(own, 0, 0, 0);
  check(own, 0.9, 0, 0); /* within half a slice */
  check(own, 1.5, 0, CT_FAULT_SLICE_DISAGREES);
  check(own, -300, 0, CT_FAULT_SLICE_DISAGREES);
}

static void slices_that_share_the_uid(void **state) {
  (void)state;
  check(lower_shared, 0, 0, 0);
  check(upper_shared, 0, 0, 0);
  check(lower_shared, 0.6, 0, 0);
  check(all_shared, 0, 0, CT_FAULT_UNKNOWN_SLICE); /* 9 and 11 are nobody's */
}

static void no_slice_that_has_the_uid(void **state) {
  (void)state;
  check(others, 0, 0, CT_FAULT_UNKNOWN_SLICE);
  check(none, 0, 0, CT_FAULT_UNKNOWN_SLICE);
  check(others, 4, 4, CT_FAULT_UNKNOWN_SLICE);
  check(others, -0.8, 0, CT_FAULT_UNKNOWN_SLICE);
  check(others, 500, NAN, CT_FAULT_UNKNOWN_SLICE);
}

/* Frames of one file share its SOPInstanceUID. */
static void frames_of_one_file(void **state) {
  (void)state;
  struct field_series s = field_series_default();
  struct ct_index index;
  struct ct_annotation annotation;
  struct ct_nodule_list list;
  char path[LC_PATH_SIZE];
  snprintf(path, sizeof path, "%s/enhanced", field_folder);
  field_write_enhanced(&s, path, NULL);
  field_scan(&index, path, NULL);
  strcpy(text, HEAD);
  begin("a");
  strcat(text, "<roi><imageZposition>6</imageZposition><imageSOP_UID>2.25.1001.1.1</imageSOP_UID>"
               "<edgeMap><xCoord>6</xCoord><yCoord>8</yCoord></edgeMap>"
               "<edgeMap><xCoord>14</xCoord><yCoord>16</yCoord></edgeMap></roi>");
  end();
  read_text(&annotation);
  assert_int_equal(ct_annotation_check(&annotation, &index.series[0]), 0);
  assert_ok(ct_nodules_from_annotation(&list, &annotation, &index.series[0], NULL, &test_err));
  assert_near(list.nodules[0].centre_mm[2], 6, 1e-9);
  ct_nodule_list_free(&list);
  ct_annotation_free(&annotation);
  ct_index_free(&index);
}

/* One value in the middle of three marks. */
static void one_bad_value_costs_one_mark(void **state) {
  (void)state;
  static const char *const bad[] = {
      "<edgeMap><xCoord>6.5</xCoord><yCoord>8</yCoord></edgeMap>",
      "<edgeMap><xCoord></xCoord><yCoord>8</yCoord></edgeMap>",
      "<edgeMap><xCoord>6</xCoord><yCoord>-8</yCoord></edgeMap>",
      "<edgeMap><yCoord>8</yCoord></edgeMap>",
  };
  static const char *const ratings[] = {"x", "9", "3,5"};
  struct ct_index index;
  scan(&index, own);
  for (int i = 0; i < 7; i++) {
    struct ct_annotation annotation;
    struct ct_nodule_list list;
    struct lc_error why;
    static const char *const ids[] = {"a", "b", "c"};
    strcpy(text, HEAD);
    for (int m = 0; m < 3; m++) {
      begin(ids[m]);
      size_t n = strlen(text);
      if (m == 1 && i >= 4)
        snprintf(text + n, sizeof text - n,
                 "<characteristics><malignancy>%s</malignancy></characteristics>", ratings[i - 4]);
      add_outline(text, sizeof text, 3 + 6 * m, -14 + 12 * m);
      if (m == 1 && i < 4) {
        text[strlen(text) - strlen("</roi>")] = '\0';
        strcat(text, bad[i]);
        strcat(text, "</roi>");
      }
      end();
    }
    read_text(&annotation);
    assert_int_equal(annotation.n_marks, 2);
    assert_int_equal(annotation.n_unreadable, 1);
    assert_string_equal(annotation.marks[0].nodule_id, "a");
    assert_string_equal(annotation.marks[1].nodule_id, "c");
    assert_ok(ct_nodules_from_annotation(&list, &annotation, &index.series[0], NULL, &test_err));
    assert_int_equal(list.n_nodules, 2);
    assert_near(list.nodules[0].centre_mm[2], -14, 1e-9);
    assert_near(list.nodules[1].centre_mm[2], 10, 1e-9);
    assert_true(ct_nodules_unplaced(&list, &why));
    assert_non_null(strstr(why.message, "1 mark or point cannot be read"));
    ct_nodule_list_free(&list);
    ct_annotation_free(&annotation);
  }
  ct_index_free(&index);
}

static void one_bad_row_costs_one_point(void **state) {
  (void)state;
  static const char *const rows[] = {"2.25.1001,1.0,x,3.0,6", "2.25.1001,,2.0,3.0,6",
                                     "2.25.1001,1.0,2.0,3.0,-6", "2.25.1001,1.0,nan,3.0,6",
                                     "2.25.1001,1.0,2.0,3.0,six"};
  char path[LC_PATH_SIZE];
  const char *paths = path;
  snprintf(path, sizeof path, "%s/points.csv", field_folder);
  for (int i = 0; i < 5; i++) {
    struct ct_annotation_set set;
    snprintf(text, sizeof text,
             "seriesuid,coordX,coordY,coordZ,diameter_mm\n2.25.1001,1,2,3,6\n%s\n"
             "2.25.1001,-4,-5,-6,8\n2.25.1009,0,0,0,5\n",
             rows[i]);
    assert_ok(lc_file_write(path, text, strlen(text), &test_err));
    assert_ok(ct_annotation_set_scan(&set, &paths, 1, NULL, &test_err));
    assert_int_equal(set.n_annotations, 2);
    struct ct_annotation *found = ct_annotation_set_find(&set, "2.25.1001", NULL, NULL);
    assert_int_equal(found->n_points, 2);
    assert_int_equal(found->n_unreadable, 1);
    assert_int_equal(found->points[0].line, 2);
    assert_int_equal(found->points[1].line, 4);
    assert_near(found->points[1].centre_mm[2], -6, 0);
    assert_int_equal(ct_annotation_set_find(&set, "2.25.1009", NULL, NULL)->n_unreadable, 0);
    ct_annotation_set_free(&set);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      field_test(one_slice_that_has_the_uid),   field_test(slices_that_share_the_uid),
      field_test(no_slice_that_has_the_uid),    field_test(frames_of_one_file),
      field_test(one_bad_value_costs_one_mark), field_test(one_bad_row_costs_one_point),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
