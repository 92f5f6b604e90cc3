/* Faults of voxels that headers do not tell: each is made in a chest drawn from its geometry, an
 * ellipse of soft tissue with two lungs, a spine and the noise of a low dose. */
#include "ct_io/ct/ct_plausible.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lc_test.h"

enum { COLUMNS = 160, ROWS = 128, SLICES = 9, PIXELS = COLUMNS * ROWS };

static int16_t hu[SLICES * PIXELS];
static struct ct_slice slices[SLICES + 3];
static char names[SLICES + 3][16];
static struct ct_series series = {.columns = COLUMNS, .rows = ROWS, .slices = slices};
static struct ct_volume volume = {
    .hu = hu, .size = {COLUMNS, ROWS, SLICES}, .first_slice = 3 /* of the series */};

static bool in_ellipse(double x, double y, double cx, double cy, double a, double b) {
  return hypot((x - cx) / a, (y - cy) / b) < 1;
}

/* The lungs shrink from slice to slice, as above the diaphragm in slices of 10 mm. */
static void draw(double noise) {
  unsigned seed = 7;
  for (int z = 0; z < SLICES; z++)
    for (int y = 0; y < ROWS; y++)
      for (int x = 0; x < COLUMNS; x++) {
        double shrink = 1 - 0.05 * z, value = -1000;
        if (in_ellipse(x, y, 80, 64, 70, 50)) value = 40;
        if (in_ellipse(x, y, 48, 64, 25 * shrink, 38 * shrink) ||
            in_ellipse(x, y, 112, 64, 25 * shrink, 38 * shrink))
          value = -860;
        if (in_ellipse(x, y, 80, 100, 6, 6)) value = 700;
        double sum = 0; /* of twelve: nearly normal, deviation 1 */
        for (int i = 0; i < 12; i++) {
          seed = seed * 1664525u + 1013904223u;
          sum += (double)(seed >> 8) / (1 << 24);
        }
        value += noise * (sum - 6);
        hu[z * PIXELS + y * COLUMNS + x] = (int16_t)lrint(fmax(value, CT_LOWEST_HU));
      }
}

static void expect(const char *words) {
  if (words)
    assert_fails(ct_volume_check(&volume, &series, &test_err), LC_ERR_FORMAT, words);
  else
    assert_ok(ct_volume_check(&volume, &series, &test_err));
}

static void chests_pass(void **state) {
  (void)state;
  for (int noise = 5; noise <= 120; noise += 23) {
    draw(noise);
    expect(NULL);
  }
  draw(20);
  volume.size[2] = 1;
  expect(NULL);
  volume.size[2] = SLICES;
  for (int i = 0; i < PIXELS / 4; i++) hu[i] = CT_LOWEST_HU; /* a scanner's own mask of air */
  expect("first 32 of 128 rows hold one value");             /* but there are shoulders below it */
}

/* Adds to slices [from, to), as an intercept of another value does. */
static void shift(int from, int to, int by) {
  for (int i = from * PIXELS; i < to * PIXELS; i++)
    hu[i] = (int16_t)(hu[i] + by < CT_LOWEST_HU ? CT_LOWEST_HU : hu[i] + by);
}

static void scale(int from, int to, double slope, int intercept) {
  for (int i = from * PIXELS; i < to * PIXELS; i++)
    hu[i] = (int16_t)fmin(fmax(rint(slope * (hu[i] + 1024)) + intercept, CT_LOWEST_HU), 3071);
}

static void other_intercepts(void **state) {
  static const struct {
    int from, to, by;
    const char *words;
  } cases[] = {
      {0, SLICES, 1024, "no air: values from"},
      {0, SLICES, 1000, "no air: values from"},
      {0, SLICES, 500, "no air: values from"},
      {0, SLICES, 200, "no air: values from"},
      {0, SLICES, -300, "are not Hounsfield units"},
      {0, SLICES, -500, "are not Hounsfield units"},
      {0, SLICES, -1024, "are not Hounsfield units"},
      {0, SLICES, -2048, "no air: values from"},
      {4, 5, 1024, "m07.dcm: slice 8 differs from its neighbours by"}, /* slice 5 of the slab */
      {4, 5, -90, "m07.dcm: slice 8 differs from its neighbours by"},
      {0, 1, 1024, "m04.dcm: slice 5 differs from the one before it"},
      {8, 9, 1024, "m11.dcm: slice 12 differs from the one before it"},
      {5, 9, 1024, "m08.dcm: slice 9 differs from the one before it"},
      {3, 4, 150, "m06.dcm: slice 7 differs from its neighbours by"},
  };
  static const double slopes[] = {0.5, 1.5, 2, 10};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    draw(20);
    shift(cases[i].from, cases[i].to, cases[i].by);
    expect(cases[i].words);
  }
  for (size_t i = 0; i < sizeof slopes / sizeof *slopes; i++) {
    draw(20);
    scale(0, SLICES, slopes[i], CT_LOWEST_HU);
    expect("no soft tissue: values from");
    draw(20);
    scale(4, 5, slopes[i], CT_LOWEST_HU);
    expect("slice 8 differs from its neighbours by");
  }
  draw(20);
  scale(4, 5, -1, 976); /* grey scale turned round */
  expect("slice 8 differs from its neighbours by");
  draw(20);
  scale(0, SLICES, -1, 976);
  expect("no air");
  for (int by = 60; by <= 240; by += 60) { /* two volumes of other units woven together */
    draw(20);
    for (int k = 0; k < SLICES; k += 2) shift(k, k + 1, by);
    expect("differs from its neighbours by");
  }
}

/* Pixels of another place. */
static void other_slices(void **state) {
  static int16_t other[PIXELS];
  (void)state;
  for (int way = 0; way < 4; way++) {
    draw(20);
    int16_t *slice = hu + 4 * PIXELS;
    memcpy(other, way == 0 ? hu : slice, sizeof other);
    for (int y = 0; y < ROWS; y++)
      for (int x = 0; x < COLUMNS; x++) {
        int16_t *at = &slice[y * COLUMNS + x];
        if (way == 0) *at = other[(y / 2) * COLUMNS + x];            /* another zoom */
        if (way == 1) *at = other[y * COLUMNS + (x + 40) % COLUMNS]; /* shifted by columns */
        if (way == 2 && x >= COLUMNS / 2) *at = CT_LOWEST_HU;        /* columns lost */
        if (way == 3 && y > 50) *at = other[50 * COLUMNS + x];       /* a row repeated */
      }
    expect("m07.dcm: slice 8 differs from its neighbours by");
  }
  draw(20);
  for (int k = 1; k < SLICES; k++) memcpy(hu + k * PIXELS, hu, sizeof other);
  expect("m03.dcm: slices 4 to 12 hold the same voxels");
}

/* What is stored, with an intercept of -1024. */
static void store(uint8_t *bytes, int slice) {
  for (int i = 0; i < PIXELS; i++) {
    int stored = hu[slice * PIXELS + i] + 1024;
    bytes[2 * i] = (uint8_t)stored;
    bytes[2 * i + 1] = (uint8_t)(stored >> 8);
  }
}

static void read_back(const uint8_t *bytes, int slice, bool swapped) {
  for (int i = 0; i < PIXELS; i++) {
    int stored = bytes[2 * i + swapped] | bytes[2 * i + !swapped] << 8;
    hu[slice * PIXELS + i] = (int16_t)fmin((int16_t)stored - 1024, INT16_MAX);
    if (hu[slice * PIXELS + i] < CT_LOWEST_HU) hu[slice * PIXELS + i] = CT_LOWEST_HU;
  }
}

static void other_bytes(void **state) {
  static uint8_t bytes[2 * PIXELS + 2];
  (void)state;
  for (int whole = 0; whole < 2; whole++)
    for (int way = 0; way < 4; way++) { /* swapped; shifted by one byte; half; not at all */
      draw(20);
      for (int slice = whole ? 0 : 4; slice < (whole ? SLICES : 5); slice++) {
        store(bytes, slice);
        if (way == 2) memset(bytes + PIXELS, 0, PIXELS);
        if (way == 3) memset(bytes, 0, sizeof bytes);
        read_back(bytes + (way == 1), slice, way == 0);
      }
      if (whole && way == 2) continue; /* warned of: masks are like that */
      expect(whole ? "not Hounsfield units" : way < 2 ? "slice 8 differs" : "rows hold one value");
    }
}

/* A fill value that is tissue, or air, or bone, below some row. */
static void unfilled_rows(void **state) {
  static const int16_t fill[] = {0, -1000, 1000, CT_LOWEST_HU};
  (void)state;
  for (size_t f = 0; f < sizeof fill / sizeof *fill; f++)
    for (int rows = ROWS / 4; rows <= ROWS; rows += ROWS / 4)
      for (int slice = 0; slice < SLICES; slice += 4)
        for (int at_end = 0; at_end < 2; at_end++) {
          draw(20);
          int16_t *start = hu + slice * PIXELS + (at_end ? (ROWS - rows) * COLUMNS : 0);
          for (int i = 0; i < rows * COLUMNS; i++) start[i] = fill[f];
          expect("rows hold one value, those of its neighbours do not");
        }
}

int main(void) {
  for (int i = 0; i < SLICES + 3; i++) {
    snprintf(names[i], sizeof names[i], "m%02d.dcm", i);
    slices[i].path = names[i];
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(chests_pass),   cmocka_unit_test(other_intercepts),
      cmocka_unit_test(other_slices),  cmocka_unit_test(other_bytes),
      cmocka_unit_test(unfilled_rows),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
