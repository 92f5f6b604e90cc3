/* One pass over the blocks: per block a single meeting point of all threads.
 *
 * A worker takes one panel of tokens through attention, projection, MLP, and on to the queries,
 * keys and values of the next block, while all that lies in its cache. Those go to a second buffer,
 * because other panels still read the keys and values of this block. */
#include "vit/pass/vit_forward.h"

#include <string.h>

#include "common/lc_parallel.h"
#include "vit/pass/vit_layers.h"

struct pass {
  struct vit_workspace *w;
  const vit_real *images; /* of this group */
  size_t first;           /* number of the group's first image */
  size_t block;
  bool cls_only; /* the last block is computed for CLS alone */
};

/* From the residual stream before a block to its queries, keys and values. */
static void enter_block(const struct pass *pass, const struct vit_place *at, size_t number,
                        const vit_real *x, struct vit_scratch s) {
  const struct vit_workspace *w = pass->w;
  const struct vit_arch *arch = &w->model->arch;
  size_t dim = arch->embed_dim, ld = w->panel;
  bool last = number + 1 == arch->depth;
  if (w->trace.inputs)
    vit_export_tokens(w, at, pass->first + at->image, x, w->trace.inputs[number]);
  if (last && w->trace.last_input)
    vit_export_tokens(w, at, pass->first + at->image, x, w->trace.last_input);
  const struct vit_block *block = &w->model->blocks[number];
  const struct vit_backend *k = vit_backend();
  vit_real *qkv = vit_panel_qkv(w, number, at->image, at->panel);
  bool only_norm = last && pass->cls_only;
  vit_real *normed = only_norm ? qkv : s.normed;
  k->layer_norm(dim, at->columns, x, ld, block->norm1.weight, block->norm1.bias,
                (vit_real)arch->layer_norm_eps, normed, ld, NULL, NULL);
  if (only_norm) return;
  struct vit_epilogue bias = {.bias = block->qkv.bias};
  k->linear(VIT_FORTH, &w->forth[number][VIT_QKV], 0, 3 * dim, at->columns, normed, ld, qkv, ld,
            &bias);
}

static void embed_panel(void *context, size_t index, int worker) {
  const struct pass *pass = context;
  const struct vit_workspace *w = pass->w;
  struct vit_place at = vit_place_of(w, index);
  struct vit_scratch s = vit_scratch_of(w, worker);
  vit_real *x = vit_panel_x(w, at.image, at.panel);
  const vit_real *image = pass->images + at.image * VIT_CHANNELS * w->height * w->width;
  vit_embed_panel(w, &at, image, s.normed, x);
  enter_block(pass, &at, 0, x, s);
}

static void block_panel(void *context, size_t index, int worker) {
  const struct pass *pass = context;
  const struct vit_workspace *w = pass->w;
  const struct vit_arch *arch = &w->model->arch;
  const struct vit_block *block = &w->model->blocks[pass->block];
  const struct vit_backend *k = vit_backend();
  struct vit_place at = vit_place_of(w, index);
  struct vit_scratch s = vit_scratch_of(w, worker);
  size_t dim = arch->embed_dim, ld = w->panel, heads = arch->num_heads;
  vit_real *x = vit_panel_x(w, at.image, at.panel), *probabilities = NULL;
  if (w->trace.attention)
    probabilities =
        w->trace.attention[pass->block] + (pass->first + at.image) * heads * w->tokens * w->tokens;
  vit_attention_panel(w, vit_panel_qkv(w, pass->block, at.image, 0), &at, s.large, s.top, s.inverse,
                      0, s.attended, probabilities);
  struct vit_epilogue add = {
      .bias = block->proj.bias, .row_scale = block->scale1, .residual = x, .ld_residual = ld};
  const struct vit_matrix *weights = w->forth[pass->block];
  k->linear(VIT_FORTH, &weights[VIT_PROJ], 0, dim, at.columns, s.attended, ld, x, ld, &add);
  k->layer_norm(dim, at.columns, x, ld, block->norm2.weight, block->norm2.bias,
                (vit_real)arch->layer_norm_eps, s.normed, ld, NULL, NULL);
  struct vit_epilogue gelu = {.bias = block->fc1.bias, .activation = VIT_GELU};
  k->linear(VIT_FORTH, &weights[VIT_FC1], 0, arch->mlp_dim, at.columns, s.normed, ld, s.large, ld,
            &gelu);
  add.bias = block->fc2.bias;
  add.row_scale = block->scale2;
  k->linear(VIT_FORTH, &weights[VIT_FC2], 0, dim, at.columns, s.large, ld, s.attended, ld, &add);
  memcpy(x, s.attended, dim * ld * sizeof *x);
  if (pass->block + 1 < arch->depth) enter_block(pass, &at, pass->block + 1, x, s);
}

/* CLS attention of the last block out of the full one. */
static void copy_cls_attention(struct vit_workspace *w, size_t n) {
  if (!w->trace.last_cls_attention || !w->trace.attention) return;
  const struct vit_arch *arch = &w->model->arch;
  const vit_real *full = w->trace.attention[arch->depth - 1];
  for (size_t i = 0; i < n * arch->num_heads; i++)
    for (size_t t = 0; t < w->tokens; t++)
      w->trace.last_cls_attention[i * w->tokens + t] = full[i * w->tokens * w->tokens + t];
}

static void run_group(struct pass *pass, size_t images) {
  struct vit_workspace *w = pass->w;
  size_t depth = w->model->arch.depth, panels = images * w->panels;
  lc_parallel_for(panels, embed_panel, pass);
  size_t full = pass->cls_only ? depth - 1 : depth;
  for (pass->block = 0; pass->block < full; pass->block++)
    lc_parallel_for(panels, block_panel, pass);
  if (pass->cls_only)
    vit_cls_block(w, pass->first, images);
  else
    vit_cls_heads(w, pass->first, images, NULL);
}

lc_status vit_forward(struct vit_workspace *workspace, const vit_real *images, size_t n,
                      struct vit_trace *trace, struct lc_error *err) {
  struct vit_workspace *w = workspace;
  size_t pixels = VIT_CHANNELS * w->height * w->width;
  if (n == 0 || n > w->batch)
    LC_FAIL(err, LC_ERR_USAGE, "forward pass over %zu images, expected 1 to %zu", n, w->batch);
  LC_TRY(vit_check_finite(images, n * pixels, "input image", err));
  LC_TRY(vit_workspace_scratch(w, err));
  struct pass pass = {.w = w, .cls_only = !w->request.all_attention};
  for (pass.first = 0; pass.first < n; pass.first += w->group) {
    size_t left = n - pass.first;
    pass.images = images + pass.first * pixels;
    run_group(&pass, left < w->group ? left : w->group);
  }
  copy_cls_attention(w, n);
  w->trace.batch = n;
  const struct vit_arch *arch = &w->model->arch;
  size_t outputs = arch->n_heads ? vit_arch_outputs(arch) : arch->embed_dim;
  LC_TRY(vit_check_finite(w->trace.logits, n * outputs, "output of the model", err));
  *trace = w->trace;
  return LC_OK;
}
