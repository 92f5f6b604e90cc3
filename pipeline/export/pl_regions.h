/* Segments of several nodules on their way into one segmentation, and the slices they touch; for
 * the kinds "segmentation" and "relevance". Thread-safety: one struct, one thread. */
#pragma once

#include "ct_io/dicom_write/ct_segmentation.h"
#include "pipeline/export/pl_object.h"

struct pl_regions {
  struct ct_segment *segments; /* [nodule] */
  char (*labels)[80];
  char (*tracking)[CT_UID_SIZE];
  struct ct_plane *planes; /* [nodule, planes of one] */
  struct pl_touched touched;
  size_t n;
};

/* Room for a segment of so many planes of each nodule. */
LC_MUST_CHECK lc_status pl_regions_init(struct pl_regions *regions, const struct pl_export *e,
                                        size_t planes, struct lc_error *err);
void pl_regions_free(struct pl_regions *regions);
/* Takes the next segment for a nodule; its label is regions->labels[regions->n] at the time. */
LC_MUST_CHECK lc_status pl_regions_add(struct pl_regions *regions, const struct pl_export *e,
                                       size_t nodule, const struct ct_segment *segment,
                                       struct lc_error *err);
/* Writes the object with all segments. */
LC_MUST_CHECK lc_status pl_regions_write(struct pl_regions *regions, struct pl_export *e,
                                         struct pl_object *object, struct lc_error *err);
bool pl_any(const uint8_t *mask, size_t count);
