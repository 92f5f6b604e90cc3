/* One piece of work of an estimator: model, images, targets, and settings.
 *
 * Thread-safety: one task, one thread; inside, estimators use lc_threads(). */
#ifndef CDAM_TASK_H
#define CDAM_TASK_H

#include "cdam/engine/cdam_map.h"
#include "common/lc_log.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where the noise of Smooth CDAM and the scaling of Integrated CDAM act. */
typedef enum cdam_place {
  CDAM_AT_LAST_INPUT = 0, /* input of the last block, residual branch included: the authors' code */
  CDAM_AT_NORMED_TOKENS   /* output of its norm1, the tensor whose gradient is taken */
} cdam_place;

struct cdam_settings {
  size_t samples;     /* noisy copies, steps, or masks */
  double level;       /* noise: standard deviation as a share of (max - min) of the noisy tensor */
  double baseline;    /* integrated methods: the value every element starts from */
  uint64_t seed;      /* of noise and masks */
  cdam_place place;   /* Smooth and Integrated CDAM */
  int head;           /* attention map: one head, or -1 for the mean of all */
  size_t box, stride; /* occlusion: edge and step of the box, in patches */
  size_t cells;       /* RISE: cells along the longer side of a mask */
  double keep;        /* RISE: probability that a cell stays */
  const float *noise; /* used instead of drawn noise: [noise_samples, elements of the noisy tensor],
                         already scaled, the same for every image; or NULL */
  size_t noise_samples;
};

/* One piece of work. */
struct cdam_task {
  const struct vit_model *model;
  const float *images; /* [trace->batch, 3, height, width], or NULL when not needed */
  size_t height, width;
  const struct vit_trace *trace; /* of these images, holding what the estimator needs */
  const struct cdam_target *targets;
  size_t n_targets;
  const struct cdam_settings *settings; /* NULL: the estimator's defaults */
  struct lc_progress *progress;         /* counted in passes; or NULL */
  struct cdam_prepared *prepared;       /* of this model; NULL: made for this call where needed */
};

#ifdef __cplusplus
}
#endif
#endif
