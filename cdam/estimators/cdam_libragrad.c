/* Token input x gradient with LibraGrad's rules (Mehri, Baghshah, Pilehvar, CVPR 2025, arXiv
 * 2411.16760), which make the gradient complete: in the backward pass the attention, LayerNorm's
 * deviation and the gate of an activation (gelu(x) / x) are constants, so that what is left is
 * linear:
 *
 *   f = sum over all tokens T . G + sum over all biases b . df/db,   score of patch i = T_i . G_i
 *
 * with T the tokens that enter the first block and G the gradient there. Signed. */
#include "cdam/estimators/cdam_token_gradient.h"

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  const struct cdam_rules rules = {
      .norm_fixed = true, .gate_fixed = true, .attention = CDAM_ATTENTION_FIXED};
  return cdam_token_gradient(task, rules, maps, err);
}

const struct cdam_estimator cdam_estimator_libragrad = {
    .name = "libragrad",
    .title = "LibraGrad token input x gradient",
    .source = "Mehri, Baghshah, Pilehvar, CVPR 2025, arXiv 2411.16760",
    .needs = CDAM_NEEDS_IMAGES,
    .is_signed = true,
    .target_dependent = true,
    .run = run};
