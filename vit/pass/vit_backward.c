/* The backward pass: heads, then block by block from the last, then the embedding. Within a block
 * the images go in groups through its parts; the weights are transposed once for all of them. */
#include "vit/pass/vit_backward.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"
#include "vit/pass/vit_tape.h"

static void pack_weights(struct vit_tape *tape, size_t number) {
  const struct vit_block_wants *wants = &tape->work->wants[number];
  for (int i = wants->entry ? VIT_QKV : wants->attention ? VIT_PROJ : VIT_FC1; i < VIT_LAYERS; i++)
    vit_pack_matrix(&tape->work->back[i], tape->workspace.model, number, i, VIT_BACK);
}

/* Runs a block again to have what was not kept. */
static void recompute(struct vit_tape *tape, size_t number) {
  struct vit_trace trace = tape->workspace.trace;
  tape->workspace.trace.inputs = tape->workspace.trace.attention = NULL;
  tape->workspace.trace.last_input = NULL;
  vit_tape_block_forward(tape, number);
  tape->workspace.trace = trace;
}

static void backward_block(struct vit_tape *tape, struct vit_part *part) {
  const struct vit_block_wants *wants = &tape->work->wants[part->block];
  if (tape->request.recompute) recompute(tape, part->block);
  pack_weights(tape, part->block);
  for (part->first = 0; part->first < tape->images; part->first += tape->work->group) {
    size_t left = tape->images - part->first;
    part->images = left < tape->work->group ? left : tape->work->group;
    vit_backward_mlp(part);
    if (wants->attention) {
      vit_backward_attention(part);
      if (wants->entry) vit_backward_entry(part);
    }
    vit_backward_weights(part);
  }
  const struct vit_attention_visitor *visitor = tape->request.visitor;
  if (visitor) visitor->block_done(visitor->context, part->block);
}

/* Sums of biases, norms and LayerScale into the gradient block. */
static void reduce_block(struct vit_tape *tape, size_t number) {
  const struct vit_tape_work *work = tape->work;
  const struct vit_block_wants *wants = &work->wants[number];
  const struct vit_block *to = &tape->d_model.blocks[number];
  const vit_real *slots[VIT_SUM_COUNT] = {[VIT_SUM_QKV_BIAS] = to->qkv.bias,
                                          [VIT_SUM_PROJ_BIAS] = to->proj.bias,
                                          [VIT_SUM_FC1_BIAS] = to->fc1.bias,
                                          [VIT_SUM_FC2_BIAS] = to->fc2.bias,
                                          [VIT_SUM_NORM1_WEIGHT] = to->norm1.weight,
                                          [VIT_SUM_NORM1_BIAS] = to->norm1.bias,
                                          [VIT_SUM_NORM2_WEIGHT] = to->norm2.weight,
                                          [VIT_SUM_NORM2_BIAS] = to->norm2.bias,
                                          [VIT_SUM_SCALE1] = to->scale1,
                                          [VIT_SUM_SCALE2] = to->scale2};
  const struct vit_arch *arch = &tape->workspace.model->arch;
  for (int i = 0; i < VIT_SUM_COUNT; i++) {
    if (!wants->sum[i] || !slots[i]) continue;
    size_t rows = i == VIT_SUM_QKV_BIAS   ? 3 * arch->embed_dim
                  : i == VIT_SUM_FC1_BIAS ? arch->mlp_dim
                                          : arch->embed_dim;
    vit_sums_reduce(work->sums + (number * work->sum_rows + work->sum_first[i]) * VIT_LANES, rows,
                    (vit_real *)slots[i]);
  }
}

static lc_status need_scratch(struct vit_tape *tape, struct lc_error *err) {
  struct vit_tape_work *work = tape->work;
  const struct vit_workspace *w = &tape->workspace;
  int threads = lc_threads();
  LC_TRY(vit_workspace_scratch(&tape->workspace, err));
  if (work->workers >= threads) return LC_OK;
  size_t attention = vit_backward_attention_size(w), outer = (size_t)64 * VIT_STRIP;
  work->scratch_size = attention > outer ? attention : outer;
  free(work->scratch);
  work->scratch = NULL;
  work->workers = 0;
  LC_TRY(
      lc_alloc(&work->scratch, (size_t)threads * work->scratch_size, sizeof *work->scratch, err));
  work->workers = threads;
  return LC_OK;
}

static lc_status check(const struct vit_tape *tape, const vit_real *d_logits, const vit_real *d_cls,
                       struct lc_error *err) {
  const struct vit_arch *arch = &tape->workspace.model->arch;
  size_t outputs = arch->n_heads ? vit_arch_outputs(arch) : arch->embed_dim;
  if (tape->images == 0) LC_FAIL(err, LC_ERR_USAGE, "backward pass without a forward pass");
  if (d_logits)
    LC_TRY(vit_check_finite(d_logits, tape->images * outputs, "gradient of the outputs", err));
  if (d_cls)
    LC_TRY(vit_check_finite(d_cls, tape->images * arch->embed_dim, "gradient of the CLS embedding",
                            err));
  if (!tape->pixels && tape->embedding)
    LC_FAIL(err, LC_ERR_USAGE,
            "the forward pass began with tokens, gradients are wanted of the embedding or pixels");
  return LC_OK;
}

/* Gradients of blocks that the forward pass did not go through. */
static void clear_below(struct vit_tape *tape) {
  const struct vit_workspace *w = &tape->workspace;
  size_t all = tape->images * w->tokens, heads = w->model->arch.num_heads;
  for (size_t i = 0; i < tape->start; i++) {
    if (tape->gradients.inputs)
      memset(tape->gradients.inputs[i], 0, all * w->model->arch.embed_dim * sizeof(vit_real));
    if (tape->gradients.attention)
      memset(tape->gradients.attention[i], 0, all * heads * w->tokens * sizeof(vit_real));
  }
}

lc_status vit_tape_backward(struct vit_tape *tape, const vit_real *d_logits, const vit_real *d_cls,
                            struct vit_gradients *gradients, struct lc_error *err) {
  struct vit_tape_work *work = tape->work;
  size_t depth = tape->workspace.model->arch.depth;
  LC_TRY(check(tape, d_logits, d_cls, err));
  LC_TRY(need_scratch(tape, err));
  clear_below(tape);
  if (work->sums) memset(work->sums, 0, depth * work->sum_rows * VIT_LANES * sizeof(vit_real));
  vit_backward_heads(tape, d_logits, d_cls, work->d[0]);
  struct vit_part part = {
      .tape = tape, .d_after = work->d[0], .d_within = work->d[1], .d_before = work->d[2]};
  size_t lowest = tape->first_block > tape->start ? tape->first_block : tape->start;
  for (size_t block = depth; block-- > lowest;) {
    part.block = block;
    backward_block(tape, &part);
    if (tape->d_parameters) reduce_block(tape, block);
    vit_real *free_one = part.d_after;
    part.d_after = part.d_before;
    part.d_before = part.d_within;
    part.d_within = free_one;
  }
  if (tape->embedding) LC_TRY(vit_backward_embed(tape, tape->pixels, part.d_after, err));
  if (gradients) *gradients = tape->gradients;
  return LC_OK;
}
