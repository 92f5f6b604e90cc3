/* Hounsfield voxels of all or some slices of a series, with their geometry.
 *
 * Padding pixels are CT_AIR_HU and nothing is below CT_LOWEST_HU. A voxel index (i, j, k) counts
 * columns, rows and slices. With a tilted gantry the third axis is the line through the first
 * pixels of the slices, not the normal: direction is then not orthogonal.
 *
 * Thread-safety: a finished volume may be read by many threads. */
#ifndef CT_VOLUME_H
#define CT_VOLUME_H

#include <stdint.h>

#include "common/lc_api.h"
#include "ct_io/ct/ct_series.h"

LC_API_BEGIN

#define CT_AIR_HU (-1000)
/* What lies below is out of the field of view: the lowest value of the 12-bit CT scale. */
#define CT_LOWEST_HU (-1024)

struct ct_volume {
  int16_t *hu;          /* [slice, row, column] */
  size_t size[3];       /* columns, rows, slices */
  double spacing_mm[3]; /* along columns index i, rows index j, slices index k */
  double origin_mm[3];  /* patient position of voxel (0, 0, 0) */
  double direction[9];  /* row-major 3 x 3, column c = unit vector of index c */
  size_t first_slice;   /* index in the series of slice 0 of this volume */
};

/* Sets size, place and axes of a volume of slices [first, first + count) of a series; voxels stay
 * as they are. LC_ERR_GEOMETRY when their spacing is not uniform within the tolerance the series
 * was accepted with. */
LC_MUST_CHECK lc_status ct_volume_place(struct ct_volume *volume, const struct ct_series *series,
                                        size_t first, size_t count, struct lc_error *err);
void ct_volume_free(struct ct_volume *volume);

/* Slices [first, first + count) that a cube of edge_mm around a patient point needs for linear
 * interpolation, clipped to the series. */
void ct_series_slab(const struct ct_series *series, const double centre_mm[3], double edge_mm,
                    size_t *first, size_t *count);

/* Whether a patient point lies within half a voxel of the series' grid. */
bool ct_series_contains(const struct ct_series *series, const double lps_mm[3]);
/* Patient millimetres to continuous (i, j, k) in the whole series, and back. */
void ct_series_to_index(const struct ct_series *series, const double lps_mm[3], double ijk[3]);
void ct_series_to_patient(const struct ct_series *series, const double ijk[3], double lps_mm[3]);

LC_API_END
#endif
