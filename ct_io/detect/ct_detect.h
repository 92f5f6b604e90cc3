/* Candidates for nodules, found by a classical method: bright blobs inside the lungs, tubes
 * suppressed by their shape. They are places for a reader to look at, not findings.
 *
 * Lungs: air (below -500 HU) that does not reach the sides of the image, the largest piece and what
 * is at least a fifth of it, closed by half of the largest diameter so that nodules at the pleura
 * belong to them; what lies outside counts as normal lung, so that the wall answers nothing.
 * Candidates: the dot filter of Li, Sone and Doi (Med Phys 30:2040, 2003) |e3|^2 / |e1| over the
 * eigenvalues |e1| >= |e2| >= |e3| of the Hessian, where all are negative, at several scales
 * (sigma a quarter of the diameter, as there), times sigma^2; local maxima in space and scale. A
 * smaller one inside a larger one is left out.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#pragma once

#include <stddef.h>

#include "common/lc_api.h"
#include "common/lc_status.h"
#include "ct_io/ct/ct_volume.h"

LC_C_BEGIN

struct ct_candidate {
  double centre_mm[3]; /* LPS */
  double diameter_mm;  /* of the scale that answers most */
  double score;        /* HU of the dot filter's answer: ranks, and is no probability */
};

struct ct_candidates {
  struct ct_candidate *items; /* highest score first */
  size_t count;
  double lung_ml; /* volume of the lungs, closed */
};

/* How they are looked for. */
struct ct_detection {
  double least_mm, most_mm; /* diameters, 1 to 50 */
  size_t most_a_lung;       /* candidates that are kept on either side of the body's middle */
};
#define CT_DETECTION_DEFAULT ((struct ct_detection){4, 25, 8})

/* Free with ct_candidates_free. LC_ERR_FORMAT when the volume holds no lungs: 0.3 l of air or more
 * inside a body. */
LC_MUST_CHECK lc_status ct_detect(struct ct_candidates *candidates, const struct ct_volume *volume,
                                  const struct ct_detection *detection, struct lc_error *err);
void ct_candidates_free(struct ct_candidates *candidates);

LC_C_END
