/* The shape of a nodule in the patient's millimetres (LPS), whatever series it was drawn on: closed
 * contours in planes, or voxels on a grid of any place and direction.
 *
 * ct_annotation_place puts shapes on the slices of a series, as outlines of the kind that LIDC's
 * readers drew (ct_mark.h), which enclose exactly the voxels of the shape there: a voxel is one of
 * a contour's when its centre lies inside (even-odd over all contours of its slice, so that holes
 * and several parts work), and one of a mask's when the mask's voxel nearest to its centre is.
 * Where contours name slices of the series they lie on these alone. Otherwise each slice takes the
 * nearest plane of contours within half of the larger spacing, its own or theirs.
 *
 * Ownership: all arrays are of malloc; ct_region_free frees them. Thread-safety: distinct objects
 * may be used from distinct threads. */
#ifndef CT_REGION_H
#define CT_REGION_H

#include <stdint.h>

#include "common/lc_api.h"
#include "ct_io/ct/ct_series.h"

LC_API_BEGIN

struct ct_annotation;

/* A closed contour in one plane; its last point need not be its first again. */
struct ct_contour {
  double (
      *mm)[3]; /* [n_points]; in_pixels: column, row (of the centre of the first: 0, 0), unused */
  size_t n_points;
  char sop_instance_uid[CT_UID_SIZE]; /* of the slice that it is drawn on; "" where not named */
  bool in_pixels;                     /* of that slice */
};

/* Voxels on a grid. */
struct ct_grid_mask {
  double origin_mm[3];  /* centre of the first voxel */
  double step_mm[3][3]; /* [axis]: from one voxel to the next: columns, rows, slices */
  size_t size[3];       /* columns, rows, slices */
  uint8_t *inside;      /* [slice, row, column], 0 or 1; NULL: no mask */
};

/* Contours or a mask; with neither, the segment that is named, in another file. */
struct ct_region {
  struct ct_contour *contours;
  size_t n_contours;
  struct ct_grid_mask mask;
  char segmentation_uid[CT_UID_SIZE]; /* SOPInstanceUID of the segmentation that it is of, or "" */
  int segment;                        /* its SegmentNumber */
  char tracking_uid[CT_UID_SIZE];     /* what all marks of one nodule share, or "" */
  bool has_probability;
  double probability; /* that it is one, 0 to 1, as the file says */
};

/* A mask has at most so many voxels, a region so many contours and points. */
#define CT_MOST_MASK_VOXELS ((size_t)1 << 27)
#define CT_MOST_CONTOUR_POINTS ((size_t)1 << 22)

/* Frees the region itself too; NULL is nothing. */
void ct_region_free(struct ct_region *region);
/* Whether two are the same to the bit; both may be NULL. */
bool ct_region_same(const struct ct_region *a, const struct ct_region *b);

/* Makes the outlines of each mark that has a region anew, on this series, and the places of points
 * that are given in pixels. A mark whose shape lies on no slice of the series, or has no voxel
 * there, gets CT_FAULT_UNKNOWN_SLICE and no outlines; the log names it. One whose contours name
 * other slices than those where they lie gets CT_FAULT_SLICE_DISAGREES as well. May be called again
 * for another series. Fails with LC_ERR_MEMORY alone. */
LC_MUST_CHECK lc_status ct_annotation_place(struct ct_annotation *annotation,
                                            const struct ct_series *series, struct lc_error *err);

LC_API_END
#endif
