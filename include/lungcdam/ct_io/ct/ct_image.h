/* The one way from voxels to the images that a network sees.
 *
 * A model understands images made as those it learned from. struct ct_preparation says all of it:
 * training writes it into the weight file, and every command that shows a nodule to a model makes
 * its images here. A nodule has one image for each view and, with symmetries, for each of the eight
 * rotations and flips of a square; what a model says of the nodule is the mean over them.
 *
 * HU of cubes are rounded to whole numbers first, so that a cube kept as 16-bit integers gives the
 * same image, to the bit, as the one that was cut. Images have three equal channels:
 * image[3, height, width]. A constant input gives zeros.
 *
 * Thread-safety: no state. */
#ifndef CT_IMAGE_H
#define CT_IMAGE_H

#include "common/lc_api.h"
#include "ct_io/ct/ct_augment.h"
#include "ct_io/ct/ct_cube.h"

LC_API_BEGIN

#define CT_SYMMETRIES 8

/* Whose mean and deviation normalise an image. */
typedef enum ct_zscore {
  CT_ZSCORE_CUBE = 0, /* of the clamped cube */
  CT_ZSCORE_SLICE,    /* of the clamped slice or crop */
  CT_ZSCORE_FIXED     /* given */
} ct_zscore;

/* How a slice becomes an image. */
typedef enum ct_images {
  CT_IMAGES_CROP =
      0,         /* one interpolation at spacing_mm around the middle, then clamp and z-score */
  CT_IMAGES_CUBE /* clamp and z-score, then the whole slice enlarged (bilinear, half-pixel
                  * centres, edges repeated: torchvision Resize without antialias) */
} ct_images;

struct ct_preparation {
  ct_images images;
  double spacing_mm;      /* of pixels, CT_IMAGES_CROP */
  bool repeat_edge;       /* CT_IMAGES_CROP: outside a crop its nearest pixel is seen; else air */
  double hu_low, hu_high; /* clamp */
  ct_zscore zscore;
  double mean, deviation; /* for CT_ZSCORE_FIXED */
  size_t height, width;   /* equal for CT_IMAGES_CROP and with symmetries */
  ct_view views[CT_VIEW_COUNT];
  size_t n_views;
  bool symmetries; /* eight images a view instead of one */
};

/* Images of one nodule: view by view, symmetry by symmetry. */
size_t ct_preparation_turns(const struct ct_preparation *how);  /* of one view: 8 or 1 */
size_t ct_preparation_images(const struct ct_preparation *how); /* of all views */

/* Where the voxels are: one of the three, the others NULL. */
struct ct_image_source {
  size_t size;            /* samples along each edge, of the slice or of the cube */
  double spacing_mm;      /* between them */
  const float *crop;      /* [size, size]: the axial slice alone */
  const float *cube;      /* [z, y, x] */
  const int16_t *cube_hu; /* [z, y, x] */
};

/* Which slice of a cube is seen, counted from 0 (ct_cube_slice). The commands look at the middle
 * one, whose number is size / 2. A crop has one slice: both fields are unread. */
struct ct_image_place {
  ct_view view;
  size_t slice;
};

/* One image, [3, height, width]. draw: NULL, or a variation for training; with CT_IMAGES_CUBE it
 * may turn and flip, no more. Rotations and flips alone move finished pixels. */
LC_MUST_CHECK lc_status ct_image_make(const struct ct_preparation *how,
                                      const struct ct_image_source *source,
                                      struct ct_image_place place,
                                      const struct ct_augment_draw *draw, float *image,
                                      struct lc_error *err);
/* The same place in HU, hu[height, width]: what is drawn below a map. */
LC_MUST_CHECK lc_status ct_image_hu(const struct ct_preparation *how,
                                    const struct ct_image_source *source,
                                    struct ct_image_place place, float *hu, struct lc_error *err);

/* out[n, n] is in[n, n] seen by symmetry k of ct_augment_symmetry. */
void ct_image_turn(unsigned symmetry, const float *in, size_t n, float *out);
/* Adds `factor` times a map of a turned image to the map of the upright one: sum[n, n]. */
void ct_image_add_turned_back(unsigned symmetry, const float *turned, size_t n, float factor,
                              float *sum);

/* The enlargement alone: [h, w] to [out_h, out_w]. */
void ct_resize_bilinear(const float *in, size_t h, size_t w, float *out, size_t out_h,
                        size_t out_w);

LC_API_END
#endif
