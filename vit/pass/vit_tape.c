/* Plans a backward pass (which blocks and gradients are wanted) and lays out the memory of tape and
 * gradients. */
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"
#include "vit/pass/vit_tape.h"

/* Images whose intermediate gradients are held at once: enough panels to share out, few enough to
 * stay near the cache. Results do not depend on it. */
#define GROUP_PANELS 10

static bool want(const struct vit_tape *tape, const vit_real *slot) {
  if (!tape->d_parameters || !slot) return false;
  for (size_t i = 0; i < tape->parameters.n; i++)
    if (tape->d_parameters + tape->parameters.list[i].offset == slot) return tape->trainable[i];
  return false;
}

static void want_block(struct vit_tape *tape, size_t number) {
  struct vit_block_wants *wants = &tape->work->wants[number];
  const struct vit_block *d = tape->d_model.blocks ? &tape->d_model.blocks[number] : NULL;
  *wants = (struct vit_block_wants){0};
  if (tape->d_parameters && d) {
    const struct vit_linear *linears[] = {&d->qkv, &d->proj, &d->fc1, &d->fc2};
    for (int i = 0; i < 4; i++) {
      wants->weight[i] = want(tape, linears[i]->weight);
      wants->sum[VIT_SUM_QKV_BIAS + i] = want(tape, linears[i]->bias);
    }
    wants->sum[VIT_SUM_NORM1_WEIGHT] = want(tape, d->norm1.weight);
    wants->sum[VIT_SUM_NORM1_BIAS] = want(tape, d->norm1.bias);
    wants->sum[VIT_SUM_NORM2_WEIGHT] = want(tape, d->norm2.weight);
    wants->sum[VIT_SUM_NORM2_BIAS] = want(tape, d->norm2.bias);
    wants->sum[VIT_SUM_SCALE1] = want(tape, d->scale1);
    wants->sum[VIT_SUM_SCALE2] = want(tape, d->scale2);
  }
  for (int i = 0; i < 4; i++) wants->any = wants->any || wants->weight[i];
  for (int i = 0; i < VIT_SUM_COUNT; i++) wants->any = wants->any || wants->sum[i];
}

/* How deep the backward pass must go, and what it must do in each block. */
static void plan(struct vit_tape *tape) {
  const struct vit_backward_request *r = &tape->request;
  struct vit_tape_work *work = tape->work;
  size_t depth = tape->workspace.model->arch.depth;
  const struct vit_model *d = &tape->d_model;
  bool parameters = tape->d_parameters != NULL;
  work->embed = (struct vit_block_wants){0};
  if (parameters) {
    work->embed.weight[0] = want(tape, d->patch_embed.weight);
    work->embed.sum[VIT_SUM_PATCH_BIAS] = want(tape, d->patch_embed.bias);
    work->embed.any = work->embed.weight[0] || work->embed.sum[VIT_SUM_PATCH_BIAS] ||
                      want(tape, d->cls_token) || want(tape, d->register_tokens) ||
                      want(tape, d->position_encoding);
  }
  tape->embedding = work->embed.any || r->pixels;
  bool below = tape->embedding;
  tape->first_block = depth;
  for (size_t i = 0; i < depth; i++) {
    struct vit_block_wants *wants = &work->wants[i];
    bool last = i + 1 == depth;
    want_block(tape, i);
    wants->input = below || r->all_inputs || (last && r->last_input);
    bool entry = wants->input || wants->weight[0] || wants->sum[VIT_SUM_QKV_BIAS] ||
                 wants->sum[VIT_SUM_NORM1_WEIGHT] || wants->sum[VIT_SUM_NORM1_BIAS];
    wants->entry = entry || (last && r->last_normed);
    wants->attention = wants->entry || r->all_attention || r->visitor;
    below = below || wants->any || wants->attention;
    if (below && tape->first_block == depth) tape->first_block = i;
  }
}

static vit_real *take(struct lc_arena *arena, size_t a, size_t b) {
  return lc_arena_take(arena, a * b, sizeof(vit_real));
}

static void lay_out_block(struct lc_arena *arena, const struct vit_tape *tape,
                          struct vit_tape_block *b) {
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_arch *arch = &w->model->arch;
  size_t columns = w->batch * w->panels * w->panel;
  b->qkv = take(arena, columns, 3 * arch->embed_dim);
  b->attended = take(arena, columns, arch->embed_dim);
  b->mid = take(arena, columns, arch->embed_dim);
  b->pre = take(arena, columns, arch->mlp_dim);
  b->top = take(arena, columns, arch->num_heads);
  b->inverse = take(arena, columns, arch->num_heads);
  for (int i = 0; i < 2; i++) {
    b->mean[i] = take(arena, columns, 1);
    b->rstd[i] = take(arena, columns, 1);
  }
}

/* Blocks that the backward pass does not reach share one set; with recomputation all do, and only
 * the inputs of those that are reached are kept apart. */
static void lay_out_blocks(struct lc_arena *arena, struct vit_tape *tape) {
  const struct vit_workspace *w = &tape->workspace;
  size_t depth = w->model->arch.depth, dim = w->model->arch.embed_dim;
  size_t columns = w->batch * w->panels * w->panel;
  struct vit_tape_block shared = {0};
  bool share_any = tape->request.recompute || tape->first_block > 0;
  if (share_any) lay_out_block(arena, tape, &shared);
  if (tape->first_block > 0) shared.x = take(arena, columns, dim);
  for (size_t i = 0; i < depth; i++) {
    struct vit_tape_block *b = &tape->blocks[i];
    *b = shared;
    if (i < tape->first_block) continue;
    b->x = take(arena, columns, dim);
    if (!tape->request.recompute) lay_out_block(arena, tape, b);
  }
}

/* What gradients of parameters are summed from and into. */
static void lay_out_sums_work(struct lc_arena *arena, struct vit_tape *tape) {
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_arch *arch = &w->model->arch;
  struct vit_tape_work *k = tape->work;
  size_t dim = arch->embed_dim, some = k->group * w->panels * w->panel;
  size_t features = VIT_CHANNELS * arch->patch_size * arch->patch_size;
  for (int i = 0; i < 2; i++) {
    if (arch->layer_scale) k->branch[i] = take(arena, some, dim);
    k->d_normed[i] = take(arena, some, dim);
    k->normed_strips[i] = take(arena, k->group, vit_tape_strips(tape, dim));
  }
  k->d_hidden = take(arena, some, arch->mlp_dim);
  k->attended_strips = take(arena, k->group, vit_tape_strips(tape, dim));
  k->value_strips = take(arena, k->group, vit_tape_strips(tape, arch->mlp_dim));
  if (k->embed.weight[0]) k->patch_strips = take(arena, k->group, vit_tape_strips(tape, features));
  k->sums = take(arena, arch->depth * k->sum_rows, VIT_LANES);
}

static void lay_out_work(struct lc_arena *arena, struct vit_tape *tape) {
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_arch *arch = &w->model->arch;
  struct vit_tape_work *k = tape->work;
  size_t dim = arch->embed_dim, padded = w->panels * w->panel;
  size_t all = w->batch * padded, some = k->group * padded;
  size_t features = VIT_CHANNELS * arch->patch_size * arch->patch_size;
  for (int i = 0; i < 3; i++) k->d[i] = take(arena, all, dim);
  for (int i = 0; i < 2; i++)
    if (arch->layer_scale || tape->drops.keys) k->d_scaled[i] = take(arena, some, dim);
  k->d_attended = take(arena, some, dim);
  k->d_qkv = take(arena, some, 3 * dim);
  if (tape->request.pixels) k->d_patches = take(arena, some, features);
  for (int layer = 0; layer < VIT_LAYERS; layer++)
    k->back[layer] = vit_take_matrix(arena, w->model, layer, VIT_BACK);
  if (tape->d_parameters) lay_out_sums_work(arena, tape);
  if (tape->embedding) k->d_position = take(arena, 1 + w->grid_height * w->grid_width, dim);
  k->cls = NULL;
  k->cls = take(arena, vit_backward_heads_size(tape), 1);
}

static vit_real **take_list(struct lc_arena *arena, size_t n, size_t count) {
  vit_real **list = lc_arena_take(arena, n, sizeof *list);
  for (size_t i = 0; i < n; i++) {
    vit_real *part = take(arena, count, 1);
    if (list) list[i] = part;
  }
  return list;
}

static void lay_out(struct vit_tape *tape) {
  struct lc_arena *arena = &tape->arena;
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_arch *arch = &w->model->arch;
  const struct vit_backward_request *r = &tape->request;
  size_t all = w->batch * w->tokens;
  lay_out_blocks(arena, tape);
  lay_out_work(arena, tape);
  struct vit_gradients *g = &tape->gradients;
  if (r->pixels) g->pixels = take(arena, w->batch * VIT_CHANNELS * w->height, w->width);
  if (r->last_input) g->last_input = take(arena, all, arch->embed_dim);
  if (r->last_normed) g->last_normed = take(arena, all, arch->embed_dim);
  if (r->all_inputs) g->inputs = take_list(arena, arch->depth, all * arch->embed_dim);
  if (r->all_attention)
    g->attention = take_list(arena, arch->depth, all * arch->num_heads * w->tokens);
}

static void lay_out_sums(struct vit_tape *tape) {
  const struct vit_arch *arch = &tape->workspace.model->arch;
  struct vit_tape_work *k = tape->work;
  size_t dim = arch->embed_dim;
  for (int i = 0; i < VIT_SUM_COUNT; i++) {
    k->sum_first[i] = k->sum_rows;
    k->sum_rows += i == VIT_SUM_QKV_BIAS ? 3 * dim : i == VIT_SUM_FC1_BIAS ? arch->mlp_dim : dim;
  }
}

static lc_status init_gradients(struct vit_tape *tape, const bool *trainable,
                                struct lc_error *err) {
  const struct vit_model *model = tape->workspace.model;
  LC_TRY(vit_parameters_init(&tape->parameters, &model->arch, err));
  LC_TRY(lc_alloc(&tape->trainable, tape->parameters.n, sizeof *tape->trainable, err));
  if (!tape->request.parameters) return LC_OK;
  for (size_t i = 0; i < tape->parameters.n; i++)
    tape->trainable[i] = trainable ? trainable[i] : true;
  LC_TRY(lc_alloc(&tape->d_parameters, tape->parameters.block, sizeof *tape->d_parameters, err));
  tape->d_model.arch = model->arch;
  LC_TRY(lc_alloc(&tape->d_model.blocks, model->arch.depth, sizeof *tape->d_model.blocks, err));
  return vit_model_bind(&tape->d_model, tape->d_parameters, err);
}

static lc_status init_drops(struct vit_tape *tape, struct lc_error *err) {
  const struct vit_dropout *rates = &tape->request.dropout;
  const struct vit_workspace *w = &tape->workspace;
  tape->drops = (struct vit_drops){.rates = *rates, .depth = w->model->arch.depth};
  LC_TRY(vit_dropout_check(rates, err));
  if (!(rates->backbone > 0 || rates->heads > 0 || rates->path > 0)) return LC_OK;
  return lc_alloc(&tape->drops.keys, w->batch, sizeof *tape->drops.keys, err);
}

void vit_tape_draw(struct vit_tape *tape, uint64_t seed, uint64_t step, const uint32_t *samples,
                   size_t n) {
  if (tape->drops.keys) vit_drops_draw(&tape->drops, seed, step, samples, n);
}

static lc_status init(struct vit_tape *tape, const bool *trainable, struct lc_error *err) {
  const struct vit_workspace *w = &tape->workspace;
  size_t depth = w->model->arch.depth;
  LC_TRY(init_drops(tape, err));
  LC_TRY(lc_alloc(&tape->blocks, depth, sizeof *tape->blocks, err));
  LC_TRY(lc_alloc(&tape->work, 1, sizeof *tape->work, err));
  LC_TRY(lc_alloc(&tape->work->wants, depth, sizeof *tape->work->wants, err));
  LC_TRY(init_gradients(tape, trainable, err));
  plan(tape);
  size_t group = (GROUP_PANELS + w->panels - 1) / w->panels;
  tape->work->group = group < w->batch ? group : w->batch;
  lay_out_sums(tape);
  lc_arena_init_counting(&tape->arena);
  lay_out(tape);
  LC_TRY(lc_arena_init_in(&tape->arena, vit_backend()->memory, tape->arena.peak, err));
  lay_out(tape);
  return LC_OK;
}

lc_status vit_tape_init(struct vit_tape *tape, const struct vit_model *model, size_t batch,
                        size_t height, size_t width, const struct vit_request *forward,
                        const struct vit_backward_request *backward, struct lc_error *err) {
  *tape = (struct vit_tape){.request = *backward};
  tape->request.trainable = NULL;
  struct vit_request request = forward ? *forward : (struct vit_request){0};
  if (request.last_cls_attention) request.all_attention = true;
  lc_status status =
      vit_workspace_prepare(&tape->workspace, model, batch, height, width, &request, true, err);
  if (status == LC_OK) status = init(tape, backward->trainable, err);
  if (status != LC_OK) vit_tape_free(tape);
  return status;
}

void vit_tape_free(struct vit_tape *tape) {
  vit_workspace_free(&tape->workspace);
  vit_parameters_free(&tape->parameters);
  lc_arena_free(&tape->arena);
  if (tape->work) {
    free(tape->work->wants);
    free(tape->work->scratch);
  }
  free(tape->work);
  free(tape->blocks);
  free(tape->d_model.blocks);
  free(tape->drops.keys);
  free(tape->trainable);
  free(tape->d_parameters);
  *tape = (struct vit_tape){0};
}

void vit_tape_clear(struct vit_tape *tape) {
  if (tape->d_parameters)
    memset(tape->d_parameters, 0, tape->parameters.block * sizeof *tape->d_parameters);
}

void vit_tape_write_strips(const struct vit_tape *tape, const struct vit_place *at, size_t rows,
                           const vit_real *x, vit_real *strips) {
  const struct vit_workspace *w = &tape->workspace;
  size_t padded = w->panels * w->panel;
  vit_real *out = strips + at->image * vit_tape_strips(tape, rows) + at->first * VIT_STRIP;
  for (size_t row = 0; row < rows; row += VIT_STRIP, out += padded * VIT_STRIP) {
    size_t count = rows - row < VIT_STRIP ? rows - row : VIT_STRIP;
    if (count < VIT_STRIP) memset(out, 0, at->columns * VIT_STRIP * sizeof *out);
    vit_backend()->transpose(count, at->columns, x + row * w->panel, w->panel, out, VIT_STRIP);
  }
}
