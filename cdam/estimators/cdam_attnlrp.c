/* AttnLRP (Achtibat et al., ICML 2024, arXiv 2402.05602), at the tokens that enter the first block.
 *
 * The paper's rules as input x gradient with a changed backward pass, as its authors' library (lxt)
 * has them: linear layers by the epsilon rule with epsilon 0; the softmax by its Taylor expansion
 * (proposition 3.1: the gradient itself); each of the two products of the attention shares
 * relevance in halves (proposition 3.3); LayerNorm's deviation is a constant, and an activation
 * passes relevance on unchanged (identity rule). Signed. Biases take a part of the relevance. */
#include "cdam/estimators/cdam_token_gradient.h"

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  const struct cdam_rules rules = {
      .norm_fixed = true, .gate_fixed = true, .attention = CDAM_ATTENTION_HALVED};
  return cdam_token_gradient(task, rules, maps, err);
}

const struct cdam_estimator cdam_estimator_attnlrp = {
    .name = "attnlrp",
    .title = "AttnLRP",
    .source = "Achtibat et al., ICML 2024, arXiv 2402.05602",
    .needs = CDAM_NEEDS_IMAGES,
    .is_signed = true,
    .target_dependent = true,
    .run = run};
