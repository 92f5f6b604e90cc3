/* The kind "segmentation": the readers' consensus, one segment a nodule. */
#include <stdio.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/export/pl_regions.h"

static lc_status collect(struct pl_export *e, struct pl_regions *regions, struct lc_error *err) {
  const struct pl_result *result = e->result;
  for (size_t n = 0; n < result->nodules.n_nodules; n++) {
    const struct ct_nodule *nodule = &result->nodules.nodules[n];
    struct ct_cube cube = pl_result_place(result, n);
    const uint8_t *mask = result->cubes[n].mask;
    e->segment_of[n] = 0;
    if (!mask || !pl_any(mask, cube.edge * cube.edge * cube.edge)) continue;
    struct ct_plane *planes = regions->planes + n * cube.edge;
    ct_segment_planes_of_cube(&cube, planes);
    snprintf(regions->labels[regions->n], sizeof *regions->labels, "%.40s consensus of %d",
             nodule->id, nodule->n_readers);
    LC_TRY(pl_regions_add(
        regions, e, n,
        &(struct ct_segment){
            .kind = CT_SEGMENT_NODULE, .planes = planes, .n_planes = cube.edge, .mask = mask},
        err));
    e->segment_of[n] = (unsigned)regions->n;
  }
  return LC_OK;
}

static lc_status write_consensus(const struct pl_object_kind *kind, struct pl_export *e,
                                 struct lc_error *err) {
  LC_SCOPED(pl_regions_free) struct pl_regions regions = {0};
  struct pl_object object;
  LC_TRY(pl_regions_init(&regions, e, e->result->cubes[0].edge, err));
  LC_TRY(collect(e, &regions, err));
  if (regions.n == 0) {
    lc_log(LC_LOG_INFO, "%s: no nodule has outlines, so there is no segmentation", e->result->path);
    return LC_OK;
  }
  LC_TRY(pl_object_begin(&object, e, kind, PL_NONE, NULL, err));
  object.about.content_label = "CONSENSUS";
  object.about.content_description = "Consensus of readers";
  LC_TRY(pl_regions_write(&regions, e, &object, err));
  e->segmentation = e->references[e->n_references - 1];
  return LC_OK;
}

const struct pl_object_kind pl_object_segmentation = {
    .name = "segmentation",
    .role = "export segmentation",
    .object = &ct_segmentation_object,
    .series_offset = 200,
    .doc = "the readers' consensus, one segment a nodule",
    .write = write_consensus,
};
