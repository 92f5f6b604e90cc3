/* Series in every orientation that patients and reconstructions come in, upright, tilted and with
 * oblong pixels: voxels, places and interpolated cubes against a linear field of the patient. */
#include "ct_io/ct/ct_cube.h"
#include "tests/ct_dicom_field.h"

#define R 0.70710678118654752440
static const struct {
  const char *name;
  double row[3], column[3];
} orientations[] = {
    {"head first, supine", {1, 0, 0}, {0, 1, 0}},
    {"head first, prone", {-1, 0, 0}, {0, -1, 0}},
    {"feet first, supine", {-1, 0, 0}, {0, 1, 0}},
    {"feet first, prone", {1, 0, 0}, {0, -1, 0}},
    {"decubitus left", {0, 1, 0}, {-1, 0, 0}},
    {"decubitus right", {0, -1, 0}, {1, 0, 0}},
    {"coronal", {1, 0, 0}, {0, 0, -1}},
    {"coronal, feet up", {1, 0, 0}, {0, 0, 1}},
    {"sagittal", {0, 1, 0}, {0, 0, -1}},
    {"sagittal, feet up", {0, -1, 0}, {0, 0, 1}},
    {"oblique about the long axis", {R, R, 0}, {-R, R, 0}},
    {"doubly oblique", {0.8, 0.36, 0.48}, {0, 0.8, -0.6}},
};
enum { ORIENTATIONS = sizeof orientations / sizeof *orientations };

enum shape { PLAIN, TILTED, TILTED_BOTH_WAYS, OBLONG, OBLONG_AND_TILTED, SHAPES };
static const char *const shape_names[] = {"plain", "tilted", "tilted both ways", "oblong",
                                          "oblong and tilted"};

/* A series whose middle is the origin of the patient; its files are named against the order of its
 * slices, and its InstanceNumbers count with it. */
static struct field_series make(int which, enum shape shape) {
  struct field_series s = field_series_default();
  const double *row = orientations[which].row, *column = orientations[which].column;
  const double normal[] = {row[1] * column[2] - row[2] * column[1],
                           row[2] * column[0] - row[0] * column[2],
                           row[0] * column[1] - row[1] * column[0]};
  bool oblong = shape == OBLONG || shape == OBLONG_AND_TILTED;
  double tilt = shape == TILTED || shape == OBLONG_AND_TILTED ? tan(15 * M_PI / 180) : 0;
  double sideways = 0, apart = 1.5;
  if (shape == TILTED_BOTH_WAYS) {
    tilt = -tan(8 * M_PI / 180);
    sideways = tan(5 * M_PI / 180);
  }
  s.rows = 33;
  s.columns = oblong ? 47 : 35;
  s.slices = 21;
  s.spacing[0] = 0.9;
  s.spacing[1] = oblong ? 0.6 : 0.9;
  for (int c = 0; c < 3; c++) {
    s.orientation[c] = row[c];
    s.orientation[3 + c] = column[c];
    s.step[c] = apart * (normal[c] + tilt * column[c] + sideways * row[c]);
    s.origin[c] = -0.5 * (s.columns - 1) * s.spacing[1] * row[c] -
                  0.5 * (s.rows - 1) * s.spacing[0] * column[c] - 10 * s.step[c];
  }
  return s;
}

static void check_places(const struct field_series *s, const struct ct_series *series) {
  static const double points[][3] = {
      {0, 0, 0}, {34, 0, 3}, {0, 32, 20}, {11.25, 7.5, 4.75}, {30, 31, 19.5}};
  for (size_t p = 0; p < sizeof points / sizeof *points; p++) {
    double expected[3], mm[3], ijk[3];
    field_place(s, points[p][0], points[p][1], points[p][2], expected);
    ct_series_to_patient(series, points[p], mm);
    ct_series_to_index(series, expected, ijk);
    for (int c = 0; c < 3; c++) {
      assert_near(mm[c], expected[c], 1e-5);
      assert_near(ijk[c], points[p][c], 1e-4);
    }
  }
}

/* Linear interpolation of a linear field is that field, but for the rounding of the voxels. */
static void check_cubes(const struct ct_volume *volume, const char *name) {
  static const double centres[][3] = {{0, 0, 0}, {1.3, -2.6, 0.7}, {-2.45, 1.15, -1.9}};
  enum { EDGE = 10 };
  for (size_t n = 0; n < sizeof centres / sizeof *centres; n++) {
    struct ct_cube cube;
    assert_ok(ct_cube_resample(&cube, volume, centres[n], EDGE, 1, &test_err));
    assert_int_equal(cube.n_padded, 0);
    for (int z = 0, at = 0; z < EDGE; z++)
      for (int y = 0; y < EDGE; y++)
        for (int x = 0; x < EDGE; x++, at++) {
          const double mm[] = {centres[n][0] + x - 4.5, centres[n][1] + y - 4.5,
                               centres[n][2] + z - 4.5};
          if (!(fabs((double)cube.hu[at] - field_hu(mm)) <= 1))
            fail_msg("%s: sample (%d, %d, %d): %g HU, expected %g", name, x, y, z,
                     (double)cube.hu[at], field_hu(mm));
        }
    ct_cube_free(&cube);
  }
}

static void check(int which, enum shape shape) {
  char folder[256], name[128];
  struct ct_index index;
  struct ct_volume volume;
  struct field_series s = make(which, shape);
  snprintf(name, sizeof name, "%s, %s", orientations[which].name, shape_names[shape]);
  field_write(&s, lc_test_folder(folder));
  field_scan(&index, folder, NULL);
  const struct ct_series *series = &index.series[0];
  if (index.n_series != 1 || series->n_slices != 21 || series->verdict == CT_REFUSED)
    fail_msg("%s: %zu series, %s", name, index.n_series, series->reason);
  bool tilted = shape != PLAIN && shape != OBLONG;
  if (tilted != (strstr(series->reason, "gantry tilt") != NULL))
    fail_msg("%s: \"%s\"", name, series->reason);
  assert_near(series->slice_spacing_mm, 1.5, 1e-6);
  check_places(&s, series);
  field_check(series, 0);
  assert_ok(ct_volume_decode(&volume, series, 0, 21, NULL, &test_err));
  check_cubes(&volume, name);
  ct_volume_free(&volume);
  ct_index_free(&index);
  assert_ok(lc_folder_remove(folder, &test_err));
}

#define SHAPE(shape, name)                                                                         \
  static void name(void **state) {                                                                 \
    (void)state;                                                                                   \
    for (int i = 0; i < ORIENTATIONS; i++) check(i, shape);                                        \
  }
SHAPE(PLAIN, plain)
SHAPE(TILTED, tilted)
SHAPE(TILTED_BOTH_WAYS, tilted_both_ways)
SHAPE(OBLONG, oblong)
SHAPE(OBLONG_AND_TILTED, oblong_and_tilted)

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(plain), cmocka_unit_test(tilted),
                                     cmocka_unit_test(tilted_both_ways), cmocka_unit_test(oblong),
                                     cmocka_unit_test(oblong_and_tilted)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
