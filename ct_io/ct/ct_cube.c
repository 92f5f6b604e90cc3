/* Cuts the cube around a nodule out of a volume, takes slices of it in each view, and turns a slice
 * into the network's input image (clamp, z-score, bilinear resize). */
#include "ct_io/ct/ct_cube.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "ct_io/ct/ct_resample.h"

enum { LARGEST_EDGE = 512 };

/* Is the point within half a voxel of the slab's grid? */
static bool inside_volume(const struct ct_volume *volume, const double mm[3], double ijk[3]) {
  /* Solves direction * diag(spacing) * ijk = mm - origin by Cramer's rule. */
  double m[3][3], d[3];
  for (int r = 0; r < 3; r++) {
    d[r] = mm[r] - volume->origin_mm[r];
    for (int c = 0; c < 3; c++) m[r][c] = volume->direction[3 * r + c] * volume->spacing_mm[c];
  }
  bool inside = true;
  for (int c = 0; c < 3; c++) {
    double a[3][3];
    memcpy(a, m, sizeof a);
    for (int r = 0; r < 3; r++) a[r][c] = d[r];
    double top = a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1]) -
                 a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0]) +
                 a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0]);
    double bottom = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
                    m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
                    m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
    ijk[c] = top / bottom;
    if (!(ijk[c] >= -0.5 && ijk[c] <= (double)volume->size[c] - 0.5)) inside = false;
  }
  return inside;
}

static lc_status check_place(const struct ct_cube *where, const struct ct_volume *volume,
                             struct lc_error *err) {
  const double *centre_mm = where->centre_mm;
  double ijk[3];
  if (where->edge < 1 || where->edge > LARGEST_EDGE ||
      !(where->spacing_mm > 0 && where->spacing_mm < 100))
    LC_FAIL(err, LC_ERR_USAGE, "cube of %zu samples at %g mm, expected 1 to %d samples",
            where->edge, where->spacing_mm, LARGEST_EDGE);
  if (inside_volume(volume, centre_mm, ijk)) return LC_OK;
  LC_FAIL(err, LC_ERR_OUTSIDE,
          "nodule at (%.1f, %.1f, %.1f) mm lies outside the volume (column %.1f of %zu, row %.1f "
          "of %zu, slice %.1f of %zu)",
          centre_mm[0], centre_mm[1], centre_mm[2], ijk[0] + 1, volume->size[0], ijk[1] + 1,
          volume->size[1], ijk[2] + 1, volume->size[2]);
}

lc_status ct_cube_resample(struct ct_cube *cube, const struct ct_volume *volume,
                           const double centre_mm[3], size_t edge, double spacing_mm,
                           struct lc_error *err) {
  memset(cube, 0, sizeof *cube);
  cube->edge = edge;
  cube->spacing_mm = spacing_mm;
  memcpy(cube->centre_mm, centre_mm, sizeof cube->centre_mm);
  LC_TRY(check_place(cube, volume, err));
  LC_TRY(lc_alloc(&cube->hu, edge * edge * edge, sizeof *cube->hu, err));
  lc_status status = ct_resample_linear(cube, volume, err);
  if (status != LC_OK) ct_cube_free(cube);
  return status;
}

lc_status ct_cube_resample_slice(const struct ct_cube *where, const struct ct_volume *volume,
                                 ct_view view, size_t index, float *hu_out, struct lc_error *err) {
  LC_TRY(check_place(where, volume, err));
  return ct_resample_slice(where, volume, view, index, hu_out, err);
}

void ct_cube_free(struct ct_cube *cube) {
  free(cube->hu);
  free(cube->mask);
  memset(cube, 0, sizeof *cube);
}

const char *ct_view_name(ct_view view) {
  static const char *const names[CT_VIEW_COUNT] = {"axial", "coronal", "sagittal"};
  return names[view];
}

void ct_cube_slice(const struct ct_cube *cube, ct_view view, size_t index, float *hu_out,
                   uint8_t *mask_out) {
  size_t edge = cube->edge;
  for (size_t row = 0; row < edge; row++)
    for (size_t column = 0; column < edge; column++) {
      size_t sample = ct_cube_sample(edge, view, index, row, column);
      if (hu_out) hu_out[row * edge + column] = cube->hu[sample];
      if (mask_out) mask_out[row * edge + column] = cube->mask ? cube->mask[sample] : 0;
    }
}
