/* Relevance propagation, the gradient-weighted rollout over all blocks (Chefer, Gur, Wolf, ICCV
 * 2021, eq. 5 and 6, self-attention): with A_l the attention of block l and G_l = df/dA_l,
 *
 *   R = (I + E_L) ... (I + E_1),   E_l = mean over heads of max(G_l * A_l, 0)
 *
 * and the map is the CLS row of R at the patches. Never negative. Only that row is needed, so it is
 * carried from the last block to the first as a vector. */
#include <stdlib.h>
#include <string.h>

#include "cdam_estimators.h"
#include "cdam_gradient.h"
#include "cdam_vector.h"
#include "lc_arena.h"
#include "lc_parallel.h"

/* One block's step; workers take stripes of columns, so that sums have one order. */
struct step {
  const float *attention, *gradient; /* [heads, tokens, tokens] */
  size_t heads, tokens;
  const double *row;
  double *next;
};

#define STRIPE 128

static void carry_stripe(void *context, size_t index, int worker) {
  (void)worker;
  const struct step *s = context;
  size_t n = s->tokens, first = index * STRIPE, count = n - first < STRIPE ? n - first : STRIPE;
  float sum[STRIPE];
  double total[STRIPE] = {0};
  for (size_t i = 0; i < n; i++) {
    if (s->row[i] == 0) continue;
    memset(sum, 0, sizeof sum);
    for (size_t h = 0; h < s->heads; h++) {
      const float *a = s->attention + (h * n + i) * n + first;
      const float *g = s->gradient + (h * n + i) * n + first;
      cdam_vector_add_positive(a, g, count, sum);
    }
    for (size_t k = 0; k < count; k++) total[k] += s->row[i] * (double)sum[k];
  }
  for (size_t k = 0; k < count; k++)
    s->next[first + k] = s->row[first + k] + total[k] / (double)s->heads;
}

static void carry(const struct cdam_task *task, const struct vit_trace *trace,
                  const struct vit_gradients *gradients, double *row) {
  size_t n = trace->tokens;
  memset(row, 0, n * sizeof *row);
  row[0] = 1;
  for (size_t l = task->model->arch.depth; l-- > 0;) {
    struct step step = {.attention = trace->attention[l],
                        .gradient = gradients->attention[l],
                        .heads = task->model->arch.num_heads,
                        .tokens = n,
                        .row = row,
                        .next = row + n};
    lc_parallel_for((n + STRIPE - 1) / STRIPE, carry_stripe, &step);
    memcpy(row, row + n, n * sizeof *row);
  }
}

CDAM_RUN(relevance_propagation) {
  size_t size = VIT_CHANNELS * task->height * task->width, n = task->trace->tokens;
  struct cdam_gradient g;
  double *row = NULL;
  LC_TRY(cdam_gradient_init(&g, task, false, 1, err));
  lc_status status = lc_alloc(&row, 2 * n, sizeof *row, err);
  for (size_t i = 0; i < task->trace->batch && status == LC_OK; i++) {
    struct vit_trace trace;
    struct vit_gradients gradients;
    status = cdam_gradient_forward(&g, task->images + i * size, 1, &trace, err);
    for (size_t t = 0; t < task->n_targets && status == LC_OK; t++) {
      status = cdam_gradient_backward(&g, &task->targets[t], &gradients, err);
      if (status != LC_OK) break;
      carry(task, &trace, &gradients, row);
      float *map = cdam_maps_get(maps, i, t);
      for (size_t k = 0; k < task->trace->patches; k++)
        map[k] = (float)row[n - task->trace->patches + k];
    }
  }
  free(row);
  cdam_gradient_free(&g);
  return status;
}
