/* From the gradient after a block to that within it, through the MLP; and on through the projection
 * to the attended values. Beside the forward steps of body_panel in vit_tape_forward.c.
 *
 *   out = mid + scale2 * drop(W2 drop(gelu(W1 norm2(mid) + b1)) + b2)
 *   mid = x + scale1 * drop(Wp attended + bp) */
#include <string.h>

#include "common/lc_parallel.h"
#include "vit/pass/vit_tape.h"

static bool drops(const struct vit_part *part, const struct vit_place *at,
                  enum vit_drop_place place, struct vit_drop *how) {
  return vit_drops_at(&part->tape->drops, place, part->block, part->first + at->image, at->first,
                      how);
}

/* LayerScale and dropout on the gradient that enters a branch; without either the gradient itself.
 */
static const vit_real *scaled(const struct vit_part *part, const struct vit_place *at, size_t n,
                              const vit_real *scale, int which, const vit_real *d) {
  struct vit_tape *tape = part->tape;
  struct vit_drop how;
  if (!tape->work->d_scaled[which]) return d;
  size_t dim = tape->workspace.model->arch.embed_dim, ld = tape->workspace.panel;
  vit_real *out = vit_tape_panel(tape, tape->work->d_scaled[which], dim, at->image, at->panel);
  if (drops(part, at, which ? VIT_DROP_FC2 : VIT_DROP_PROJ, &how))
    vit_backend()->drop(dim, n, &how, d, scale, NULL, out, ld);
  else if (scale)
    vit_backend()->scale_rows(dim, n, d, ld, scale, out, ld);
  else
    for (size_t r = 0; r < dim; r++) memcpy(out + r * ld, d + r * ld, n * sizeof *out);
  return out;
}

/* The branch's own output before LayerScale, which the gradient of the scale needs; layer: VIT_PROJ
 * or VIT_FC2. */
static void branch(const struct vit_part *part, const struct vit_place *at, size_t n, int layer,
                   const vit_real *x) {
  struct vit_tape *tape = part->tape;
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_block *block = &w->model->blocks[part->block];
  bool proj = layer == VIT_PROJ;
  struct vit_drop how;
  if (!tape->work->wants[part->block].sum[proj ? VIT_SUM_SCALE1 : VIT_SUM_SCALE2]) return;
  size_t dim = w->model->arch.embed_dim, ld = w->panel;
  vit_real *out = vit_tape_panel(tape, tape->work->branch[!proj], dim, at->image, at->panel);
  struct vit_epilogue bias = {.bias = proj ? block->proj.bias : block->fc2.bias};
  vit_backend()->linear(VIT_FORTH, &w->forth[part->block][layer], 0, dim, n, x, ld, out, ld, &bias);
  if (drops(part, at, proj ? VIT_DROP_PROJ : VIT_DROP_FC2, &how))
    vit_backend()->drop(dim, n, &how, out, NULL, NULL, out, ld);
}

/* From the gradient of fc2's output to those of fc1's, and the input of fc2 once more where a
 * parameter's gradient wants it; value may be NULL. */
static void through_gelu(const struct vit_part *part, const struct vit_place *at, size_t n,
                         const vit_real *d, vit_real *d_hidden, vit_real *value) {
  struct vit_tape *tape = part->tape;
  const struct vit_arch *arch = &tape->workspace.model->arch;
  const struct vit_backend *k = vit_backend();
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim, ld = tape->workspace.panel;
  const vit_real *pre =
      vit_tape_panel(tape, tape->blocks[part->block].pre, mlp, part->first + at->image, at->panel);
  struct vit_drop how;
  bool dropped = drops(part, at, VIT_DROP_GELU, &how);
  k->linear(VIT_BACK, &tape->work->back[VIT_FC2], 0, dim, n, d, ld, d_hidden, ld, NULL);
  if (dropped) k->drop(mlp, n, &how, d_hidden, NULL, NULL, d_hidden, ld);
  k->gelu_backward(mlp, n, pre, d_hidden, value, ld);
  if (dropped && value) k->drop(mlp, n, &how, value, NULL, NULL, value, ld);
}

/* Through the MLP and norm2: d_within gets what the residual stream and the branch bring. */
static void mlp_panel(const struct vit_part *part, const struct vit_place *at, size_t n,
                      struct vit_scratch s) {
  struct vit_tape *tape = part->tape;
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_arch *arch = &w->model->arch;
  const struct vit_block *block = &w->model->blocks[part->block];
  const struct vit_tape_block *kept = &tape->blocks[part->block];
  const struct vit_block_wants *wants = &tape->work->wants[part->block];
  struct vit_tape_work *work = tape->work;
  const struct vit_backend *k = vit_backend();
  size_t dim = arch->embed_dim, mlp = arch->mlp_dim, ld = w->panel, image = part->first + at->image;
  const vit_real *d_after = vit_tape_panel(tape, part->d_after, dim, image, at->panel);
  vit_real *d_within = vit_tape_panel(tape, part->d_within, dim, image, at->panel);
  const vit_real *mid = vit_tape_panel(tape, kept->mid, dim, image, at->panel);
  vit_real *d_hidden = vit_tape_panel_or(tape, work->d_hidden, mlp, at, s.large);
  vit_real *d_normed = vit_tape_panel_or(tape, work->d_normed[1], dim, at, s.attended);
  vit_real *value = wants->weight[3] || wants->sum[VIT_SUM_SCALE2] ? s.large : NULL;
  size_t column = (image * w->panels + at->panel) * ld;
  const vit_real *d = scaled(part, at, n, block->scale2, 1, d_after);
  through_gelu(part, at, n, d, d_hidden, value);
  if (wants->weight[3]) vit_tape_write_strips(tape, at, mlp, value, work->value_strips);
  branch(part, at, n, VIT_FC2, value);
  k->linear(VIT_BACK, &work->back[VIT_FC1], 0, mlp, n, d_hidden, ld, d_normed, ld, NULL);
  if (wants->weight[2]) {
    k->layer_norm(dim, n, mid, ld, block->norm2.weight, block->norm2.bias,
                  (vit_real)arch->layer_norm_eps, s.normed, ld, NULL, NULL);
    vit_tape_write_strips(tape, at, dim, s.normed, work->normed_strips[1]);
  }
  k->layer_norm_backward(dim, n, d_normed, mid, ld, block->norm2.weight, kept->mean[1] + column,
                         kept->rstd[1] + column, d_after, d_within);
}

static void part_panel(void *context, size_t index, int worker) {
  const struct vit_part *part = context;
  struct vit_tape *tape = part->tape;
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_block *block = &w->model->blocks[part->block];
  const struct vit_tape_block *kept = &tape->blocks[part->block];
  const struct vit_block_wants *wants = &tape->work->wants[part->block];
  struct vit_place at = vit_place_of(w, index);
  size_t dim = w->model->arch.embed_dim, ld = w->panel, image = part->first + at.image;
  size_t n = vit_tape_columns(tape, part->block, &at);
  vit_real *d_within = vit_tape_panel(tape, part->d_within, dim, image, at.panel);
  /* Only CLS leaves the last block: nothing comes back to the other tokens here. */
  if (n < at.columns) memset(d_within, 0, dim * ld * sizeof *d_within);
  if (n == 0) return;
  at.columns = n;
  if (at.tokens > n) at.tokens = n;
  mlp_panel(part, &at, n, vit_scratch_of(w, worker));
  const vit_real *attended = vit_tape_panel(tape, kept->attended, dim, image, at.panel);
  const vit_real *d = scaled(part, &at, n, block->scale1, 0, d_within);
  if (wants->weight[1])
    vit_tape_write_strips(tape, &at, dim, attended, tape->work->attended_strips);
  branch(part, &at, n, VIT_PROJ, attended);
  if (!wants->attention) return;
  vit_backend()->linear(VIT_BACK, &tape->work->back[VIT_PROJ], 0, dim, n, d, ld,
                        vit_tape_panel(tape, tape->work->d_attended, dim, at.image, at.panel), ld,
                        NULL);
}

void vit_backward_mlp(struct vit_part *part) {
  lc_parallel_for(part->images * part->tape->workspace.panels, part_panel, part);
}
