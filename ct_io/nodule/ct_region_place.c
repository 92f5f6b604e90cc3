/* Puts shapes on the slices of a series: which voxels they hold there, and outlines around these.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/nodule/ct_mark.h"
#include "ct_io/nodule/ct_outline_trace.h"
#include "ct_io/nodule/ct_place.h"
#include "ct_io/nodule/ct_region.h"

/* Contours are one plane within this distance, and pixels are told apart to this part of one, so
 * that rounding on the way through millimetres decides nothing. */
static const double same_plane_mm = 0.01, parts_of_a_pixel = 1024;

/* Organs are wider. */
static const double widest_mm = 200;

/* A contour on its way to the slices. */
struct drawn {
  double (*xy)[2]; /* column, row */
  size_t n_points;
  double along_mm;
  long slice; /* that it names; -1: none of the series */
};

struct placing {
  const struct ct_series *series;
  bool own; /* the series is the one that the file names */
  struct ct_mark *mark;
  struct drawn *drawn;
  size_t n_drawn, most_points;
  long low[3], high[3]; /* box of the shape: columns, rows, slices */
  double inverse[3][3]; /* from millimetres to the mask's indices */
  uint8_t *pixels;      /* of one slice of the box */
  double *crossings;
  char why[160]; /* why the mark cannot be placed, or "" */
};

__attribute__((format(printf, 3, 4))) static void fault(struct placing *p, unsigned bit,
                                                        const char *format, ...) {
  va_list args;
  p->mark->faults |= bit;
  if (p->why[0]) return;
  va_start(args, format);
  vsnprintf(p->why, sizeof p->why, format, args);
  va_end(args);
}

static double along(const struct ct_series *series, const double mm[3]) {
  return mm[0] * series->normal[0] + mm[1] * series->normal[1] + mm[2] * series->normal[2];
}

/* Distance from the nearest slice. */
static double off_slices(const struct ct_series *series, double along_mm) {
  double least = INFINITY;
  for (size_t k = 0; k < series->n_slices; k++)
    least = fmin(least, fabs(series->slices[k].along_mm - along_mm));
  return least;
}

static double half_slice(const struct ct_series *series) {
  return 0.5 * series->slice_spacing_mm + same_plane_mm;
}

static lc_status draw(struct placing *p, const struct ct_contour *contour, struct lc_error *err) {
  const struct ct_series *series = p->series;
  struct drawn *drawn = &p->drawn[p->n_drawn++];
  double low = INFINITY, high = -INFINITY;
  drawn->n_points = contour->n_points;
  size_t n_named = ct_slices_named(series, contour->sop_instance_uid, &drawn->slice);
  if (n_named != 1) drawn->slice = -1;
  LC_TRY(lc_alloc(&drawn->xy, contour->n_points, sizeof *drawn->xy, err));
  if (contour->n_points > p->most_points) p->most_points = contour->n_points;
  for (size_t i = 0; i < contour->n_points; i++) {
    double ijk[3] = {contour->mm[i][0], contour->mm[i][1], 0};
    if (!contour->in_pixels) {
      ct_series_to_index(series, contour->mm[i], ijk);
      low = fmin(low, along(series, contour->mm[i]));
      high = fmax(high, along(series, contour->mm[i]));
    }
    for (int c = 0; c < 2; c++)
      drawn->xy[i][c] = round(ijk[c] * parts_of_a_pixel) / parts_of_a_pixel;
  }
  if ((contour->in_pixels && drawn->slice < 0) ||
      (p->own && contour->sop_instance_uid[0] && n_named == 0))
    fault(p, CT_FAULT_UNKNOWN_SLICE, "a contour on image %s, which the series lacks",
          contour->sop_instance_uid);
  else if (contour->in_pixels)
    drawn->along_mm = series->slices[drawn->slice].along_mm;
  if (contour->in_pixels) return LC_OK;
  drawn->along_mm = 0.5 * (low + high);
  double off = off_slices(series, drawn->along_mm);
  if (high - low > series->slice_spacing_mm)
    fault(p, CT_FAULT_UNKNOWN_SLICE, "a contour that is not parallel to the slices");
  else if (off > half_slice(series))
    fault(p, CT_FAULT_UNKNOWN_SLICE, "a contour %.2f mm off the nearest slice", off);
  else if (drawn->slice >= 0 &&
           fabs(series->slices[drawn->slice].along_mm - drawn->along_mm) > half_slice(series))
    fault(p, CT_FAULT_UNKNOWN_SLICE | CT_FAULT_SLICE_DISAGREES,
          "a contour more than half a slice off image %s, which it names",
          contour->sop_instance_uid);
  return LC_OK;
}

static void widen(struct placing *p, const double ijk[3], double by) {
  const long last[3] = {p->series->columns - 1, p->series->rows - 1, (long)p->series->n_slices - 1};
  for (int c = 0; c < 3; c++) {
    /* Clamped first: what is far away must not overflow. */
    double low = fmax(-1, fmin(floor(ijk[c] - by), (double)last[c] + 1));
    double high = fmax(-1, fmin(ceil(ijk[c] + by), (double)last[c] + 1));
    p->low[c] = lround(fmin(low, (double)p->low[c]));
    p->high[c] = lround(fmax(high, (double)p->high[c]));
  }
}

/* The box within the series; false when nothing is left. */
static bool clip_box(struct placing *p) {
  const long last[3] = {p->series->columns - 1, p->series->rows - 1, (long)p->series->n_slices - 1};
  for (int c = 0; c < 3; c++) {
    if (p->low[c] < 0) p->low[c] = 0;
    if (p->high[c] > last[c]) p->high[c] = last[c];
    if (p->low[c] > p->high[c]) return false;
  }
  return true;
}

/* Slices are looked through one by one: all of them belong to the box of contours. */
static lc_status start_contours(struct placing *p, struct lc_error *err) {
  const struct ct_region *region = p->mark->region;
  LC_TRY(lc_alloc(&p->drawn, region->n_contours, sizeof *p->drawn, err));
  for (size_t i = 0; i < region->n_contours; i++) {
    LC_TRY(draw(p, &region->contours[i], err));
    for (size_t n = 0; n < p->drawn[i].n_points; n++)
      for (int end = 0; end < 2; end++) {
        const double *xy = p->drawn[i].xy[n];
        const double ijk[3] = {xy[0], xy[1], end ? (double)p->series->n_slices - 1 : 0};
        widen(p, ijk, 0);
        if (xy[0] < -0.5 || xy[1] < -0.5 || xy[0] > p->series->columns - 0.5 ||
            xy[1] > p->series->rows - 0.5)
          p->mark->faults |= CT_FAULT_OUTSIDE_IMAGE;
      }
  }
  return lc_alloc(&p->crossings, p->most_points, sizeof *p->crossings, err);
}

static void start_mask(struct placing *p) {
  const struct ct_grid_mask *mask = &p->mark->region->mask;
  double turned[3][3], inverse[3][3];
  for (int axis = 0; axis < 3; axis++)
    for (int c = 0; c < 3; c++) turned[c][axis] = mask->step_mm[axis][c];
  double determinant = 0;
  for (int r = 0; r < 3; r++)
    for (int c = 0; c < 3; c++)
      inverse[r][c] = turned[(c + 1) % 3][(r + 1) % 3] * turned[(c + 2) % 3][(r + 2) % 3] -
                      turned[(c + 1) % 3][(r + 2) % 3] * turned[(c + 2) % 3][(r + 1) % 3];
  for (int c = 0; c < 3; c++) determinant += turned[0][c] * inverse[c][0];
  if (!isnormal(determinant)) {
    fault(p, CT_FAULT_UNKNOWN_SLICE, "a mask whose grid is flat");
    return;
  }
  for (int r = 0; r < 3; r++)
    for (int c = 0; c < 3; c++) p->inverse[r][c] = inverse[r][c] / determinant;
  for (int corner = 0; corner < 8; corner++) {
    double mm[3], ijk[3];
    memcpy(mm, mask->origin_mm, sizeof mm);
    for (int axis = 0; axis < 3; axis++) {
      double at = corner >> axis & 1 ? (double)mask->size[axis] - 0.5 : -0.5;
      for (int c = 0; c < 3; c++) mm[c] += at * mask->step_mm[axis][c];
    }
    ct_series_to_index(p->series, mm, ijk);
    widen(p, ijk, 1);
  }
}

static bool in_mask(const struct placing *p, const double mm[3]) {
  const struct ct_grid_mask *mask = &p->mark->region->mask;
  size_t at[3];
  for (int r = 0; r < 3; r++) {
    double index = 0;
    for (int c = 0; c < 3; c++) index += p->inverse[r][c] * (mm[c] - mask->origin_mm[c]);
    index = floor(index + 0.5 + 1e-6); /* half way is the next voxel, whatever rounding says */
    if (!(index >= 0 && index < (double)mask->size[r])) return false;
    at[r] = (size_t)index;
  }
  return mask->inside[(at[2] * mask->size[1] + at[1]) * mask->size[0] + at[0]] != 0;
}

static void fill_from_mask(const struct placing *p, struct ct_slice_mask *slice, long k) {
  double origin[3], step[2][3];
  ct_series_to_patient(p->series, (const double[3]){0, 0, (double)k}, origin);
  for (int axis = 0; axis < 2; axis++) {
    const double ijk[3] = {axis == 0, axis == 1, (double)k};
    ct_series_to_patient(p->series, ijk, step[axis]);
    for (int c = 0; c < 3; c++) step[axis][c] -= origin[c];
  }
  for (size_t y = 0; y < slice->height; y++)
    for (size_t x = 0; x < slice->width; x++) {
      double mm[3];
      for (int c = 0; c < 3; c++)
        mm[c] = origin[c] + (double)(slice->x0 + (long)x) * step[0][c] +
                (double)(slice->y0 + (long)y) * step[1][c];
      slice->inside[y * slice->width + x] = in_mask(p, mm);
    }
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Turns the pixels whose centres lie inside: even-odd. */
static void turn_inside(const struct placing *p, const struct drawn *drawn,
                        struct ct_slice_mask *slice) {
  size_t n = drawn->n_points;
  for (size_t row = 0; row < slice->height; row++) {
    double y = (double)(slice->y0 + (long)row);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
      const double *a = drawn->xy[i], *b = drawn->xy[(i + 1) % n];
      if ((a[1] <= y) == (b[1] <= y)) continue;
      p->crossings[count++] = a[0] + (y - a[1]) * (b[0] - a[0]) / (b[1] - a[1]);
    }
    if (count) qsort(p->crossings, count, sizeof *p->crossings, by_value);
    for (size_t c = 0; c + 1 < count; c += 2) {
      double first = fmax(ceil(p->crossings[c]) - (double)slice->x0, 0);
      double end = fmin(p->crossings[c + 1] - (double)slice->x0, (double)slice->width);
      for (size_t x = (size_t)fmin(first, (double)slice->width); (double)x < end; x++)
        slice->inside[row * slice->width + x] ^= 1;
    }
  }
}

/* Smallest distance of two planes of contours; 0 for one plane alone. */
static lc_status plane_spacing(const struct placing *p, double *least, struct lc_error *err) {
  double *planes;
  *least = 0;
  LC_TRY(lc_alloc(&planes, p->n_drawn, sizeof *planes, err));
  for (size_t i = 0; i < p->n_drawn; i++) planes[i] = p->drawn[i].along_mm;
  if (p->n_drawn) qsort(planes, p->n_drawn, sizeof *planes, by_value);
  for (size_t i = 1; i < p->n_drawn; i++) {
    double d = planes[i] - planes[i - 1];
    if (d > same_plane_mm && (*least == 0 || d < *least)) *least = d;
  }
  free(planes);
  return LC_OK;
}

static void fill_from_contours(const struct placing *p, struct ct_slice_mask *slice, long k,
                               bool named, double reach) {
  double here = p->series->slices[k].along_mm, nearest = INFINITY;
  memset(slice->inside, 0, slice->width * slice->height);
  for (size_t i = 0; i < p->n_drawn; i++)
    if (fabs(p->drawn[i].along_mm - here) < fabs(nearest - here)) nearest = p->drawn[i].along_mm;
  for (size_t i = 0; i < p->n_drawn; i++) {
    const struct drawn *drawn = &p->drawn[i];
    bool one =
        named ? drawn->slice == k
              : fabs(nearest - here) <= reach && fabs(drawn->along_mm - nearest) <= same_plane_mm;
    if (one) turn_inside(p, drawn, slice);
  }
}

static lc_status outline_slice(struct placing *p, const struct ct_slice_mask *slice, long k,
                               struct lc_error *err) {
  struct ct_mark *mark = p->mark;
  size_t before = mark->n_outlines, first = 0, n = slice->width * slice->height;
  while (first < n && !slice->inside[first]) first++;
  if (first == n) return LC_OK;
  lc_status status = ct_outlines_trace(slice, &mark->outlines, &mark->n_outlines, err);
  for (size_t i = before; i < mark->n_outlines; i++) {
    struct ct_outline *outline = &mark->outlines[i];
    const struct ct_slice *at = &p->series->slices[k];
    outline->placed = (size_t)k + 1;
    outline->z_mm = at->position_mm[2];
    lc_text_copy(outline->sop_instance_uid, CT_UID_SIZE, at->sop_instance_uid);
  }
  return status;
}

static lc_status outline_all(struct placing *p, struct lc_error *err) {
  struct ct_slice_mask slice = {p->low[0], p->low[1], (size_t)(p->high[0] - p->low[0]) + 1,
                                (size_t)(p->high[1] - p->low[1]) + 1, NULL};
  bool named = p->n_drawn > 0;
  for (size_t i = 0; i < p->n_drawn; i++) named = named && p->drawn[i].slice >= 0;
  double reach;
  LC_TRY(plane_spacing(p, &reach, err));
  reach = 0.5 * fmax(p->series->slice_spacing_mm, reach) + same_plane_mm;
  LC_TRY(lc_alloc(&p->pixels, slice.width * slice.height, 1, err));
  slice.inside = p->pixels;
  for (long k = p->low[2]; k <= p->high[2]; k++) {
    if (p->drawn)
      fill_from_contours(p, &slice, k, named, reach);
    else
      fill_from_mask(p, &slice, k);
    lc_status status = outline_slice(p, &slice, k, err);
    if (status == LC_ERR_MEMORY) return status;
    if (status == LC_OK) continue;
    fault(p, CT_FAULT_UNKNOWN_SLICE, "%s", err->message);
    return LC_OK;
  }
  if (p->mark->n_outlines == 0)
    fault(p, CT_FAULT_UNKNOWN_SLICE, "a shape with no voxel on the series");
  return LC_OK;
}

static lc_status place_mark(struct placing *p, const char *path, struct lc_error *err) {
  const struct ct_region *region = p->mark->region;
  lc_status status = LC_OK;
  ct_mark_clear_outlines(p->mark);
  p->mark->faults &=
      ~(unsigned)(CT_FAULT_UNKNOWN_SLICE | CT_FAULT_OUTSIDE_IMAGE | CT_FAULT_SLICE_DISAGREES);
  for (int c = 0; c < 3; c++) {
    p->low[c] = INT32_MAX;
    p->high[c] = -1;
  }
  if (region->mask.inside)
    start_mask(p);
  else if (region->n_contours > 0)
    status = start_contours(p, err);
  else
    fault(p, CT_FAULT_UNKNOWN_SLICE, "no file has segment %d of segmentation %s, which it is of",
          region->segment, region->segmentation_uid);
  if (status == LC_OK && !p->why[0] && !clip_box(p))
    fault(p, CT_FAULT_UNKNOWN_SLICE, "a shape outside the series");
  const double *spacing = p->series->pixel_spacing_mm;
  if (!p->why[0] && ((double)(p->high[0] - p->low[0]) * spacing[1] > widest_mm ||
                     (double)(p->high[1] - p->low[1]) * spacing[0] > widest_mm))
    fault(p, CT_FAULT_UNKNOWN_SLICE, "wider than %.0f mm: no nodule", widest_mm);
  if (status == LC_OK && !p->why[0]) status = outline_all(p, err);
  for (size_t i = 0; i < p->n_drawn; i++) free(p->drawn[i].xy);
  free(p->drawn);
  free(p->crossings);
  free(p->pixels);
  if (!p->why[0]) return status;
  ct_mark_clear_outlines(p->mark);
  lc_log(LC_LOG_WARNING, "%s: mark %s: %s: it is left out", path, p->mark->nodule_id, p->why);
  return status;
}

static void place_point(struct ct_point *point, const struct ct_series *series, const char *path) {
  long slice;
  if (!point->sop_instance_uid[0]) return;
  point->unplaced = ct_slices_named(series, point->sop_instance_uid, &slice) != 1;
  const double ijk[3] = {point->pixel[0], point->pixel[1], (double)slice};
  if (point->unplaced)
    lc_log(LC_LOG_WARNING, "%s: point %s: on image %s, which the series lacks: it is left out",
           path, point->name, point->sop_instance_uid);
  else
    ct_series_to_patient(series, ijk, point->centre_mm);
}

lc_status ct_annotation_place(struct ct_annotation *annotation, const struct ct_series *series,
                              struct lc_error *err) {
  for (size_t m = 0; m < annotation->n_marks; m++) {
    struct placing placing = {
        .series = series,
        .own = strcmp(annotation->series_instance_uid, series->series_instance_uid) == 0,
        .mark = &annotation->marks[m]};
    if (placing.mark->region) LC_TRY(place_mark(&placing, annotation->path, err));
  }
  for (size_t i = 0; i < annotation->n_points; i++)
    place_point(&annotation->points[i], series, annotation->path);
  return LC_OK;
}
