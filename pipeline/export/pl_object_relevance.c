/* The kind "relevance": what speaks for a target, on the grid of the source: the voxels that the
 * planes of the views pass through where the score of their patch is at least a share of the map's
 * largest. One object a target. */
#include <math.h>
#include <stdio.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "ct_io/ct/ct_plane.h"
#include "ct_io/ct/ct_volume.h"
#include "pipeline/export/pl_regions.h"

/* The patches of a view whose score is at least a share of the map's largest, where they lie. */
struct sheet {
  struct ct_plane plane;
  const float *map;
  double least,
      half_mm; /* half the thickness that counts: of the view, or of the source's voxels */
};

static struct sheet sheet_of(const struct pl_export *e, size_t nodule, size_t view, size_t target) {
  const struct pl_result *result = e->result;
  const struct ct_series *series = result->series;
  struct ct_cube cube = pl_result_place(result, nodule);
  size_t height = result->maps.grid_height, width = result->maps.grid_width;
  struct sheet sheet = {
      .plane = ct_plane_of_cube(&cube, result->views[view], cube.edge / 2, height, width),
      .map = cdam_maps_get(&result->maps, pl_result_image(result, nodule, view), target)};
  float top = 0;
  for (size_t i = 0; i < height * width; i++) top = fmaxf(top, sheet.map[i]);
  sheet.least = top > 0 ? e->options->relevance * (double)top : INFINITY;
  const double *o = sheet.plane.orientation, *n = series->normal;
  double across[3] = {o[1] * o[5] - o[2] * o[4], o[2] * o[3] - o[0] * o[5],
                      o[0] * o[4] - o[1] * o[3]};
  double column = 0, row = 0, slice = 0;
  for (int c = 0; c < 3; c++) {
    column += across[c] * series->orientation[c] * series->pixel_spacing_mm[1];
    row += across[c] * series->orientation[3 + c] * series->pixel_spacing_mm[0];
    slice += across[c] * n[c] * series->slice_spacing_mm;
  }
  sheet.half_mm = 0.5 * fmax(cube.spacing_mm, fabs(column) + fabs(row) + fabs(slice));
  return sheet;
}

static bool in_sheet(const struct sheet *sheet, const double point[3]) {
  double row, column, off;
  ct_plane_from_patient(&sheet->plane, point, &row, &column, &off);
  if (off < -sheet->half_mm || off >= sheet->half_mm || row < -0.5 || column < -0.5 ||
      row >= (double)sheet->plane.rows - 0.5 || column >= (double)sheet->plane.columns - 0.5)
    return false;
  double score =
      (double)
          sheet->map[(size_t)floor(row + 0.5) * sheet->plane.columns + (size_t)floor(column + 0.5)];
  return score > 0 && score >= sheet->least;
}

/* The voxels of the source that the cube of a nodule touches; none: size 0. */
static void box_of(const struct pl_export *e, size_t nodule, struct ct_consensus *box) {
  const struct ct_series *series = e->result->series;
  const size_t most[] = {(size_t)series->columns, (size_t)series->rows, series->n_slices};
  struct ct_cube cube = pl_result_place(e->result, nodule);
  double half = 0.5 * (double)cube.edge * cube.spacing_mm;
  double low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY};
  for (int corner = 0; corner < 8; corner++) {
    double point[3], at[3];
    for (int c = 0; c < 3; c++) point[c] = cube.centre_mm[c] + (corner >> c & 1 ? half : -half);
    ct_series_to_index(series, point, at);
    for (int c = 0; c < 3; c++) {
      low[c] = fmin(low[c], at[c]);
      high[c] = fmax(high[c], at[c]);
    }
  }
  for (int c = 0; c < 3; c++) {
    double last = (double)(most[c] - 1);
    box->first[c] = (size_t)fmin(fmax(floor(low[c]), 0), last);
    box->size[c] = (size_t)fmin(fmax(ceil(high[c]), 0), last) + 1 - box->first[c];
  }
}

static lc_status fill_box(const struct pl_export *e, size_t nodule, size_t target,
                          struct ct_consensus *box, struct lc_error *err) {
  struct sheet sheets[CT_VIEW_COUNT];
  size_t views = e->result->n_views, at = 0;
  box_of(e, nodule, box);
  LC_TRY(lc_alloc(&box->mask, box->size[0] * box->size[1] * box->size[2], 1, err));
  for (size_t v = 0; v < views; v++) sheets[v] = sheet_of(e, nodule, v, target);
  for (size_t k = 0; k < box->size[2]; k++)
    for (size_t j = 0; j < box->size[1]; j++)
      for (size_t i = 0; i < box->size[0]; i++, at++) {
        const double ijk[] = {(double)(box->first[0] + i), (double)(box->first[1] + j),
                              (double)(box->first[2] + k)};
        double point[3];
        ct_series_to_patient(e->result->series, ijk, point);
        for (size_t v = 0; v < views && !box->mask[at]; v++)
          box->mask[at] = in_sheet(&sheets[v], point);
        box->n_inside += box->mask[at];
      }
  return LC_OK;
}

static lc_status collect(const struct pl_export *e, struct pl_regions *regions, size_t target,
                         const char *algorithm, struct lc_error *err) {
  const struct pl_result *result = e->result;
  for (size_t n = 0; n < result->nodules.n_nodules; n++) {
    struct ct_consensus *box = &regions->boxes[regions->n];
    LC_TRY(fill_box(e, n, target, box, err));
    if (box->n_inside == 0) {
      ct_consensus_free(box);
      continue;
    }
    snprintf(regions->labels[regions->n], sizeof *regions->labels, "%.30s for %.24s",
             result->nodules.nodules[n].id, result->target_names[target]);
    LC_TRY(pl_regions_add(regions, e, n, algorithm, err));
  }
  return LC_OK;
}

static lc_status relevance_of(const struct pl_object_kind *kind, struct pl_export *e, size_t target,
                              struct lc_error *err) {
  const struct pl_result *result = e->result;
  const char *name = result->target_names[target];
  LC_SCOPED(pl_regions_free) struct pl_regions regions = {0};
  struct pl_object object;
  char algorithm[65];
  snprintf(algorithm, sizeof algorithm, "CDAM %.32s >= %g of largest", name, e->options->relevance);
  LC_TRY(pl_regions_init(&regions, e, err));
  LC_TRY(collect(e, &regions, target, algorithm, err));
  if (regions.n == 0) {
    lc_log(LC_LOG_INFO, "%s: nothing speaks for %s, so there is no region", result->path, name);
    return LC_OK;
  }
  LC_TRY(pl_object_begin(&object, e, kind, PL_NONE, target, PL_NONE, err));
  return pl_regions_write(&regions, e, &object, err);
}

static lc_status write_relevance(const struct pl_object_kind *kind, struct pl_export *e,
                                 struct lc_error *err) {
  for (size_t t = 0; t < e->result->maps.targets; t++) LC_TRY(relevance_of(kind, e, t, err));
  return LC_OK;
}

const struct pl_object_kind pl_object_relevance = {
    .name = "relevance",
    .role = "export relevance",
    .object = &ct_segmentation_object,
    .series_offset = 300,
    .doc = "voxels under patches whose score is at least a share of the map's largest, one object "
           "a target",
    .is_map = true,
    .write = write_relevance,
};
