/* The kind "slices": maps laid over CT slices of original size, one object a target. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_scope.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/dicom_read/ct_decode.h"
#include "ct_io/dicom_write/ct_frames.h"
#include "pipeline/export/pl_object.h"

/* The stored view whose planes are parallel to the slices of the series. */
static lc_status parallel_view(const struct pl_export *e, size_t *view, struct lc_error *err) {
  static const int axis_of[] = {[CT_AXIAL] = 2, [CT_CORONAL] = 1, [CT_SAGITTAL] = 0};
  for (size_t v = 0; v < e->result->n_views; v++)
    if (fabs(e->result->series->normal[axis_of[e->result->views[v]]]) > 0.999) {
      *view = v;
      return LC_OK;
    }
  LC_FAIL(err, LC_ERR_UNSUPPORTED,
          "%s: no stored view is parallel to the slices of series %s, so that its maps cannot be "
          "laid over them",
          e->result->path, e->result->series->series_instance_uid);
}

/* Grey by the window, coloured by the map where there is one. */
static void paint(const struct pl_export_options *options, const int16_t *hu, const float *map,
                  size_t count, double scale, uint8_t *rgb) {
  double low = options->window_low_hu, high = options->window_high_hu;
  for (size_t i = 0; i < count; i++) {
    double grey = fmin(fmax(((double)hu[i] - low) / (high - low), 0), 1);
    double value = isnan(map[i]) || scale == 0 ? 0 : (double)map[i] / scale;
    cdam_colour_over(options->colours, value, options->opacity, grey, rgb + 3 * i);
  }
}

static double largest(const struct pl_result *result, size_t view, size_t target) {
  double top = 0;
  for (size_t n = 0; n < result->nodules.n_nodules; n++) {
    const float *map = cdam_maps_get(&result->maps, pl_result_image(result, n, view), target);
    for (size_t i = 0; i < result->maps.grid_height * result->maps.grid_width; i++)
      top = fmax(top, fabs((double)map[i]));
  }
  return top;
}

/* One frame a nodule: the CT slice next to the map's plane. */
struct painted {
  struct ct_frame_picture *frames;
  struct ct_plane *planes;
  size_t *slices;
  uint8_t *rgb; /* [nodule, row, column, 3] */
  float *map;   /* [row, column] */
};

static void painted_free(struct painted *painted) {
  free(painted->frames);
  free(painted->planes);
  free(painted->slices);
  free(painted->rgb);
  free(painted->map);
}

static lc_status painted_init(struct painted *painted, size_t n, size_t pixels,
                              struct lc_error *err) {
  LC_TRY(lc_alloc(&painted->frames, n, sizeof *painted->frames, err));
  LC_TRY(lc_alloc(&painted->planes, n, sizeof *painted->planes, err));
  LC_TRY(lc_alloc(&painted->slices, n, sizeof *painted->slices, err));
  LC_TRY(lc_alloc(&painted->rgb, n * pixels, 3, err));
  return lc_alloc(&painted->map, pixels, sizeof *painted->map, err);
}

static lc_status paint_nodule(const struct pl_export *e, struct painted *painted, size_t nodule,
                              size_t view, size_t target, double scale, struct lc_error *err) {
  const struct pl_result *result = e->result;
  struct ct_cube cube = pl_result_place(result, nodule);
  struct ct_plane from = ct_plane_of_cube(&cube, result->views[view], cube.edge / 2,
                                          result->maps.grid_height, result->maps.grid_width);
  double middle[3];
  ct_plane_to_patient(&from, (double)(from.rows - 1) / 2, (double)(from.columns - 1) / 2, middle);
  size_t slice = ct_series_nearest_slice(e->result->series, middle);
  painted->slices[nodule] = slice;
  painted->planes[nodule] = ct_plane_of_slice(e->result->series, slice);
  const struct ct_plane *to = &painted->planes[nodule];
  size_t pixels = to->rows * to->columns;
  struct ct_volume volume;
  LC_TRY(ct_volume_decode(&volume, e->result->series, slice, 1, NULL, err));
  ct_plane_resample(cdam_maps_get(&result->maps, pl_result_image(result, nodule, view), target),
                    &from, painted->map, to);
  uint8_t *rgb = painted->rgb + nodule * pixels * 3;
  paint(e->options, volume.hu, painted->map, pixels, scale, rgb);
  ct_volume_free(&volume);
  painted->frames[nodule] = (struct ct_frame_picture){
      .rgb = rgb, .label = result->nodules.nodules[nodule].id, .plane = to};
  return LC_OK;
}

static lc_status slices_of_target(const struct pl_object_kind *kind, struct pl_export *e,
                                  size_t view, size_t target, struct lc_error *err) {
  const struct pl_result *result = e->result;
  size_t n = result->nodules.n_nodules;
  LC_SCOPED(painted_free) struct painted painted = {0};
  struct pl_object object;
  struct ct_frames frames = {.rows = (size_t)result->series->rows,
                             .columns = (size_t)result->series->columns,
                             .n_frames = n};
  double scale = largest(result, view, target);
  LC_TRY(painted_init(&painted, n, frames.rows * frames.columns, err));
  for (size_t i = 0; i < n; i++) LC_TRY(paint_nodule(e, &painted, i, view, target, scale, err));
  LC_TRY(pl_object_begin(&object, e, kind, PL_NONE, target, PL_NONE, err));
  frames.frames = painted.frames;
  frames.about = object.about;
  frames.about.source_slices = painted.slices;
  frames.about.n_source_slices = n;
  LC_TRY(ct_frames_write(&frames, object.path, err));
  return pl_object_done(&object, e, err);
}

static lc_status write_slices(const struct pl_object_kind *kind, struct pl_export *e,
                              struct lc_error *err) {
  size_t view = 0;
  LC_TRY(parallel_view(e, &view, err));
  for (size_t t = 0; t < e->result->maps.targets; t++)
    LC_TRY(slices_of_target(kind, e, view, t, err));
  return LC_OK;
}

const struct pl_object_kind pl_object_slices = {
    .name = "slices",
    .role = "export slices",
    .object = &ct_frames_object,
    .series_offset = 0,
    .doc = "CT slices of original size with the map in place, one object a target",
    .is_map = true,
    .write = write_slices,
};
