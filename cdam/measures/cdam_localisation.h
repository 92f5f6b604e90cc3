/* Localisation: does the map lie on what is known to matter (readers' consensus, phantom truth).
 *
 * The truth is the share of each patch that the mask covers, so that every measure is exactly that
 * of the map enlarged to pixels without interpolation: a patch counts for its covered part as
 * inside and for the rest as outside. Ties are shared out, never decided by position.
 * Thread-safety: no state. */
#pragma once

#include <stdint.h>

#include "common/lc_status.h"

/* Share of each patch that the mask covers. mask: [rows, columns], not 0 inside; coverage:
 * [grid_height, grid_width] in [0, 1]. Mask pixels that straddle patches are divided, so that any
 * two sizes go together. */
void cdam_coverage(const uint8_t *mask, size_t rows, size_t columns, size_t grid_height,
                   size_t grid_width, double *coverage);

/* Which scores speak. */
typedef enum cdam_reading {
  CDAM_POSITIVE = 0, /* negative scores count as 0 */
  CDAM_ABSOLUTE      /* |scores| */
} cdam_reading;

/* Larger is better in all of them. A random map gets the mask's share of the image in the first
 * three and 0.5 in the last. */
struct cdam_localisation {
  double mass;     /* sum of scores inside / sum of all, [0, 1] (Arras, Osman, Samek, Inf Fusion
                      81:14, 2022: relevance mass accuracy) */
  double rank;     /* share of the top K pixels that lie inside, K the size of the mask, [0, 1]
                      (ibid.: relevance rank accuracy) */
  double pointing; /* 1 when the largest score's patch is at least half inside, else 0; the mean
                      over patches that tie (Zhang et al., ECCV 2016, pointing game) */
  double auroc;    /* area under the ROC curve of scores against the mask, [0, 1], ties half */
};

/* scores, coverage: [n]. All NaN when the mask is empty or covers everything; mass and pointing
 * NaN when no score speaks. */
LC_MUST_CHECK lc_status cdam_localise(const float *scores, const double *coverage, size_t n,
                                      cdam_reading reading, struct cdam_localisation *result,
                                      struct lc_error *err);

/* Images that hold two objects: share of the mass in either that lies in the first, [0, 1]. Near 1
 * when the map for the first object's class lies on it; 0.5 when it does not distinguish them and
 * they are equally large. NaN when no score speaks in either. first, second: [n]. */
double cdam_mass_between(const float *scores, const double *first, const double *second, size_t n,
                         cdam_reading reading);
