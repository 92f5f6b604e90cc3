/* The kind "relevance": the patches that speak for a target, one object a target. */
#include <math.h>
#include <stdio.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/export/pl_regions.h"

/* The patches of every view whose score is at least a share of the map's largest. masks: [nodule,
 * view, patch] */
static lc_status collect(const struct pl_export *e, struct pl_regions *regions, size_t target,
                         const char *algorithm, uint8_t *masks, struct lc_error *err) {
  const struct pl_result *result = e->result;
  size_t height = result->maps.grid_height, width = result->maps.grid_width;
  size_t patches = height * width, views = result->n_views;
  for (size_t n = 0; n < result->nodules.n_nodules; n++) {
    struct ct_cube cube = pl_result_place(result, n);
    uint8_t *mask = masks + n * views * patches;
    for (size_t v = 0; v < views; v++) {
      const float *map = cdam_maps_get(&result->maps, pl_result_image(result, n, v), target);
      float top = 0;
      for (size_t i = 0; i < patches; i++) top = fmaxf(top, map[i]);
      double least = e->options->relevance * (double)top;
      for (size_t i = 0; i < patches; i++)
        mask[v * patches + i] = map[i] > 0 && (double)map[i] >= least;
      regions->planes[n * views + v] =
          ct_plane_of_cube(&cube, result->views[v], cube.edge / 2, height, width);
    }
    if (!pl_any(mask, views * patches)) continue;
    snprintf(regions->labels[regions->n], sizeof *regions->labels, "%.30s for %.24s",
             result->nodules.nodules[n].id, result->target_names[target]);
    LC_TRY(pl_regions_add(regions, e, n,
                          &(struct ct_segment){.kind = CT_SEGMENT_RELEVANCE,
                                               .algorithm = algorithm,
                                               .planes = regions->planes + n * views,
                                               .n_planes = views,
                                               .mask = mask},
                          err));
  }
  return LC_OK;
}

static lc_status relevance_of(const struct pl_object_kind *kind, struct pl_export *e, size_t target,
                              struct lc_error *err) {
  const struct pl_result *result = e->result;
  const char *name = result->target_names[target];
  size_t patches = result->maps.grid_height * result->maps.grid_width;
  LC_SCOPED(pl_regions_free) struct pl_regions regions = {0};
  struct pl_object object;
  LC_FREED uint8_t *masks = NULL;
  char algorithm[65];
  snprintf(algorithm, sizeof algorithm, "CDAM %.32s >= %g of largest", name, e->options->relevance);
  LC_TRY(pl_regions_init(&regions, e, result->n_views, err));
  LC_TRY(lc_alloc(&masks, result->nodules.n_nodules * result->n_views * patches, 1, err));
  LC_TRY(collect(e, &regions, target, algorithm, masks, err));
  if (regions.n == 0) {
    lc_log(LC_LOG_INFO, "%s: nothing speaks for %s, so there is no region", result->path, name);
    return LC_OK;
  }
  LC_TRY(pl_object_begin(&object, e, kind, PL_NONE, name, err));
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
    .doc = "patches whose score is at least a share of the map's largest, one object a target",
    .is_map = true,
    .write = write_relevance,
};
