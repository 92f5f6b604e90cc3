/* The forward pass that keeps what the backward pass needs. */
#include <string.h>

#include "common/lc_parallel.h"
#include "vit/pass/vit_tape.h"

struct pass {
  struct vit_tape *tape;
  const vit_real *images;
  const vit_real *tokens;
  size_t block;
};

static struct vit_place place_of(const struct vit_tape *tape, size_t index) {
  return vit_place_of(&tape->workspace, index);
}

static void embed_panel(void *context, size_t index, int worker) {
  const struct pass *pass = context;
  const struct vit_workspace *w = &pass->tape->workspace;
  struct vit_place at = place_of(pass->tape, index);
  struct vit_scratch s = vit_scratch_of(w, worker);
  size_t dim = w->model->arch.embed_dim;
  vit_real *x = vit_tape_panel(pass->tape, pass->tape->blocks[0].x, dim, at.image, at.panel);
  const vit_real *image = pass->images + at.image * VIT_CHANNELS * w->height * w->width;
  vit_embed_panel(w, &at, image, s.normed, x);
  struct vit_drop how;
  if (vit_drops_at(&pass->tape->drops, VIT_DROP_POSITION, 0, at.image, at.first, &how))
    vit_backend()->drop(dim, at.columns, &how, x, NULL, NULL, x, w->panel);
}

/* Given tokens to panels; padding columns are zero. */
static void import_panel(void *context, size_t index, int worker) {
  (void)worker;
  const struct pass *pass = context;
  const struct vit_workspace *w = &pass->tape->workspace;
  struct vit_place at = place_of(pass->tape, index);
  size_t dim = w->model->arch.embed_dim;
  vit_real *x =
      vit_tape_panel(pass->tape, pass->tape->blocks[pass->block].x, dim, at.image, at.panel);
  memset(x, 0, dim * w->panel * sizeof *x);
  vit_backend()->transpose(at.tokens, dim, pass->tokens + (at.image * w->tokens + at.first) * dim,
                           dim, x, w->panel);
}

static void enter_panel(void *context, size_t index, int worker) {
  const struct pass *pass = context;
  struct vit_tape *tape = pass->tape;
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_arch *arch = &w->model->arch;
  const struct vit_block *block = &w->model->blocks[pass->block];
  const struct vit_tape_block *kept = &tape->blocks[pass->block];
  struct vit_place at = place_of(tape, index);
  struct vit_scratch s = vit_scratch_of(w, worker);
  size_t dim = arch->embed_dim, ld = w->panel, column = index * ld;
  size_t skip = w->trace.attention ? 0 : vit_tape_unread_queries(tape, pass->block, &at);
  bool last = pass->block + 1 == arch->depth;
  const vit_real *x = vit_tape_panel(tape, kept->x, dim, at.image, at.panel);
  if (w->trace.inputs) vit_export_tokens(w, &at, at.image, x, w->trace.inputs[pass->block]);
  if (last && w->trace.last_input) vit_export_tokens(w, &at, at.image, x, w->trace.last_input);
  vit_backend()->layer_norm(dim, at.columns, x, ld, block->norm1.weight, block->norm1.bias,
                            (vit_real)arch->layer_norm_eps, s.normed, ld, kept->mean[0] + column,
                            kept->rstd[0] + column);
  struct vit_epilogue bias = {.bias = block->qkv.bias ? block->qkv.bias + skip : NULL};
  vit_real *qkv = vit_tape_panel(tape, kept->qkv, 3 * dim, at.image, at.panel);
  vit_backend()->linear(VIT_FORTH, &w->forth[pass->block][VIT_QKV], skip, 3 * dim - skip,
                        at.columns, s.normed, ld, qkv + skip * ld, ld, &bias);
}

static void attend(const struct pass *pass, struct vit_place *at, size_t columns,
                   struct vit_scratch s) {
  struct vit_tape *tape = pass->tape;
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_tape_block *kept = &tape->blocks[pass->block];
  size_t dim = w->model->arch.embed_dim, heads = w->model->arch.num_heads;
  size_t padded = w->panels * w->panel;
  vit_real *probabilities = NULL;
  if (w->trace.attention)
    probabilities = w->trace.attention[pass->block] + at->image * heads * w->tokens * w->tokens;
  else
    at->columns = columns;
  if (at->columns == 0) return;
  vit_attention_panel(w, vit_tape_panel(tape, kept->qkv, 3 * dim, at->image, 0), at, s.large,
                      kept->top + at->image * heads * padded + at->first,
                      kept->inverse + at->image * heads * padded + at->first, padded,
                      vit_tape_panel(tape, kept->attended, dim, at->image, at->panel),
                      probabilities);
}

/* The layer at the end of a branch, VIT_PROJ or VIT_FC2, and the residual stream that it joins:
 * out = residual + scale * drop(W x + b). */
static void join(const struct pass *pass, const struct vit_place *at, size_t n, int layer,
                 const vit_real *x, const vit_real *residual, vit_real *out) {
  const struct vit_workspace *w = &pass->tape->workspace;
  const struct vit_block *block = &w->model->blocks[pass->block];
  const vit_real *bias = layer == VIT_PROJ ? block->proj.bias : block->fc2.bias;
  const vit_real *scale = layer == VIT_PROJ ? block->scale1 : block->scale2;
  enum vit_drop_place place = layer == VIT_PROJ ? VIT_DROP_PROJ : VIT_DROP_FC2;
  size_t dim = w->model->arch.embed_dim, ld = w->panel;
  struct vit_drop how;
  struct vit_epilogue add = {
      .bias = bias, .row_scale = scale, .residual = residual, .ld_residual = ld};
  bool drops = vit_drops_at(&pass->tape->drops, place, pass->block, at->image, at->first, &how);
  if (drops) add = (struct vit_epilogue){.bias = bias};
  vit_backend()->linear(VIT_FORTH, &w->forth[pass->block][layer], 0, dim, n, x, ld, out, ld, &add);
  if (drops) vit_backend()->drop(dim, n, &how, out, scale, residual, out, ld);
}

static void body_panel(void *context, size_t index, int worker) {
  const struct pass *pass = context;
  struct vit_tape *tape = pass->tape;
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_arch *arch = &w->model->arch;
  const struct vit_block *block = &w->model->blocks[pass->block];
  const struct vit_tape_block *kept = &tape->blocks[pass->block];
  const struct vit_backend *k = vit_backend();
  struct vit_place at = place_of(tape, index);
  struct vit_scratch s = vit_scratch_of(w, worker);
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim, ld = w->panel, column = index * ld;
  size_t n = vit_tape_columns(tape, pass->block, &at);
  attend(pass, &at, n, s);
  if (n == 0) return;
  const vit_real *x = vit_tape_panel(tape, kept->x, dim, at.image, at.panel);
  const vit_real *attended = vit_tape_panel(tape, kept->attended, dim, at.image, at.panel);
  vit_real *mid = vit_tape_panel(tape, kept->mid, dim, at.image, at.panel);
  vit_real *pre = vit_tape_panel(tape, kept->pre, mlp, at.image, at.panel);
  vit_real *out = pass->block + 1 < arch->depth ? tape->blocks[pass->block + 1].x : w->x;
  join(pass, &at, n, VIT_PROJ, attended, x, mid);
  k->layer_norm(dim, n, mid, ld, block->norm2.weight, block->norm2.bias,
                (vit_real)arch->layer_norm_eps, s.normed, ld, kept->mean[1] + column,
                kept->rstd[1] + column);
  struct vit_epilogue gelu = {.bias = block->fc1.bias, .pre = pre, .activation = VIT_GELU};
  k->linear(VIT_FORTH, &w->forth[pass->block][VIT_FC1], 0, mlp, n, s.normed, ld, s.large, ld,
            &gelu);
  struct vit_drop how;
  if (vit_drops_at(&tape->drops, VIT_DROP_GELU, pass->block, at.image, at.first, &how))
    k->drop(mlp, n, &how, s.large, NULL, NULL, s.large, ld);
  join(pass, &at, n, VIT_FC2, s.large, mid, vit_tape_panel(tape, out, dim, at.image, at.panel));
}

void vit_tape_block_forward(struct vit_tape *tape, size_t block) {
  struct pass pass = {.tape = tape, .block = block};
  size_t panels = tape->images * tape->workspace.panels;
  lc_parallel_for(panels, enter_panel, &pass);
  lc_parallel_for(panels, body_panel, &pass);
}

static void copy_cls_attention(struct vit_tape *tape) {
  struct vit_workspace *w = &tape->workspace;
  if (!w->trace.last_cls_attention) return;
  const vit_real *full = w->trace.attention[w->model->arch.depth - 1];
  for (size_t i = 0; i < tape->images * w->model->arch.num_heads; i++)
    for (size_t t = 0; t < w->tokens; t++)
      w->trace.last_cls_attention[i * w->tokens + t] = full[i * w->tokens * w->tokens + t];
}

static lc_status run(struct vit_tape *tape, struct pass *pass, struct vit_trace *trace,
                     struct lc_error *err) {
  struct vit_workspace *w = &tape->workspace;
  const struct vit_arch *arch = &w->model->arch;
  size_t outputs = arch->n_heads ? vit_arch_outputs(arch) : arch->embed_dim;
  LC_TRY(vit_workspace_scratch(w, err));
  lc_parallel_for(tape->images * w->panels, pass->images ? embed_panel : import_panel, pass);
  for (size_t block = tape->start; block < arch->depth; block++)
    vit_tape_block_forward(tape, block);
  vit_cls_heads(w, 0, tape->images, &tape->drops);
  copy_cls_attention(tape);
  w->trace.batch = tape->images;
  LC_TRY(vit_check_finite(w->trace.logits, tape->images * outputs, "output of the model", err));
  if (trace) *trace = w->trace;
  return LC_OK;
}

lc_status vit_tape_forward(struct vit_tape *tape, const vit_real *images, size_t n,
                           struct vit_trace *trace, struct lc_error *err) {
  struct vit_workspace *w = &tape->workspace;
  size_t pixels = VIT_CHANNELS * w->height * w->width;
  tape->images = 0;
  if (n == 0 || n > w->batch)
    LC_FAIL(err, LC_ERR_USAGE, "forward pass over %zu images, expected 1 to %zu", n, w->batch);
  LC_TRY(vit_check_finite(images, n * pixels, "input image", err));
  tape->images = n;
  tape->start = 0;
  tape->pixels = images;
  LC_TRY(vit_workspace_refresh(w, err));
  struct pass pass = {.tape = tape, .images = images};
  return run(tape, &pass, trace, err);
}

lc_status vit_tape_forward_from(struct vit_tape *tape, size_t block, const vit_real *tokens,
                                size_t n, struct vit_trace *trace, struct lc_error *err) {
  struct vit_workspace *w = &tape->workspace;
  size_t values = n * w->tokens * w->model->arch.embed_dim;
  tape->images = 0;
  if (n == 0 || n > w->batch)
    LC_FAIL(err, LC_ERR_USAGE, "forward pass over %zu images, expected 1 to %zu", n, w->batch);
  if (block >= w->model->arch.depth)
    LC_FAIL(err, LC_ERR_USAGE, "block %zu of a model with %zu", block, w->model->arch.depth);
  LC_TRY(vit_check_finite(tokens, values, "input tokens", err));
  tape->images = n;
  tape->start = block;
  tape->pixels = NULL;
  struct pass pass = {.tape = tape, .tokens = tokens, .block = block};
  return run(tape, &pass, trace, err);
}
