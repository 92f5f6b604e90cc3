/* Whether voxels can be those of a chest CT. Used only inside this room.
 *
 * A header may be right in form and wrong in fact: an intercept of another value, bytes in another
 * order, a slice that was never filled. Thread-safety: no state. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/ct/ct_volume.h"

LC_C_BEGIN

/* The slices that one nodule needs. LC_ERR_FORMAT, naming file and slice, when
 * - fewer than 8 different values lie from -1024 to -200 HU (air is noisy; padding, masks,
 *   normalised images and an offset of 1024 are not air),
 * - less than one in a hundred lies from -200 to 300 HU (no body),
 * - a slice differs from its neighbour by more than 200 HU in the median pixel, or by more than 100
 *   and four times what others do (by the lower quartile): neighbours of real ones by up to 20,
 * - an eighth or more of a slice, from its first or last row, holds one value, and of the
 *   neighbour's pixels there a tenth lies more than 200 HU off it. */
LC_MUST_CHECK lc_status ct_volume_check(const struct ct_volume *volume,
                                        const struct ct_series *series, struct lc_error *err);

LC_C_END
