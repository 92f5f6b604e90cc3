/* Random variation of square HU images for training, in one interpolation from the source.
 *
 * A draw depends only on (seed, epoch, sample), so a resumed run, any number of threads and any
 * order of the samples give the same images. Thread-safety: no state. */
#ifndef CT_AUGMENT_H
#define CT_AUGMENT_H

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_API_BEGIN

/* What is varied; a zeroed struct varies nothing. */
struct ct_augment {
  bool quarter_turns;  /* one of four rotations by 90 degrees */
  bool flips;          /* half of the images are mirrored */
  double rotation_deg; /* uniform in [-r, r], on top of the quarter turn */
  double shift_px;     /* uniform in [-s, s] output pixels, rows and columns apart */
  double scale;        /* magnification exp(u), u uniform in [-ln(1 + s), ln(1 + s)] */
  double offset_hu;    /* standard deviation of one normal offset an image */
  double gain;         /* standard deviation of ln of one factor an image, about `gain_centre_hu` */
  double gain_centre_hu;
  double noise_hu; /* each image gets white noise of a standard deviation uniform in [0, n] */
};

/* One draw; a zeroed struct with magnification 1 and gain 1 (ct_augment_none) changes nothing. */
struct ct_augment_draw {
  int quarter_turns;                /* 0 to 3, counter-clockwise as seen with row 0 on top */
  bool flip;                        /* columns reversed, before the rotation */
  double rotation_deg;              /* counter-clockwise */
  double shift_rows, shift_columns; /* the content moves down and right by so many output pixels */
  double magnification;
  double offset_hu, gain, gain_centre_hu;
  double noise_hu;
  uint64_t seed, noise_index; /* where the noise is drawn from */
};

/* LC_ERR_CONFIG names a value that is negative or not finite. */
LC_MUST_CHECK lc_status ct_augment_check(const struct ct_augment *augment, struct lc_error *err);

void ct_augment_none(struct ct_augment_draw *draw);
/* epoch and sample below 2^32. */
void ct_augment_draw(const struct ct_augment *augment, uint64_t seed, uint64_t epoch,
                     uint64_t sample, struct ct_augment_draw *draw);
/* The eight rotations and flips of a square, k = 0 .. 7; 0 changes nothing. For averages at test
 * time. */
void ct_augment_symmetry(unsigned k, struct ct_augment_draw *draw);

/* A square source image; pixel centres are at whole numbers. */
struct ct_augment_source {
  const float *hu; /* [size, size], borrowed */
  size_t size;
  double step;      /* source pixels an output pixel: 1 keeps the scale, 0.5 enlarges twofold */
  bool repeat_edge; /* outside the source its nearest pixel is seen; else outside_hu */
  double outside_hu;
};

/* Resamples the middle of the source to out [out_size, out_size] through the draw, bilinear, then
 * gain, offset and noise in HU. Quarter turns and flips alone, with step 1 and out_size equal to
 * size, copy pixels exactly. No antialias: prepare sources so that step is about 1 or less. */
void ct_augment_apply(const struct ct_augment_draw *draw, const struct ct_augment_source *source,
                      float *out, size_t out_size);

LC_API_END
#endif
