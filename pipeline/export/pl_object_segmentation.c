/* The kind "segmentation": the readers' consensus, one segment a nodule. */
#include <stdio.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/export/pl_regions.h"

static lc_status collect(struct pl_export *e, struct pl_regions *regions, struct lc_error *err) {
  const struct ct_nodule_list *list = &e->result->nodules;
  for (size_t n = 0; n < list->n_nodules; n++) {
    const struct ct_nodule *nodule = &list->nodules[n];
    struct ct_consensus *box = &regions->boxes[regions->n];
    e->segment_of[n] = 0;
    if (nodule->n_marks == 0) continue;
    LC_TRY(ct_nodule_consensus(box, nodule, e->result->series, e->options->consensus_level, err));
    if (box->n_inside == 0) {
      ct_consensus_free(box);
      continue;
    }
    snprintf(regions->labels[regions->n], sizeof *regions->labels, "%.40s consensus of %d",
             nodule->id, nodule->n_readers);
    LC_TRY(pl_regions_add(regions, e, n, NULL, err));
    e->segment_of[n] = (unsigned)regions->n;
  }
  return LC_OK;
}

static lc_status write_consensus(const struct pl_object_kind *kind, struct pl_export *e,
                                 struct lc_error *err) {
  LC_SCOPED(pl_regions_free) struct pl_regions regions = {0};
  struct pl_object object;
  char derivation[1024];
  LC_TRY(pl_regions_init(&regions, e, err));
  LC_TRY(collect(e, &regions, err));
  if (regions.n == 0) {
    lc_log(LC_LOG_INFO, "%s: no nodule has outlines, so there is no segmentation", e->result->path);
    return LC_OK;
  }
  LC_TRY(pl_object_begin(&object, e, kind, PL_NONE, PL_NONE, PL_NONE, err));
  snprintf(derivation, sizeof derivation,
           "Voxels that a share of %g of the readers who marked the nodule outlined; research use "
           "only",
           e->options->consensus_level);
  pl_export_add_repair(e, derivation, sizeof derivation);
  object.about.derivation_description = derivation;
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
    .of_readers = true,
    .write = write_consensus,
};
