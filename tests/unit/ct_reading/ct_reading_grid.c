/* Positions that were rounded when they were written, slices that are missing among them, and
 * spacings that change. */
#include "ct_io/ct/ct_cube.h"
#include "tests/ct_dicom_field.h"

/* How positions are written. */
struct written {
  double spacing_mm;
  int decimals;
  int missing;            /* this slice is; -1: none */
  double shift;           /* of all, so that they round otherwise */
  double (*along)(int k); /* instead of even places */
};

static double z_of(const struct written *w, int k) {
  return w->along ? w->along(k) : -20 + w->shift + k * w->spacing_mm;
}

static bool edit(struct dcm_set *set, int k, void *context) {
  const struct written *w = context;
  dcm_print(set, 0x00200032, "DS", "-10\\-12\\%.*f", w->decimals, z_of(w, k));
  return k != w->missing;
}

static struct field_series rounded(struct written *w, int slices) {
  struct field_series s = field_series_default();
  s.slices = slices;
  s.origin[2] = -20 + w->shift;
  s.step[2] = w->spacing_mm;
  s.edit = edit;
  s.context = w;
  return s;
}

static void check_cube(const struct ct_series *series, size_t first, size_t count) {
  enum { EDGE = 6 };
  struct ct_volume volume;
  struct ct_cube cube;
  const double z =
      0.5 * (series->slices[first].along_mm + series->slices[first + count - 1].along_mm);
  const double centre[] = {0.3, -0.7, z + 0.1};
  assert_ok(ct_volume_decode(&volume, series, first, count, NULL, &test_err));
  assert_ok(ct_cube_resample(&cube, &volume, centre, EDGE, 0.5, &test_err));
  assert_int_equal(cube.n_padded, 0);
  for (int i = 0; i < EDGE * EDGE * EDGE; i++) {
    const double mm[] = {centre[0] + 0.5 * (i % EDGE - 2.5),
                         centre[1] + 0.5 * (i / EDGE % EDGE - 2.5),
                         centre[2] + 0.5 * (i / EDGE / EDGE - 2.5)};
    assert_near((double)cube.hu[i], field_hu(mm), 1);
  }
  ct_cube_free(&cube);
  ct_volume_free(&volume);
}

/* Even grids whose positions have one decimal, or none: within a tenth of a millimetre of the grid
 * that they stand for. */
static void positions_with_few_decimals(void **state) {
  (void)state;
  static const struct {
    struct written w;
    int slices;
    double largest; /* mm between a slice and its true place */
  } cases[] = {
      {{0.625, 1, -1, 0, NULL}, 20, 0.1},   {{0.625, 1, -1, 0.03, NULL}, 200, 0.1},
      {{0.625, 1, -1, 0.01, NULL}, 6, 0.1}, {{0.625, 2, -1, 0, NULL}, 50, 0.02},
      {{1.25, 1, -1, 0, NULL}, 40, 0.1},    {{1.25, 1, -1, 0.02, NULL}, 39, 0.1},
      {{0.75, 1, -1, 0, NULL}, 60, 0.1},    {{0.33, 1, -1, 0, NULL}, 80, 0.1},
      {{2.0 / 3, 1, -1, 0, NULL}, 61, 0.1}, {{0.5, 1, -1, 0.05, NULL}, 61, 0.1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct written w = cases[i].w;
    struct field_series s = rounded(&w, cases[i].slices);
    struct ct_index index;
    size_t n = (size_t)s.slices;
    field_write(&s, lc_test_folder(field_folder));
    field_scan(&index, field_folder, NULL);
    const struct ct_series *series = &index.series[0];
    assert_int_equal(index.n_series, 1);
    assert_int_equal(series->n_slices, n);
    if (series->verdict == CT_REFUSED) fail_msg("%zu: %s", i, series->reason);
    for (size_t k = 0; k < n; k++)
      assert_near(series->slices[k].along_mm, z_of(&w, (int)k), cases[i].largest);
    assert_near(series->slice_spacing_mm, w.spacing_mm, 0.2 / (double)(n - 1) + 0.001);
    field_check(series, 0);
    size_t half = n < 12 ? n / 2 : 6;
    check_cube(series, n / 2 - half, 2 * half);
    ct_index_free(&index);
    assert_ok(lc_folder_remove(field_folder, &test_err));
  }
}

static void the_log_states_the_grid(void **state) {
  (void)state;
  struct written w = {0.625, 1, -1, 0, NULL};
  struct field_series s = rounded(&w, 20);
  struct ct_index index;
  field_write(&s, lc_test_folder(field_folder));
  field_scan(&index, field_folder, NULL);
  field_verdict(&index.series[0], CT_REPAIRED,
                "positions rounded: an even grid of 0.625 mm, largest residual 0.05 mm");
  ct_index_free(&index);
  assert_ok(lc_folder_remove(field_folder, &test_err));
}

/* What is missing stays missing: the grid has a hole. */
static void a_missing_slice_among_rounded_positions(void **state) {
  (void)state;
  static const double spacings[] = {0.625, 1.25, 0.75};
  for (int i = 0; i < 3; i++) {
    struct written w = {spacings[i], 1, 11, 0, NULL};
    struct field_series s = rounded(&w, 30);
    struct ct_index index;
    struct ct_volume volume;
    field_write(&s, lc_test_folder(field_folder));
    field_scan(&index, field_folder, NULL);
    const struct ct_series *series = &index.series[0];
    assert_int_equal(series->n_slices, 29);
    field_verdict(series, CT_REPAIRED, "slice 12 lies");
    for (int k = 0; k < 29; k++)
      assert_near(series->slices[k].along_mm, z_of(&w, k < 11 ? k : k + 1), 0.1);
    field_check_slab(series, 0, 11, 0, 1);
    field_check_slab(series, 11, 18, 0, 1);
    check_cube(series, 14, 8);
    assert_fails(ct_volume_decode(&volume, series, 8, 6, NULL, &test_err), LC_ERR_GEOMETRY,
                 "slice 12 lies");
    ct_index_free(&index);
    assert_ok(lc_folder_remove(field_folder, &test_err));
  }
}

static double three_spacings(int k) {
  return k <= 7 ? 2 * k : k <= 12 ? 14 + 3 * (k - 7) : 29 + 4 * (k - 12);
}

static double to_and_fro(int k) {
  return 0.625 * k + (k % 3 - 1) * 0.19;
}

static double one_away(int k) {
  return 2 * k + (k == 9 ? 0.8 : 0);
}

/* What is no rounding is not smoothed, and the slice is named. */
static void changes_of_spacing_are_named(void **state) {
  (void)state;
  static const struct {
    double (*along)(int k);
    ct_verdict verdict;
    const char *words, *named;
  } cases[] = {
      {three_spacings, CT_REFUSED, "2.00 to 4.00 mm between slices, none prevails",
       "it changes at a013.dcm (slice 8)"},
      {to_and_fro, CT_REPAIRED, "slice 4 lies 0.25 mm from its neighbour", "(6 such places)"},
      {one_away, CT_REPAIRED, "a011.dcm: slice 10 lies 2.80 mm from its neighbour, others 2.00 mm",
       "(2 such places)"},
  };
  for (int i = 0; i < 3; i++) {
    struct written w = {2, 4, -1, 0, cases[i].along};
    struct field_series s = rounded(&w, 20);
    struct ct_index index;
    field_write(&s, lc_test_folder(field_folder));
    field_scan(&index, field_folder, NULL);
    field_verdict(&index.series[0], cases[i].verdict, cases[i].words);
    field_verdict(&index.series[0], cases[i].verdict, cases[i].named);
    ct_index_free(&index);
    assert_ok(lc_folder_remove(field_folder, &test_err));
  }
}

static bool shift(struct dcm_set *set, int k, void *context) {
  (void)context;
  if (k == 6) dcm_print(set, 0x00200032, "DS", "-10\\-9\\%d", -20 + 2 * k);
  return true;
}

static void a_slice_that_is_shifted_is_named(void **state) {
  (void)state;
  struct field_series s = field_series_default();
  struct ct_index index;
  s.edit = shift;
  field_write(&s, lc_test_folder(field_folder));
  field_scan(&index, field_folder, NULL);
  field_verdict(&index.series[0], CT_REFUSED, "a014.dcm: slice 7 is shifted 3.00 mm in its plane");
  ct_index_free(&index);
  assert_ok(lc_folder_remove(field_folder, &test_err));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(positions_with_few_decimals),
      cmocka_unit_test(the_log_states_the_grid),
      cmocka_unit_test(a_missing_slice_among_rounded_positions),
      cmocka_unit_test(changes_of_spacing_are_named),
      cmocka_unit_test(a_slice_that_is_shifted_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
