/* CDAM's closed form over inputs of the last block that are the trace's own, noisy, or scaled;
 * private to this room. */
#ifndef CDAM_SAMPLING_H
#define CDAM_SAMPLING_H

#include "cdam/engine/cdam_task.h"

typedef enum cdam_sampling_kind {
  CDAM_PLAIN = 0, /* each image's input as it is */
  CDAM_NOISY,     /* settings->samples noisy copies of it, averaged */
  CDAM_SCALED     /* baseline + k / samples of the way to it, k = 1 ... samples - 1, averaged */
} cdam_sampling_kind;

/* Maps have the trace's shape; scores are added to them. Those not wanted are NULL. */
struct cdam_sampling {
  cdam_sampling_kind kind;
  struct cdam_maps *maps, *routed, *content, *gradcam;
};

/* Parallel over images and groups of samples; same bits for any number of threads. */
LC_MUST_CHECK lc_status cdam_sampling_run(const struct cdam_sampling *sampling,
                                          const struct cdam_task *task, struct lc_error *err);

#endif
