/* The 1 mm isotropic cube around a nodule, and its mask.
 *
 * Sample i of an axis lies at centre + (i - (edge - 1) / 2) mm along the patient's x, y, z (LPS);
 * linear interpolation of HU by ITK. Samples outside the volume are air and are counted.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#ifndef CT_CUBE_H
#define CT_CUBE_H

#include "common/lc_api.h"
#include "ct_io/ct/ct_volume.h"

LC_API_BEGIN

struct ct_cube {
  size_t edge;         /* samples along each axis, 32 by default */
  double spacing_mm;   /* 1 by default */
  double centre_mm[3]; /* LPS */
  float *hu;           /* [z, y, x] */
  uint8_t *mask;       /* [z, y, x], 1 inside the consensus of the readers; NULL without outlines */
  size_t n_padded;     /* samples outside the volume, filled with CT_AIR_HU */
};

/* LC_ERR_OUTSIDE when the centre lies outside the volume. */
LC_MUST_CHECK lc_status ct_cube_resample(struct ct_cube *cube, const struct ct_volume *volume,
                                         const double centre_mm[3], size_t edge, double spacing_mm,
                                         struct lc_error *err);
void ct_cube_free(struct ct_cube *cube);

typedef enum ct_view { CT_AXIAL = 0, CT_CORONAL, CT_SAGITTAL, CT_VIEW_COUNT } ct_view;
const char *ct_view_name(ct_view view); /* "axial", "coronal", "sagittal" */

/* Sample of the cube behind (row, column) of a view: z grows towards the head, rows go down. */
static inline size_t ct_cube_sample(size_t edge, ct_view view, size_t index, size_t row,
                                    size_t column) {
  size_t z = view == CT_AXIAL ? index : edge - 1 - row;
  size_t y = view == CT_AXIAL ? row : view == CT_CORONAL ? index : column;
  size_t x = view == CT_SAGITTAL ? index : column;
  return (z * edge + y) * edge + x;
}

/* One slice of the cube, [edge, edge] row-major. Axial: rows y, columns x at z = index. Coronal:
 * rows z from head to foot, columns x at y = index. Sagittal: rows z from head to foot, columns y
 * at x = index. Any of hu_out and mask_out may be NULL. */
void ct_cube_slice(const struct ct_cube *cube, ct_view view, size_t index, float *hu_out,
                   uint8_t *mask_out);

/* The slice that ct_cube_slice would give of a cube that ct_cube_resample would make, without the
 * cube: hu_out[edge, edge], to the bit. Of `where` only edge, spacing_mm and centre_mm are read. */
LC_MUST_CHECK lc_status ct_cube_resample_slice(const struct ct_cube *where,
                                               const struct ct_volume *volume, ct_view view,
                                               size_t index, float *hu_out, struct lc_error *err);

LC_API_END
#endif
