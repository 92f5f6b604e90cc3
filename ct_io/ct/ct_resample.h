/* Linear interpolation of a volume by ITK. Used only inside this room.
 *
 * Thread-safety: distinct cubes may be filled from distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/ct/ct_cube.h"

LC_C_BEGIN

/* Fills cube->hu (allocated, edge and centre set) and n_padded. */
LC_MUST_CHECK lc_status ct_resample_linear(struct ct_cube *cube, const struct ct_volume *volume,
                                           struct lc_error *err);
/* Fills the slice of such a cube. */
LC_MUST_CHECK lc_status ct_resample_slice(const struct ct_cube *where,
                                          const struct ct_volume *volume, ct_view view,
                                          size_t index, float *hu, struct lc_error *err);

LC_C_END
