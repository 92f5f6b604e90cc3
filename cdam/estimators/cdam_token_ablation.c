/* Token ablation: how much f falls when the token of one patch is left out of the sequence.
 *
 *   score_i = f(all tokens) - f(all tokens but i)
 *
 * The token is removed, not set to zero; the others keep their position encoding. Positive: without
 * the patch f is lower, so the patch speaks for the target. One forward pass a patch. */
#include "cdam/estimators/cdam_masked.h"
#include "common/lc_scope.h"

static size_t all_but_one(const void *context, size_t mask, uint32_t *kept) {
  size_t patches = *(const size_t *)context, n = 0;
  for (size_t i = 0; i < patches; i++)
    if (i != mask) kept[n++] = (uint32_t)i;
  return n;
}

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  size_t patches = task->trace->patches, pairs = task->trace->batch * task->n_targets;
  if (patches < 2)
    LC_FAIL(err, LC_ERR_UNSUPPORTED, "token ablation: one patch; nothing would be left");
  LC_FREED double *full = NULL;
  LC_TRY(lc_alloc(&full, pairs * (patches + 1), sizeof *full, err));
  double *without = full + pairs;
  cdam_full_values(task, full);
  struct cdam_masked masked = {
      .task = task, .n_masks = patches, .keep = all_but_one, .context = &patches};
  LC_TRY(cdam_masked_values(&masked, without, err));
  for (size_t i = 0; i < patches; i++)
    for (size_t k = 0; k < pairs; k++)
      maps->scores[k * patches + i] = (float)(full[k] - without[i * pairs + k]);
  return LC_OK;
}

const struct cdam_estimator cdam_estimator_token_ablation = {.name = "token_ablation",
                                                             .title = "Token ablation",
                                                             .source = "leave one token out",
                                                             .needs = CDAM_NEEDS_IMAGES,
                                                             .is_signed = true,
                                                             .target_dependent = true,
                                                             .run = run};
