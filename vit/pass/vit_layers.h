/* The steps of a forward pass on one panel of tokens; for the forward and backward passes only.
 *
 * A panel is a feature-major matrix [rows, panel] of `panel` tokens of one image (vit_backend.h).
 */
#pragma once

#include "vit/kernels/vit_backend.h"
#include "vit/pass/vit_dropout.h"
#include "vit/pass/vit_forward.h"

/* The weight matrices of a block. */
enum { VIT_QKV = 0, VIT_PROJ, VIT_FC1, VIT_FC2 };

/* Room in the arena for a matrix in the form in which `linear` reads it that way, if it has one. */
struct vit_matrix vit_take_matrix(struct lc_arena *arena, const struct vit_model *model, int layer,
                                  vit_way way);
/* Fills it, in threads, or points it to the model's own. */
void vit_pack_matrix(struct vit_matrix *matrix, const struct vit_model *model, size_t block,
                     int layer, vit_way way);

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

/* As vit_workspace_init; for_tape: the blocks' buffers are the tape's, and all images go through
 * them together. */
LC_MUST_CHECK lc_status vit_workspace_prepare(struct vit_workspace *workspace,
                                              const struct vit_model *model, size_t batch,
                                              size_t height, size_t width,
                                              const struct vit_request *request, bool for_tape,
                                              struct lc_error *err);
/* Takes positions and prefix tokens from the model again, whose parameters may have changed. */
LC_MUST_CHECK lc_status vit_workspace_refresh(struct vit_workspace *workspace,
                                              struct lc_error *err);
/* Scratch memory for as many workers as there are threads now. */
LC_MUST_CHECK lc_status vit_workspace_scratch(struct vit_workspace *workspace,
                                              struct lc_error *err);
/* LC_ERR_NUMERIC, naming `what`, when a value is NaN or infinite. */
LC_MUST_CHECK lc_status vit_check_finite(const vit_real *values, size_t n, const char *what,
                                         struct lc_error *err);

/* One worker's scratch: normed and attended tokens, scores or hidden values, and a maximum and a
 * reciprocal a column. normed is large enough for a panel of pixels. */
struct vit_scratch {
  vit_real *normed, *attended, *large, *top, *inverse;
};
struct vit_scratch vit_scratch_of(const struct vit_workspace *w, int worker);

/* The tokens of one panel to their rows in [batch, tokens, dim]; image: number in the batch. */
void vit_export_tokens(const struct vit_workspace *w, const struct vit_place *at, size_t image,
                       const vit_real *x, vit_real *out);

/* Pixels to tokens: x [dim, panel] of one panel. image: [3, height, width]. patches: scratch of
 * [3 * patch * patch, panel]. */
void vit_gather_patches(const struct vit_workspace *w, const struct vit_place *at,
                        const vit_real *image, vit_real *patches);
void vit_embed_panel(const struct vit_workspace *w, const struct vit_place *at,
                     const vit_real *image, vit_real *patches, vit_real *x);

/* Attention of the queries of one panel to all tokens of its image: out [dim, panel], before the
 * projection; at->columns of its columns are computed. qkv: [panels, 3 * dim, panel] of this image.
 * scores: scratch of [tokens, panel]. top, inverse: of [panel], or of [heads, panels * panel] with
 * stats_ld between heads, kept for the backward pass. probabilities: NULL, or [heads, tokens,
 * tokens] of this image, whose rows of these queries are filled. */
void vit_attention_panel(const struct vit_workspace *w, const vit_real *qkv,
                         const struct vit_place *at, vit_real *scores, vit_real *top,
                         vit_real *inverse, size_t stats_ld, vit_real *out,
                         vit_real *probabilities);

/* The last block on CLS alone, from normed tokens that lie where the keys of that block would, then
 * the final norm and the heads. first: number of the group's first image in the trace. */
void vit_cls_block(struct vit_workspace *w, size_t first, size_t images);
/* The final norm and the heads of CLS tokens that the full last block has made (vit_panel_x).
 * drops: what the heads do not see while training, or NULL. */
void vit_cls_heads(struct vit_workspace *w, size_t first, size_t images,
                   const struct vit_drops *drops);
/* Values that vit_workspace.cls must hold. */
size_t vit_cls_size(const struct vit_workspace *w);
