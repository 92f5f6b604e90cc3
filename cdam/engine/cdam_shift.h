/* Finer maps: an image is explained again shifted by parts of a patch, and the mean of the maps,
 * each put back into the image's place, has a cell for each step instead of one for each patch.
 *
 * Beyond the image's edge its nearest pixel is seen, so that a map follows from the image alone and
 * every command makes the same one of the same cube. A patch's score is divided among the cells
 * that it covers, and a cell is the mean over the shifts that show it: sums stay, but for what
 * cells at the edge get of fewer shifts. Thread-safety: no state. */
#pragma once

#include "common/lc_status.h"

struct cdam_shifts {
  size_t along; /* shifts along each axis; 1: the image alone */
  size_t step;  /* pixels from one to the next: the patch / along */
};

/* n shifts. LC_ERR_USAGE unless n is the square of a divisor of the patch size: it lists them. */
LC_MUST_CHECK lc_status cdam_shifts_init(struct cdam_shifts *shifts, size_t n, size_t patch_size,
                                         struct lc_error *err);
/* The fewest with which cells are at most so large; as many as there can be where none do. */
void cdam_shifts_fit(struct cdam_shifts *shifts, size_t patch_size, double pixel_mm,
                     double largest_mm);
static inline size_t cdam_shifts_count(const struct cdam_shifts *shifts) {
  return shifts->along * shifts->along;
}

/* The image as shift k sees it, k below the count; 0 is the image itself. Both: [planes, height,
 * width]. */
void cdam_shift_image(const struct cdam_shifts *shifts, size_t k, const float *image, size_t planes,
                      size_t height, size_t width, float *shifted);
/* Adds what shift k contributes to the mean: map [height, width] of patches, sum [height * along,
 * width * along]; or, on pixels, both of the image's size. */
void cdam_shift_add_back(const struct cdam_shifts *shifts, size_t k, const float *map,
                         size_t height, size_t width, bool on_pixels, float *sum);
