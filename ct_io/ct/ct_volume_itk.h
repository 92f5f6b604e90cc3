/* The voxels of a volume file, and the place that a MetaImage gives them, by ITK. Used only
 * inside this folder, after ct_volume_header_read has found nothing wrong.
 *
 * Thread-safety: one file is read at a time, since ITK's readers print what they think to the
 * standard streams of C++, which are kept silent meanwhile. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/ct/ct_volume_header.h"

LC_C_BEGIN

/* Fills origin and steps of a header that is not placed. LC_ERR_FORMAT when ITK cannot read it or
 * finds another size. */
LC_MUST_CHECK lc_status ct_volume_itk_place(struct ct_volume_header *header, const char *path,
                                            struct lc_error *err);

/* Voxels [start, start + size) along i, j, k as HU, hu[k, j, i]: rounded to the nearest, NaN is
 * CT_AIR_HU, nothing is below CT_LOWEST_HU. The range is widened to the values found.
 * LC_ERR_FORMAT when the file cannot be read. A file that is not read by region is read whole,
 * whatever part is asked for. */
LC_MUST_CHECK lc_status ct_volume_itk_read(const struct ct_volume_header *header, const char *path,
                                           const size_t start[3], const size_t size[3], int16_t *hu,
                                           struct ct_value_range *range, struct lc_error *err);

LC_C_END
