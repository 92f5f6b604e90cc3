/* Computes size, spacing, origin and axes of a volume from the slices it is made of. */
#include "ct_io/ct/ct_volume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Geometry of the slab: its own first and last slice decide the third axis, so that a tilted gantry
 * gives an axis that is not along the normal. */
lc_status ct_volume_place(struct ct_volume *volume, const struct ct_series *series, size_t first,
                          size_t count, struct lc_error *err) {
  const struct ct_slice *slices = series->slices + first;
  double step[3], length = 0;
  volume->first_slice = first;
  volume->size[0] = (size_t)series->columns;
  volume->size[1] = (size_t)series->rows;
  volume->size[2] = count;
  memcpy(volume->origin_mm, slices[0].position_mm, sizeof volume->origin_mm);
  for (int c = 0; c < 3; c++) {
    step[c] = count == 1 ? series->slice_spacing_mm * series->normal[c]
                         : (slices[count - 1].position_mm[c] - slices[0].position_mm[c]) /
                               (double)(count - 1);
    length += step[c] * step[c];
  }
  length = sqrt(length);
  volume->spacing_mm[0] = series->pixel_spacing_mm[1];
  volume->spacing_mm[1] = series->pixel_spacing_mm[0];
  volume->spacing_mm[2] = length;
  for (int c = 0; c < 3; c++) {
    volume->direction[3 * c] = series->orientation[c];
    volume->direction[3 * c + 1] = series->orientation[3 + c];
    volume->direction[3 * c + 2] = step[c] / length;
  }
  if (count == 1) return LC_OK;
  double expected = series->slice_spacing_mm, tolerance = ct_spacing_tolerance(expected);
  double each = (slices[count - 1].along_mm - slices[0].along_mm) / (double)(count - 1);
  for (size_t i = 1; i < count; i++) {
    double distance = slices[i].along_mm - slices[i - 1].along_mm;
    if (fabs(distance - expected) > tolerance)
      LC_FAIL(err, LC_ERR_GEOMETRY,
              "%s: slice %zu lies %.2f mm from its neighbour, expected %.2f mm", slices[i].path,
              first + i + 1, distance, expected);
  }
  for (size_t i = 1; i < count; i++) {
    double off = slices[i].along_mm - slices[0].along_mm - each * (double)i;
    if (fabs(off) > tolerance)
      LC_FAIL(err, LC_ERR_GEOMETRY, "%s: slice %zu lies %.2f mm off even spacing of %.2f mm",
              slices[i].path, first + i + 1, off, each);
  }
  return LC_OK;
}

void ct_volume_free(struct ct_volume *volume) {
  free(volume->hu);
  memset(volume, 0, sizeof *volume);
}
