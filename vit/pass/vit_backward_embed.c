/* From the gradient of the embedded tokens to pixels, patch embedding, CLS and register tokens, and
 * the position encoding. Beside vit_embed.c. */
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"
#include "vit/pass/vit_tape.h"

struct job {
  struct vit_tape *tape;
  const vit_real *images;
  vit_real *d;
  size_t first; /* first image of the group */
};

static size_t features_of(const struct vit_tape *tape) {
  size_t patch = tape->workspace.model->arch.patch_size;
  return VIT_CHANNELS * patch * patch;
}

static size_t patch_number(const struct vit_workspace *w, size_t token) {
  size_t number = token - vit_arch_prefix(&w->model->arch);
  return w->request.kept ? w->request.kept[number] : number;
}

/* Gradients of pixels: each belongs to one patch. */
static void pixel_panel(void *context, size_t index, int worker) {
  (void)worker;
  const struct job *job = context;
  struct vit_tape *tape = job->tape;
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_arch *arch = &w->model->arch;
  struct vit_place at = vit_place_of(w, index);
  size_t features = features_of(tape), patch = arch->patch_size, ld = w->panel;
  size_t image = job->first + at.image, prefix = vit_arch_prefix(arch);
  vit_real *d_patches = vit_tape_panel(tape, tape->work->d_patches, features, at.image, at.panel);
  vit_backend()->gemm(features, at.columns, arch->embed_dim, w->model->patch_embed.weight, 1,
                      features, vit_tape_panel(tape, job->d, arch->embed_dim, image, at.panel), ld,
                      d_patches, ld, NULL);
  vit_real *out = tape->gradients.pixels + image * VIT_CHANNELS * w->height * w->width;
  for (size_t t = 0; t < at.tokens; t++) {
    if (at.first + t < prefix) continue;
    size_t number = patch_number(w, at.first + t);
    size_t top = number / w->grid_width * patch, left = number % w->grid_width * patch;
    for (size_t f = 0; f < features; f++) {
      size_t c = f / (patch * patch), y = f / patch % patch, x = f % patch;
      out[(c * w->height + top + y) * w->width + left + x] = d_patches[f * ld + t];
    }
  }
}

/* Pixels again, as strips; the columns of other tokens count as zero. */
static void strip_panel(void *context, size_t index, int worker) {
  const struct job *job = context;
  const struct vit_workspace *w = &job->tape->workspace;
  struct vit_place at = vit_place_of(w, index);
  struct vit_scratch s = vit_scratch_of(w, worker);
  const vit_real *image =
      job->images + (job->first + at.image) * VIT_CHANNELS * w->height * w->width;
  vit_gather_patches(w, &at, image, s.normed);
  vit_tape_write_strips(job->tape, &at, features_of(job->tape), s.normed,
                        job->tape->work->patch_strips);
}

struct weight_job {
  struct vit_outer outer;
};

#define ROWS_A_TASK 48

static void weight_rows(void *context, size_t index, int worker) {
  const struct weight_job *job = context;
  struct vit_outer outer = job->outer;
  const struct vit_tape_work *work = outer.tape->work;
  outer.row = index * ROWS_A_TASK;
  outer.count = outer.rows - outer.row < ROWS_A_TASK ? outer.rows - outer.row : ROWS_A_TASK;
  vit_outer_rows(&outer, work->scratch + (size_t)worker * work->scratch_size);
}

static void patch_weights(struct job *job, size_t images) {
  struct vit_tape *tape = job->tape;
  const struct vit_workspace *w = &tape->workspace;
  size_t dim = w->model->arch.embed_dim;
  lc_parallel_for(images * w->panels, strip_panel, job);
  struct weight_job weights = {.outer = {.tape = tape,
                                         .d = vit_tape_panel(tape, job->d, dim, job->first, 0),
                                         .rows = dim,
                                         .strips = tape->work->patch_strips,
                                         .in = features_of(tape),
                                         .out = (vit_real *)tape->d_model.patch_embed.weight,
                                         .images = images}};
  lc_parallel_for((dim + ROWS_A_TASK - 1) / ROWS_A_TASK, weight_rows, &weights);
}

/* Sums over images, token by token: positions, CLS, registers, and the bias of the patches. */
static void token_sums(struct vit_tape *tape, const vit_real *d, vit_real *cls, vit_real *registers,
                       vit_real *patch_bias) {
  const struct vit_workspace *w = &tape->workspace;
  size_t dim = w->model->arch.embed_dim, prefix = vit_arch_prefix(&w->model->arch);
  vit_real *position = tape->work->d_position;
  memset(position, 0, (1 + w->grid_height * w->grid_width) * dim * sizeof *position);
  for (size_t i = 0; i < tape->images; i++)
    for (size_t t = 0; t < w->tokens; t++) {
      const vit_real *from = d + (i * w->panels + t / w->panel) * dim * w->panel + t % w->panel;
      vit_real *to = NULL;
      if (t == 0)
        to = position;
      else if (t >= prefix)
        to = position + (1 + patch_number(w, t)) * dim;
      for (size_t r = 0; r < dim; r++) {
        vit_real value = from[r * w->panel];
        if (to) to[r] += value;
        if (t == 0 && cls) cls[r] += value;
        if (t > 0 && t < prefix && registers) registers[(t - 1) * dim + r] += value;
        if (t >= prefix && patch_bias) patch_bias[r] += value;
      }
    }
}

static void drop_panel(void *context, size_t index, int worker) {
  (void)worker;
  const struct job *job = context;
  const struct vit_workspace *w = &job->tape->workspace;
  struct vit_place at = vit_place_of(w, index);
  size_t dim = w->model->arch.embed_dim;
  vit_real *d = vit_tape_panel(job->tape, job->d, dim, at.image, at.panel);
  struct vit_drop how;
  if (vit_drops_at(&job->tape->drops, VIT_DROP_POSITION, 0, at.image, at.first, &how))
    vit_backend()->drop(dim, at.columns, &how, d, NULL, NULL, d, w->panel);
}

static vit_real *wanted(const struct vit_tape *tape, const vit_real *slot) {
  for (size_t i = 0; i < tape->parameters.n && tape->d_parameters && slot; i++)
    if (tape->d_parameters + tape->parameters.list[i].offset == slot && tape->trainable[i])
      return tape->d_parameters + tape->parameters.list[i].offset;
  return NULL;
}

lc_status vit_backward_embed(struct vit_tape *tape, const vit_real *images, vit_real *d,
                             struct lc_error *err) {
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_model *to = &tape->d_model;
  struct job job = {.tape = tape, .images = images, .d = d};
  if (tape->drops.drawn > 0) lc_parallel_for(tape->images * w->panels, drop_panel, &job);
  if (tape->gradients.pixels)
    memset(tape->gradients.pixels, 0,
           tape->images * VIT_CHANNELS * w->height * w->width * sizeof(vit_real));
  for (; job.first < tape->images; job.first += tape->work->group) {
    size_t left = tape->images - job.first;
    size_t n = left < tape->work->group ? left : tape->work->group;
    if (tape->gradients.pixels) lc_parallel_for(n * w->panels, pixel_panel, &job);
    if (tape->work->embed.weight[0]) patch_weights(&job, n);
  }
  if (!tape->work->embed.any) return LC_OK;
  vit_real *stored = wanted(tape, to->position_encoding);
  token_sums(tape, d, wanted(tape, to->cls_token), wanted(tape, to->register_tokens),
             wanted(tape, to->patch_embed.bias));
  if (!stored) return LC_OK;
  return vit_position_backward(w->model, w->grid_height, w->grid_width, tape->work->d_position,
                               stored, err);
}
