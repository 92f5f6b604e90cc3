/* Sorts the slices of a group along the normal and decides by the rules of docs/series-loading.md
 * whether the series is usable, repaired or refused. */
#include "ct_io/dicom_read/ct_group.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"
#include "ct_io/dicom_read/ct_pixels.h"

/* Positions written with one decimal lie this near to their place, and a little. */
static const double largest_rounding_mm = 0.1;
/* Shear below this angle is rounding of the positions. */
static const double tilt_floor_degrees = 0.1;

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

const char *ct_base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

void ct_refuse(struct ct_series *series, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  vsnprintf(series->reason, sizeof series->reason, fmt, args);
  va_end(args);
  lc_text_printable(series->reason);
  series->verdict = CT_REFUSED;
}

void ct_repair(struct ct_series *series, const char *fmt, ...) {
  size_t used = strlen(series->reason);
  if (used) used += (size_t)snprintf(series->reason + used, sizeof series->reason - used, "; ");
  if (used >= sizeof series->reason) return;
  va_list args;
  va_start(args, fmt);
  vsnprintf(series->reason + used, sizeof series->reason - used, fmt, args);
  va_end(args);
  lc_text_printable(series->reason);
  series->verdict = CT_REPAIRED;
}

static int by_along(const void *a, const void *b) {
  const struct ct_slice *x = a, *y = b;
  if (x->along_mm != y->along_mm) return x->along_mm < y->along_mm ? -1 : 1;
  if (x->instance_number != y->instance_number)
    return x->instance_number < y->instance_number ? -1 : 1;
  int sop = strcmp(x->sop_instance_uid, y->sop_instance_uid);
  if (sop) return sop;
  if (x->frame != y->frame) return x->frame < y->frame ? -1 : 1;
  return strcmp(x->path, y->path);
}

void ct_group_sort(struct ct_series *series) {
  const double *o = series->orientation;
  double *n = series->normal;
  n[0] = o[1] * o[5] - o[2] * o[4];
  n[1] = o[2] * o[3] - o[0] * o[5];
  n[2] = o[0] * o[4] - o[1] * o[3];
  for (size_t i = 0; i < series->n_slices; i++)
    series->slices[i].along_mm = dot(series->slices[i].position_mm, n);
  qsort(series->slices, series->n_slices, sizeof *series->slices, by_along);
}

static bool sane_plane(struct ct_series *series) {
  const double *o = series->orientation;
  double row = dot(o, o), column = dot(o + 3, o + 3), across = dot(o, o + 3);
  if (!(fabs(row - 1) < 5e-3 && fabs(column - 1) < 5e-3 && fabs(across) < 5e-3)) {
    ct_refuse(series, "ImageOrientationPatient is not two perpendicular unit vectors");
    return false;
  }
  for (int i = 0; i < 2; i++) {
    double mm = series->pixel_spacing_mm[i];
    if (!(mm > 0.01 && mm < 20)) {
      ct_refuse(series, "PixelSpacing %g mm, expected 0.01 to 20", mm);
      return false;
    }
  }
  for (size_t i = 0; i < series->n_slices; i++)
    for (int c = 0; c < 3; c++)
      if (!(fabs(series->slices[i].position_mm[c]) < 1e5)) {
        ct_refuse(series, "%s: ImagePositionPatient %g mm is not a place in a scanner",
                  ct_base_name(series->slices[i].path), series->slices[i].position_mm[c]);
        return false;
      }
  return true;
}

static bool sane_rescale(struct ct_group *group, bool assume_hu) {
  struct ct_series *series = &group->series;
  if (group->n_rescale_absent && group->n_rescale_absent < series->n_slices) {
    ct_refuse(series,
              "%zu of %zu slices lack RescaleIntercept, and others have it: Hounsfield units "
              "unknown",
              group->n_rescale_absent, series->n_slices);
    return false;
  }
  for (size_t i = 0; i < series->n_slices; i++) {
    const struct ct_slice *slice = &series->slices[i];
    if (!slice->rescale_given && !assume_hu) {
      ct_refuse(series,
                "%s: no RescaleIntercept: Hounsfield units unknown; --assume-hu takes stored "
                "values for them",
                ct_base_name(slice->path));
      return false;
    }
    if (!(slice->slope > 1e-6 && slice->slope < 1e4 && fabs(slice->intercept) < 1e6)) {
      ct_refuse(series, "%s: RescaleSlope %g and RescaleIntercept %g do not give Hounsfield units",
                ct_base_name(slice->path), slice->slope, slice->intercept);
      return false;
    }
  }
  if (group->n_rescale_absent)
    ct_repair(series,
              "%zu slice%s without RescaleIntercept: stored values assumed to be Hounsfield "
              "units",
              group->n_rescale_absent, group->n_rescale_absent > 1 ? "s" : "");
  return true;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void spacing_prevails(struct ct_series *series, const double *distance) {
  size_t n = series->n_slices - 1, odd = 0, where = 0;
  double spacing = series->slice_spacing_mm, tolerance = ct_spacing_tolerance(spacing);
  double low = spacing, high = spacing;
  for (size_t i = 0; i < n; i++) {
    low = fmin(low, distance[i]);
    high = fmax(high, distance[i]);
    if (fabs(distance[i] - spacing) > tolerance && !odd++) where = i;
  }
  if (!odd) return;
  if (2 * odd > n) {
    size_t change = 1;
    while (change + 1 < n && fabs(distance[change] - distance[change - 1]) <= tolerance) change++;
    ct_refuse(series,
              "mixed spacing: %.2f to %.2f mm between slices, none prevails; it changes at %s "
              "(slice %zu)",
              low, high, ct_base_name(series->slices[change].path), change + 1);
    return;
  }
  const struct ct_slice *slice = &series->slices[where + 1];
  ct_repair(series,
            "%s: slice %zu lies %.2f mm from its neighbour, others %.2f mm (%zu such place%s): "
            "cubes that touch one are refused",
            ct_base_name(slice->path), where + 2, distance[where], spacing, odd,
            odd > 1 ? "s" : "");
}

/* Even places of slices, some of which may be missing. */
struct grid {
  double start, step;
  double residual; /* largest distance of a slice from its place, mm */
};

/* The grid of this step that lies nearest to the slices; steps[i]: from slice 0 to slice i. */
static struct grid lay_grid(const struct ct_series *series, const double *steps, double step) {
  double low = INFINITY, high = -INFINITY;
  for (size_t i = 0; i < series->n_slices; i++) {
    double off = series->slices[i].along_mm - step * steps[i];
    low = fmin(low, off);
    high = fmax(high, off);
  }
  return (struct grid){0.5 * (low + high), step, 0.5 * (high - low)};
}

/* Fits an even grid to slices about `about` mm apart: by least squares, or, where positions have
 * one decimal, with the step of fewest decimals that agrees with all of them. */
static struct grid fit_grid(const struct ct_series *series, double about, double *steps) {
  const struct ct_slice *slices = series->slices;
  size_t n = series->n_slices;
  double sum_k = 0, sum_a = 0, sum_kk = 0, sum_ka = 0;
  steps[0] = 0;
  for (size_t i = 0; i < n; i++) {
    double along = slices[i].along_mm - slices[0].along_mm;
    if (i)
      steps[i] =
          steps[i - 1] + fmax(1, round((slices[i].along_mm - slices[i - 1].along_mm) / about));
    sum_k += steps[i];
    sum_a += along;
    sum_kk += steps[i] * steps[i];
    sum_ka += steps[i] * along;
  }
  double step = ((double)n * sum_ka - sum_k * sum_a) / ((double)n * sum_kk - sum_k * sum_k);
  double scale = 1;
  for (int decimals = 1; decimals <= 4; decimals++) {
    scale *= 10;
    struct grid grid = lay_grid(series, steps, round(step * scale) / scale);
    if (grid.residual <= 0.5 * largest_rounding_mm + 1e-6) return grid;
  }
  return lay_grid(series, steps, step);
}

/* Mean of the distances that are about the median: of positions that were rounded the median is
 * rounded too. */
static double typical(const double *sorted, size_t n, double median) {
  double sum = 0;
  size_t count = 0;
  for (size_t i = 0; i < n; i++)
    if (sorted[i] > 0.5 * median && sorted[i] < 1.5 * median) {
      sum += sorted[i];
      count++;
    }
  return sum / (double)count;
}

/* Whether slices lie off their places by more than is tolerated; or, within the tolerance, whether
 * all have one decimal and `step`, which fits them, is not the median distance: it was rounded. */
static bool seems_rounded(const struct ct_series *series, const double *distance, double step) {
  size_t n = series->n_slices, tenths = 0;
  double median = series->slice_spacing_mm, tolerance = ct_spacing_tolerance(median);
  for (size_t i = 0; i + 1 < n; i++) {
    double tenth = 10 * series->slices[i].along_mm;
    if (distance[i] < 1.5 * median && fabs(distance[i] - median) > tolerance) return true;
    tenths += fabs(tenth - round(tenth)) < 1e-6;
  }
  return tenths == n - 1 && fabs(step - median) > 1e-3;
}

/* Positions that were written with few decimals are put back on the even grid they stand for. */
static lc_status undo_rounding(struct ct_series *series, const double *distance,
                               const double *sorted, struct lc_error *err) {
  size_t n = series->n_slices;
  double median = series->slice_spacing_mm;
  if (n < 3) return LC_OK;
  double *steps = NULL;
  LC_TRY(lc_alloc(&steps, n, sizeof *steps, err));
  struct grid grid = fit_grid(series, typical(sorted, n - 1, median), steps);
  if (seems_rounded(series, distance, grid.step) && grid.residual <= largest_rounding_mm &&
      grid.residual < 0.25 * grid.step) {
    for (size_t i = 0; i < n; i++) {
      struct ct_slice *slice = &series->slices[i];
      double along = grid.start + grid.step * steps[i];
      for (int c = 0; c < 3; c++)
        slice->position_mm[c] += (along - slice->along_mm) * series->normal[c];
      slice->along_mm = along;
    }
    series->slice_spacing_mm = grid.step;
    ct_repair(series, "positions rounded: an even grid of %.4g mm, largest residual %.2g mm",
              grid.step, grid.residual);
  }
  free(steps);
  return LC_OK;
}

static lc_status judge_spacing(struct ct_series *series, struct lc_error *err) {
  size_t n = series->n_slices;
  if (n == 1) {
    bool given = series->slice_thickness_mm > 0;
    series->slice_spacing_mm = given ? series->slice_thickness_mm : 1;
    ct_repair(series, "one slice only: %s%.2f mm stands for the spacing",
              given ? "its thickness " : "", series->slice_spacing_mm);
    return LC_OK;
  }
  double *distance = NULL;
  LC_TRY(lc_alloc(&distance, 2 * (n - 1), sizeof *distance, err));
  double *sorted = distance + (n - 1);
  for (size_t i = 0; i + 1 < n; i++)
    sorted[i] = distance[i] = series->slices[i + 1].along_mm - series->slices[i].along_mm;
  qsort(sorted, n - 1, sizeof *sorted, by_value);
  series->slice_spacing_mm = sorted[(n - 2) / 2];
  lc_status status = undo_rounding(series, distance, sorted, err);
  for (size_t i = 0; i + 1 < n; i++)
    distance[i] = series->slices[i + 1].along_mm - series->slices[i].along_mm;
  if (status == LC_OK) spacing_prevails(series, distance);
  free(distance);
  return status;
}

/* Names the slice at which the in-plane drift along an axis changes most from the usual one. */
static lc_status refuse_shift(struct ct_series *series, const double *axis, struct lc_error *err) {
  size_t n = series->n_slices, where = 1;
  const struct ct_slice *slices = series->slices;
  double *step = NULL;
  LC_TRY(lc_alloc(&step, 2 * (n - 1), sizeof *step, err));
  double *sorted = step + (n - 1);
  for (size_t i = 0; i + 1 < n; i++)
    sorted[i] = step[i] = dot(slices[i + 1].position_mm, axis) - dot(slices[i].position_mm, axis);
  qsort(sorted, n - 1, sizeof *sorted, by_value);
  double usual = sorted[(n - 1) / 2];
  for (size_t i = 2; i < n; i++)
    if (fabs(step[i - 1] - usual) > fabs(step[where - 1] - usual)) where = i;
  ct_refuse(series,
            "%s: slice %zu is shifted %.2f mm in its plane from the one before it, others "
            "%.2f mm",
            ct_base_name(slices[where].path), where + 1, step[where - 1], usual);
  free(step);
  return LC_OK;
}

/* In-plane drift of the slices: none, even (a tilted gantry) or without order. */
static lc_status judge_shear(struct ct_group *group, struct lc_error *err) {
  struct ct_series *series = &group->series;
  size_t n = series->n_slices;
  if (n < 2) return LC_OK;
  const struct ct_slice *first = &series->slices[0], *last = &series->slices[n - 1];
  double length = last->along_mm - first->along_mm, drift[2];
  const double *axes[2] = {series->orientation, series->orientation + 3};
  for (int a = 0; a < 2; a++)
    drift[a] = (dot(last->position_mm, axes[a]) - dot(first->position_mm, axes[a])) / length;
  for (size_t i = 1; i < n; i++)
    for (int a = 0; a < 2; a++) {
      const struct ct_slice *slice = &series->slices[i];
      double expected = drift[a] * (slice->along_mm - first->along_mm);
      double found = dot(slice->position_mm, axes[a]) - dot(first->position_mm, axes[a]);
      double limit = fmax(0.1, 0.25 * series->pixel_spacing_mm[1 - a]);
      if (fabs(found - expected) > limit) return refuse_shift(series, axes[a], err);
    }
  double degrees = atan(hypot(drift[0], drift[1])) * 180 / M_PI;
  if (degrees > 60) {
    ct_refuse(series, "slices shift %.1f degrees from their normal, a gantry tilts at most 60",
              degrees);
    return LC_OK;
  }
  if (degrees > tilt_floor_degrees)
    ct_repair(series, "gantry tilt %.1f degrees: sheared back to patient coordinates", degrees);
  else if (fabs(group->tilt_degrees) > tilt_floor_degrees && n > 2)
    ct_repair(series,
              "GantryDetectorTilt %.1f degrees but slices are not sheared: positions believed",
              group->tilt_degrees);
  return LC_OK;
}

/* Slices that were left out evenly leave no gap: but numbers in steps, and slices thinner than
 * their distance. */
static void note_thinned(struct ct_series *series) {
  size_t n = series->n_slices, steps = 0;
  const struct ct_slice *slices = series->slices;
  if (n < 3 || !(series->slice_spacing_mm > 1.5 * series->slice_thickness_mm) ||
      !(series->slice_thickness_mm > 0))
    return;
  long step = labs(slices[1].instance_number - slices[0].instance_number);
  for (size_t i = 1; i < n; i++)
    steps += labs(slices[i].instance_number - slices[i - 1].instance_number) == step;
  if (step > 1 && 2 * steps > n - 1)
    ct_repair(series,
              "slices of %.2f mm lie %.2f mm apart and their InstanceNumbers go up by %ld: slices "
              "between them seem to have been left out",
              series->slice_thickness_mm, series->slice_spacing_mm, step);
}

/* Numbers that run along the patient but for neighbours in the other order: those slices have each
 * other's place, or only each other's number, and which of both cannot be known. Blocks that are
 * numbered anew each jump by more. */
static void note_disorder(struct ct_series *series) {
  size_t n = series->n_slices, count[2] = {0, 0}, where[2] = {0, 0};
  long up = 0;
  for (size_t i = n - 1; i > 0; i--) {
    const struct ct_slice *slice = &series->slices[i];
    long step = (long)slice->instance_number - slice[-1].instance_number;
    up += (step > 0) - (step < 0);
    if (step == 0 || labs(step) > 2) continue;
    count[step > 0]++;
    where[step > 0] = i;
  }
  size_t against = count[up < 0], first = where[up < 0];
  if (against == 0 || 5 * against > n) return;
  ct_repair(series,
            "InstanceNumber runs against the position at %zu place%s, first at %s (slice %zu): "
            "positions believed",
            against, against > 1 ? "s" : "", ct_base_name(series->slices[first].path), first + 1);
}

lc_status ct_group_judge(struct ct_group *group, bool assume_hu, struct lc_error *err) {
  struct ct_series *series = &group->series;
  series->verdict = CT_USABLE;
  series->reason[0] = '\0';
  if (group->unfit[0]) {
    ct_refuse(series, "%s", group->unfit);
    return LC_OK;
  }
  if (!group->geometry_given) {
    ct_refuse(series,
              "%s: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
              "no list of numbers",
              ct_base_name(series->slices[0].path));
    return LC_OK;
  }
  if (!sane_plane(series) || !sane_rescale(group, assume_hu)) return LC_OK;
  if (group->uid_letters)
    ct_repair(series,
              "UIDs with letters, where the standard has digits and dots: read as they are");
  ct_group_sort(series);
  if (group->differs) {
    ct_refuse(series, "slices of several patients: %s differs within the series", group->differs);
    return LC_OK;
  }
  if (group->conflict[0]) {
    ct_refuse(series, "%s", group->conflict);
    return LC_OK;
  }
  if (group->n_copies)
    ct_repair(series, "SOPInstanceUID repeated in %zu more file%s: the first by name kept",
              group->n_copies, group->n_copies > 1 ? "s" : "");
  LC_TRY(ct_group_note_identities(series, err));
  LC_TRY(ct_group_resolve_repeats(series, err));
  if (series->verdict != CT_REFUSED) LC_TRY(judge_spacing(series, err));
  if (series->verdict != CT_REFUSED) {
    note_thinned(series);
    note_disorder(series);
  }
  return series->verdict == CT_REFUSED ? LC_OK : judge_shear(group, err);
}
