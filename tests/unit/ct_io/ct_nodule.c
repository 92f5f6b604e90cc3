/* Grouping, consensus and measures on marks made here. */
#include "tests/lc_test.h"

#include <math.h>

#include "ct_io/ct/ct_volume.h"
#include "ct_io/nodule/ct_annotation_set.h"
#include "ct_io/nodule/ct_nodule.h"

enum { SLICES = 6, MARKS = 8 };

/* A series of 64 x 64 pixels of 0.5 mm, slices 2 mm apart and thick, and marks that are squares. */
struct made {
  struct ct_series series;
  struct ct_slice slices[SLICES];
  struct ct_annotation annotation;
  struct ct_mark marks[MARKS];
  struct ct_outline outlines[MARKS][3];
  int32_t points[MARKS][3][8][2];
};

static struct made *make(void) {
  struct made *made = calloc(1, sizeof *made);
  if (!made) abort();
  made->series = (struct ct_series){.rows = 64,
                                    .columns = 64,
                                    .pixel_spacing_mm = {0.5, 0.5},
                                    .slice_spacing_mm = 2,
                                    .slice_thickness_mm = 2,
                                    .orientation = {1, 0, 0, 0, 1, 0},
                                    .normal = {0, 0, 1},
                                    .slices = made->slices,
                                    .n_slices = SLICES};
  strcpy(made->series.series_instance_uid, "1.2.3");
  for (int k = 0; k < SLICES; k++) {
    made->slices[k].along_mm = made->slices[k].position_mm[2] = 2 * k;
    snprintf(made->slices[k].sop_instance_uid, CT_UID_SIZE, "1.2.3.%d", k);
  }
  made->annotation = (struct ct_annotation){.path = (char *)"made.xml", .marks = made->marks};
  strcpy(made->annotation.series_instance_uid, "1.2.3");
  return made;
}

/* A square outline of 2 * half + 1 pixels a side around (x, y), its corners and edge middles. */
static struct ct_outline *add_square(struct made *made, size_t mark, int k, int x, int y,
                                     int half) {
  static const int step[8][2] = {{-1, -1}, {0, -1}, {1, -1}, {1, 0},
                                 {1, 1},   {0, 1},  {-1, 1}, {-1, 0}};
  struct ct_mark *m = &made->marks[mark];
  struct ct_outline *outline = &made->outlines[mark][m->n_outlines];
  int32_t(*points)[2] = made->points[mark][m->n_outlines];
  for (int i = 0; i < 8; i++) {
    points[i][0] = x + half * step[i][0];
    points[i][1] = y + half * step[i][1];
  }
  *outline = (struct ct_outline){.z_mm = 2 * k, .inclusion = true, .xy = points, .n_points = 8};
  snprintf(outline->sop_instance_uid, CT_UID_SIZE, "1.2.3.%d", k);
  m->outlines = made->outlines[mark];
  m->n_outlines++;
  m->session = (int)mark % 4;
  if (mark >= made->annotation.n_marks) made->annotation.n_marks = mark + 1;
  return outline;
}

static void group(struct made *made, const struct ct_grouping *how, struct ct_nodule_list *list) {
  assert_ok(ct_nodules_from_annotation(list, &made->annotation, &made->series, how, &test_err));
}

static void test_distance_decides(void **state) {
  (void)state;
  struct made *made = make();
  struct ct_nodule_list list;
  add_square(made, 0, 2, 20, 20, 4); /* right edge at 24 */
  add_square(made, 1, 2, 30, 20, 4); /* left edge at 26: 2 pixels, 1 mm away */
  add_square(made, 2, 4, 20, 20, 4); /* two slices, 4 mm away */
  group(made, NULL, &list);          /* in voxels: 2 and 2, both within the thickness of 2 */
  assert_int_equal(list.n_nodules, 1);
  assert_true(list.tolerance_used == 2);
  ct_nodule_list_free(&list);
  group(made, &(struct ct_grouping){.in_millimetres = true}, &list); /* 1 and 4 mm */
  assert_int_equal(list.n_nodules, 2);
  assert_int_equal(list.nodules[0].n_marks, 2);
  assert_string_equal(list.nodules[1].id, "nodule-2");
  assert_true(fabs(list.nodules[1].centre_mm[2] - 8) < 1e-12); /* the upper one comes second */
  ct_nodule_list_free(&list);
  group(made, &(struct ct_grouping){.tolerance_mm = 1.9}, &list);
  assert_int_equal(list.n_nodules, 3);
  ct_nodule_list_free(&list);
  free(made);
}

static void test_tolerance_shrinks_until_four(void **state) {
  (void)state;
  struct made *made = make();
  struct ct_nodule_list list;
  for (size_t m = 0; m < 4; m++) add_square(made, m, 2, 20, 20 + (int)(m % 2), 4);
  add_square(made, 4, 2, 30, 20, 4); /* 2 pixels from the others, which touch each other */
  group(made, NULL, &list);
  assert_int_equal(list.n_nodules, 2);
  assert_true(fabs(list.tolerance_used - 1.8) < 1e-12);
  assert_false(list.group_too_large);
  assert_int_equal(list.nodules[1].n_readers, 4);
  ct_nodule_list_free(&list);
  add_square(made, 4, 3, 20, 20,
             4); /* now nothing but one slice distinguishes it from the others */
  for (size_t m = 0; m < 4; m++) add_square(made, m, 3, 20, 20, 4);
  group(made, NULL, &list);
  assert_true(list.group_too_large);
  assert_int_equal(list.nodules[0].n_marks, 5);
  assert_int_equal(list.nodules[0].n_readers, 4); /* one session marked twice */
  ct_nodule_list_free(&list);
  free(made);
}

static void test_ratings_leave_zeros_out(void **state) {
  (void)state;
  struct made *made = make();
  struct ct_nodule_list list;
  static const int malignancy[4] = {2, 0, 5, 4}, margin[4] = {1, 5, 4, 2};
  for (size_t m = 0; m < 4; m++) {
    add_square(made, m, 2, 20, 20, 4);
    made->marks[m].rating[CT_MALIGNANCY] = malignancy[m];
    made->marks[m].rating[CT_MARGIN] = margin[m];
  }
  group(made, NULL, &list);
  assert_true(fabs(list.nodules[0].mean_rating[CT_MALIGNANCY] - 11.0 / 3) < 1e-12);
  assert_true(list.nodules[0].median_rating[CT_MALIGNANCY] == 4);
  assert_true(list.nodules[0].median_rating[CT_MARGIN] == 3); /* between 2 and 4 */
  assert_true(isnan(list.nodules[0].mean_rating[CT_TEXTURE]));
  ct_nodule_list_free(&list);
  free(made);
}

static void test_consensus_and_measures(void **state) {
  (void)state;
  struct made *made = make();
  struct ct_nodule_list list;
  struct ct_consensus consensus;
  struct ct_measure measure;
  add_square(made, 0, 2, 20, 20, 4);                    /* inside: 7 x 7 */
  add_square(made, 0, 3, 20, 20, 4);                    /* again, with a hole: */
  add_square(made, 0, 3, 20, 20, 1)->inclusion = false; /* 3 x 3 cut out, outline and all */
  add_square(made, 1, 2, 20, 20, 3);                    /* inside: 5 x 5 */
  group(made, NULL, &list);
  const struct ct_nodule *nodule = &list.nodules[0];
  assert_ok(ct_nodule_consensus(&consensus, nodule, &made->series, 0.5, &test_err));
  assert_int_equal(consensus.n_inside, 49 + 49 - 9); /* one of two is half */
  assert_int_equal(consensus.size[0], 9);
  assert_int_equal(consensus.size[2], 2);
  assert_true(fabs(consensus.volume_mm3 - 89 * 0.5) < 1e-12);
  ct_consensus_free(&consensus);
  assert_ok(ct_nodule_consensus(&consensus, nodule, &made->series, 0.6, &test_err));
  assert_int_equal(consensus.n_inside, 25);
  ct_consensus_free(&consensus);
  assert_ok(ct_mark_measure(nodule->marks[0], &made->series, &measure, &test_err));
  assert_true(fabs(measure.diameter_mm - 4 * sqrt(2)) < 1e-12); /* corner to corner */
  /* 8 x 8 pixels of 0.25 mm2, 2 mm deep, on two slices, less a hole of 2 x 2 */
  assert_true(fabs(measure.volume_mm3 - (2 * 32 - 2)) < 1e-9);
  assert_true(fabs(measure.centroid_ijk[0] - 20) < 1e-12);
  assert_true(fabs(measure.centroid_ijk[2] - (2 * 8 + 3 * 16) / 24.0) < 1e-12);
  ct_nodule_list_free(&list);
  free(made);
}

/* Columns 0.5 mm and rows 0.25 mm apart: a square of 8 x 8 pixels is 4 mm wide and 2 mm high. */
static void test_pixels_that_are_no_squares(void **state) {
  (void)state;
  struct made *made = make();
  struct ct_measure measure;
  made->series.pixel_spacing_mm[0] = 0.25;
  made->series.pixel_spacing_mm[1] = 0.5;
  struct ct_outline *outline = add_square(made, 0, 2, 20, 20, 4);
  assert_ok(ct_mark_measure(&made->marks[0], &made->series, &measure, &test_err));
  assert_near(measure.diameter_mm, sqrt(4 * 4 + 2 * 2), 1e-12);
  assert_near(measure.volume_mm3, 4 * 2 * 2, 1e-12);                     /* one slice 2 mm thick */
  for (size_t i = 0; i < outline->n_points; i++) outline->xy[i][1] = 20; /* a line along the row */
  assert_ok(ct_mark_measure(&made->marks[0], &made->series, &measure, &test_err));
  assert_near(measure.diameter_mm, 4, 1e-12);
  assert_near(measure.centroid_mm[0], 20 * 0.5, 1e-12);
  assert_near(measure.centroid_mm[1], 20 * 0.25, 1e-12);
  free(made);
}

/* LUNA16's criterion: a point hits the nearest nodule whose centre lies within its radius. */
static void test_points_hit_within_their_radius(void **state) {
  (void)state;
  struct ct_nodule nodules[2] = {{.centre_mm = {0, 0, 0}}, {.centre_mm = {10, 0, 0}}};
  struct ct_point points[4] = {{.centre_mm = {0, 3, 4}, .diameter_mm = 10.2},
                               {.centre_mm = {0, 3, 4}, .diameter_mm = 9.8},
                               {.centre_mm = {6, 0, 0}, .diameter_mm = 20},
                               {.centre_mm = {4, 0, 0}, .diameter_mm = 20}};
  const struct ct_nodule_list have = {.nodules = nodules, .n_nodules = 2};
  const struct ct_annotation seek = {.points = points, .n_points = 4};
  const long expected[4] = {0, -1, 1, 0}; /* 5 mm within 5.1 and 4.9; 4 mm before 6 mm */
  long matches[4];
  ct_nodules_match(&have, &seek, matches);
  assert_memory_equal(matches, expected, sizeof matches);
}

static void test_unknown_slices_are_kept_and_flagged(void **state) {
  (void)state;
  struct made *made = make();
  struct ct_nodule_list list;
  strcpy(add_square(made, 0, 2, 20, 20, 4)->sop_instance_uid, "9.9"); /* z still places it */
  struct ct_outline *lost = add_square(made, 1, 2, 40, 40, 4);
  strcpy(lost->sop_instance_uid, "9.9");
  lost->z_mm = 500;
  add_square(made, 2, 2, 62, 20, 4); /* reaches beyond column 63 */
  assert_int_equal(ct_annotation_check(&made->annotation, &made->series), 3);
  assert_int_equal(made->marks[0].faults, CT_FAULT_UNKNOWN_SLICE);
  assert_int_equal(made->marks[1].faults, CT_FAULT_UNKNOWN_SLICE);
  assert_int_equal(made->marks[2].faults, CT_FAULT_OUTSIDE_IMAGE);
  group(made, NULL, &list);
  assert_int_equal(list.n_nodules, 2);
  assert_int_equal(list.n_marks_unplaced, 1);
  for (size_t i = 0; i < 2; i++) {
    struct ct_consensus consensus;
    assert_ok(ct_nodule_consensus(&consensus, &list.nodules[i], &made->series, 0.5, &test_err));
    assert_true(consensus.first[0] + consensus.size[0] <= 64);
    ct_consensus_free(&consensus);
  }
  ct_nodule_list_free(&list);
  free(made);
}

static void test_geometry_from_marks_alone(void **state) {
  (void)state;
  struct made *made = make();
  struct ct_series implied;
  struct ct_nodule_list list;
  add_square(made, 0, 1, 20, 20, 4);
  add_square(made, 0, 2, 20, 20, 4);
  add_square(made, 1, 5, 21, 20, 4);
  assert_ok(ct_series_from_annotation(&implied, &made->annotation, &test_err));
  assert_int_equal(implied.n_slices, 5);
  assert_true(implied.slice_spacing_mm == 2 && implied.slice_thickness_mm == 2);
  assert_int_equal(ct_series_find_sop(&implied, "1.2.3.5"), 4);
  assert_ok(ct_nodules_from_annotation(&list, &made->annotation, &implied, NULL, &test_err));
  assert_int_equal(list.n_nodules, 2); /* three slices apart */
  ct_nodule_list_free(&list);
  ct_series_release(&implied);
  free(made);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_distance_decides),
      cmocka_unit_test(test_tolerance_shrinks_until_four),
      cmocka_unit_test(test_ratings_leave_zeros_out),
      cmocka_unit_test(test_consensus_and_measures),
      cmocka_unit_test(test_pixels_that_are_no_squares),
      cmocka_unit_test(test_points_hit_within_their_radius),
      cmocka_unit_test(test_unknown_slices_are_kept_and_flagged),
      cmocka_unit_test(test_geometry_from_marks_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
