/* Which axis of a volume file is which of its series. Used only inside this folder.
 *
 * Thread-safety: no state. */
#pragma once

#include "ct_io/ct/ct_series.h"
#include "ct_io/ct/ct_volume_header.h"

/* Series axes: columns, rows, slices. */
struct ct_volume_axes {
  int axis[3];  /* of the file */
  bool flip[3]; /* runs against it */
};

/* Axes nearest to left, back and head. */
void ct_volume_axes_nearest(struct ct_volume_axes *axes, const struct ct_volume_header *header);
/* Axes parallel to those of a series, which match where header and series have the same voxels.
 * LC_ERR_GEOMETRY names the difference. */
LC_MUST_CHECK lc_status ct_volume_axes_match(struct ct_volume_axes *axes,
                                             const struct ct_volume_header *header,
                                             const struct ct_series *series, const char *path,
                                             struct lc_error *err);

/* Number of voxels along a series axis, and the patient position of one voxel (column, row, slice).
 */
size_t ct_volume_axes_size(const struct ct_volume_axes *axes, const struct ct_volume_header *header,
                           int axis);
void ct_volume_axes_position(const struct ct_volume_axes *axes,
                             const struct ct_volume_header *header, const double voxel[3],
                             double lps_mm[3]);
