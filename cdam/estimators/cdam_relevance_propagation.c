/* Relevance propagation, the gradient-weighted rollout over all blocks (Chefer, Gur, Wolf, ICCV
 * 2021, eq. 5 and 6, self-attention): with A_l the attention of block l and G_l = df/dA_l,
 *
 *   R = (I + E_L) ... (I + E_1),   E_l = mean over heads of max(G_l * A_l, 0)
 *
 * and the map is the CLS row of R at the patches. Never negative. Only that row is needed, so it is
 * carried from the last block to the first as a vector, while the backward pass goes the same way;
 * attention and its gradients are never kept. */
#include <string.h>

#include "cdam/estimators/cdam_estimator.h"
#include "cdam/estimators/cdam_gradient.h"
#include "common/lc_scope.h"
#include "vit/kernels/vit_backend.h"

struct rollout {
  size_t heads, tokens;
  double *row;   /* [tokens]: of CLS, with the blocks gone through */
  double *share; /* [heads, tokens]: what each head adds to it */
};

#define KEYS 128   /* columns at a time: as a rule a whole panel */
#define QUERIES 64 /* that are added up in float32 */

/* share = row max(G * A, 0) for one head and some of its keys. */
static void see(void *context, const struct vit_attention_part *part) {
  const struct rollout *r = context;
  for (size_t k = 0; k < part->keys; k += KEYS) {
    size_t count = part->keys - k < KEYS ? part->keys - k : KEYS;
    double *total = r->share + part->head * r->tokens + part->first + k;
    memset(total, 0, count * sizeof *total);
    for (size_t first = 0; first < part->queries; first += QUERIES) {
      size_t left = part->queries - first, last = first + (left < QUERIES ? left : QUERIES);
      float sum[KEYS] = {0};
      for (size_t q = first; q < last; q++)
        vit_vectors()->add_positive(part->probability + q * part->ld + k,
                                    part->gradient + q * part->ld + k, count, (float)r->row[q],
                                    sum);
      for (size_t c = 0; c < count; c++) total[c] += (double)sum[c];
    }
  }
}

/* row = row (I + E), E the mean over heads */
static void block_done(void *context, size_t block) {
  (void)block;
  const struct rollout *r = context;
  for (size_t h = 0; h < r->heads; h++)
    for (size_t k = 0; k < r->tokens; k++)
      r->row[k] += r->share[h * r->tokens + k] / (double)r->heads;
}

static lc_status run_images(const struct cdam_task *task, struct cdam_gradient *g,
                            const struct rollout *r, struct cdam_maps *maps, struct lc_error *err) {
  size_t size = VIT_CHANNELS * task->height * task->width, patches = task->trace->patches;
  for (size_t i = 0; i < task->trace->batch; i++) {
    struct vit_trace trace;
    LC_TRY(cdam_gradient_forward(g, task->images + i * size, 1, &trace, err));
    for (size_t t = 0; t < task->n_targets; t++) {
      memset(r->row, 0, r->tokens * sizeof *r->row);
      r->row[0] = 1;
      LC_TRY(cdam_gradient_backward(g, &task->targets[t], NULL, err));
      float *map = cdam_maps_get(maps, i, t);
      for (size_t k = 0; k < patches; k++) map[k] = (float)r->row[r->tokens - patches + k];
    }
  }
  return LC_OK;
}

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  struct rollout r = {.heads = task->model->arch.num_heads, .tokens = task->trace->tokens};
  const struct vit_attention_visitor visitor = {
      .context = &r, .see = see, .block_done = block_done};
  LC_SCOPED(cdam_gradient_free) struct cdam_gradient g = {0};
  LC_FREED double *rows = NULL;
  LC_TRY(lc_alloc(&rows, (1 + r.heads) * r.tokens, sizeof *rows, err));
  r.row = rows;
  r.share = rows + r.tokens;
  LC_TRY(cdam_gradient_init(&g, task, &visitor, 1, err));
  return run_images(task, &g, &r, maps, err);
}

const struct cdam_estimator cdam_estimator_relevance_propagation = {
    .name = "relevance_propagation",
    .title = "Relevance propagation",
    .source = "Chefer, Gur, Wolf, ICCV 2021, arXiv 2103.15679",
    .needs = CDAM_NEEDS_GRADIENT,
    .target_dependent = true,
    .run = run};
