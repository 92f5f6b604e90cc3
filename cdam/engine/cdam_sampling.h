/* CDAM's closed form over inputs of the last block that are the trace's own, noisy, or scaled;
 * private to this room. */
#pragma once

#include "cdam/engine/cdam_task.h"

typedef enum cdam_sampling_kind {
  CDAM_PLAIN = 0, /* each image's input as it is */
  CDAM_NOISY,     /* `samples` noisy copies of it, or those of the given noise, averaged */
  CDAM_SCALED     /* baseline + k / samples of the way to it, k = 1 ... samples - 1, averaged */
} cdam_sampling_kind;

/* Where noise and scaling act. */
typedef enum cdam_place {
  CDAM_AT_LAST_INPUT = 0, /* input of the last block, residual branch included: the authors' code */
  CDAM_AT_NORMED_TOKENS   /* output of its norm1, the tensor whose gradient is taken */
} cdam_place;

/* Maps have the trace's shape; scores are added to them. Those not wanted are NULL. Noise that is
 * given, and the seed, are the task's. */
struct cdam_sampling {
  cdam_sampling_kind kind;
  cdam_place place;
  size_t samples;
  double level;    /* noise: standard deviation as a share of (max - min) of the noisy tensor */
  double baseline; /* scaling: the value every element starts from */
  struct cdam_maps *maps, *routed, *content, *gradcam;
};

/* Parallel over images and groups of samples; same bits for any number of threads. */
LC_MUST_CHECK lc_status cdam_sampling_run(const struct cdam_sampling *sampling,
                                          const struct cdam_task *task, struct lc_error *err);
