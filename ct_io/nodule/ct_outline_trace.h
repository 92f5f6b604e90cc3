/* Outlines as LIDC's readers drew them around any set of pixels: they run through the pixels just
 * outside, and enclose exactly the set when they are filled as ct_nodule_consensus fills them.
 *
 * Each part that no other encloses has one inclusion, and each hole one exclusion, which runs
 * through the pixels of the hole along its border; what lies in a hole is left out of the exclusion
 * by a bridge of two equal lines. Points may lie one pixel outside the image. Used only inside this
 * room. Thread-safety: pure. */
#pragma once

#include <stdint.h>

#include "common/lc_status.h"
#include "ct_io/nodule/ct_mark.h"

/* A window of one slice. */
struct ct_slice_mask {
  long x0, y0;
  size_t width, height;
  uint8_t *inside; /* [height, width], not 0: in the set */
};

/* Adds to the outlines (an array of malloc, grown); slice and z are left for the caller. Outlines
 * are closed: the last point is the first again, except where there is one alone.
 * LC_ERR_UNSUPPORTED for more parts, holes or points than a nodule can have; LC_ERR_MEMORY. */
LC_MUST_CHECK lc_status ct_outlines_trace(const struct ct_slice_mask *mask,
                                          struct ct_outline **outlines, size_t *n_outlines,
                                          struct lc_error *err);
