/* The cutter on a series of 40 slices 2 mm apart whose voxels hold the number of their slice, in
 * half of them less air: which slices are decoded together, what each nodule sees, and who is
 * refused. */
#include "tests/lc_test.h"

#include <math.h>

#include "ct_io/ct/ct_cutter.h"

enum { SLICES = 40, SIDE = 4, MOST = 8 };

static struct ct_slice slices[SLICES];
static struct ct_series series;
static long unreadable; /* slice, or -1 */

/* What the callbacks saw. */
static struct {
  size_t n_decoded, first[16], count[16]; /* decodings that succeeded */
  struct {
    bool taken, refused;
    size_t first, count;
    double origin_mm;
    lc_status status;
    char why[LC_ERROR_SIZE];
  } nodules[MOST];
} seen;

static int16_t value_of(size_t slice, size_t pixel) {
  return (int16_t)((long)slice + (pixel < SIDE * SIDE / 2 ? 0 : 10 * (long)pixel - 1100));
}

static int make_series(void **state) {
  (void)state;
  memset(&seen, 0, sizeof seen);
  unreadable = -1;
  series = (struct ct_series){.rows = SIDE,
                              .columns = SIDE,
                              .pixel_spacing_mm = {10, 10},
                              .slice_spacing_mm = 2,
                              .orientation = {1, 0, 0, 0, 1, 0},
                              .normal = {0, 0, 1},
                              .slices = slices,
                              .n_slices = SLICES};
  snprintf(series.series_instance_uid, sizeof series.series_instance_uid, "1.2.3");
  for (int i = 0; i < SLICES; i++) {
    static char name[] = "slice.dcm";
    slices[i] =
        (struct ct_slice){.path = name, .position_mm = {0, 0, 2.0 * i}, .along_mm = 2.0 * i};
  }
  return 0;
}

static lc_status decode(struct ct_volume *volume, const struct ct_series *of, size_t first,
                        size_t count, struct lc_progress *progress, struct lc_error *err) {
  (void)progress;
  memset(volume, 0, sizeof *volume);
  LC_TRY(ct_volume_place(volume, of, first, count, err));
  if (unreadable >= (long)first && unreadable < (long)(first + count))
    LC_FAIL(err, LC_ERR_FORMAT, "slice.dcm: broken pixels");
  volume->hu = calloc(SIDE * SIDE * count, sizeof *volume->hu);
  for (size_t k = 0; k < SIDE * SIDE * count; k++)
    volume->hu[k] = value_of(first + k / (SIDE * SIDE), k % (SIDE * SIDE));
  seen.first[seen.n_decoded] = first;
  seen.count[seen.n_decoded++] = count;
  return LC_OK;
}

static lc_status take(void *context, size_t nodule, const struct ct_volume *volume,
                      struct lc_error *err) {
  (void)context, (void)err;
  seen.nodules[nodule].taken = true;
  seen.nodules[nodule].first = volume->first_slice;
  seen.nodules[nodule].count = volume->size[2];
  seen.nodules[nodule].origin_mm = volume->origin_mm[2];
  for (size_t k = 0; k < SIDE * SIDE * volume->size[2]; k++)
    assert_int_equal(volume->hu[k],
                     value_of(volume->first_slice + k / (SIDE * SIDE), k % (SIDE * SIDE)));
  return LC_OK;
}

static lc_status refuse(void *context, size_t nodule, lc_status status, const struct lc_error *why,
                        struct lc_error *err) {
  (void)context, (void)err;
  seen.nodules[nodule].refused = true;
  seen.nodules[nodule].status = status;
  snprintf(seen.nodules[nodule].why, LC_ERROR_SIZE, "%s", why->message);
  return LC_OK;
}

static void cut(size_t n, const double (*centres)[3], size_t expected_slices) {
  const struct ct_cut cut = {.decode = decode, .take = take, .refuse = refuse};
  struct ct_cut_plan plan;
  assert_ok(ct_cut_plan_init(&plan, &series, n, centres, 8, &test_err));
  assert_int_equal(plan.n_slices, expected_slices);
  assert_ok(ct_cut_all(&plan, &cut, &test_err));
  ct_cut_plan_free(&plan);
}

/* Slices of 8 mm around z = 20: 16 to 24 mm, slices 8 to 12. */
static void slices_are_shared_and_each_sees_its_own(void **state) {
  (void)state;
  const double centres[][3] = {{10, 10, 60}, {10, 10, 20}, {10, 10, 27}, {10, 10, 33}};
  cut(4, centres, 17);
  assert_int_equal(seen.n_decoded, 2);
  assert_int_equal(seen.first[0], 8); /* three nodules: 16 to 37 mm, slices 8 to 19 */
  assert_int_equal(seen.count[0], 12);
  assert_int_equal(seen.first[1], 28);
  assert_int_equal(seen.count[1], 5);
  const size_t first[] = {28, 8, 11, 14}, count[] = {5, 5, 6, 6};
  for (int i = 0; i < 4; i++) {
    assert_true(seen.nodules[i].taken && !seen.nodules[i].refused);
    assert_int_equal(seen.nodules[i].first, first[i]);
    assert_int_equal(seen.nodules[i].count, count[i]);
    assert_true(fabs(seen.nodules[i].origin_mm - 2.0 * (double)first[i]) < 1e-12);
  }
}

static void only_who_needs_the_gap_is_refused(void **state) {
  (void)state;
  for (int i = 18; i < SLICES; i++) /* slice 18 is missing: 36 mm */
    slices[i].along_mm = slices[i].position_mm[2] = 2.0 * (i + 1);
  const double centres[][3] = {{10, 10, 20}, {10, 10, 27}, {10, 10, 33}};
  cut(3, centres, 11);
  assert_true(seen.nodules[0].taken && seen.nodules[1].taken);
  assert_true(seen.nodules[2].refused && !seen.nodules[2].taken);
  assert_int_equal(seen.nodules[2].status, LC_ERR_GEOMETRY);
  assert_non_null(strstr(seen.nodules[2].why, "slice 19 lies 4.00 mm from its neighbour"));
}

static void only_who_needs_a_broken_file_is_refused(void **state) {
  (void)state;
  unreadable = 9;
  const double centres[][3] = {{10, 10, 20}, {10, 10, 27}};
  cut(2, centres, 9);
  assert_true(seen.nodules[0].refused && seen.nodules[1].taken);
  assert_int_equal(seen.nodules[0].status, LC_ERR_FORMAT);
  assert_string_equal(seen.nodules[0].why, "slice.dcm: broken pixels");
}

static void outside_is_named_by_place(void **state) {
  (void)state;
  const double centres[][3] = {{10, 10, 79.5}, {10, 10, 20}, {10, -6, 20}, {10, 10, -0.9}};
  cut(4, centres, 8);
  assert_true(seen.nodules[1].taken && seen.nodules[3].taken); /* half a voxel beyond is inside */
  assert_int_equal(seen.nodules[0].status, LC_ERR_OUTSIDE);
  assert_non_null(
      strstr(seen.nodules[0].why,
             "(10.0, 10.0, 79.5) mm lies outside the volume of series 1.2.3 (column 2.0 "
             "of 4, row 2.0 of 4, slice 40.8 of 40)"));
  assert_int_equal(seen.nodules[2].status, LC_ERR_OUTSIDE);
}

static lc_status fail_take(void *context, size_t nodule, const struct ct_volume *volume,
                           struct lc_error *err) {
  (void)context, (void)nodule, (void)volume;
  LC_FAIL(err, LC_ERR_INTERRUPTED, "stopped");
}

static void what_is_not_the_nodules_fault_ends_it(void **state) {
  (void)state;
  const double centres[][3] = {{10, 10, 20}, {10, 10, 60}};
  const struct ct_cut cut = {.decode = decode, .take = fail_take, .refuse = refuse};
  struct ct_cut_plan plan;
  assert_ok(ct_cut_plan_init(&plan, &series, 2, centres, 8, &test_err));
  assert_fails(ct_cut_all(&plan, &cut, &test_err), LC_ERR_INTERRUPTED, "stopped");
  assert_int_equal(seen.n_decoded, 1);
  assert_false(seen.nodules[0].refused);
  ct_cut_plan_free(&plan);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(slices_are_shared_and_each_sees_its_own, make_series),
      cmocka_unit_test_setup(only_who_needs_the_gap_is_refused, make_series),
      cmocka_unit_test_setup(only_who_needs_a_broken_file_is_refused, make_series),
      cmocka_unit_test_setup(outside_is_named_by_place, make_series),
      cmocka_unit_test_setup(what_is_not_the_nodules_fault_ends_it, make_series)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
