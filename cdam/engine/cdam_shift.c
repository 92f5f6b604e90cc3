/* Shifts images by parts of a patch, and adds their maps up on a finer grid. */
#include "cdam/engine/cdam_shift.h"

#include <stdio.h>

lc_status cdam_shifts_init(struct cdam_shifts *shifts, size_t n, size_t patch_size,
                           struct lc_error *err) {
  char list[160];
  size_t used = 0;
  for (size_t along = 1; along <= patch_size; along++) {
    if (patch_size % along != 0) continue;
    *shifts = (struct cdam_shifts){along, patch_size / along};
    if (along * along == n) return LC_OK;
    if (used < sizeof list)
      used += (size_t)snprintf(list + used, sizeof list - used, "%s%zu", along > 1 ? ", " : "",
                               along * along);
  }
  LC_FAIL(err, LC_ERR_USAGE, "%zu shifts of patches of %zu pixels, expected one of %s", n,
          patch_size, list);
}

void cdam_shifts_fit(struct cdam_shifts *shifts, size_t patch_size, double pixel_mm,
                     double largest_mm) {
  for (size_t along = 1; along <= patch_size; along++) {
    if (patch_size % along != 0) continue;
    *shifts = (struct cdam_shifts){along, patch_size / along};
    if ((double)shifts->step * pixel_mm <= largest_mm * (1 + 1e-9)) return;
  }
}

/* Steps of shift k along one axis: 0, 1 .., then those below zero, so that none is more than half a
 * patch. */
static long steps_of(const struct cdam_shifts *shifts, size_t k) {
  return k <= (shifts->along - 1) / 2 ? (long)k : (long)k - (long)shifts->along;
}

static size_t seen(size_t at, long offset, size_t size) {
  long place = (long)at + offset;
  return place < 0 ? 0 : place >= (long)size ? size - 1 : (size_t)place;
}

void cdam_shift_image(const struct cdam_shifts *shifts, size_t k, const float *image, size_t planes,
                      size_t height, size_t width, float *shifted) {
  long down = steps_of(shifts, k / shifts->along) * (long)shifts->step;
  long right = steps_of(shifts, k % shifts->along) * (long)shifts->step;
  for (size_t plane = 0; plane < planes; plane++, image += height * width)
    for (size_t y = 0; y < height; y++) {
      const float *row = image + seen(y, down, height) * width;
      for (size_t x = 0; x < width; x++) *shifted++ = row[seen(x, right, width)];
    }
}

/* One axis of what is added up: `size` cells, a shift's cell lies `offset` further on in the sum,
 * and a score covers `spread` cells. */
struct axis {
  const struct cdam_shifts *shifts;
  size_t size, spread;
  long offset, unit; /* of this shift; of one step */
};

static struct axis make_axis(const struct cdam_shifts *shifts, size_t k, size_t size,
                             bool on_pixels) {
  size_t spread = on_pixels ? 1 : shifts->along;
  long unit = on_pixels ? (long)shifts->step : 1;
  return (struct axis){shifts, size * spread, spread, steps_of(shifts, k) * unit, unit};
}

/* The cell's part of a score: 0 where the shift does not show it. *from: the score. */
static double part_of(const struct axis *axis, size_t cell, size_t *from) {
  long own = (long)cell - axis->offset, size = (long)axis->size;
  size_t showing = 0;
  if (own < 0 || own >= size) return 0;
  for (size_t k = 0; k < axis->shifts->along; k++) {
    long other = (long)cell - steps_of(axis->shifts, k) * axis->unit;
    showing += other >= 0 && other < size;
  }
  *from = (size_t)own / axis->spread;
  return 1 / (double)(showing * axis->spread);
}

void cdam_shift_add_back(const struct cdam_shifts *shifts, size_t k, const float *map,
                         size_t height, size_t width, bool on_pixels, float *sum) {
  struct axis rows = make_axis(shifts, k / shifts->along, height, on_pixels);
  struct axis columns = make_axis(shifts, k % shifts->along, width, on_pixels);
  size_t row = 0, column = 0;
  for (size_t y = 0; y < rows.size; y++) {
    double part = part_of(&rows, y, &row);
    for (size_t x = 0; part > 0 && x < columns.size; x++)
      sum[y * columns.size + x] +=
          (float)(part * part_of(&columns, x, &column) * (double)map[row * width + column]);
  }
}
