/* Gathers segments of nodules and writes them as one segmentation. */
#include "pipeline/export/pl_regions.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"

lc_status pl_regions_init(struct pl_regions *regions, const struct pl_export *e,
                          struct lc_error *err) {
  size_t n = e->result->nodules.n_nodules;
  memset(regions, 0, sizeof *regions);
  LC_TRY(lc_alloc(&regions->segments, n, sizeof *regions->segments, err));
  LC_TRY(lc_alloc(&regions->labels, n, sizeof *regions->labels, err));
  LC_TRY(lc_alloc(&regions->tracking, n, sizeof *regions->tracking, err));
  return lc_alloc(&regions->boxes, n + 1, sizeof *regions->boxes, err);
}

void pl_regions_free(struct pl_regions *regions) {
  for (size_t i = 0; regions->boxes && i <= regions->n; i++) ct_consensus_free(&regions->boxes[i]);
  free(regions->boxes);
  free(regions->segments);
  free(regions->labels);
  free(regions->tracking);
}

lc_status pl_regions_add(struct pl_regions *regions, const struct pl_export *e, size_t nodule,
                         const char *algorithm, struct lc_error *err) {
  size_t i = regions->n++;
  const struct ct_consensus *box = &regions->boxes[i];
  struct ct_segment *segment = &regions->segments[i];
  *segment = (struct ct_segment){.kind = algorithm ? CT_SEGMENT_RELEVANCE : CT_SEGMENT_NODULE,
                                 .label = regions->labels[i],
                                 .algorithm = algorithm,
                                 .mask = box->mask,
                                 .tracking_id = e->result->nodules.nodules[nodule].id,
                                 .tracking_uid = regions->tracking[i]};
  memcpy(segment->first, box->first, sizeof segment->first);
  memcpy(segment->size, box->size, sizeof segment->size);
  return pl_object_tracking(e, nodule, regions->tracking[i], err);
}

lc_status pl_regions_write(const struct pl_regions *regions, struct pl_export *e,
                           const struct pl_object *object, struct lc_error *err) {
  const struct ct_segmentation segmentation = {.about = object->about,
                                               .name = e->model_name,
                                               .version = e->model_version,
                                               .segments = regions->segments,
                                               .n_segments = regions->n};
  LC_TRY(ct_segmentation_write(&segmentation, object->path, err));
  return pl_object_done(object, e, err);
}
