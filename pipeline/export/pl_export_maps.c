/* Exports maps: laid over CT slices of original size, and as numbers (Parametric Map). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/dicom_read/ct_decode.h"
#include "ct_io/dicom_write/ct_frames.h"
#include "ct_io/dicom_write/ct_parametric_map.h"
#include "pipeline/export/pl_exporting.h"

static const char true_colour_capture[] = "1.2.840.10008.5.1.4.1.1.7.4";
static const char parametric_map[] = "1.2.840.10008.5.1.4.1.1.30";

/* The stored view whose planes are parallel to the slices of the series. */
static lc_status parallel_view(const struct pl_exporting *e, size_t *view, struct lc_error *err) {
  static const int axis_of[] = {[CT_AXIAL] = 2, [CT_CORONAL] = 1, [CT_SAGITTAL] = 0};
  for (size_t v = 0; v < e->stored->n_views; v++)
    if (fabs(e->series->normal[axis_of[e->stored->views[v]]]) > 0.999) {
      *view = v;
      return LC_OK;
    }
  LC_FAIL(err, LC_ERR_UNSUPPORTED,
          "%s: no stored view is parallel to the slices of series %s, so that its maps cannot be "
          "laid over them; leave out \"slices\"",
          e->stored->path, e->series->series_instance_uid);
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

static double largest(const struct pl_stored *stored, size_t view, size_t target) {
  double top = 0;
  for (size_t n = 0; n < stored->n_nodules; n++) {
    const float *map = pl_stored_map(stored, n, view, target);
    for (size_t i = 0; i < stored->grid_height * stored->grid_width; i++)
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

static lc_status paint_nodule(const struct pl_exporting *e, struct painted *painted, size_t nodule,
                              size_t view, size_t target, double scale, struct lc_error *err) {
  const struct pl_stored *stored = e->stored;
  struct ct_cube cube = pl_stored_cube(stored, nodule);
  struct ct_plane from = ct_plane_of_cube(&cube, stored->views[view], cube.edge / 2,
                                          stored->grid_height, stored->grid_width);
  double middle[3];
  ct_plane_to_patient(&from, (double)(from.rows - 1) / 2, (double)(from.columns - 1) / 2, middle);
  size_t slice = ct_series_nearest_slice(e->series, middle);
  painted->slices[nodule] = slice;
  painted->planes[nodule] = ct_plane_of_slice(e->series, slice);
  const struct ct_plane *to = &painted->planes[nodule];
  size_t pixels = to->rows * to->columns;
  struct ct_volume volume;
  LC_TRY(ct_volume_decode(&volume, e->series, slice, 1, NULL, err));
  ct_plane_resample(pl_stored_map(stored, nodule, view, target), &from, painted->map, to);
  uint8_t *rgb = painted->rgb + nodule * pixels * 3;
  paint(e->options, volume.hu, painted->map, pixels, scale, rgb);
  ct_volume_free(&volume);
  painted->frames[nodule] =
      (struct ct_frame_picture){.rgb = rgb, .label = stored->nodules[nodule], .plane = to};
  return LC_OK;
}

static lc_status slices_of_target(struct pl_exporting *e, size_t view, size_t target,
                                  struct lc_error *err) {
  size_t n = e->stored->n_nodules;
  struct painted painted = {0};
  struct pl_export_texts texts;
  char path[LC_PATH_SIZE];
  struct ct_frames frames = {
      .rows = (size_t)e->series->rows, .columns = (size_t)e->series->columns, .n_frames = n};
  double scale = largest(e->stored, view, target);
  lc_status status;
  LC_TRY_GOTO(painted_init(&painted, n, frames.rows * frames.columns, err), done);
  for (size_t i = 0; i < n; i++)
    LC_TRY_GOTO(paint_nodule(e, &painted, i, view, target, scale, err), done);
  LC_TRY_GOTO(
      pl_export_describe(e, PL_EXPORT_SLICES, (size_t)-1, target, &texts, &frames.about, err),
      done);
  frames.frames = painted.frames;
  frames.about.source_slices = painted.slices;
  frames.about.n_source_slices = n;
  LC_TRY_GOTO(pl_export_path(e, PL_EXPORT_SLICES, (size_t)-1, target, path, err), done);
  LC_TRY_GOTO(ct_frames_write(&frames, path, err), done);
  status = pl_export_done(e, PL_EXPORT_SLICES, &frames.about, true_colour_capture, err);
done:
  painted_free(&painted);
  return status;
}

lc_status pl_export_slices(struct pl_exporting *e, struct lc_error *err) {
  size_t view = 0;
  LC_TRY(parallel_view(e, &view, err));
  for (size_t t = 0; t < e->stored->n_targets; t++) LC_TRY(slices_of_target(e, view, t, err));
  return LC_OK;
}

static lc_status map_of(struct pl_exporting *e, size_t nodule, size_t target, const size_t *slices,
                        size_t n_slices, struct lc_error *err) {
  const struct pl_stored *stored = e->stored;
  struct ct_cube cube = pl_stored_cube(stored, nodule);
  struct ct_map_frame frames[CT_VIEW_COUNT];
  for (size_t v = 0; v < stored->n_views; v++)
    frames[v] = (struct ct_map_frame){
        .values = pl_stored_map(stored, nodule, v, target),
        .plane = ct_plane_of_cube(&cube, stored->views[v], cube.edge / 2, stored->grid_height,
                                  stored->grid_width),
        .source_slices = slices,
        .n_source_slices = n_slices,
    };
  char quantity[17], path[LC_PATH_SIZE];
  struct pl_export_texts texts;
  struct ct_parametric_map map = {
      .frames = frames, .n_frames = stored->n_views, .quantity = quantity};
  lc_text_copy(quantity, sizeof quantity, stored->targets[target]);
  LC_TRY(pl_export_describe(e, PL_EXPORT_MAPS, nodule, target, &texts, &map.about, err));
  map.about.source_slices = slices;
  map.about.n_source_slices = n_slices;
  LC_TRY(pl_export_path(e, PL_EXPORT_MAPS, nodule, target, path, err));
  LC_TRY(ct_parametric_map_write(&map, path, err));
  return pl_export_done(e, PL_EXPORT_MAPS, &map.about, parametric_map, err);
}

static lc_status maps_of_nodule(struct pl_exporting *e, size_t nodule, struct lc_error *err) {
  bool *used = NULL;
  size_t *slices = NULL, count;
  lc_status status;
  LC_TRY_GOTO(lc_alloc(&used, e->series->n_slices, sizeof *used, err), done);
  pl_export_touch(e, nodule, used);
  LC_TRY_GOTO(pl_export_list(used, e->series->n_slices, &slices, &count, err), done);
  for (size_t t = 0; status == LC_OK && t < e->stored->n_targets; t++)
    status = map_of(e, nodule, t, slices, count, err);
done:
  free(used);
  free(slices);
  return status;
}

lc_status pl_export_maps(struct pl_exporting *e, struct lc_error *err) {
  for (size_t n = 0; n < e->stored->n_nodules; n++) LC_TRY(maps_of_nodule(e, n, err));
  return LC_OK;
}
