/* Gradients of targets through all blocks, a few images at a time; private to this room.
 *
 * Thread-safety: one struct, one thread; inside, lc_threads(). */
#pragma once

#include "cdam/estimators/cdam_estimator.h"
#include "vit/pass/vit_backward.h"

struct cdam_gradient {
  struct vit_tape tape;
  size_t batch;            /* images of one pass, at most */
  float *d_logits, *d_cls; /* [batch, outputs], [batch, dim] */
  const struct cdam_task *task;
  size_t images; /* of the last forward pass */
};

/* Gradients of pixels, or, with a visitor, only what it sees. batch is chosen so that what a pass
 * keeps stays under half a gigabyte, or one image, and is at most `most`. Free with
 * cdam_gradient_free whatever the status. */
LC_MUST_CHECK lc_status cdam_gradient_init(struct cdam_gradient *g, const struct cdam_task *task,
                                           const struct vit_attention_visitor *visitor, size_t most,
                                           struct lc_error *err);
void cdam_gradient_free(struct cdam_gradient *g);

/* images [n, 3, height, width], n at most g->batch, must stay until the backward passes are done.
 * The trace lives until the next forward pass. */
LC_MUST_CHECK lc_status cdam_gradient_forward(struct cdam_gradient *g, const float *images,
                                              size_t n, struct vit_trace *trace,
                                              struct lc_error *err);
/* Gradient of one target, for each image of the last forward pass: gradients->pixels [n, 3, height,
 * width] without a visitor. It lives until the next backward pass. */
LC_MUST_CHECK lc_status cdam_gradient_backward(struct cdam_gradient *g,
                                               const struct cdam_target *target,
                                               struct vit_gradients *gradients,
                                               struct lc_error *err);

/* For each image of the task and each target: weighted sum over `count` variants of the image of
 * the pixel gradient, [3, height, width], handed to `use`, which writes the map. */
struct cdam_pixel_pass {
  const struct cdam_task *task;
  size_t count;
  const double *weights; /* [count] of the variants in the sum; NULL: ones */
  const void *context;
  /* Writes variant k, from 0 to count - 1, of an image: image and out [3, height, width]. NULL: the
   * image itself. */
  void (*make)(const struct cdam_pixel_pass *pass, const float *image, size_t k, float *out);
  /* gradient_sum: [3, height, width]; map: [height, width]. */
  void (*use)(const struct cdam_task *task, const float *image, const double *gradient_sum,
              float *map);
};
LC_MUST_CHECK lc_status cdam_pixel_run(const struct cdam_pixel_pass *pass, struct cdam_maps *maps,
                                       struct lc_error *err);

/* map[h, w] = mean over channels of factor[c, h, w] * g[c, h, w] * scale; factor NULL is one.
 * plane: pixels, height * width. */
void cdam_channel_mean(const float *factor, const double *g, size_t plane, double scale,
                       float *map);
