/* Transformer attribution (Chefer, Gur, Wolf, CVPR 2021, eq. 13 and 14): with A_l the attention of
 * block l, R_l its relevance for the target (cdam_lrp.h) and G_l = df/dA_l,
 *
 *   C = (I + E_L) ... (I + E_1),   E_l = mean over heads of max(G_l * R_l, 0)
 *
 * and the map is the CLS row of C at the patches. Never negative. As in the authors' code the rows
 * of I + E_l are not normalised. In double from the pixels on, see cdam_lrp.h. Only the CLS row is
 * needed, so it is carried from the last block to the first as a vector. */
#include <stdlib.h>
#include <string.h>

#include "cdam/estimators/cdam_estimator.h"
#include "cdam/estimators/cdam_lrp.h"
#include "common/lc_scope.h"

/* Arrays of one image: inputs of all blocks, and of each target gradient, relevance and CLS row. */
struct state {
  double *inputs, *gradient, *relevance, *row, *carried, *attention;
};

static lc_status state_init(struct state *s, const struct cdam_double *d, size_t depth,
                            size_t targets, struct lc_error *err) {
  size_t size = d->n * d->dim;
  memset(s, 0, sizeof *s);
  LC_TRY(lc_alloc(&s->inputs, depth * size, sizeof(double), err));
  LC_TRY(lc_alloc(&s->gradient, targets * size, sizeof(double), err));
  LC_TRY(lc_alloc(&s->relevance, targets * size, sizeof(double), err));
  LC_TRY(lc_alloc(&s->row, targets * d->n, sizeof(double), err));
  LC_TRY(lc_alloc(&s->carried, d->n, sizeof(double), err));
  return lc_alloc(&s->attention, d->heads * d->n * d->n, sizeof(double), err);
}

static void state_free(struct state *s) {
  free(s->inputs);
  free(s->gradient);
  free(s->relevance);
  free(s->row);
  free(s->carried);
  free(s->attention);
}

/* row = row (I + E) */
static void carry(const struct cdam_double *d, const double *relevance, double *carried,
                  double *row) {
  size_t n = d->n;
  memset(carried, 0, n * sizeof *carried);
  for (size_t h = 0; h < d->heads; h++)
    for (size_t i = 0; i < n; i++) {
      const double *g = d->d_attention + (h * n + i) * n, *r = relevance + (h * n + i) * n;
      double share = row[i] / (double)d->heads;
      for (size_t k = 0; k < n && share > 0; k++)
        if (g[k] * r[k] > 0) carried[k] += share * g[k] * r[k];
    }
  for (size_t k = 0; k < n; k++) row[k] += carried[k];
}

static lc_status explain(const struct cdam_task *task, size_t image, struct cdam_double *d,
                         struct cdam_lrp *lrp, struct state *s, struct cdam_maps *maps,
                         struct lc_error *err) {
  size_t n = d->n, size = n * d->dim, depth = task->model->arch.depth;
  LC_TRY(cdam_double_embed(d, task->images + image * VIT_CHANNELS * task->height * task->width,
                           task->height, task->width, s->inputs, err));
  for (size_t l = 0; l + 1 < depth; l++) {
    cdam_double_forward(d, l, s->inputs + l * size);
    memcpy(s->inputs + (l + 1) * size, d->output, size * sizeof(double));
  }
  for (size_t l = depth; l-- > 0;) {
    cdam_double_forward(d, l, s->inputs + l * size);
    for (size_t t = 0; t < task->n_targets; t++) {
      double *g = s->gradient + t * size, *r = s->relevance + t * size, *row = s->row + t * n;
      if (l + 1 == depth) {
        cdam_double_target(d, &task->targets[t], g);
        cdam_lrp_start(lrp, d, &task->targets[t], r);
        memset(row, 0, n * sizeof *row);
        row[0] = 1;
      }
      cdam_double_backward(d, g);
      cdam_lrp_block(lrp, d, r, s->attention, l == 0);
      carry(d, s->attention, s->carried, row);
    }
  }
  for (size_t t = 0; t < task->n_targets; t++) {
    float *map = cdam_maps_get(maps, image, t);
    for (size_t i = 0; i < task->trace->patches; i++)
      map[i] = (float)s->row[t * n + n - task->trace->patches + i];
  }
  return LC_OK;
}

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  LC_SCOPED(cdam_double_free) struct cdam_double d = {0};
  LC_SCOPED(cdam_lrp_free) struct cdam_lrp lrp = {0};
  LC_SCOPED(state_free) struct state s = {0};
  LC_TRY(cdam_double_init(&d, task->model, task->trace->tokens, err));
  LC_TRY(cdam_lrp_init(&lrp, &d, err));
  LC_TRY(state_init(&s, &d, task->model->arch.depth, task->n_targets, err));
  for (size_t i = 0; i < task->trace->batch; i++) LC_TRY(explain(task, i, &d, &lrp, &s, maps, err));
  return LC_OK;
}

const struct cdam_estimator cdam_estimator_transformer_attribution = {
    .name = "transformer_attribution",
    .title = "Transformer attribution",
    .source = "Chefer, Gur, Wolf, CVPR 2021, arXiv 2012.09838",
    .needs = CDAM_NEEDS_IMAGES,
    .target_dependent = true,
    .run = run};
