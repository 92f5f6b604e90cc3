/* Runs passes on a tape for a few images at a time, and adds up pixel gradients. */
#include "cdam/estimators/cdam_gradient.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_scope.h"

#define KEPT_BYTES ((size_t)512 << 20)

lc_status cdam_gradient_init(struct cdam_gradient *g, const struct cdam_task *task,
                             const struct vit_attention_visitor *visitor, size_t most,
                             struct lc_error *err) {
  const struct vit_arch *arch = &task->model->arch;
  size_t tokens = task->trace->tokens, outputs = vit_arch_outputs(arch);
  size_t bytes = arch->depth * 12 * tokens * arch->embed_dim * sizeof(float);
  memset(g, 0, sizeof *g);
  g->task = task;
  g->batch = KEPT_BYTES / bytes < most ? KEPT_BYTES / bytes : most;
  if (g->batch == 0) g->batch = 1;
  struct vit_backward_request backward = {.pixels = !visitor, .visitor = visitor};
  LC_TRY(vit_tape_init(&g->tape, task->model, g->batch, task->height, task->width, NULL, &backward,
                       err));
  LC_TRY(lc_alloc(&g->d_logits, g->batch * outputs + 1, sizeof(float), err));
  return lc_alloc(&g->d_cls, g->batch * arch->embed_dim, sizeof(float), err);
}

void cdam_gradient_free(struct cdam_gradient *g) {
  vit_tape_free(&g->tape);
  free(g->d_logits);
  free(g->d_cls);
  memset(g, 0, sizeof *g);
}

lc_status cdam_gradient_forward(struct cdam_gradient *g, const float *images, size_t n,
                                struct vit_trace *trace, struct lc_error *err) {
  g->images = n;
  LC_TRY(vit_tape_forward(&g->tape, images, n, trace, err));
  lc_progress_step(g->task->progress, n);
  return LC_OK;
}

lc_status cdam_gradient_backward(struct cdam_gradient *g, const struct cdam_target *target,
                                 struct vit_gradients *gradients, struct lc_error *err) {
  const struct vit_arch *arch = &g->task->model->arch;
  size_t outputs = vit_arch_outputs(arch), dim = arch->embed_dim;
  if (target->kind == CDAM_CONCEPT) {
    for (size_t i = 0; i < g->images; i++)
      memcpy(g->d_cls + i * dim, target->concept_vector, dim * sizeof(float));
    return vit_tape_backward(&g->tape, NULL, g->d_cls, gradients, err);
  }
  memset(g->d_logits, 0, g->images * outputs * sizeof(float));
  for (size_t i = 0; i < g->images; i++) {
    g->d_logits[i * outputs + target->a] = 1;
    if (target->kind == CDAM_DIFFERENCE) g->d_logits[i * outputs + target->b] -= 1;
  }
  return vit_tape_backward(&g->tape, g->d_logits, NULL, gradients, err);
}

void cdam_channel_mean(const float *factor, const double *g, size_t plane, double scale,
                       float *map) {
  for (size_t i = 0; i < plane; i++) {
    double sum = 0;
    for (size_t c = 0; c < VIT_CHANNELS; c++) {
      size_t at = c * plane + i;
      sum += factor ? g[at] * (double)factor[at] : g[at];
    }
    map[i] = (float)(sum * scale / VIT_CHANNELS);
  }
}

/* All variants of one image; sums: [target, size]. */
static lc_status one_image(const struct cdam_pixel_pass *pass, struct cdam_gradient *g,
                           const float *image, float *variants, double *sums,
                           struct lc_error *err) {
  const struct cdam_task *task = pass->task;
  size_t size = VIT_CHANNELS * task->height * task->width;
  memset(sums, 0, task->n_targets * size * sizeof *sums);
  for (size_t first = 0; first < pass->count; first += g->batch) {
    size_t n = pass->count - first < g->batch ? pass->count - first : g->batch;
    struct vit_trace trace;
    struct vit_gradients gradients;
    for (size_t k = 0; k < n; k++)
      if (pass->make)
        pass->make(pass, image, first + k, variants + k * size);
      else
        memcpy(variants + k * size, image, size * sizeof *image);
    LC_TRY(cdam_gradient_forward(g, variants, n, &trace, err));
    for (size_t t = 0; t < task->n_targets; t++) {
      LC_TRY(cdam_gradient_backward(g, &task->targets[t], &gradients, err));
      for (size_t k = 0; k < n; k++) {
        double weight = pass->weights ? pass->weights[first + k] : 1;
        for (size_t i = 0; i < size; i++)
          sums[t * size + i] += weight * (double)gradients.pixels[k * size + i];
      }
    }
  }
  return LC_OK;
}

lc_status cdam_pixel_run(const struct cdam_pixel_pass *pass, struct cdam_maps *maps,
                         struct lc_error *err) {
  const struct cdam_task *task = pass->task;
  size_t size = VIT_CHANNELS * task->height * task->width;
  LC_SCOPED(cdam_gradient_free) struct cdam_gradient g = {0};
  LC_FREED float *variants = NULL;
  LC_FREED double *sums = NULL;
  LC_TRY(cdam_gradient_init(&g, task, NULL, pass->count, err));
  LC_TRY(lc_alloc(&variants, g.batch * size, sizeof *variants, err));
  LC_TRY(lc_alloc(&sums, task->n_targets * size, sizeof *sums, err));
  for (size_t i = 0; i < task->trace->batch; i++) {
    const float *image = task->images + i * size;
    LC_TRY(one_image(pass, &g, image, variants, sums, err));
    for (size_t t = 0; t < task->n_targets; t++)
      pass->use(task, image, sums + t * size, cdam_maps_get(maps, i, t));
  }
  return LC_OK;
}

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
