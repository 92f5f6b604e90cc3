/* Sorts the slices of a group along the normal and decides by the rules of docs/series-loading.md
 * whether the series is usable, repaired or refused. */
#include "ct_io/dicom_read/ct_group.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_text.h"

/* Slices closer than this along the normal share their position. */
static const double same_place_mm = 0.01;
/* Share of repeated positions that is repaired rather than refused. */
static const double repeated_share = 0.1;
/* Shear below this angle is rounding of the positions. */
static const double tilt_floor_degrees = 0.1;

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

__attribute__((format(printf, 2, 3))) static void refuse(struct ct_series *series, const char *fmt,
                                                         ...) {
  va_list args;
  va_start(args, fmt);
  vsnprintf(series->reason, sizeof series->reason, fmt, args);
  va_end(args);
  series->verdict = CT_REFUSED;
}

/* Several repairs are joined by semicolons. */
__attribute__((format(printf, 2, 3))) static void repair(struct ct_series *series, const char *fmt,
                                                         ...) {
  size_t used = strlen(series->reason);
  if (used) used += (size_t)snprintf(series->reason + used, sizeof series->reason - used, "; ");
  if (used >= sizeof series->reason) return;
  va_list args;
  va_start(args, fmt);
  vsnprintf(series->reason + used, sizeof series->reason - used, fmt, args);
  va_end(args);
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

static void sort_slices(struct ct_series *series) {
  const double *o = series->orientation;
  double *n = series->normal;
  n[0] = o[1] * o[5] - o[2] * o[4];
  n[1] = o[2] * o[3] - o[0] * o[5];
  n[2] = o[0] * o[4] - o[1] * o[3];
  for (size_t i = 0; i < series->n_slices; i++)
    series->slices[i].along_mm = dot(series->slices[i].position_mm, n);
  qsort(series->slices, series->n_slices, sizeof *series->slices, by_along);
}

static void drop_slice(struct ct_series *series, size_t i) {
  free(series->slices[i].path);
  memmove(&series->slices[i], &series->slices[i + 1],
          (series->n_slices - i - 1) * sizeof *series->slices);
  series->n_slices--;
}

static bool sane_plane(struct ct_series *series) {
  const double *o = series->orientation;
  double row = dot(o, o), column = dot(o + 3, o + 3), across = dot(o, o + 3);
  if (!(fabs(row - 1) < 5e-3 && fabs(column - 1) < 5e-3 && fabs(across) < 5e-3)) {
    refuse(series, "ImageOrientationPatient is not two perpendicular unit vectors");
    return false;
  }
  for (int i = 0; i < 2; i++) {
    double mm = series->pixel_spacing_mm[i];
    if (!(mm > 0.01 && mm < 20)) {
      refuse(series, "PixelSpacing %g mm, expected 0.01 to 20", mm);
      return false;
    }
  }
  for (size_t i = 0; i < series->n_slices; i++)
    for (int c = 0; c < 3; c++)
      if (!(fabs(series->slices[i].position_mm[c]) < 1e5)) {
        refuse(series, "%s: ImagePositionPatient %g mm is not a place in a scanner",
               base_name(series->slices[i].path), series->slices[i].position_mm[c]);
        return false;
      }
  return true;
}

static bool sane_rescale(struct ct_group *group) {
  struct ct_series *series = &group->series;
  for (size_t i = 0; i < series->n_slices; i++) {
    const struct ct_slice *slice = &series->slices[i];
    if (!slice->rescale_given && !slice->pixel_signed) {
      refuse(series,
             "%s: no RescaleSlope and RescaleIntercept on unsigned pixels: Hounsfield "
             "units unknown",
             base_name(slice->path));
      return false;
    }
    if (!(fabs(slice->slope) > 1e-6 && fabs(slice->slope) < 1e4 && fabs(slice->intercept) < 1e6)) {
      refuse(series, "%s: RescaleSlope %g and RescaleIntercept %g do not give Hounsfield units",
             base_name(slice->path), slice->slope, slice->intercept);
      return false;
    }
  }
  if (group->n_rescale_absent)
    repair(series,
           "%zu of the slices without RescaleSlope and RescaleIntercept: signed pixels taken as "
           "Hounsfield units",
           group->n_rescale_absent);
  return true;
}

/* The same object twice (a file copied) goes first, whatever else repeats. */
static void drop_copies(struct ct_series *series) {
  size_t copies = 0;
  for (size_t i = 1; i < series->n_slices;) {
    const struct ct_slice *a = &series->slices[i - 1], *b = &series->slices[i];
    if (a->along_mm == b->along_mm && a->frame == b->frame && a->sop_instance_uid[0] &&
        strcmp(a->sop_instance_uid, b->sop_instance_uid) == 0) {
      drop_slice(series, i);
      copies++;
    } else {
      i++;
    }
  }
  if (copies)
    repair(series, "SOPInstanceUID repeated in %zu more file%s: the first by name kept", copies,
           copies > 1 ? "s" : "");
}

struct identity {
  const char *sop;
  int frame;
};

static int by_identity(const void *a, const void *b) {
  const struct identity *x = a, *y = b;
  int order = strcmp(x->sop, y->sop);
  return order ? order : (x->frame > y->frame) - (x->frame < y->frame);
}

/* One SOPInstanceUID at several places: annotations cannot distinguish them, positions can. */
static void note_shared_identities(struct ct_series *series) {
  size_t n = series->n_slices, shared = 0;
  struct identity *identities = malloc(n * sizeof *identities);
  if (!identities) return;
  for (size_t i = 0; i < n; i++)
    identities[i] = (struct identity){series->slices[i].sop_instance_uid, series->slices[i].frame};
  qsort(identities, n, sizeof *identities, by_identity);
  for (size_t i = 1; i < n; i++)
    shared += identities[i].sop[0] && by_identity(&identities[i - 1], &identities[i]) == 0;
  free(identities);
  if (shared)
    repair(series, "SOPInstanceUID of %zu slice%s is another's too: told apart by position", shared,
           shared > 1 ? "s" : "");
}

static bool resolve_repeats(struct ct_series *series) {
  size_t repeated = 0, where = 0;
  for (size_t i = 1; i < series->n_slices; i++)
    if (series->slices[i].along_mm - series->slices[i - 1].along_mm < same_place_mm) {
      if (!repeated) where = i;
      repeated++;
    }
  if (!repeated) return true;
  const struct ct_slice *a = &series->slices[where - 1], *b = &series->slices[where];
  if ((double)repeated > repeated_share * (double)(series->n_slices - repeated)) {
    refuse(series, "%zu of %zu slices repeat a position, first %s and %s at %.2f mm", repeated,
           series->n_slices, base_name(a->path), base_name(b->path), a->along_mm);
    return false;
  }
  repair(series,
         "%zu slices repeat a position, first %s and %s at %.2f mm: lowest InstanceNumber "
         "kept",
         repeated, base_name(a->path), base_name(b->path), a->along_mm);
  for (size_t i = 1; i < series->n_slices;) {
    struct ct_slice *x = &series->slices[i - 1], *y = &series->slices[i];
    if (y->along_mm - x->along_mm >= same_place_mm)
      i++;
    else
      drop_slice(series, x->instance_number <= y->instance_number ? i : i - 1);
  }
  return true;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static bool spacing_prevails(struct ct_series *series, const double *distance) {
  size_t n = series->n_slices - 1, odd = 0, where = 0;
  double spacing = series->slice_spacing_mm, tolerance = ct_spacing_tolerance(spacing);
  double low = spacing, high = spacing;
  for (size_t i = 0; i < n; i++) {
    low = fmin(low, distance[i]);
    high = fmax(high, distance[i]);
    if (fabs(distance[i] - spacing) > tolerance && !odd++) where = i;
  }
  if (!odd) return true;
  if (2 * odd > n) {
    refuse(series, "mixed spacing: %.2f to %.2f mm between slices, none prevails", low, high);
    return false;
  }
  const struct ct_slice *slice = &series->slices[where + 1];
  repair(series,
         "%s: slice %zu lies %.2f mm from its neighbour, others %.2f mm (%zu such place%s): "
         "cubes that touch one are refused",
         base_name(slice->path), where + 2, distance[where], spacing, odd, odd > 1 ? "s" : "");
  return true;
}

static bool judge_spacing(struct ct_series *series) {
  size_t n = series->n_slices;
  if (n == 1) {
    bool given = series->slice_thickness_mm > 0;
    series->slice_spacing_mm = given ? series->slice_thickness_mm : 1;
    repair(series, "one slice only: %s%.2f mm stands for the spacing",
           given ? "its thickness " : "", series->slice_spacing_mm);
    return true;
  }
  double *distance = malloc(2 * (n - 1) * sizeof *distance);
  if (!distance) {
    refuse(series, "out of memory for %zu slices", n);
    return false;
  }
  double *sorted = distance + (n - 1);
  for (size_t i = 0; i + 1 < n; i++)
    sorted[i] = distance[i] = series->slices[i + 1].along_mm - series->slices[i].along_mm;
  qsort(sorted, n - 1, sizeof *sorted, by_value);
  series->slice_spacing_mm = sorted[(n - 2) / 2];
  bool prevails = spacing_prevails(series, distance);
  free(distance);
  return prevails;
}

/* In-plane drift of the slices: none, even (a tilted gantry) or without order. */
static bool judge_shear(struct ct_group *group) {
  struct ct_series *series = &group->series;
  size_t n = series->n_slices;
  if (n < 2) return true;
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
      if (fabs(found - expected) > limit) {
        refuse(series, "%s: slice %zu is shifted %.2f mm in its plane, neighbours are not",
               base_name(slice->path), i + 1, fabs(found - expected));
        return false;
      }
    }
  double degrees = atan(hypot(drift[0], drift[1])) * 180 / M_PI;
  if (degrees > 60) {
    refuse(series, "slices shift %.1f degrees from their normal, a gantry tilts at most 60",
           degrees);
    return false;
  }
  if (degrees > tilt_floor_degrees)
    repair(series, "gantry tilt %.1f degrees: sheared back to patient coordinates", degrees);
  else if (fabs(group->tilt_degrees) > tilt_floor_degrees && n > 2)
    repair(series, "GantryDetectorTilt %.1f degrees but slices are not sheared: positions believed",
           group->tilt_degrees);
  return true;
}

void ct_group_judge(struct ct_group *group) {
  struct ct_series *series = &group->series;
  series->verdict = CT_USABLE;
  series->reason[0] = '\0';
  if (group->unfit[0]) {
    refuse(series, "%s", group->unfit);
    return;
  }
  if (!group->geometry_given) {
    refuse(series, "%s: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing",
           base_name(series->slices[0].path));
    return;
  }
  if (!sane_plane(series) || !sane_rescale(group)) return;
  sort_slices(series);
  drop_copies(series);
  note_shared_identities(series);
  if (!resolve_repeats(series) || !judge_spacing(series)) return;
  (void)judge_shear(group);
}
