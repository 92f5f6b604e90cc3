/* The kind "maps": the scores as numbers (Parametric Map), one object a nodule and target. */
#include <string.h>

#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/dicom_write/ct_parametric_map.h"
#include "pipeline/export/pl_object.h"

static lc_status map_of(const struct pl_object_kind *kind, struct pl_export *e, size_t nodule,
                        size_t target, struct lc_error *err) {
  const struct pl_result *result = e->result;
  struct ct_cube cube = pl_result_place(result, nodule);
  struct ct_map_frame frames[CT_VIEW_COUNT];
  char quantity[17];
  struct pl_object object;
  LC_SCOPED(pl_touched_free) struct pl_touched touched = {0};
  struct ct_parametric_map map = {
      .frames = frames, .n_frames = result->n_views, .quantity = quantity};
  lc_text_copy(quantity, sizeof quantity, result->target_names[target]);
  LC_TRY(pl_object_begin(&object, e, kind, nodule, result->target_names[target], err));
  LC_TRY(pl_touched_init(&touched, e, err));
  pl_touched_add(&touched, e, nodule);
  LC_TRY(pl_touched_list(&touched, e, &object, err));
  map.about = object.about;
  for (size_t v = 0; v < result->n_views; v++)
    frames[v] = (struct ct_map_frame){
        .values = cdam_maps_get(&result->maps, pl_result_image(result, nodule, v), target),
        .plane = ct_plane_of_cube(&cube, result->views[v], cube.edge / 2, result->maps.grid_height,
                                  result->maps.grid_width),
        .source_slices = touched.slices,
        .n_source_slices = touched.n,
    };
  LC_TRY(ct_parametric_map_write(&map, object.path, err));
  return pl_object_done(&object, e, err);
}

static lc_status write_maps(const struct pl_object_kind *kind, struct pl_export *e,
                            struct lc_error *err) {
  for (size_t n = 0; n < e->result->nodules.n_nodules; n++)
    for (size_t t = 0; t < e->result->maps.targets; t++) LC_TRY(map_of(kind, e, n, t, err));
  return LC_OK;
}

const struct pl_object_kind pl_object_maps = {
    .name = "maps",
    .role = "export maps",
    .object = &ct_parametric_map_object,
    .series_offset = 100,
    .doc = "the scores as Parametric Map, one object a nodule and target, one frame a view",
    .is_map = true,
    .write = write_maps,
};
