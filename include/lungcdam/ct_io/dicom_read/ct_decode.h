/* The voxels of a series from its files.
 *
 * hu = slope * stored + intercept in the pixels' signedness, rounded to the nearest integer (PS3.3
 * C.11.1); padding pixels become CT_AIR_HU and nothing is below CT_LOWEST_HU.
 *
 * Thread-safety: distinct volumes may be decoded from distinct threads. */
#ifndef CT_DECODE_H
#define CT_DECODE_H

#include "common/lc_api.h"
#include "common/lc_log.h"
#include "ct_io/ct/ct_volume.h"

LC_API_BEGIN

/* Decodes slices [first, first + count) of a usable series. The slab needs uniform spacing within
 * the tolerance the series was accepted with. LC_ERR_FORMAT and LC_ERR_UNSUPPORTED name the file.
 */
LC_MUST_CHECK lc_status ct_volume_decode(struct ct_volume *volume, const struct ct_series *series,
                                         size_t first, size_t count, struct lc_progress *progress,
                                         struct lc_error *err);

LC_API_END
#endif
