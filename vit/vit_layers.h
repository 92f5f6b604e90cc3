/* The steps of a forward pass on one panel of tokens; for the forward and backward passes only.
 *
 * A panel is a feature-major matrix [rows, panel] of `panel` tokens of one image (vit_kernels.h).
 */
#ifndef VIT_LAYERS_H
#define VIT_LAYERS_H

#include "vit_forward.h"
#include "vit_kernels.h"

/* One panel of one image on its way. */
struct vit_place {
  size_t image;   /* within the group */
  size_t panel;   /* within the image */
  size_t first;   /* first token */
  size_t tokens;  /* tokens in it */
  size_t columns; /* tokens, padded */
};

static inline struct vit_place vit_place_of(const struct vit_workspace *w, size_t index) {
  struct vit_place at = {.image = index / w->panels, .panel = index % w->panels};
  at.first = at.panel * w->panel;
  at.tokens = w->tokens - at.first < w->panel ? w->tokens - at.first : w->panel;
  at.columns = vit_pad(at.tokens);
  return at;
}

static inline vit_real *vit_panel_x(const struct vit_workspace *w, size_t image, size_t panel) {
  return w->x + (image * w->panels + panel) * w->model->arch.embed_dim * w->panel;
}

/* [3 * dim, panel]: queries, keys, values of the block with that number. */
static inline vit_real *vit_panel_qkv(const struct vit_workspace *w, size_t block, size_t image,
                                      size_t panel) {
  return w->qkv[block % 2] + (image * w->panels + panel) * 3 * w->model->arch.embed_dim * w->panel;
}

/* Pixels to tokens: x [dim, panel] of one panel. image: [3, height, width]. patches: scratch of
 * [3 * patch * patch, panel]. */
void vit_embed_panel(const struct vit_workspace *w, const struct vit_place *at,
                     const vit_real *image, vit_real *patches, vit_real *x);

/* Attention of the queries of one panel to all tokens of its image: out [dim, panel], before the
 * projection. scores: scratch of [tokens, panel]; inverse: of [panel]. probabilities: NULL, or
 * [heads, tokens, tokens] of this image, whose rows of these queries are filled. */
void vit_attention_panel(const struct vit_workspace *w, size_t block, const struct vit_place *at,
                         vit_real *scores, vit_real *inverse, vit_real *out,
                         vit_real *probabilities);

/* The last block on CLS alone, from normed tokens that lie where the keys of that block would, then
 * the final norm and the heads. first: number of the group's first image in the trace. */
void vit_cls_block(struct vit_workspace *w, size_t first, size_t images);
/* The final norm and the heads of CLS tokens that the full last block has made. */
void vit_cls_heads(struct vit_workspace *w, size_t first, size_t images);
/* Values that vit_workspace.cls must hold. */
size_t vit_cls_size(const struct vit_workspace *w);

#endif
