/* Segments of several nodules on their way into one segmentation; for the kinds "segmentation" and
 * "relevance". Thread-safety: one struct, one thread. */
#pragma once

#include "ct_io/dicom_write/ct_segmentation.h"
#include "ct_io/nodule/ct_nodule.h"
#include "pipeline/export/pl_object.h"

struct pl_regions {
  struct ct_segment *segments; /* [nodule] */
  struct ct_consensus *boxes;  /* [nodule]: voxels of each segment, owned */
  char (*labels)[80];
  char (*tracking)[CT_UID_SIZE];
  size_t n;
};

/* Room for a segment of each nodule. */
LC_MUST_CHECK lc_status pl_regions_init(struct pl_regions *regions, const struct pl_export *e,
                                        struct lc_error *err);
void pl_regions_free(struct pl_regions *regions);
/* Takes what lies in boxes[n] as the next segment, for a nodule; its label is labels[n] at the
 * time, n being regions->n. algorithm: NULL for readers. */
LC_MUST_CHECK lc_status pl_regions_add(struct pl_regions *regions, const struct pl_export *e,
                                       size_t nodule, const char *algorithm, struct lc_error *err);
/* Writes the object with all segments. */
LC_MUST_CHECK lc_status pl_regions_write(const struct pl_regions *regions, struct pl_export *e,
                                         const struct pl_object *object, struct lc_error *err);
