/* The functions behind the table, one file each; private to this room. */
#ifndef CDAM_ESTIMATORS_H
#define CDAM_ESTIMATORS_H

#include "cdam/estimators/cdam_estimator.h"

#define CDAM_RUN(name)                                                                             \
  lc_status cdam_run_##name(const struct cdam_task *task, struct cdam_maps *maps,                  \
                            struct lc_error *err)

CDAM_RUN(cdam);
CDAM_RUN(cdam_routed);
CDAM_RUN(cdam_content);
CDAM_RUN(smooth_cdam);
CDAM_RUN(integrated_cdam);
CDAM_RUN(attention_map);
CDAM_RUN(attention_rollout);
CDAM_RUN(attention_gradcam);
CDAM_RUN(partial_lrp);
CDAM_RUN(transformer_attribution);
CDAM_RUN(token_ablation);
CDAM_RUN(occlusion);
CDAM_RUN(rise);
CDAM_RUN(relevance_propagation);
CDAM_RUN(input_x_gradient);
CDAM_RUN(integrated_gradients);
CDAM_RUN(smoothgrad);

/* Values of targets for sequences with patches left out. */
struct cdam_masked {
  const struct cdam_task *task;
  size_t n_masks;
  /* Writes the ascending patches that mask number `mask` keeps and returns how many. */
  size_t (*keep)(const void *context, size_t mask, uint32_t *kept);
  const void *context;
};
/* values: [mask, image, target]. Masks in parallel, one forward pass each. */
LC_MUST_CHECK lc_status cdam_masked_values(const struct cdam_masked *masked, double *values,
                                           struct lc_error *err);
/* Values of the targets in the task's own trace: [image, target]. */
void cdam_full_values(const struct cdam_task *task, double *values);

#endif
