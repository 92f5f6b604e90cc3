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

lc_status ct_cube_resample(struct ct_cube *cube, const struct ct_volume *volume,
                           const double centre_mm[3], size_t edge, double spacing_mm,
                           struct lc_error *err) {
  double ijk[3];
  memset(cube, 0, sizeof *cube);
  if (edge < 1 || edge > LARGEST_EDGE || !(spacing_mm > 0 && spacing_mm < 100))
    LC_FAIL(err, LC_ERR_USAGE, "cube of %zu samples at %g mm, expected 1 to %d samples", edge,
            spacing_mm, LARGEST_EDGE);
  if (!inside_volume(volume, centre_mm, ijk))
    LC_FAIL(err, LC_ERR_OUTSIDE,
            "nodule at (%.1f, %.1f, %.1f) mm lies outside the volume (column %.1f of %zu, row %.1f "
            "of %zu, slice %.1f of %zu)",
            centre_mm[0], centre_mm[1], centre_mm[2], ijk[0] + 1, volume->size[0], ijk[1] + 1,
            volume->size[1], ijk[2] + 1, volume->size[2]);
  cube->edge = edge;
  cube->spacing_mm = spacing_mm;
  memcpy(cube->centre_mm, centre_mm, sizeof cube->centre_mm);
  LC_TRY(lc_alloc(&cube->hu, edge * edge * edge, sizeof *cube->hu, err));
  lc_status status = ct_resample_linear(cube, volume, err);
  if (status != LC_OK) ct_cube_free(cube);
  return status;
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

/* Sample of the cube behind (row, column) of a view. z grows towards the head, rows go down. */
static size_t view_sample(size_t edge, ct_view view, size_t index, size_t row, size_t column) {
  size_t z = view == CT_AXIAL ? index : edge - 1 - row;
  size_t y = view == CT_AXIAL ? row : view == CT_CORONAL ? index : column;
  size_t x = view == CT_SAGITTAL ? index : column;
  return (z * edge + y) * edge + x;
}

void ct_cube_slice(const struct ct_cube *cube, ct_view view, size_t index, float *hu_out,
                   uint8_t *mask_out) {
  size_t edge = cube->edge;
  for (size_t row = 0; row < edge; row++)
    for (size_t column = 0; column < edge; column++) {
      size_t sample = view_sample(edge, view, index, row, column);
      if (hu_out) hu_out[row * edge + column] = cube->hu[sample];
      if (mask_out) mask_out[row * edge + column] = cube->mask ? cube->mask[sample] : 0;
    }
}

static double clamp(double value, const struct ct_preparation *how) {
  return fmin(fmax(value, how->hu_low), how->hu_high);
}

/* Mean and deviation (over n) of clamped values, in double so that order hardly matters. */
static void statistics(const float *hu, size_t n, const struct ct_preparation *how, double *mean,
                       double *deviation) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) sum += clamp(hu[i], how);
  *mean = sum / (double)n;
  for (size_t i = 0; i < n; i++) {
    double d = clamp(hu[i], how) - *mean;
    squares += d * d;
  }
  *deviation = sqrt(squares / (double)n);
}

lc_status ct_cube_image(const struct ct_cube *cube, ct_view view, size_t index,
                        const struct ct_preparation *how, float *image, struct lc_error *err) {
  size_t n = cube->edge * cube->edge;
  float *slice = NULL;
  double mean = how->mean, deviation = how->deviation;
  if (index >= cube->edge || how->height == 0 || how->width == 0 || !(how->hu_low < how->hu_high))
    LC_FAIL(err, LC_ERR_USAGE, "slice %zu of a cube of %zu to %zu x %zu pixels, HU %g to %g", index,
            cube->edge, how->height, how->width, how->hu_low, how->hu_high);
  LC_TRY(lc_alloc(&slice, n, sizeof *slice, err));
  ct_cube_slice(cube, view, index, slice, NULL);
  if (how->zscore == CT_ZSCORE_CUBE) statistics(cube->hu, n * cube->edge, how, &mean, &deviation);
  if (how->zscore == CT_ZSCORE_SLICE) statistics(slice, n, how, &mean, &deviation);
  double scale = deviation > 1e-6 ? 1 / deviation : 0;
  for (size_t i = 0; i < n; i++) slice[i] = (float)((clamp(slice[i], how) - mean) * scale);
  size_t pixels = how->height * how->width;
  ct_resize_bilinear(slice, cube->edge, cube->edge, image, how->height, how->width);
  memcpy(image + pixels, image, pixels * sizeof *image);
  memcpy(image + 2 * pixels, image, pixels * sizeof *image);
  free(slice);
  return LC_OK;
}

/* Source place of output index i: half-pixel centres, edges repeated. */
static void source(size_t i, size_t in, size_t out, size_t *low, size_t *high, float *t) {
  double at = fmax(((double)i + 0.5) * (double)in / (double)out - 0.5, 0);
  *low = (size_t)at < in ? (size_t)at : in - 1;
  *high = *low + 1 < in ? *low + 1 : *low;
  *t = (float)(at - (double)*low);
}

void ct_resize_bilinear(const float *in, size_t h, size_t w, float *out, size_t out_h,
                        size_t out_w) {
  for (size_t row = 0; row < out_h; row++) {
    size_t y0, y1, x0, x1;
    float ty, tx;
    source(row, h, out_h, &y0, &y1, &ty);
    const float *top = in + y0 * w, *bottom = in + y1 * w;
    for (size_t column = 0; column < out_w; column++) {
      source(column, w, out_w, &x0, &x1, &tx);
      float a = (1 - tx) * top[x0] + tx * top[x1], b = (1 - tx) * bottom[x0] + tx * bottom[x1];
      out[row * out_w + column] = (1 - ty) * a + ty * b;
    }
  }
}
