/* Computes df/dx of every target at the pixels of each image by full backward passes. */
#include <string.h>

#include "cdam/estimators/cdam_gradient.h"
#include "common/lc_scope.h"

lc_status cdam_pixel_gradient(const struct cdam_task *task, float *out, struct lc_error *err) {
  size_t size = VIT_CHANNELS * task->height * task->width;
  LC_SCOPED(cdam_gradient_free) struct cdam_gradient g = {0};
  LC_TRY(cdam_target_check(task->targets, task->n_targets, task->model, err));
  LC_TRY(cdam_gradient_init(&g, task, NULL, 1, err));
  for (size_t i = 0; i < task->trace->batch; i++) {
    struct vit_trace trace;
    struct vit_gradients gradients;
    LC_TRY(cdam_gradient_forward(&g, task->images + i * size, 1, &trace, err));
    for (size_t t = 0; t < task->n_targets; t++) {
      LC_TRY(cdam_gradient_backward(&g, &task->targets[t], &gradients, err));
      memcpy(out + (i * task->n_targets + t) * size, gradients.pixels, size * sizeof *out);
    }
  }
  return LC_OK;
}
