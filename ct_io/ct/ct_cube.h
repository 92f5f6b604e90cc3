/* The 1 mm isotropic cube around a nodule, its mask, and the images a network sees.
 *
 * Sample i of an axis lies at centre + (i - (edge - 1) / 2) mm along the patient's x, y, z (LPS);
 * linear interpolation of HU by ITK. Samples outside the volume are air and are counted.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#ifndef CT_CUBE_H
#define CT_CUBE_H

#include "ct_io/ct/ct_volume.h"

#ifdef __cplusplus
extern "C" {
#endif

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

/* One slice of the cube, [edge, edge] row-major. Axial: rows y, columns x at z = index. Coronal:
 * rows z from head to foot, columns x at y = index. Sagittal: rows z from head to foot, columns y
 * at x = index. Any of hu_out and mask_out may be NULL. */
void ct_cube_slice(const struct ct_cube *cube, ct_view view, size_t index, float *hu_out,
                   uint8_t *mask_out);

/* How HU become network input. */
typedef enum ct_zscore { CT_ZSCORE_CUBE = 0, CT_ZSCORE_SLICE, CT_ZSCORE_FIXED } ct_zscore;
struct ct_preparation {
  double hu_low, hu_high; /* clamp, -1000 and 400 */
  ct_zscore zscore;       /* statistics of the clamped cube, of the slice, or the two below */
  double mean, deviation; /* for CT_ZSCORE_FIXED */
  size_t height, width;   /* 224 x 224 */
};

/* Clamp, z-score, enlarge (bilinear, half-pixel centres, edges repeated: torchvision Resize without
 * antialias) and repeat on three channels: image[3, height, width]. A constant input gives zeros.
 */
LC_MUST_CHECK lc_status ct_cube_image(const struct ct_cube *cube, ct_view view, size_t index,
                                      const struct ct_preparation *how, float *image,
                                      struct lc_error *err);

/* The resize alone: [h, w] to [out_h, out_w]. */
void ct_resize_bilinear(const float *in, size_t h, size_t w, float *out, size_t out_h,
                        size_t out_w);

#ifdef __cplusplus
}
#endif
#endif
