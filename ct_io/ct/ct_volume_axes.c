/* Brings the axes of a volume file into the order of a series. */
#include "ct_io/ct/ct_volume_axes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ct_io/ct/ct_volume_file.h"

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

size_t ct_volume_axes_size(const struct ct_volume_axes *axes, const struct ct_volume_header *header,
                           int axis) {
  return header->size[axes->axis[axis]];
}

void ct_volume_axes_position(const struct ct_volume_axes *axes,
                             const struct ct_volume_header *header, const double voxel[3],
                             double lps_mm[3]) {
  memcpy(lps_mm, header->origin_mm, 3 * sizeof *lps_mm);
  for (int a = 0; a < 3; a++) {
    double last = (double)ct_volume_axes_size(axes, header, a) - 1;
    double index = axes->flip[a] ? last - voxel[a] : voxel[a];
    for (int x = 0; x < 3; x++) lps_mm[x] += index * header->step_mm[axes->axis[a]][x];
  }
}

void ct_volume_axes_nearest(struct ct_volume_axes *axes, const struct ct_volume_header *header) {
  static const int patient_axis[] = {2, 0, 1}; /* slices first: they are what is read alone */
  bool used[3] = {false};
  double unit[3][3];
  for (int a = 0; a < 3; a++)
    for (int x = 0; x < 3; x++)
      unit[a][x] = header->step_mm[a][x] / sqrt(dot(header->step_mm[a], header->step_mm[a]));
  for (int i = 0; i < 3; i++) {
    int target = patient_axis[i], best = -1;
    for (int a = 0; a < 3; a++)
      if (!used[a] && (best < 0 || fabs(unit[a][target]) > fabs(unit[best][target]))) best = a;
    used[best] = true;
    axes->axis[target] = best;
    axes->flip[target] = unit[best][target] < 0;
  }
  /* Slices are sorted along row x column. */
  const double *row = unit[axes->axis[0]], *column = unit[axes->axis[1]];
  const double normal[3] = {row[1] * column[2] - row[2] * column[1],
                            row[2] * column[0] - row[0] * column[2],
                            row[0] * column[1] - row[1] * column[0]};
  bool against = axes->flip[0] != axes->flip[1];
  axes->flip[2] = (dot(normal, unit[axes->axis[2]]) < 0) != against;
}

/* Millimetres between the series' slices at both ends, from the first to the last. */
static void series_steps(const struct ct_series *series, double step[3][3]) {
  const double *first = series->slices[0].position_mm;
  size_t n = series->n_slices;
  for (int x = 0; x < 3; x++) {
    step[0][x] = series->pixel_spacing_mm[1] * series->orientation[x];
    step[1][x] = series->pixel_spacing_mm[0] * series->orientation[3 + x];
    step[2][x] = n > 1 ? (series->slices[n - 1].position_mm[x] - first[x]) / (double)(n - 1)
                       : series->slice_spacing_mm * series->normal[x];
  }
}

static lc_status parallel(struct ct_volume_axes *axes, const struct ct_volume_header *header,
                          double step[3][3], const char *path, struct lc_error *err) {
  bool used[3] = {false};
  for (int a = 0; a < 3; a++) {
    double best = 0;
    for (int f = 0; f < 3; f++) {
      const double *own = header->step_mm[f];
      double cosine = dot(own, step[a]) / sqrt(dot(own, own) * dot(step[a], step[a]));
      if (fabs(cosine) <= fabs(best)) continue;
      best = cosine;
      axes->axis[a] = f;
    }
    axes->flip[a] = best < 0;
    if (fabs(best) < 0.999 || used[axes->axis[a]])
      LC_FAIL(err, LC_ERR_GEOMETRY,
              "%s: its axes are turned by %.1f degrees against the reference's", path,
              acos(fmin(fabs(best), 1)) * 180 / M_PI);
    used[axes->axis[a]] = true;
  }
  return LC_OK;
}

/* A stack whose direction was turned round while its first voxel stayed lies beside itself. */
static const char *mirrored(const struct ct_series *series, double step[3][3],
                            const double apart[3], const double size[3]) {
  static const char *const words[] = {": left and right mirrored", ": front and back mirrored",
                                      ": slices in reverse order"};
  (void)series;
  for (int a = 0; a < 3; a++) {
    double length = sqrt(dot(step[a], step[a])), along = dot(apart, step[a]) / length;
    double rest = dot(apart, apart) - along * along, reach = (size[a] - 1) * length;
    if (size[a] > 1 && rest < 0.01 * length * length && fabs(fabs(along) - reach) < 0.1 * length)
      return words[a];
  }
  return "";
}

lc_status ct_volume_axes_match(struct ct_volume_axes *axes, const struct ct_volume_header *header,
                               const struct ct_series *series, const char *path,
                               struct lc_error *err) {
  double step[3][3], size[3] = {series->columns, series->rows, (double)series->n_slices};
  series_steps(series, step);
  LC_TRY(parallel(axes, header, step, path, err));
  for (int a = 0; a < 3; a++)
    if (ct_volume_axes_size(axes, header, a) != (size_t)size[a])
      LC_FAIL(err, LC_ERR_GEOMETRY,
              "%s: %zu columns, %zu rows and %zu slices, the reference has %d, %d and %zu", path,
              ct_volume_axes_size(axes, header, 0), ct_volume_axes_size(axes, header, 1),
              ct_volume_axes_size(axes, header, 2), series->columns, series->rows,
              series->n_slices);
  for (size_t k = 0; k < series->n_slices; k++)
    for (int corner = 0; corner < 4; corner++) {
      double voxel[3] = {corner & 1 ? size[0] - 1 : 0, corner & 2 ? size[1] - 1 : 0, (double)k};
      double here[3], apart[3];
      ct_volume_axes_position(axes, header, voxel, here);
      for (int x = 0; x < 3; x++)
        apart[x] = here[x] - series->slices[k].position_mm[x] - voxel[0] * step[0][x] -
                   voxel[1] * step[1][x];
      double distance = sqrt(dot(apart, apart));
      double spacing = fmin(fmin(series->pixel_spacing_mm[0], series->pixel_spacing_mm[1]),
                            series->slice_spacing_mm);
      if (!(distance <= CT_SAME_PLACE_MM + 1e-3 * spacing))
        LC_FAIL(err, LC_ERR_GEOMETRY,
                "%s: voxel at column %.0f, row %.0f, slice %zu lies %.3f mm (%.3f, %.3f, %.3f) off "
                "the reference's%s",
                path, voxel[0] + 1, voxel[1] + 1, k + 1, distance, apart[0], apart[1], apart[2],
                mirrored(series, step, apart, size));
    }
  return LC_OK;
}
