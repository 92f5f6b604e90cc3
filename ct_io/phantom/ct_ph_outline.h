/* A mask on one slice, and the pixel outline around it as LIDC's readers drew them. */
#pragma once

#include <stdint.h>

#include "common/lc_status.h"

/* A window of the slice; two pixels at each side stay empty. */
struct ct_ph_mask {
  int x0, y0, width, height;
  uint8_t *inside; /* [height, width] */
};

/* The closed outline, just outside the largest connected part of the mask (holes filled): every
 * point lies outside the mask beside one of its pixels, neighbours touch by side or corner, and the
 * last point is the first again. n_points is 0 (and xy NULL) for an empty mask. Changes the mask to
 * what the outline encloses. The caller frees xy. */
LC_MUST_CHECK lc_status ct_ph_outline_trace(struct ct_ph_mask *mask, int32_t (**xy)[2],
                                            size_t *n_points, struct lc_error *err);
