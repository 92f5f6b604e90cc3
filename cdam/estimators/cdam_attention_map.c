/* Attention map (Caron et al., arXiv 2104.14294): attention of the CLS query to each patch in the
 * last block, the mean of the heads or one head. Never negative; does not depend on the target. */
#include "cdam/estimators/cdam_estimator.h"

enum { HEAD };

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  const struct vit_trace *trace = task->trace;
  size_t heads = task->model->arch.num_heads, skip = trace->tokens - trace->patches;
  int head = (int)task->settings->values[HEAD];
  if (head >= (int)heads)
    LC_FAIL(err, LC_ERR_USAGE, "attention map: head %d; expected 0 to %zu, or -1 for the mean",
            head, heads - 1);
  for (size_t image = 0; image < trace->batch; image++) {
    float *map = cdam_maps_get(maps, image, 0);
    for (size_t h = 0; h < heads; h++) {
      if (head >= 0 && (size_t)head != h) continue;
      const float *row = trace->last_cls_attention + (image * heads + h) * trace->tokens + skip;
      float share = head >= 0 ? 1 : 1 / (float)heads;
      for (size_t i = 0; i < trace->patches; i++) map[i] += share * row[i];
    }
  }
  return LC_OK;
}

static const struct cdam_parameter parameters[] = {
    [HEAD] = {"head", CDAM_WHOLE, -1, -1, 1000, NULL, "one head; -1: the mean of all"}};

const struct cdam_estimator cdam_estimator_attention_map = {
    .name = "attention_map",
    .title = "Attention",
    .source = "Caron et al., arXiv 2104.14294",
    .needs = CDAM_NEEDS_CLS_ATTENTION,
    .parameters = parameters,
    .n_parameters = sizeof parameters / sizeof *parameters,
    .run = run};
