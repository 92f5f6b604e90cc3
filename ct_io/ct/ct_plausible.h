/* Whether voxels can be those of a chest CT. Used only inside this room.
 *
 * A header may be right in form and wrong in fact: an intercept of another value, bytes in another
 * order, pixels of another slice, a slice that was never filled. Slices are compared by the means
 * of 32 x 32 tiles: their distance is the mean absolute difference of those. Of real series, with
 * slices 2.5 to 16 mm apart, the distance of neighbours is at most 0.8 times that of their own
 * neighbours, and 1.2 times the distance beside it.
 *
 * Thread-safety: no state. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/ct/ct_volume.h"

LC_C_BEGIN

/* The slices that one nodule needs. LC_ERR_FORMAT, naming file and slice, when
 * - fewer than 8 different values lie from -1024 to -200 HU (air is noisy), or fewer than one voxel
 *   in 5000 below -900, those of exactly -1024 and -1000 apart: masks, normalised images, padding
 *   and offsets of some hundred HU are not air,
 * - of the voxels above -500 HU fewer than one in four lies from -150 to 300 (no soft tissue),
 * - a slice lies farther from both neighbours than 1.2 times their distance, and 5 HU,
 * - two neighbours lie farther apart, in the median tile, than 2.5 times what is beside that, and
 *   20 HU; or farther than 400 HU,
 * - all slices are the same,
 * - an eighth or more of a slice, from its first or last row, holds one value, and of the
 *   neighbour's pixels there a tenth lies more than 200 HU off it.
 * Where every slice holds one value from some row on, below or above tissue, the log warns. */
LC_MUST_CHECK lc_status ct_volume_check(const struct ct_volume *volume,
                                        const struct ct_series *series, struct lc_error *err);

LC_C_END
