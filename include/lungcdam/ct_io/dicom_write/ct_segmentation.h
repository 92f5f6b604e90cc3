/* Where something lies in the patient: the readers' consensus of a nodule, or the region that an
 * explanation points to.
 *
 * Segmentation Storage (PS3.3 A.51), binary. Each segment brings its own planes, so that nodules of
 * different places, or masks on cubes and on CT slices of one size, fit in one object. Planes
 * without a pixel of the segment are left out.
 *
 * Thread-safety: distinct outputs may be written from distinct threads. */
#ifndef CT_SEGMENTATION_H
#define CT_SEGMENTATION_H

#include "common/lc_api.h"
#include "ct_io/ct/ct_plane.h"
#include "ct_io/dicom_write/ct_derived.h"

LC_API_BEGIN

extern const struct ct_object_class ct_segmentation_object;

typedef enum ct_segment_kind {
  CT_SEGMENT_NODULE = 0, /* outlined by readers: SCT 27925004 Nodule, in the lung; MANUAL */
  CT_SEGMENT_RELEVANCE   /* from a map: DCM 111099 Selected region; AUTOMATIC */
} ct_segment_kind;

struct ct_segment {
  ct_segment_kind kind;
  const char *label;             /* "nodule-1 consensus of 4 readers", 64 characters at most */
  const char *algorithm;         /* what made it: "CDAM malignancy > 0"; NULL for readers */
  const struct ct_plane *planes; /* [n_planes], all of the same rows and columns */
  size_t n_planes;
  const uint8_t *mask; /* [n_planes, rows, columns], not 0 inside */
  /* The same thing in other objects (the report); both or none. */
  const char *tracking_id;
  const char *tracking_uid;
};

struct ct_segmentation {
  struct ct_derived about; /* a frame names the nearest of about.source_slices as its source */
  const struct ct_segment *segments;
  size_t n_segments;
};

/* The planes of a cube's mask (ct_cube.mask), foot to head: planes[cube->edge]. */
void ct_segment_planes_of_cube(const struct ct_cube *cube, struct ct_plane *planes);

/* LC_ERR_USAGE for planes of different size and for a segment without any pixel. */
LC_MUST_CHECK lc_status ct_segmentation_write(const struct ct_segmentation *segmentation,
                                              const char *path, struct lc_error *err);

LC_API_END
#endif
