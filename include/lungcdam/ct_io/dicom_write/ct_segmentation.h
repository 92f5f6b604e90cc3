/* Where something lies in the patient: the readers' consensus of a nodule, or the region that an
 * explanation points to.
 *
 * Segmentation Storage (PS3.3 A.51), binary, on the grid of the source CT: a frame has the rows,
 * columns and place of a source slice, so that readers of volumes (highdicom, dcmqi, ITK) put
 * the masks over the CT without resampling. Each segment is a box of voxels of that grid; slices
 * without a voxel of the segment have no frame.
 *
 * Thread-safety: distinct outputs may be written from distinct threads. */
#ifndef CT_SEGMENTATION_H
#define CT_SEGMENTATION_H

#include "common/lc_api.h"
#include "ct_io/dicom_write/ct_derived.h"

LC_API_BEGIN

extern const struct ct_object_class ct_segmentation_object;

typedef enum ct_segment_kind {
  CT_SEGMENT_NODULE = 0, /* outlined by readers: SCT 27925004 Nodule, in the lung; MANUAL */
  CT_SEGMENT_RELEVANCE   /* from a map: DCM 111099 Selected region; AUTOMATIC */
} ct_segment_kind;

struct ct_segment {
  ct_segment_kind kind;
  const char *label;     /* "nodule-1 consensus of 4 readers", 64 characters at most */
  const char *algorithm; /* what made it: "CDAM malignancy > 0"; NULL for readers */
  size_t first[3];       /* column, row, slice of mask[0] in the source */
  size_t size[3];        /* columns, rows, slices */
  const uint8_t *mask;   /* [slice, row, column], not 0 inside */
  /* The same thing in other objects (the report); both or none. */
  const char *tracking_id;
  const char *tracking_uid;
};

struct ct_segmentation {
  struct ct_derived about;    /* its source slices are not read: those with a frame are named */
  const char *name, *version; /* of the model behind segments with an algorithm */
  const struct ct_segment *segments;
  size_t n_segments;
};

/* LC_ERR_USAGE for a box that leaves the source and for a segment without any voxel. */
LC_MUST_CHECK lc_status ct_segmentation_write(const struct ct_segmentation *segmentation,
                                              const char *path, struct lc_error *err);

LC_API_END
#endif
