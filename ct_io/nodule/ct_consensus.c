/* Measures marks and computes consensus masks of outlines on the grid of the series and of a
 * cube. */
#include "ct_io/nodule/ct_nodule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_scope.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/nodule/ct_place.h"

/* Largest consensus box: a whole 1024 x 1024 x 256 scan outlined by one reader. */
static const size_t largest_box = (size_t)1 << 28;

static double outline_area(const struct ct_outline *outline) {
  double twice = 0;
  for (size_t i = 0; i < outline->n_points; i++) {
    const int32_t *a = outline->xy[i], *b = outline->xy[(i + 1) % outline->n_points];
    twice += (double)a[0] * b[1] - (double)b[0] * a[1];
  }
  return 0.5 * fabs(twice);
}

static double outline_extent_mm(const struct ct_outline *outline, const double spacing_mm[2]) {
  double most = 0;
  for (size_t i = 0; i < outline->n_points; i++)
    for (size_t j = i + 1; j < outline->n_points; j++) {
      double x = (outline->xy[i][0] - outline->xy[j][0]) * spacing_mm[1];
      double y = (outline->xy[i][1] - outline->xy[j][1]) * spacing_mm[0];
      most = fmax(most, x * x + y * y);
    }
  return sqrt(most);
}

/* Half the distance between the outlined slices on either side of slice k; at an end the distance
 * to the one neighbour; the slice thickness when no other slice is outlined. */
static double outline_depth_mm(const long *outlined, size_t n, const struct ct_series *series,
                               long k) {
  long below = -1, above = -1;
  for (size_t i = 0; i < n; i++) {
    long other = outlined[i];
    if (other < 0 || other == k) continue;
    if (other < k && other > below) below = other;
    if (other > k && (above < 0 || other < above)) above = other;
  }
  const struct ct_slice *slices = series->slices;
  if (below < 0 && above < 0)
    return series->slice_thickness_mm > 0 ? series->slice_thickness_mm : series->slice_spacing_mm;
  double here = slices[k].along_mm;
  double down = below >= 0 ? here - slices[below].along_mm : slices[above].along_mm - here;
  double up = above >= 0 ? slices[above].along_mm - here : down;
  return 0.5 * (down + up);
}

lc_status ct_mark_measure(const struct ct_mark *mark, const struct ct_series *series,
                          struct ct_measure *measure, struct lc_error *err) {
  const double *spacing = series->pixel_spacing_mm;
  long *outlined = NULL; /* slice of each outline */
  memset(measure, 0, sizeof *measure);
  LC_TRY(lc_alloc(&outlined, mark->n_outlines, sizeof *outlined, err));
  for (size_t i = 0; i < mark->n_outlines; i++)
    outlined[i] = ct_outline_slice(series, &mark->outlines[i]);
  for (size_t i = 0; i < mark->n_outlines; i++) {
    const struct ct_outline *outline = &mark->outlines[i];
    long k = outlined[i];
    if (k < 0) continue;
    measure->diameter_mm = fmax(measure->diameter_mm, outline_extent_mm(outline, spacing));
    double part = outline_area(outline) * spacing[0] * spacing[1];
    part *= outline_depth_mm(outlined, mark->n_outlines, series, k);
    measure->volume_mm3 += outline->inclusion ? part : -part;
    for (size_t p = 0; p < outline->n_points; p++) {
      measure->centroid_ijk[0] += outline->xy[p][0];
      measure->centroid_ijk[1] += outline->xy[p][1];
      measure->centroid_ijk[2] += (double)k;
    }
    measure->n_points += outline->n_points;
  }
  free(outlined);
  for (int c = 0; c < 3 && measure->n_points; c++)
    measure->centroid_ijk[c] /= (double)measure->n_points;
  if (measure->n_points) ct_series_to_patient(series, measure->centroid_ijk, measure->centroid_mm);
  return LC_OK;
}

/* One slice of the box. */
struct window {
  long x0, y0;
  size_t width, height;
  uint8_t *pixels; /* [row, column] */
};

static uint8_t *pixel(const struct window *window, long x, long y) {
  long column = x - window->x0, row = y - window->y0;
  if (column < 0 || row < 0 || (size_t)column >= window->width || (size_t)row >= window->height)
    return NULL;
  return &window->pixels[(size_t)row * window->width + (size_t)column];
}

static int by_crossing(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Sets the pixels strictly inside the closed polygon (even-odd rule), row by row. Rows pass through
 * vertices, which are integers, so an edge counts on its lower end only. */
static void fill_polygon(const struct window *window, const struct ct_outline *outline,
                         double *crossings, uint8_t value) {
  size_t n = outline->n_points;
  for (size_t row = 0; row < window->height; row++) {
    double y = (double)window->y0 + (double)row;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
      const int32_t *a = outline->xy[i], *b = outline->xy[(i + 1) % n];
      if ((a[1] <= y) == (b[1] <= y)) continue;
      crossings[count++] = a[0] + (y - a[1]) * (double)(b[0] - a[0]) / (double)(b[1] - a[1]);
    }
    qsort(crossings, count, sizeof *crossings, by_crossing);
    for (size_t c = 0; c + 1 < count; c += 2)
      for (long x = (long)floor(crossings[c]) + 1; (double)x < crossings[c + 1]; x++) {
        uint8_t *p = pixel(window, x, (long)y);
        if (p) *p = value;
      }
  }
}

/* The outline's own pixels, vertices and all that its straight pieces pass through exactly, are
 * outside the nodule. */
static void clear_outline(const struct window *window, const struct ct_outline *outline) {
  for (size_t i = 0; i < outline->n_points; i++) {
    const int32_t *a = outline->xy[i], *b = outline->xy[(i + 1) % outline->n_points];
    long dx = b[0] - a[0], dy = b[1] - a[1], g = labs(dx), r = labs(dy);
    while (r) {
      long rest = g % r;
      g = r;
      r = rest;
    }
    for (long s = 0; s <= g; s++) {
      uint8_t *p =
          g ? pixel(window, a[0] + dx / g * s, a[1] + dy / g * s) : pixel(window, a[0], a[1]);
      if (p) *p = 0;
    }
  }
}

/* Inclusions first, each clearing its own outline, then exclusions: pylidc's order. */
static void fill_mark_slice(const struct ct_mark *mark, const struct ct_series *series, long k,
                            const struct window *window, double *crossings) {
  for (int exclusions = 0; exclusions < 2; exclusions++)
    for (size_t i = 0; i < mark->n_outlines; i++) {
      const struct ct_outline *outline = &mark->outlines[i];
      if (outline->inclusion == (exclusions == 1) || ct_outline_slice(series, outline) != k)
        continue;
      fill_polygon(window, outline, crossings, exclusions ? 0 : 1);
      clear_outline(window, outline);
    }
}

/* Box of all outline points, clipped to the series; false when nothing is left. */
static bool find_box(struct ct_consensus *consensus, const struct ct_nodule *nodule,
                     const struct ct_series *series, size_t *most_points) {
  long low[3] = {series->columns, series->rows, (long)series->n_slices}, high[3] = {-1, -1, -1};
  for (size_t m = 0; m < nodule->n_marks; m++)
    for (size_t i = 0; i < nodule->marks[m]->n_outlines; i++) {
      const struct ct_outline *outline = &nodule->marks[m]->outlines[i];
      long k = ct_outline_slice(series, outline);
      if (outline->n_points > *most_points) *most_points = outline->n_points;
      for (size_t p = 0; p < outline->n_points && k >= 0; p++) {
        long point[3] = {outline->xy[p][0], outline->xy[p][1], k};
        long limit[3] = {series->columns - 1, series->rows - 1, (long)series->n_slices - 1};
        for (int c = 0; c < 3; c++) {
          if (point[c] > limit[c]) point[c] = limit[c];
          if (point[c] < 0) point[c] = 0;
          if (point[c] < low[c]) low[c] = point[c];
          if (point[c] > high[c]) high[c] = point[c];
        }
      }
    }
  for (int c = 0; c < 3; c++) {
    if (high[c] < low[c]) return false;
    consensus->first[c] = (size_t)low[c];
    consensus->size[c] = (size_t)(high[c] - low[c]) + 1;
  }
  return true;
}

/* Counts, slice by slice, how many marks enclose each voxel, and keeps those at the level. */
static void fill_consensus(struct ct_consensus *consensus, const struct ct_nodule *nodule,
                           const struct ct_series *series, double level, uint8_t *plane,
                           uint16_t *votes, double *crossings) {
  size_t area = consensus->size[0] * consensus->size[1];
  struct window window = {(long)consensus->first[0], (long)consensus->first[1], consensus->size[0],
                          consensus->size[1], plane};
  for (size_t k = 0; k < consensus->size[2]; k++) {
    memset(votes, 0, area * sizeof *votes);
    for (size_t m = 0; m < nodule->n_marks; m++) {
      memset(plane, 0, area);
      fill_mark_slice(nodule->marks[m], series, (long)(consensus->first[2] + k), &window,
                      crossings);
      for (size_t i = 0; i < area; i++) votes[i] = (uint16_t)(votes[i] + plane[i]);
    }
    for (size_t i = 0; i < area; i++) {
      bool inside = (double)votes[i] >= level * (double)nodule->n_marks && votes[i];
      consensus->mask[k * area + i] = inside;
      consensus->n_inside += inside;
    }
  }
}

lc_status ct_nodule_consensus(struct ct_consensus *consensus, const struct ct_nodule *nodule,
                              const struct ct_series *series, double level, struct lc_error *err) {
  size_t most_points = 0, box;
  uint8_t *plane = NULL;
  uint16_t *votes = NULL;
  double *crossings = NULL;
  memset(consensus, 0, sizeof *consensus);
  if (nodule->n_marks == 0 || !find_box(consensus, nodule, series, &most_points))
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s has no outlines on this series", nodule->id);
  box = consensus->size[0] * consensus->size[1] * consensus->size[2];
  if (box > largest_box)
    LC_FAIL(err, LC_ERR_MEMORY, "%s spans %zu voxels, at most %zu", nodule->id, box, largest_box);
  size_t area = consensus->size[0] * consensus->size[1];
  lc_status status = lc_alloc(&consensus->mask, box, 1, err);
  if (status == LC_OK) status = lc_alloc(&plane, area, 1, err);
  if (status == LC_OK) status = lc_alloc(&votes, area, sizeof *votes, err);
  if (status == LC_OK) status = lc_alloc(&crossings, most_points, sizeof *crossings, err);
  if (status == LC_OK) fill_consensus(consensus, nodule, series, level, plane, votes, crossings);
  free(plane);
  free(votes);
  free(crossings);
  consensus->volume_mm3 = (double)consensus->n_inside * series->pixel_spacing_mm[0] *
                          series->pixel_spacing_mm[1] * series->slice_spacing_mm;
  if (status != LC_OK) ct_consensus_free(consensus);
  return status;
}

void ct_consensus_free(struct ct_consensus *consensus) {
  free(consensus->mask);
  memset(consensus, 0, sizeof *consensus);
}

static uint8_t consensus_at(const struct ct_consensus *consensus, const double ijk[3]) {
  size_t at[3];
  for (int c = 0; c < 3; c++) {
    double nearest = round(ijk[c]) - (double)consensus->first[c];
    if (!(nearest >= 0 && nearest < (double)consensus->size[c])) return 0;
    at[c] = (size_t)nearest;
  }
  return consensus->mask[(at[2] * consensus->size[1] + at[1]) * consensus->size[0] + at[0]];
}

/* Whether a sample of the cube is inside. */
static uint8_t sample_inside(const struct ct_consensus *consensus, const struct ct_series *series,
                             const struct ct_cube *where, size_t sample) {
  size_t edge = where->edge;
  const size_t xyz[3] = {sample % edge, sample / edge % edge, sample / (edge * edge)};
  double middle = ((double)edge - 1) / 2, mm[3], ijk[3];
  for (int c = 0; c < 3; c++)
    mm[c] = where->centre_mm[c] + ((double)xyz[c] - middle) * where->spacing_mm;
  ct_series_to_index(series, mm, ijk);
  return consensus_at(consensus, ijk);
}

lc_status ct_cube_add_mask(struct ct_cube *cube, const struct ct_nodule *nodule,
                           const struct ct_series *series, double level, struct lc_error *err) {
  LC_SCOPED(ct_consensus_free) struct ct_consensus consensus = {.mask = NULL};
  size_t count = cube->edge * cube->edge * cube->edge;
  free(cube->mask);
  cube->mask = NULL;
  LC_TRY(ct_nodule_consensus(&consensus, nodule, series, level, err));
  LC_TRY(lc_alloc(&cube->mask, count, 1, err));
  for (size_t n = 0; n < count; n++) cube->mask[n] = sample_inside(&consensus, series, cube, n);
  return LC_OK;
}

lc_status ct_cube_slice_mask(const struct ct_cube *where, ct_view view, size_t index,
                             const struct ct_nodule *nodule, const struct ct_series *series,
                             double level, uint8_t *mask_out, struct lc_error *err) {
  LC_SCOPED(ct_consensus_free) struct ct_consensus consensus = {.mask = NULL};
  size_t edge = where->edge;
  LC_TRY(ct_nodule_consensus(&consensus, nodule, series, level, err));
  for (size_t i = 0; i < edge * edge; i++)
    mask_out[i] = sample_inside(&consensus, series, where,
                                ct_cube_sample(edge, view, index, i / edge, i % edge));
  return LC_OK;
}
