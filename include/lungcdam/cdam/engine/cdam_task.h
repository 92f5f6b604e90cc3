/* One piece of work of an estimator: model, images, targets, and settings.
 *
 * Thread-safety: one task, one thread; inside, estimators use lc_threads(). */
#ifndef CDAM_TASK_H
#define CDAM_TASK_H

#include "cdam/engine/cdam_map.h"
#include "common/lc_api.h"
#include "common/lc_log.h"

LC_API_BEGIN

#define CDAM_PARAMETERS_MOST 8 /* of one estimator */

struct cdam_settings {
  double values[CDAM_PARAMETERS_MOST]; /* of the estimator's parameters, in the order of its table;
                                          whole numbers and numbers of choices are exact */
  uint64_t seed;                       /* of noise and masks */
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

LC_API_END
#endif
