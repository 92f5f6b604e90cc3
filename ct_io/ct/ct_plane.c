/* Places slices of a series and of a cube in the patient, converts between pixels and patient
 * millimetres, and resamples one plane onto another (bilinear). */
#include "ct_io/ct/ct_plane.h"

#include <math.h>
#include <string.h>

struct ct_plane ct_plane_of_slice(const struct ct_series *series, size_t k) {
  struct ct_plane plane = {.rows = (size_t)series->rows,
                           .columns = (size_t)series->columns,
                           .thickness_mm = series->slice_thickness_mm > 0
                                               ? series->slice_thickness_mm
                                               : series->slice_spacing_mm};
  memcpy(plane.position_mm, series->slices[k].position_mm, sizeof plane.position_mm);
  memcpy(plane.orientation, series->orientation, sizeof plane.orientation);
  memcpy(plane.pixel_spacing_mm, series->pixel_spacing_mm, sizeof plane.pixel_spacing_mm);
  return plane;
}

struct ct_plane ct_plane_of_cube(const struct ct_cube *cube, ct_view view, size_t index,
                                 size_t rows, size_t columns) {
  /* Row and column direction of each view, and the axis across it: ct_cube_slice's order. */
  static const struct {
    double orientation[6];
    int across;
  } views[CT_VIEW_COUNT] = {
      {{1, 0, 0, 0, 1, 0}, 2}, {{1, 0, 0, 0, 0, -1}, 1}, {{0, 1, 0, 0, 0, -1}, 0}};
  double edge_mm = (double)cube->edge * cube->spacing_mm;
  struct ct_plane plane = {
      .rows = rows,
      .columns = columns,
      .pixel_spacing_mm = {edge_mm / (double)rows, edge_mm / (double)columns},
      .thickness_mm = cube->spacing_mm,
  };
  memcpy(plane.orientation, views[view].orientation, sizeof plane.orientation);
  for (int axis = 0; axis < 3; axis++) {
    double along_row = plane.orientation[axis] * (plane.pixel_spacing_mm[1] - edge_mm) / 2;
    double along_column = plane.orientation[3 + axis] * (plane.pixel_spacing_mm[0] - edge_mm) / 2;
    plane.position_mm[axis] = cube->centre_mm[axis] + along_row + along_column;
  }
  plane.position_mm[views[view].across] +=
      ((double)index - ((double)cube->edge - 1) / 2) * cube->spacing_mm;
  return plane;
}

void ct_plane_to_patient(const struct ct_plane *plane, double row, double column,
                         double lps_mm[3]) {
  for (int axis = 0; axis < 3; axis++)
    lps_mm[axis] = plane->position_mm[axis] +
                   column * plane->pixel_spacing_mm[1] * plane->orientation[axis] +
                   row * plane->pixel_spacing_mm[0] * plane->orientation[3 + axis];
}

void ct_plane_from_patient(const struct ct_plane *plane, const double lps_mm[3], double *row,
                           double *column, double *distance_mm) {
  const double *o = plane->orientation;
  double normal[3] = {o[1] * o[5] - o[2] * o[4], o[2] * o[3] - o[0] * o[5],
                      o[0] * o[4] - o[1] * o[3]};
  double across = 0, down = 0, off = 0;
  for (int axis = 0; axis < 3; axis++) {
    double d = lps_mm[axis] - plane->position_mm[axis];
    across += d * o[axis];
    down += d * o[3 + axis];
    off += d * normal[axis];
  }
  *column = across / plane->pixel_spacing_mm[1];
  *row = down / plane->pixel_spacing_mm[0];
  *distance_mm = off;
}

/* Neighbours of a coordinate and the weight of the second; false beyond half a pixel of the edge.
 */
static bool neighbours(double at, size_t n, size_t *low, size_t *high, double *weight) {
  if (!(at >= -0.5 && at <= (double)n - 0.5)) return false;
  double inside = fmin(fmax(at, 0), (double)(n - 1));
  *low = (size_t)inside;
  *high = *low + 1 < n ? *low + 1 : *low;
  *weight = inside - (double)*low;
  return true;
}

static float value_at(const float *values, const struct ct_plane *from, double row, double column) {
  size_t r0, r1, c0, c1;
  double wr, wc;
  if (!neighbours(row, from->rows, &r0, &r1, &wr) ||
      !neighbours(column, from->columns, &c0, &c1, &wc))
    return NAN;
  const float *top = values + r0 * from->columns, *bottom = values + r1 * from->columns;
  double upper = (double)top[c0] * (1 - wc) + (double)top[c1] * wc;
  double lower = (double)bottom[c0] * (1 - wc) + (double)bottom[c1] * wc;
  return (float)(upper * (1 - wr) + lower * wr);
}

void ct_plane_resample(const float *values, const struct ct_plane *from, float *out,
                       const struct ct_plane *to) {
  for (size_t r = 0; r < to->rows; r++)
    for (size_t c = 0; c < to->columns; c++) {
      double point[3], row, column, distance;
      ct_plane_to_patient(to, (double)r, (double)c, point);
      ct_plane_from_patient(from, point, &row, &column, &distance);
      out[r * to->columns + c] = value_at(values, from, row, column);
    }
}
