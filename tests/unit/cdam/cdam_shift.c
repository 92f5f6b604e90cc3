/* Tests shifts by a model that is known: a patch's score is the sum of its pixels. */
#include "cdam/engine/cdam_shift.h"

#include "tests/lc_test.h"

#define PATCH 8
#define ROWS 5 /* of patches */
#define COLUMNS 6
#define HEIGHT ((size_t)ROWS * PATCH)
#define WIDTH ((size_t)COLUMNS * PATCH)

static void numbers_of_shifts(void **state) {
  (void)state;
  struct cdam_shifts shifts;
  assert_ok(cdam_shifts_init(&shifts, 16, 8, &test_err));
  assert_true(shifts.along == 4 && shifts.step == 2);
  assert_ok(cdam_shifts_init(&shifts, 49, 14, &test_err));
  assert_true(shifts.along == 7 && shifts.step == 2);
  assert_fails(cdam_shifts_init(&shifts, 9, 8, &test_err), LC_ERR_USAGE, "one of 1, 4, 16, 64");
  assert_fails(cdam_shifts_init(&shifts, 5, 8, &test_err), LC_ERR_USAGE,
               "5 shifts of patches of 8");
  cdam_shifts_fit(&shifts, 8, 1, 2); /* 8 mm a patch */
  assert_true(shifts.along == 4 && shifts.step == 2);
  cdam_shifts_fit(&shifts, 8, 32.0 / 224, 2); /* 1.1 mm */
  assert_true(shifts.along == 1 && shifts.step == 8);
  cdam_shifts_fit(&shifts, 14, 0.5, 2); /* 7 mm: 1 mm with 7, 3.5 mm with 2 */
  assert_true(shifts.along == 7 && shifts.step == 2);
  cdam_shifts_fit(&shifts, 8, 3, 2); /* even a pixel is larger */
  assert_true(shifts.along == 8 && shifts.step == 1);
}

static void edges_are_repeated(void **state) {
  (void)state;
  const float image[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}; /* 3 x 3 */
  const float down[] = {4, 5, 6, 7, 8, 9, 7, 8, 9};  /* one row further down is seen */
  const float left[] = {1, 1, 2, 4, 4, 5, 7, 7, 8};  /* one column further left */
  const struct cdam_shifts shifts = {.along = 3, .step = 1};
  float out[9];
  cdam_shift_image(&shifts, 0, image, 1, 3, 3, out);
  assert_memory_equal(out, image, sizeof out);
  cdam_shift_image(&shifts, 3, image, 1, 3, 3, out);
  assert_memory_equal(out, down, sizeof out);
  cdam_shift_image(&shifts, 2, image, 1, 3, 3, out);
  assert_memory_equal(out, left, sizeof out);
}

static void sums_of_patches(const float *image, float *map) {
  memset(map, 0, (size_t)ROWS * COLUMNS * sizeof *map);
  for (size_t y = 0; y < HEIGHT; y++)
    for (size_t x = 0; x < WIDTH; x++) map[y / PATCH * COLUMNS + x / PATCH] += image[y * WIDTH + x];
}

/* Mean over the shifts: of sums of patches, or of the image itself as a map on pixels. */
static void mean_over(const struct cdam_shifts *shifts, const float *image, bool on_pixels,
                      float *sum) {
  static float shifted[HEIGHT * WIDTH], map[HEIGHT * WIDTH];
  memset(sum, 0, HEIGHT * WIDTH * sizeof *sum);
  for (size_t k = 0; k < cdam_shifts_count(shifts); k++) {
    cdam_shift_image(shifts, k, image, 1, HEIGHT, WIDTH, shifted);
    sums_of_patches(shifted, map);
    if (on_pixels)
      cdam_shift_add_back(shifts, k, shifted, HEIGHT, WIDTH, true, sum);
    else
      cdam_shift_add_back(shifts, k, map, ROWS, COLUMNS, false, sum);
  }
}

/* Of the shifts along one axis, those in which cells a and b lie in one patch. */
static double together(long a, long b, long along) {
  long away = labs(a - b);
  return away < along ? (double)(along - away) / (double)along : 0;
}

/* One bright pixel: a cell's score is the share of shifts whose patch has both, divided among the
 * patch's cells. */
static void maps_lie_where_the_image_does(void **state) {
  (void)state;
  static float image[HEIGHT * WIDTH], mean[HEIGHT * WIDTH];
  const size_t row = 19, column = 29;
  image[row * WIDTH + column] = 1;
  for (size_t along = 1; along <= PATCH; along *= 2) {
    const struct cdam_shifts shifts = {.along = along, .step = PATCH / along};
    long n = (long)along, at_row = (long)(row / shifts.step), at = (long)(column / shifts.step);
    double total = 0;
    mean_over(&shifts, image, false, mean);
    for (long y = 0; y < ROWS * n; y++)
      for (long x = 0; x < COLUMNS * n; x++) {
        bool same = y / n == at_row / n && x / n == at / n; /* without shifts: the patch */
        double expected = along == 1 ? same : together(y, at_row, n) * together(x, at, n);
        float score = mean[y * COLUMNS * n + x];
        assert_near((double)score, expected / (double)(n * n), 1e-6);
        total += (double)score;
      }
    assert_near(total, 1, 1e-5);
    mean_over(&shifts, image, true, mean); /* a map on pixels comes back as it was */
    for (size_t i = 0; i < HEIGHT * WIDTH; i++)
      assert_near((double)mean[i], (double)image[i], 1e-6);
  }
}

/* Cells at the edge are shown by fewer shifts, and are means over those. */
static void edges_are_means_too(void **state) {
  (void)state;
  static float ones[ROWS * COLUMNS], mean[HEIGHT * WIDTH];
  const struct cdam_shifts shifts = {.along = 4, .step = 2};
  for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) ones[i] = 1;
  memset(mean, 0, sizeof mean);
  for (size_t k = 0; k < 16; k++) cdam_shift_add_back(&shifts, k, ones, ROWS, COLUMNS, false, mean);
  for (size_t i = 0; i < (size_t)16 * ROWS * COLUMNS; i++)
    assert_near((double)mean[i], 1.0 / 16, 1e-7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_of_shifts), cmocka_unit_test(edges_are_repeated),
      cmocka_unit_test(maps_lie_where_the_image_does), cmocka_unit_test(edges_are_means_too)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
