/* CDAM by a full backward pass through the last block in double: it shares nothing with the closed
 * form that it checks. */
#include "cdam/engine/cdam_double.h"
#include "common/lc_scope.h"
#include "vit/kernels/vit_backend.h"

static void explain(struct cdam_double *d, const struct vit_trace *trace, size_t image,
                    const struct cdam_target *targets, size_t n_targets, double *work,
                    struct cdam_maps *maps) {
  size_t count = d->n * d->dim, skip = d->n - trace->patches;
  const float *input = trace->last_input + image * count;
  for (size_t i = 0; i < count; i++) work[i] = (double)input[i];
  cdam_double_forward(d, d->model->arch.depth - 1, work);
  for (size_t t = 0; t < n_targets; t++) {
    cdam_double_target(d, &targets[t], work);
    cdam_double_backward(d, work);
    float *map = cdam_maps_get(maps, image, t);
    for (size_t i = 0; i < trace->patches; i++)
      map[i] = (float)vit_backend()->dot(d->dim, d->normed + (i + skip) * d->dim,
                                         d->d_normed + (i + skip) * d->dim);
  }
}

lc_status cdam_general(const struct vit_model *model, const struct vit_trace *trace,
                       const struct cdam_target *targets, size_t n_targets, struct cdam_maps *maps,
                       struct lc_error *err) {
  LC_TRY(cdam_target_check(targets, n_targets, model, err));
  if (!trace->last_input)
    LC_FAIL(err, LC_ERR_USAGE, "CDAM needs the input of the last block in the trace");
  LC_TRY(cdam_maps_check(maps, trace, n_targets, err));
  LC_SCOPED(cdam_double_free) struct cdam_double d = {0};
  LC_TRY(cdam_double_init(&d, model, trace->tokens, err));
  LC_FREED double *work = NULL;
  LC_TRY(lc_alloc(&work, d.n * d.dim, sizeof *work, err));
  for (size_t i = 0; i < trace->batch; i++) explain(&d, trace, i, targets, n_targets, work, maps);
  return LC_OK;
}
