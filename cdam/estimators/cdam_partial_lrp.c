/* Partial LRP (Voita et al., ACL 2019; with the rules of cdam_lrp.h): the relevance of the last
 * block's attention for the target,
 *
 *   score_i = mean over heads of max(R_h[CLS, i], 0)
 *
 * Never negative. */
#include "cdam/estimators/cdam_estimator.h"
#include "cdam/estimators/cdam_lrp.h"
#include "common/lc_scope.h"

static void explain(const struct cdam_task *task, size_t image, struct cdam_double *d,
                    struct cdam_lrp *lrp, double *work, struct cdam_maps *maps) {
  const struct vit_trace *trace = task->trace;
  size_t n = d->n, skip = n - trace->patches;
  const float *input = trace->last_input + image * n * d->dim;
  for (size_t i = 0; i < n * d->dim; i++) work[i] = (double)input[i];
  cdam_double_forward(d, task->model->arch.depth - 1, work);
  for (size_t t = 0; t < task->n_targets; t++) {
    cdam_lrp_start(lrp, d, &task->targets[t], work);
    cdam_lrp_block(lrp, d, work, d->d_attention, true);
    float *map = cdam_maps_get(maps, image, t);
    for (size_t i = 0; i < trace->patches; i++) {
      double sum = 0;
      for (size_t h = 0; h < d->heads; h++) {
        double r = d->d_attention[h * n * n + skip + i];
        if (r > 0) sum += r;
      }
      map[i] = (float)(sum / (double)d->heads);
    }
  }
}

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  LC_SCOPED(cdam_double_free) struct cdam_double d = {0};
  LC_SCOPED(cdam_lrp_free) struct cdam_lrp lrp = {0};
  LC_FREED double *work = NULL;
  LC_TRY(cdam_double_init(&d, task->model, task->trace->tokens, err));
  LC_TRY(cdam_lrp_init(&lrp, &d, err));
  LC_TRY(lc_alloc(&work, d.n * d.dim, sizeof *work, err));
  for (size_t i = 0; i < task->trace->batch; i++) explain(task, i, &d, &lrp, work, maps);
  return LC_OK;
}

const struct cdam_estimator cdam_estimator_partial_lrp = {
    .name = "partial_lrp",
    .title = "Partial LRP",
    .source = "Voita et al., ACL 2019, arXiv 1905.09418; rules of Chefer, Gur, Wolf, CVPR 2021, "
              "arXiv 2012.09838",
    .needs = CDAM_NEEDS_LAST_INPUT,
    .target_dependent = true,
    .run = run};
