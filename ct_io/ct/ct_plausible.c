/* Refuses voxels that no chest CT has: without air or soft tissue, or with slices unlike their
 * neighbours. */
#include "ct_io/ct/ct_plausible.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"

enum {
  SURELY_AIR = -900, /* and below */
  AIR_OR_LUNG = -200,
  NO_AIR = -500,   /* and above */
  SOFT_LOW = -150, /* fat */
  SOFT_HIGH = 300, /* blood with contrast medium */
  FEWEST_AIR = 8,  /* different values */
  OFF_HU = 200,    /* of single pixels: not the same tissue */
  TILES = 32       /* along each side of a slice */
};
static const double least_air = 0.0002, least_soft = 0.25;
/* A slice beside its neighbours, and two slices beside the pairs next to them. */
static const double odd_slice = 1.2, odd_slice_hu = 5, odd_step = 2.5, odd_step_hu = 20;
static const double largest_step_hu = 400;

static size_t pixels_of(const struct ct_volume *volume) {
  return volume->size[0] * volume->size[1];
}

static double percent(size_t part, size_t whole) {
  return whole ? 100 * (double)part / (double)whole : 0;
}

static lc_status check_range(const struct ct_volume *volume, const char *path,
                             struct lc_error *err) {
  bool there[AIR_OR_LUNG - CT_LOWEST_HU] = {false};
  size_t n = pixels_of(volume) * volume->size[2], scanned = 0, air = 0, dense = 0, soft = 0, kinds;
  int low = INT16_MAX, high = INT16_MIN;
  for (size_t i = 0; i < n; i++) {
    int hu = volume->hu[i];
    if (hu < low) low = hu;
    if (hu > high) high = hu;
    if (hu >= CT_LOWEST_HU && hu < AIR_OR_LUNG) there[hu - CT_LOWEST_HU] = true;
    bool outside = hu == CT_LOWEST_HU || hu == CT_AIR_HU;
    scanned += !outside;
    air += !outside && hu < SURELY_AIR;
    dense += hu > NO_AIR;
    soft += hu >= SOFT_LOW && hu < SOFT_HIGH;
  }
  kinds = 0;
  for (size_t i = 0; i < sizeof there; i++) kinds += there[i];
  if (kinds < FEWEST_AIR)
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: no air: values from %d to %d are not Hounsfield units: %zu different ones lie "
            "from %d to %d, expected at least %d",
            path, low, high, kinds, CT_LOWEST_HU, AIR_OR_LUNG, FEWEST_AIR);
  if ((double)air < least_air * (double)scanned)
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: no air: values from %d to %d are not Hounsfield units: %.2g %% of them lie below "
            "%d, expected at least %g %%",
            path, low, high, percent(air, scanned), SURELY_AIR, 100 * least_air);
  if (dense == 0 || (double)soft < least_soft * (double)dense)
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: no soft tissue: values from %d to %d are not Hounsfield units, or masked: %.2g %% "
            "of those above %d lie from %d to %d, expected at least %g %%",
            path, low, high, percent(soft, dense), NO_AIR, SOFT_LOW, SOFT_HIGH, 100 * least_soft);
  return LC_OK;
}

/* Means of the tiles of every slice: [slice, tile row, tile column]. */
struct tiles {
  float *mean;
  size_t rows, columns; /* of tiles */
};

static void tiles_free(struct tiles *tiles) {
  free(tiles->mean);
}

static lc_status tiles_init(struct tiles *tiles, const struct ct_volume *volume,
                            struct lc_error *err) {
  size_t width = volume->size[0], height = volume->size[1];
  tiles->columns = width < TILES ? width : TILES;
  tiles->rows = height < TILES ? height : TILES;
  size_t n = tiles->rows * tiles->columns;
  LC_TRY(lc_alloc(&tiles->mean, n * volume->size[2], sizeof *tiles->mean, err));
  for (size_t k = 0; k < volume->size[2]; k++)
    for (size_t t = 0; t < n; t++) {
      size_t r = t / tiles->columns, c = t % tiles->columns;
      size_t top = r * height / tiles->rows, bottom = (r + 1) * height / tiles->rows;
      size_t left = c * width / tiles->columns, right = (c + 1) * width / tiles->columns;
      long sum = 0;
      for (size_t y = top; y < bottom; y++)
        for (size_t x = left; x < right; x++)
          sum += volume->hu[k * pixels_of(volume) + y * width + x];
      tiles->mean[k * n + t] = (float)sum / (float)((bottom - top) * (right - left));
    }
  return LC_OK;
}

static int by_number(const void *a, const void *b) {
  const float *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

/* Of the tiles' differences the mean, and the median. */
struct apart {
  double mean, median;
};

static struct apart distance(const struct tiles *tiles, size_t a, size_t b) {
  size_t n = tiles->rows * tiles->columns;
  const float *x = tiles->mean + a * n, *y = tiles->mean + b * n;
  float off[TILES * TILES];
  double sum = 0;
  for (size_t t = 0; t < n; t++) sum += (double)(off[t] = fabsf(x[t] - y[t]));
  qsort(off, n, sizeof *off, by_number);
  return (struct apart){sum / (double)n, (double)off[n / 2]};
}

/* The slice that lies off its neighbours most, by the rule of the header; 0: none. */
static size_t find_odd(const struct tiles *tiles, size_t n) {
  double most = 0;
  size_t where = 0;
  for (size_t i = 1; i + 1 < n; i++) {
    double off = fmin(distance(tiles, i - 1, i).mean, distance(tiles, i, i + 1).mean);
    double over = off - odd_slice * distance(tiles, i - 1, i + 1).mean - odd_slice_hu;
    if (over <= most) continue;
    most = over;
    where = i;
  }
  return where;
}

/* The slice that lies off the one before it most, in the median tile, so that what moves or is
 * masked in a part of it does not count; 0: none. */
static size_t find_step(const struct tiles *tiles, size_t n) {
  double most = 0;
  size_t where = 0;
  for (size_t i = 1; i < n; i++) {
    double step = distance(tiles, i - 1, i).median, beside = 0;
    if (i > 1) beside = distance(tiles, i - 2, i - 1).median;
    if (i + 1 < n) beside = fmax(beside, distance(tiles, i, i + 1).median);
    double over = step - fmin(n > 2 ? odd_step * beside + odd_step_hu : INFINITY, largest_step_hu);
    if (over <= most) continue;
    most = over;
    where = i;
  }
  return where;
}

static bool all_same(const struct ct_volume *volume) {
  size_t n = pixels_of(volume);
  for (size_t k = 1; k < volume->size[2]; k++)
    if (memcmp(volume->hu, volume->hu + k * n, n * sizeof *volume->hu) != 0) return false;
  return true;
}

static lc_status check_neighbours(const struct ct_volume *volume, const struct ct_slice *slices,
                                  struct lc_error *err) {
  LC_SCOPED(tiles_free) struct tiles tiles = {0};
  size_t n = volume->size[2];
  if (all_same(volume))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: slices %zu to %zu hold the same voxels", slices[0].path,
            volume->first_slice + 1, volume->first_slice + n);
  LC_TRY(tiles_init(&tiles, volume, err));
  size_t odd = find_odd(&tiles, n), step = odd ? 0 : find_step(&tiles, n);
  if (odd)
    LC_FAIL(
        err, LC_ERR_FORMAT,
        "%s: slice %zu differs from its neighbours by %.0f and %.0f HU, expected at most "
        "%.1f times as much as they do from each other, %.0f: other units, another place, or an "
        "artefact",
        slices[odd].path, volume->first_slice + odd + 1, distance(&tiles, odd - 1, odd).mean,
        distance(&tiles, odd, odd + 1).mean, odd_slice, distance(&tiles, odd - 1, odd + 1).mean);
  if (step)
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: slice %zu differs from the one before it by %.0f HU, expected at most %.1f times "
            "what slices beside them do, and %.0f: other units, or another place",
            slices[step].path, volume->first_slice + step + 1,
            distance(&tiles, step - 1, step).median, odd_step, odd_step_hu);
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
  for (size_t i = 0; i < count; i++) off += abs(hu[i] - value) > OFF_HU;
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

/* Rows that every slice lacks are masked, or lost: their values cannot tell. */
static void warn_of_flat_rows(const struct ct_volume *volume, const struct ct_slice *slices) {
  size_t columns = volume->size[0], rows = volume->size[1];
  for (int at_end = 0; at_end < 2; at_end++) {
    size_t n = rows, dense = 0;
    for (size_t k = 0; k < volume->size[2]; k++) {
      size_t own = flat_rows(volume, k, at_end);
      if (own < n) n = own;
    }
    if (8 * n < rows || n == rows) continue;
    size_t edge = at_end ? rows - 1 - n : n; /* the row beside them */
    for (size_t k = 0; k < volume->size[2]; k++)
      for (size_t i = 0; i < columns; i++)
        dense += volume->hu[(k * rows + edge) * columns + i] > NO_AIR;
    if (10 * dense > columns * volume->size[2])
      lc_log(
          LC_LOG_WARNING,
          "%s: the %s %zu of %zu rows hold one value in all %zu slices that a nodule needs, next "
          "to tissue: masked, or lost",
          slices[0].path, at_end ? "last" : "first", n, rows, volume->size[2]);
  }
}

lc_status ct_volume_check(const struct ct_volume *volume, const struct ct_series *series,
                          struct lc_error *err) {
  const struct ct_slice *slices = series->slices + volume->first_slice;
  LC_TRY(check_range(volume, slices[0].path, err));
  if (volume->size[2] > 1) {
    LC_TRY(check_filled(volume, slices, err));
    LC_TRY(check_neighbours(volume, slices, err));
  }
  warn_of_flat_rows(volume, slices);
  return LC_OK;
}
