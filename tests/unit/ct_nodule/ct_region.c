/* Shapes put on a series: the outlines that are made of them enclose exactly their voxels. */
#include "tests/lc_test.h"

#include <math.h>

#include "ct_io/ct/ct_volume.h"
#include "ct_io/nodule/ct_mark_wire.h"
#include "ct_io/nodule/ct_nodule.h"

enum { SIDE = 24, SLICES = 7, VOXELS = SIDE * SIDE * SLICES };

/* A turned series of SIDE x SIDE pixels, slices 1.5 mm apart, and an annotation of one mark. */
struct made {
  struct ct_series series;
  struct ct_slice slices[SLICES];
  struct ct_annotation annotation;
  struct ct_nodule_list nodules;
};

static void turn_series(struct ct_series *series, const double orientation[6], double spacing) {
  const double *r = orientation, *c = orientation + 3;
  const double normal[3] = {r[1] * c[2] - r[2] * c[1], r[2] * c[0] - r[0] * c[2],
                            r[0] * c[1] - r[1] * c[0]};
  memcpy(series->orientation, orientation, sizeof series->orientation);
  memcpy(series->normal, normal, sizeof normal);
  series->slice_spacing_mm = series->slice_thickness_mm = spacing;
  for (int k = 0; k < SLICES; k++) {
    series->slices[k].along_mm = 0;
    for (int i = 0; i < 3; i++) {
      series->slices[k].position_mm[i] = 10 * (i + 1) + normal[i] * spacing * k;
      series->slices[k].along_mm += normal[i] * series->slices[k].position_mm[i];
    }
  }
}

static struct made *make(void) {
  struct made *made = calloc(1, sizeof *made);
  if (!made) abort();
  made->series = (struct ct_series){.rows = SIDE,
                                    .columns = SIDE,
                                    .pixel_spacing_mm = {0.7, 0.8},
                                    .slices = made->slices,
                                    .n_slices = SLICES};
  const double oblique[6] = {0.8, 0.6, 0, -0.48, 0.64, 0.6};
  turn_series(&made->series, oblique, 1.5);
  strcpy(made->series.series_instance_uid, "1.2.3");
  strcpy(made->annotation.series_instance_uid, "1.2.3");
  for (int k = 0; k < SLICES; k++)
    snprintf(made->slices[k].sop_instance_uid, CT_UID_SIZE, "1.2.3.%d", k);
  made->annotation.path = strdup("made.dcm");
  made->annotation.marks = calloc(1, sizeof *made->annotation.marks);
  made->annotation.n_marks = 1;
  made->annotation.n_sessions = 1;
  made->annotation.marks->region = calloc(1, sizeof(struct ct_region));
  strcpy(made->annotation.marks->nodule_id, "one");
  return made;
}

static void clear(struct made *made) {
  ct_nodule_list_free(&made->nodules);
  ct_annotation_free(&made->annotation);
  free(made);
}

/* Places the mark and groups it; the number of nodules. */
static size_t place(struct made *made) {
  ct_nodule_list_free(&made->nodules);
  assert_ok(ct_annotation_place(&made->annotation, &made->series, &test_err));
  assert_ok(ct_nodules_from_annotation(&made->nodules, &made->annotation, &made->series, NULL,
                                       &test_err));
  return made->nodules.n_nodules;
}

/* What the nodule's marks enclose, on the whole grid. */
static void enclosed(const struct made *made, uint8_t *voxels) {
  struct ct_consensus consensus;
  memset(voxels, 0, VOXELS);
  if (made->nodules.n_nodules == 0) return;
  assert_ok(
      ct_nodule_consensus(&consensus, &made->nodules.nodules[0], &made->series, 0.5, &test_err));
  for (size_t n = 0; n < consensus.size[0] * consensus.size[1] * consensus.size[2]; n++) {
    size_t x = consensus.first[0] + n % consensus.size[0];
    size_t y = consensus.first[1] + n / consensus.size[0] % consensus.size[1];
    size_t z = consensus.first[2] + n / (consensus.size[0] * consensus.size[1]);
    voxels[(z * SIDE + y) * SIDE + x] = consensus.mask[n];
  }
  ct_consensus_free(&consensus);
}

/* A mask on the series' own grid. */
static uint8_t *own_mask(struct made *made) {
  struct ct_grid_mask *mask = &made->annotation.marks->region->mask;
  double at[3];
  ct_series_to_patient(&made->series, (const double[3]){0, 0, 0}, mask->origin_mm);
  for (int axis = 0; axis < 3; axis++) {
    const double ijk[3] = {axis == 0, axis == 1, axis == 2};
    ct_series_to_patient(&made->series, ijk, at);
    for (int c = 0; c < 3; c++) mask->step_mm[axis][c] = at[c] - mask->origin_mm[c];
  }
  memcpy(mask->size, (const size_t[3]){SIDE, SIDE, SLICES}, sizeof mask->size);
  if (!mask->inside) mask->inside = calloc(VOXELS, 1);
  return mask->inside;
}

/* Whether the outlines enclose the mask and nothing else. */
static bool exact(struct made *made) {
  uint8_t voxels[VOXELS];
  place(made);
  enclosed(made, voxels);
  return memcmp(voxels, made->annotation.marks->region->mask.inside, VOXELS) == 0;
}

/* Rows of pixels, '#' for those inside, in the middle slice. */
static void draw(uint8_t *mask, int x0, int y0, const char *const *rows, size_t n) {
  memset(mask, 0, VOXELS);
  for (size_t y = 0; y < n; y++)
    for (size_t x = 0; rows[y][x]; x++)
      mask[(3 * SIDE + (size_t)y0 + y) * SIDE + (size_t)x0 + x] = rows[y][x] == '#';
}

static void test_shapes_come_back(void **state) {
  (void)state;
  static const char *const shapes[][9] = {
      {"#"},
      {"##", "##"},
      {"#..", ".#.", "..#"},                         /* parts that touch by corners */
      {"#.#", "#.#", "#.#", "###"},                  /* a bay one pixel wide */
      {"#..#", "#..#", "#..#", "####"},              /* two wide */
      {"###", "#.#", "###"},                         /* a hole of one pixel */
      {".#.", "#.#", ".#."},                         /* one that is open at its corners */
      {"#####", "#...#", "#.#.#", "#...#", "#####"}, /* a part in a hole */
      {"#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######"},
      {"########", "#......#", "#.#..#.#", "#......#", "#..##..#", "#.#....#", "########"},
      {"##.##", "##.##", ".....", "##.##", "#####"},
      {"####", "#.##", "##.#", "####"}, /* holes that touch by a corner */
      {"#.#.#", ".#.#.", "#.#.#"}};
  struct made *made = make();
  uint8_t *mask = own_mask(made);
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    size_t n = 0;
    while (n < 9 && shapes[i][n]) n++;
    const int corners[3][2] = {{8, 8}, {0, 0}, {SIDE - 8, SIDE - 8}}; /* the image's border too */
    for (int c = 0; c < 3; c++) {
      draw(mask, corners[c][0], corners[c][1], shapes[i], n);
      if (!exact(made)) fail_msg("shape %zu at %d", i, corners[c][0]);
    }
  }
  memset(mask, 1, VOXELS);
  assert_true(exact(made)); /* the whole image */
  clear(made);
}

/* Any set at all, thin and thick. */
static void test_random_sets_come_back(void **state) {
  (void)state;
  struct made *made = make();
  uint8_t *mask = own_mask(made);
  uint32_t drawn = 1;
  for (int round = 0; round < 40; round++) {
    for (int n = 0; n < VOXELS; n++) {
      drawn = drawn * 1664525u + 1013904223u;
      mask[n] = (drawn >> 16) % 100 < (uint32_t)(5 + round * 90 / 39);
    }
    if (!exact(made)) fail_msg("round %d", round);
  }
  clear(made);
}

static double volume(const struct made *made) {
  struct ct_consensus consensus;
  assert_ok(
      ct_nodule_consensus(&consensus, &made->nodules.nodules[0], &made->series, 0.5, &test_err));
  double mm3 = consensus.volume_mm3;
  ct_consensus_free(&consensus);
  return mm3;
}

/* A ball on a fine grid of another direction: its place and volume on the series are the ball's. */
static void test_mask_of_another_grid(void **state) {
  (void)state;
  struct made *made = make();
  struct ct_grid_mask *mask = &made->annotation.marks->region->mask;
  double centre[3], radius = 4.1, step = 0.4;
  enum { EDGE = 40 };
  ct_series_to_patient(&made->series, (const double[3]){11.3, 12.2, 3.1}, centre);
  mask->inside = calloc(EDGE * EDGE * EDGE, 1);
  for (int axis = 0; axis < 3; axis++) { /* axes in another order, one of them backwards */
    mask->size[axis] = EDGE;
    mask->step_mm[axis][(axis + 1) % 3] = axis == 1 ? -step : step;
    mask->origin_mm[(axis + 1) % 3] =
        centre[(axis + 1) % 3] - (axis == 1 ? -1 : 1) * step * (EDGE - 1) / 2;
  }
  for (int n = 0; n < EDGE * EDGE * EDGE; n++) {
    double square = 0;
    const int at[3] = {n % EDGE, n / EDGE % EDGE, n / (EDGE * EDGE)};
    for (int axis = 0; axis < 3; axis++) square += pow(step * (at[axis] - (EDGE - 1) / 2.0), 2);
    mask->inside[n] = square < radius * radius;
  }
  assert_int_equal(place(made), 1);
  for (int c = 0; c < 3; c++) assert_near(made->nodules.nodules[0].centre_mm[c], centre[c], 0.5);
  double ball = 4 * M_PI / 3 * pow(radius, 3);
  assert_near(volume(made), ball, 0.05 * ball);
  clear(made);
}

static void add_contour(struct made *made, const double (*ijk)[3], size_t n, const char *sop) {
  struct ct_region *region = made->annotation.marks->region;
  region->contours = realloc(region->contours, (region->n_contours + 1) * sizeof *region->contours);
  if (!region->contours) abort();
  struct ct_contour *contour = &region->contours[region->n_contours++];
  *contour = (struct ct_contour){.mm = calloc(n, sizeof *contour->mm), .n_points = n};
  strcpy(contour->sop_instance_uid, sop);
  for (size_t i = 0; i < n; i++) ct_series_to_patient(&made->series, ijk[i], contour->mm[i]);
}

static void add_square(struct made *made, double x, double y, double k, double half,
                       const char *sop) {
  const double corners[4][3] = {{x - half, y - half, k},
                                {x + half, y - half, k},
                                {x + half, y + half, k},
                                {x - half, y + half, k}};
  add_contour(made, corners, 4, sop);
}

static size_t count(const struct made *made, int k) {
  uint8_t voxels[VOXELS];
  size_t n = 0;
  enclosed(made, voxels);
  for (int i = 0; i < SIDE * SIDE; i++) n += voxels[k * SIDE * SIDE + i];
  return n;
}

/* Pixels whose centres lie inside; a contour in another is a hole, one beside it another part. */
static void test_contours_are_even_odd(void **state) {
  (void)state;
  struct made *made = make();
  add_square(made, 10, 10, 2, 3.4, "1.2.3.2");   /* 7 x 7 */
  add_square(made, 10, 10, 2.2, 1.2, "1.2.3.2"); /* 3 x 3 out of it, a little off the slice */
  add_square(made, 18, 10, 2, 1.4, "1.2.3.2");   /* 3 x 3 beside */
  add_square(made, 10, 10, 4, 0.4, "1.2.3.4");   /* one pixel */
  assert_int_equal(place(made), 1);
  assert_int_equal(made->annotation.marks->faults, 0);
  assert_int_equal(count(made, 2), 49 - 9 + 9);
  assert_int_equal(count(made, 3), 0); /* contours that name slices lie on no other */
  assert_int_equal(count(made, 4), 1);
  clear(made);
}

/* Contours of another series: each slice takes the nearest plane. */
static void test_contours_of_another_spacing(void **state) {
  (void)state;
  struct made *made = make();
  for (int plane = 0; plane < 3; plane++) add_square(made, 10, 10, 1 + 2 * plane, 1.4, "");
  assert_int_equal(place(made), 1);
  for (int k = 0; k < SLICES; k++) assert_int_equal(count(made, k), 9);
  clear(made);
  made = make();
  for (int plane = 0; plane < 12; plane++) add_square(made, 10, 10, 1 + 0.25 * plane, 1.4, "");
  assert_int_equal(place(made), 1);
  for (int k = 0; k < SLICES; k++) assert_int_equal(count(made, k), k >= 1 && k <= 4 ? 9 : 0);
  clear(made);
}

static void nothing_is_placed(struct made *made, unsigned faults) {
  assert_int_equal(place(made), 0);
  assert_int_equal(made->annotation.marks->faults, faults);
  assert_int_equal(made->nodules.n_marks_unplaced, 1);
  clear(made);
}

static void test_what_cannot_be_placed(void **state) {
  (void)state;
  struct made *made = make();
  add_square(made, 10, 10, 2, 3, "");
  add_square(made, 10, 10, SLICES, 3, "");
  nothing_is_placed(made, CT_FAULT_UNKNOWN_SLICE); /* a contour off the slices */
  made = make();
  add_square(made, 10, 10, 2, 3, "1.2.3.5");
  nothing_is_placed(made, CT_FAULT_UNKNOWN_SLICE | CT_FAULT_SLICE_DISAGREES);
  made = make();
  add_square(made, 10, 10, 2, 3, "9.9");
  nothing_is_placed(made, CT_FAULT_UNKNOWN_SLICE); /* on an image that the series lacks */
  made = make();
  add_square(made, 10.5, 10.5, 2, 0.3, "");
  nothing_is_placed(made, CT_FAULT_UNKNOWN_SLICE); /* between the pixels */
  made = make();
  add_square(made, 100, 10, 2, 3, "");
  nothing_is_placed(made, CT_FAULT_UNKNOWN_SLICE | CT_FAULT_OUTSIDE_IMAGE);
  made = make();
  const double upright[3][3] = {{3, 3, 1}, {9, 3, 1}, {6, 3, 5}};
  add_contour(made, upright, 3, "");
  nothing_is_placed(made, CT_FAULT_UNKNOWN_SLICE);
  made = make();
  own_mask(made);
  nothing_is_placed(made, CT_FAULT_UNKNOWN_SLICE); /* empty */
  made = make();
  nothing_is_placed(made, CT_FAULT_UNKNOWN_SLICE); /* of a segment that is not there */
}

/* One shape on two series, and back again. */
static void test_placed_again_elsewhere(void **state) {
  (void)state;
  struct made *made = make();
  const double axial[6] = {1, 0, 0, 0, 1, 0};
  double orientation[6];
  memcpy(orientation, made->series.orientation, sizeof orientation);
  for (int plane = 0; plane < 5; plane++) add_square(made, 10, 10, 1 + plane, 3.4, "");
  struct ct_region *region = made->annotation.marks->region;
  assert_int_equal(place(made), 1);
  double first = volume(made);
  turn_series(&made->series, axial, 1.5);
  assert_int_equal(place(made), 0); /* the contours are not parallel to these slices */
  turn_series(&made->series, orientation, 1.25);
  for (int k = 0; k < SLICES; k++) made->slices[k].sop_instance_uid[0] = '2';
  assert_int_equal(place(made), 1);
  turn_series(&made->series, orientation, 1.5);
  assert_int_equal(place(made), 1);
  assert_near(volume(made), first, 1e-9);
  assert_int_equal(made->annotation.marks->faults, 0);
  assert_true(made->annotation.marks->region == region);
  clear(made);
}

/* Through a helper's message and back, and merged with itself. */
static void test_the_wire_carries_them(void **state) {
  (void)state;
  struct lc_wire wire = {0};
  struct ct_annotation back = {0};
  struct made *made = make();
  size_t repeated = 0;
  add_square(made, 10, 10, 2, 3.4, "1.2.3.2");
  own_mask(made)[7] = 1;
  const struct ct_point point = {.centre_mm = {1, 2, 3},
                                 .line = 4,
                                 .probability = NAN,
                                 .name = "p",
                                 .sop_instance_uid = "1.2.3.2",
                                 .pixel = {5, 6}};
  assert_ok(ct_annotation_add_point(&made->annotation, &point, &test_err));
  ct_annotation_put(&wire, &made->annotation);
  assert_ok(ct_annotation_get(&wire, &back, "again.dcm", &test_err));
  assert_true(ct_region_same(back.marks->region, made->annotation.marks->region));
  assert_int_equal(back.n_points, 1);
  assert_string_equal(back.points->name, "p");
  assert_true(isnan(back.points->probability));
  assert_near(back.points->pixel[1], 6, 0);
  assert_ok(ct_annotation_merge(&made->annotation, &back, &repeated, &test_err));
  assert_int_equal(repeated, 2);
  assert_int_equal(made->annotation.n_marks, 1);
  ct_annotation_free(&back);
  /* A mask that is larger than the message. */
  made->annotation.marks->region->mask.size[0] = 1 << 20;
  made->annotation.marks->region->mask.size[1] = 0;
  wire.size = wire.at = 0;
  ct_annotation_put(&wire, &made->annotation);
  assert_int_equal(ct_annotation_get(&wire, &back, "again.dcm", &test_err), LC_ERR_FORMAT);
  lc_wire_free(&wire);
  clear(made);
}

/* A point that is given in pixels of an image. */
static void test_points_on_images(void **state) {
  (void)state;
  struct made *made = make();
  double expected[3];
  own_mask(made)[(3 * SIDE + 9) * SIDE + 9] = 1;
  struct ct_point point = {.line = 1, .pixel = {4.5, 7}, .probability = NAN};
  strcpy(point.sop_instance_uid, "1.2.3.2");
  assert_ok(ct_annotation_add_point(&made->annotation, &point, &test_err));
  strcpy(point.sop_instance_uid, "1.2.3.99");
  assert_ok(ct_annotation_add_point(&made->annotation, &point, &test_err));
  assert_int_equal(place(made), 2);
  assert_int_equal(made->nodules.n_marks_unplaced, 1);
  ct_series_to_patient(&made->series, (const double[3]){4.5, 7, 2}, expected);
  for (int c = 0; c < 3; c++) assert_near(made->nodules.nodules[1].centre_mm[c], expected[c], 1e-9);
  clear(made);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shapes_come_back),
      cmocka_unit_test(test_random_sets_come_back),
      cmocka_unit_test(test_mask_of_another_grid),
      cmocka_unit_test(test_contours_are_even_odd),
      cmocka_unit_test(test_contours_of_another_spacing),
      cmocka_unit_test(test_what_cannot_be_placed),
      cmocka_unit_test(test_placed_again_elsewhere),
      cmocka_unit_test(test_the_wire_carries_them),
      cmocka_unit_test(test_points_on_images),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
