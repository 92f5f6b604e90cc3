/* Refuses voxels that no chest CT has: without air or body, or with slices unlike their
 * neighbours. */
#include "ct_io/ct/ct_plausible.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_scope.h"

enum {
  SURELY_AIR = -200, /* and below */
  SOFT_TISSUE = 300, /* from SURELY_AIR to here */
  FEWEST_AIR = 8,
  STEP_HU = 200, /* median difference of neighbours that is none of anatomy */
  ODD_HU = 100,  /* and one that is none where others are much alike */
  ODD_TIMES = 4,
  N_BINS = 4096, /* of differences by HU; the last holds all beyond */
  SAMPLES = 128  /* along each side of a slice */
};

static size_t pixels_of(const struct ct_volume *volume) {
  return volume->size[0] * volume->size[1];
}

static size_t stride_of(size_t side) {
  return side > SAMPLES ? side / SAMPLES : 1;
}

static lc_status check_range(const struct ct_volume *volume, const char *path,
                             struct lc_error *err) {
  bool there[SURELY_AIR - CT_LOWEST_HU] = {false};
  size_t n = pixels_of(volume) * volume->size[2], soft = 0, n_air = 0;
  int low = INT16_MAX, high = INT16_MIN;
  for (size_t i = 0; i < n; i++) {
    int hu = volume->hu[i];
    if (hu < low) low = hu;
    if (hu > high) high = hu;
    if (hu >= CT_LOWEST_HU && hu < SURELY_AIR) there[hu - CT_LOWEST_HU] = true;
    soft += hu >= SURELY_AIR && hu < SOFT_TISSUE;
  }
  for (size_t i = 0; i < sizeof there; i++) n_air += there[i];
  if (n_air < FEWEST_AIR || 100 * soft < n)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %s: values from %d to %d are not Hounsfield units", path,
            n_air < FEWEST_AIR ? "no air" : "no body", low, high);
  return LC_OK;
}

/* Median of |a - b| over samples of two slices. */
static int median_difference(const struct ct_volume *volume, size_t a, size_t b) {
  uint32_t count[N_BINS] = {0}, total = 0, below = 0;
  const int16_t *x = volume->hu + a * pixels_of(volume), *y = volume->hu + b * pixels_of(volume);
  for (size_t row = 0; row < volume->size[1]; row += stride_of(volume->size[1]))
    for (size_t column = 0; column < volume->size[0]; column += stride_of(volume->size[0])) {
      size_t at = row * volume->size[0] + column;
      int off = abs(x[at] - y[at]);
      count[off < N_BINS ? off : N_BINS - 1]++;
      total++;
    }
  int median = 0;
  while (2 * (below += count[median]) < total) median++;
  return median;
}

static int by_number(const void *a, const void *b) {
  const int *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

static lc_status check_neighbours(const struct ct_volume *volume, const struct ct_slice *slices,
                                  struct lc_error *err) {
  size_t n = volume->size[2] - 1, most = 0;
  LC_FREED int *step = NULL;
  LC_TRY(lc_alloc(&step, 2 * n, sizeof *step, err));
  int *sorted = step + n;
  for (size_t i = 0; i < n; i++) {
    sorted[i] = step[i] = median_difference(volume, i, i + 1);
    if (step[i] > step[most]) most = i;
  }
  qsort(sorted, n, sizeof *sorted, by_number);
  int usual = sorted[n / 4];
  if (step[most] > STEP_HU || (step[most] > ODD_HU && step[most] > ODD_TIMES * usual))
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: slice %zu and the one before it (%s) differ by %d HU in the median pixel, others "
            "by %d: one of them does not hold Hounsfield units of this scan",
            slices[most + 1].path, volume->first_slice + most + 2, slices[most].path, step[most],
            usual);
  return LC_OK;
}

/* Rows of one value that a slice begins or ends with. */
static size_t flat_rows(const struct ct_volume *volume, size_t slice, bool at_end) {
  size_t columns = volume->size[0], rows = volume->size[1], n = 0;
  const int16_t *hu = volume->hu + slice * rows * columns;
  int16_t value = at_end ? hu[rows * columns - 1] : hu[0];
  for (; n < rows; n++) {
    const int16_t *row = hu + (at_end ? rows - 1 - n : n) * columns;
    for (size_t i = 0; i < columns; i++)
      if (row[i] != value) return n;
  }
  return n;
}

/* Whether a tenth of another slice's pixels there is clearly something else. */
static bool differs(const struct ct_volume *volume, size_t slice, size_t other, size_t n_rows,
                    bool at_end) {
  size_t columns = volume->size[0], count = n_rows * columns, off = 0;
  size_t start = at_end ? pixels_of(volume) - count : 0;
  int value = volume->hu[slice * pixels_of(volume) + start];
  const int16_t *hu = volume->hu + other * pixels_of(volume) + start;
  for (size_t i = 0; i < count; i++) off += abs(hu[i] - value) > STEP_HU;
  return 10 * off > count;
}

static lc_status check_filled(const struct ct_volume *volume, const struct ct_slice *slices,
                              struct lc_error *err) {
  for (size_t i = 0; i < volume->size[2]; i++)
    for (int at_end = 0; at_end < 2; at_end++) {
      size_t n = flat_rows(volume, i, at_end);
      if (8 * n < volume->size[1]) continue;
      if ((i > 0 && differs(volume, i, i - 1, n, at_end)) ||
          (i + 1 < volume->size[2] && differs(volume, i, i + 1, n, at_end)))
        LC_FAIL(err, LC_ERR_FORMAT,
                "%s: slice %zu: the %s %zu of %zu rows hold one value, those of its neighbours do "
                "not: its pixels are incomplete",
                slices[i].path, volume->first_slice + i + 1, at_end ? "last" : "first", n,
                volume->size[1]);
    }
  return LC_OK;
}

lc_status ct_volume_check(const struct ct_volume *volume, const struct ct_series *series,
                          struct lc_error *err) {
  const struct ct_slice *slices = series->slices + volume->first_slice;
  if (volume->size[2] > 1) {
    LC_TRY(check_filled(volume, slices, err));
    LC_TRY(check_neighbours(volume, slices, err));
  }
  return check_range(volume, slices[0].path, err);
}
