/* Attention rollout (Abnar, Zuidema, ACL 2020): with A_l the mean over heads of block l's
 * attention,
 *
 *   R = B_L ... B_2 B_1,   B_l = rows of (A_l + I) divided by their sums
 *
 * and the map is the CLS row of R at the patches. Never negative; does not depend on the target.
 * Only that row is needed, so it is carried from the last block to the first as a vector. */
#include <string.h>

#include "cdam/estimators/cdam_estimator.h"
#include "common/lc_scope.h"

/* next = row B_l */
static void carry(const float *attention, size_t heads, size_t tokens, const double *row,
                  double *next) {
  memset(next, 0, tokens * sizeof *next);
  for (size_t h = 0; h < heads; h++)
    for (size_t i = 0; i < tokens; i++) {
      const float *a = attention + (h * tokens + i) * tokens;
      double share = row[i] / (double)heads;
      if (share == 0) continue;
      for (size_t k = 0; k < tokens; k++) next[k] += share * (double)a[k];
    }
  /* Rows of attention sum to 1, those of A + I to 2. */
  for (size_t k = 0; k < tokens; k++) next[k] = (next[k] + row[k]) / 2;
}

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  const struct vit_trace *trace = task->trace;
  size_t tokens = trace->tokens, heads = task->model->arch.num_heads;
  LC_FREED double *row = NULL;
  LC_TRY(lc_alloc(&row, 2 * tokens, sizeof *row, err));
  for (size_t image = 0; image < trace->batch; image++) {
    memset(row, 0, tokens * sizeof *row);
    row[0] = 1;
    for (size_t l = task->model->arch.depth; l-- > 0;) {
      carry(trace->attention[l] + image * heads * tokens * tokens, heads, tokens, row,
            row + tokens);
      memcpy(row, row + tokens, tokens * sizeof *row);
    }
    float *map = cdam_maps_get(maps, image, 0);
    for (size_t i = 0; i < trace->patches; i++) map[i] = (float)row[tokens - trace->patches + i];
  }
  return LC_OK;
}

const struct cdam_estimator cdam_estimator_attention_rollout = {
    .name = "attention_rollout",
    .title = "Attention rollout",
    .source = "Abnar, Zuidema, ACL 2020, arXiv 2005.00928",
    .needs = CDAM_NEEDS_ALL_ATTENTION,
    .run = run};
