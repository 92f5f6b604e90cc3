/* Goes through all blocks in double, and back for each target. */
#include "cdam/estimators/cdam_token_gradient.h"

#include <string.h>

#include "common/lc_scope.h"
#include "vit/kernels/vit_backend.h"

/* inputs: of every block, [depth, tokens, dim]; gradients: [target, tokens, dim]. */
static lc_status explain(const struct cdam_task *task, size_t image, struct cdam_double *d,
                         double *inputs, double *gradients, struct cdam_maps *maps,
                         struct lc_error *err) {
  size_t size = d->n * d->dim, depth = task->model->arch.depth, patches = task->trace->patches;
  LC_TRY(cdam_double_embed(d, task->images + image * VIT_CHANNELS * task->height * task->width,
                           task->height, task->width, inputs, err));
  for (size_t l = 0; l + 1 < depth; l++) {
    cdam_double_forward(d, l, inputs + l * size);
    memcpy(inputs + (l + 1) * size, d->output, size * sizeof *inputs);
  }
  for (size_t l = depth; l-- > 0;) {
    cdam_double_forward(d, l, inputs + l * size);
    for (size_t t = 0; t < task->n_targets; t++) {
      if (l + 1 == depth) cdam_double_target(d, &task->targets[t], gradients + t * size);
      cdam_double_backward(d, gradients + t * size);
    }
  }
  for (size_t t = 0; t < task->n_targets; t++)
    for (size_t i = 0; i < patches; i++) {
      size_t at = (d->n - patches + i) * d->dim;
      cdam_maps_get(maps, image, t)[i] =
          (float)vit_backend()->dot(d->dim, inputs + at, gradients + t * size + at);
    }
  return LC_OK;
}

lc_status cdam_token_gradient(const struct cdam_task *task, struct cdam_rules rules,
                              struct cdam_maps *maps, struct lc_error *err) {
  LC_SCOPED(cdam_double_free) struct cdam_double d = {0};
  LC_FREED double *inputs = NULL, *gradients = NULL;
  LC_TRY(cdam_double_init(&d, task->model, task->trace->tokens, err));
  d.rules = rules;
  LC_TRY(lc_alloc(&inputs, task->model->arch.depth * d.n * d.dim, sizeof *inputs, err));
  LC_TRY(lc_alloc(&gradients, task->n_targets * d.n * d.dim, sizeof *gradients, err));
  for (size_t i = 0; i < task->trace->batch; i++)
    LC_TRY(explain(task, i, &d, inputs, gradients, maps, err));
  return LC_OK;
}
