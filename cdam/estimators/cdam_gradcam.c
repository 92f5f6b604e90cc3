/* Attention Grad-CAM (Selvaraju et al., ICCV 2017, as Chefer, Gur, Wolf, CVPR 2021, apply it to the
 * last block): with a_h the attention of CLS and G_h = df/da_h,
 *
 *   score_i = max(0, mean over heads of a_hi * (mean over patches of G_h))
 *
 * Never negative. The gradients fall out of CDAM's closed form. */
#include "cdam/engine/cdam_sampling.h"
#include "cdam/estimators/cdam_estimators.h"

CDAM_RUN(attention_gradcam) {
  return cdam_sampling_run(&(struct cdam_sampling){.gradcam = maps}, task, err);
}
