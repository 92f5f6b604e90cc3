/* Where training samples come from, in which order they are seen, and one batch of them.
 *
 * The order of an epoch and what a sample looks like in it depend only on (seed, epoch, index):
 * a run can go on anywhere, and any thread may load any sample. */
#pragma once

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_C_BEGIN

#define VIT_SAMPLE_NAME 128

/* Where load writes one sample. */
struct vit_sample {
  float *image;     /* [3, height, width], normalised as the model wants it */
  float *targets;   /* [outputs], in the order of the model's outputs */
  uint8_t *present; /* [outputs], all 0 before the call */
  float *weight;    /* 1 before the call */
};

/* A set of samples; the owner of `context` outlives it. */
struct vit_samples {
  size_t n; /* below 2^32 */
  size_t height, width, outputs;
  void *context;
  /* Fills *sample with sample `index` as `epoch` sees it (with its augmentation). Called from
   * several threads at once; the same arguments give the same bits. */
  lc_status (*load)(void *context, uint64_t epoch, size_t index, const struct vit_sample *sample,
                    struct lc_error *err);
  /* What people call the sample (patient and nodule). May be NULL: its number is used. */
  void (*identify)(void *context, size_t index, char name[VIT_SAMPLE_NAME]);
};

/* The order in which an epoch visits samples: a permutation of 0 .. n - 1 drawn from (seed, epoch).
 * order: [n]. */
void vit_samples_order(uint64_t seed, uint64_t epoch, uint32_t *order, size_t n);

/* Memory of one batch. */
struct vit_batch {
  size_t capacity, n;
  size_t image_size, outputs; /* floats of one image */
  float *images;              /* [n, 3, height, width] */
  float *targets;             /* [n, outputs] */
  uint8_t *present;           /* [n, outputs] */
  float *weights;             /* [n] */
  uint32_t *indices;          /* [n] which samples they are */
};

LC_MUST_CHECK lc_status vit_batch_init(struct vit_batch *batch, const struct vit_samples *samples,
                                       size_t capacity, struct lc_error *err);
void vit_batch_free(struct vit_batch *batch);

/* Loads n samples, in parallel. On failure the error is that of the first sample that failed, its
 * name in front. */
LC_MUST_CHECK lc_status vit_batch_load(struct vit_batch *batch, const struct vit_samples *samples,
                                       uint64_t epoch, const uint32_t *indices, size_t n,
                                       struct lc_error *err);

/* Name of one sample. */
void vit_samples_name(const struct vit_samples *samples, size_t index, char name[VIT_SAMPLE_NAME]);

LC_C_END
