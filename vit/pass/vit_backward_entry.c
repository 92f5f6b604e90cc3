/* From queries, keys and values back through their projection and norm1: beside enter_panel in
 * vit_tape_forward.c. */
#include "common/lc_parallel.h"
#include "vit/pass/vit_tape.h"

static void entry_panel(void *context, size_t index, int worker) {
  const struct vit_part *part = context;
  struct vit_tape *tape = part->tape;
  const struct vit_workspace *w = &tape->workspace;
  const struct vit_arch *arch = &w->model->arch;
  const struct vit_block *block = &w->model->blocks[part->block];
  const struct vit_block_wants *wants = &tape->work->wants[part->block];
  struct vit_tape_work *work = tape->work;
  const struct vit_backend *k = vit_backend();
  struct vit_place at = vit_place_of(w, index);
  struct vit_scratch s = vit_scratch_of(w, worker);
  size_t dim = arch->embed_dim, ld = w->panel, n = at.columns, image = part->first + at.image;
  size_t column = (image * w->panels + at.panel) * ld;
  size_t skip = vit_tape_unread_queries(tape, part->block, &at);
  const struct vit_tape_block *kept = &tape->blocks[part->block];
  const vit_real *mean = kept->mean[0] + column, *rstd = kept->rstd[0] + column;
  const vit_real *x = vit_tape_panel(tape, kept->x, dim, image, at.panel);
  const vit_real *d_qkv = vit_tape_panel(tape, work->d_qkv, 3 * dim, at.image, at.panel);
  vit_real *d_normed = vit_tape_panel_or(tape, work->d_normed[0], dim, &at, s.attended);
  const vit_real *d_within = vit_tape_panel(tape, part->d_within, dim, image, at.panel);
  vit_real *d_before = vit_tape_panel(tape, part->d_before, dim, image, at.panel);
  if (wants->weight[0]) {
    k->layer_norm(dim, n, x, ld, block->norm1.weight, block->norm1.bias,
                  (vit_real)arch->layer_norm_eps, s.normed, ld, NULL, NULL);
    vit_tape_write_strips(tape, &at, dim, s.normed, work->normed_strips[0]);
  }
  k->linear(VIT_BACK, &work->back[VIT_QKV], skip, 3 * dim - skip, n, d_qkv + skip * ld, ld,
            d_normed, ld, NULL);
  bool last = part->block + 1 == arch->depth;
  if (last && tape->gradients.last_normed)
    vit_export_tokens(w, &at, image, d_normed, tape->gradients.last_normed);
  if (!wants->input) return;
  k->layer_norm_backward(dim, n, d_normed, x, ld, block->norm1.weight, mean, rstd, d_within,
                         d_before);
  if (tape->gradients.inputs)
    vit_export_tokens(w, &at, image, d_before, tape->gradients.inputs[part->block]);
  if (last && tape->gradients.last_input)
    vit_export_tokens(w, &at, image, d_before, tape->gradients.last_input);
}

void vit_backward_entry(struct vit_part *part) {
  lc_parallel_for(part->images * part->tape->workspace.panels, entry_panel, part);
}
