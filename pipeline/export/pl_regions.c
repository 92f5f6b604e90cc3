/* Gathers segments of nodules and writes them as one segmentation. */
#include "pipeline/export/pl_regions.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"

lc_status pl_regions_init(struct pl_regions *regions, const struct pl_export *e, size_t planes,
                          struct lc_error *err) {
  size_t n = e->result->nodules.n_nodules;
  memset(regions, 0, sizeof *regions);
  LC_TRY(lc_alloc(&regions->segments, n, sizeof *regions->segments, err));
  LC_TRY(lc_alloc(&regions->labels, n, sizeof *regions->labels, err));
  LC_TRY(lc_alloc(&regions->tracking, n, sizeof *regions->tracking, err));
  LC_TRY(lc_alloc(&regions->planes, n * planes, sizeof *regions->planes, err));
  return pl_touched_init(&regions->touched, e, err);
}

void pl_regions_free(struct pl_regions *regions) {
  free(regions->segments);
  free(regions->labels);
  free(regions->tracking);
  free(regions->planes);
  pl_touched_free(&regions->touched);
}

lc_status pl_regions_add(struct pl_regions *regions, const struct pl_export *e, size_t nodule,
                         const struct ct_segment *segment, struct lc_error *err) {
  size_t i = regions->n++;
  regions->segments[i] = *segment;
  regions->segments[i].label = regions->labels[i];
  regions->segments[i].tracking_id = e->result->nodules.nodules[nodule].id;
  regions->segments[i].tracking_uid = regions->tracking[i];
  pl_touched_add(&regions->touched, e, nodule);
  return pl_object_tracking(e, nodule, regions->tracking[i], err);
}

lc_status pl_regions_write(struct pl_regions *regions, struct pl_export *e,
                           struct pl_object *object, struct lc_error *err) {
  LC_TRY(pl_touched_list(&regions->touched, e, object, err));
  const struct ct_segmentation segmentation = {
      .about = object->about, .segments = regions->segments, .n_segments = regions->n};
  LC_TRY(ct_segmentation_write(&segmentation, object->path, err));
  return pl_object_done(object, e, err);
}

bool pl_any(const uint8_t *mask, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (mask[i]) return true;
  return false;
}
