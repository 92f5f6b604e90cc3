/* Attention Grad-CAM (Selvaraju et al., ICCV 2017, as Chefer, Gur, Wolf, CVPR 2021, apply it to the
 * last block): with a_h the attention of CLS and G_h = df/da_h,
 *
 *   score_i = max(0, mean over heads of a_hi * (mean over patches of G_h))
 *
 * Never negative. The gradients fall out of CDAM's closed form. */
#include "cdam/engine/cdam_sampling.h"
#include "cdam/estimators/cdam_estimator.h"

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  return cdam_sampling_run(&(struct cdam_sampling){.gradcam = maps}, task, err);
}

const struct cdam_estimator cdam_estimator_attention_gradcam = {
    .name = "attention_gradcam",
    .title = "Attention Grad-CAM",
    .source = "Selvaraju et al., ICCV 2017, as in Chefer, Gur, Wolf, CVPR 2021, arXiv 2012.09838",
    .needs = CDAM_NEEDS_LAST_INPUT,
    .target_dependent = true,
    .run = run};
