/* The kind "maps": the scores as numbers (Parametric Map), one object a nodule,
 * target and view. */
#include <string.h>

#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/dicom_write/ct_parametric_map.h"
#include "pipeline/export/pl_object.h"

static lc_status map_of(const struct pl_object_kind *kind, struct pl_export *e, size_t nodule,
                        size_t target, size_t view, struct lc_error *err) {
  const struct pl_result *result = e->result;
  struct ct_cube cube = pl_result_place(result, nodule);
  char quantity[17], tracking[CT_UID_SIZE];
  struct pl_object object;
  LC_SCOPED(pl_touched_free) struct pl_touched touched = {0};
  lc_text_copy(quantity, sizeof quantity, result->target_names[target]);
  LC_TRY(pl_object_begin(&object, e, kind, nodule, target, view, err));
  LC_TRY(pl_object_tracking(e, nodule, tracking, err));
  LC_TRY(pl_touched_init(&touched, e, err));
  pl_touched_add(&touched, e, nodule);
  LC_TRY(pl_touched_list(&touched, e, &object, err));
  const struct ct_parametric_map map = {
      .about = object.about,
      .values = cdam_maps_get(&result->maps, pl_result_image(result, nodule, view), target),
      .plane = ct_plane_of_cube(&cube, result->views[view], cube.edge / 2, result->maps.grid_height,
                                result->maps.grid_width),
      .quantity = quantity,
      .tracking_id = result->nodules.nodules[nodule].id,
      .tracking_uid = tracking};
  LC_TRY(ct_parametric_map_write(&map, object.path, err));
  return pl_object_done(&object, e, err);
}

static lc_status write_maps(const struct pl_object_kind *kind, struct pl_export *e,
                            struct lc_error *err) {
  for (size_t n = 0; n < e->result->nodules.n_nodules; n++)
    for (size_t t = 0; t < e->result->maps.targets; t++)
      for (size_t v = 0; v < e->result->n_views; v++) LC_TRY(map_of(kind, e, n, t, v, err));
  return LC_OK;
}

const struct pl_object_kind pl_object_maps = {
    .name = "maps",
    .role = "export maps",
    .object = &ct_parametric_map_object,
    .series_offset = 100,
    .doc = "the scores as Parametric Map, one object a nodule, target and view",
    .is_map = true,
    .write = write_maps,
};
