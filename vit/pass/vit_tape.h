/* What a tape keeps, and its scratch memory; for the files of the backward pass only.
 *
 * All matrices are panels as in vit_layers.h: [batch or group, panels, rows, panel]. "Strips" are
 * token-major: [images, ceil(rows / VIT_STRIP), panels * panel, VIT_STRIP], the second operand of a
 * weight gradient, whose sum runs over tokens. */
#pragma once

#include "vit/pass/vit_backward.h"
#include "vit/pass/vit_layers.h"

#define VIT_STRIP 32

struct vit_tape_block {
  vit_real *x;                 /* [dim] input of the block */
  vit_real *qkv;               /* [3 * dim] */
  vit_real *attended;          /* [dim] before the projection */
  vit_real *mid;               /* [dim] residual stream between attention and MLP */
  vit_real *pre;               /* [mlp_dim] before GELU */
  vit_real *top, *inverse;     /* [batch, heads, panels * panel] of the softmax */
  vit_real *mean[2], *rstd[2]; /* [batch, panels * panel] of norm1, norm2 */
};

/* Rows of sums a block has (vit_backend.add_rows), by parameter. */
enum vit_sum {
  VIT_SUM_QKV_BIAS,
  VIT_SUM_PROJ_BIAS,
  VIT_SUM_FC1_BIAS,
  VIT_SUM_FC2_BIAS,
  VIT_SUM_NORM1_WEIGHT,
  VIT_SUM_NORM1_BIAS,
  VIT_SUM_NORM2_WEIGHT,
  VIT_SUM_NORM2_BIAS,
  VIT_SUM_SCALE1,
  VIT_SUM_SCALE2,
  VIT_SUM_PATCH_BIAS,
  VIT_SUM_COUNT
};

/* Which gradients of one block are wanted. */
struct vit_block_wants {
  bool weight[4]; /* qkv, proj, fc1, fc2 */
  bool sum[VIT_SUM_COUNT];
  bool any;       /* any parameter of the block */
  bool attention; /* the backward pass enters the attention: something lies below, or looks on */
  bool entry;     /* ... and goes on through queries, keys and values */
  bool input;     /* ... and goes on to the block's input */
};

/* What only gradients of parameters read is NULL where none are wanted. */
struct vit_tape_work {
  size_t group;               /* images whose intermediate gradients are held at once */
  vit_real *d[3];             /* [batch][dim] gradient of the residual stream, in turn: after,
                                 within and before the block */
  vit_real *d_scaled[2];      /* [group][dim] times LayerScale, dropped; NULL
                                 without either */
  vit_real *branch[2];        /* [group][dim] a branch's output before LayerScale */
  vit_real *d_normed[2];      /* [group][dim] at the output of norm1, norm2; or NULL */
  vit_real *d_attended;       /* [group][dim] */
  vit_real *d_qkv;            /* [group][3 * dim] */
  vit_real *d_hidden;         /* [group][mlp_dim], or NULL */
  vit_real *d_patches;        /* [group][3 * patch * patch] */
  vit_real *normed_strips[2]; /* inputs of qkv and fc1; or NULL */
  vit_real *attended_strips;  /* input of proj; or NULL */
  vit_real *value_strips;     /* input of fc2; or NULL */
  vit_real *patch_strips;     /* pixels */
  struct vit_matrix back[VIT_LAYERS]; /* weights of one block, packed for the way back */
  vit_real *sums;                     /* [depth, sum_rows, VIT_LANES] */
  vit_real *d_position;               /* [1 + grid, dim] of this grid */
  vit_real *cls;                      /* columns of CLS, see vit_backward_head.c */
  size_t sum_rows;                    /* rows of sums of one block */
  size_t sum_first[VIT_SUM_COUNT];    /* first row of each kind */
  vit_real *scratch;                  /* [workers, scratch_size] */
  size_t scratch_size;
  int workers;
  struct vit_block_wants *wants; /* [depth] */
  struct vit_block_wants embed;  /* weight[0]: patch embedding */
};

/* One panel of `rows` rows in a buffer over images. */
static inline vit_real *vit_tape_panel(const struct vit_tape *tape, vit_real *buffer, size_t rows,
                                       size_t image, size_t panel) {
  const struct vit_workspace *w = &tape->workspace;
  return buffer + (image * w->panels + panel) * rows * w->panel;
}

/* The same where it is kept, else a place in scratch. */
static inline vit_real *vit_tape_panel_or(const struct vit_tape *tape, vit_real *buffer,
                                          size_t rows, const struct vit_place *at,
                                          vit_real *scratch) {
  return buffer ? vit_tape_panel(tape, buffer, rows, at->image, at->panel) : scratch;
}

/* All strips of one image: [ceil(rows / VIT_STRIP), panels * panel, VIT_STRIP]. */
static inline size_t vit_tape_strips(const struct vit_tape *tape, size_t rows) {
  const struct vit_workspace *w = &tape->workspace;
  return (rows + VIT_STRIP - 1) / VIT_STRIP * w->panels * w->panel * VIT_STRIP;
}

/* Writes the strips of one panel; the last strip is padded with zeros. */
void vit_tape_write_strips(const struct vit_tape *tape, const struct vit_place *at, size_t rows,
                           const vit_real *x, vit_real *strips);

/* Only CLS leaves the last block: columns of its panels that are computed. */
static inline size_t vit_tape_columns(const struct vit_tape *tape, size_t block,
                                      const struct vit_place *at) {
  if (block + 1 < tape->workspace.model->arch.depth) return at->columns;
  return at->panel == 0 ? VIT_LANES : 0;
}

/* ... and only CLS asks in it: the rows of queries that come before those of keys and values, and
 * that nobody reads in the panels without CLS. */
static inline size_t vit_tape_unread_queries(const struct vit_tape *tape, size_t block,
                                             const struct vit_place *at) {
  const struct vit_arch *arch = &tape->workspace.model->arch;
  return block + 1 == arch->depth && at->panel > 0 ? arch->embed_dim : 0;
}

/* The forward pass of one block from its input to the next block's (the last one: to workspace.x),
 * for all images of the pass. */
void vit_tape_block_forward(struct vit_tape *tape, size_t block);

/* Gradients through a part of one block, for `images` images of which `first` is the first. */
struct vit_part {
  struct vit_tape *tape;
  size_t block, first, images;
  vit_real *d_after, *d_within, *d_before; /* [batch][dim] */
};

/* MLP and projection: from d_after to d_within and d_attended. */
void vit_backward_mlp(struct vit_part *part);
/* From d_attended to d_qkv. */
void vit_backward_attention(struct vit_part *part);
/* Scratch of one worker for it. */
size_t vit_backward_attention_size(const struct vit_workspace *w);
/* From d_qkv through norm1 to d_before. */
void vit_backward_entry(struct vit_part *part);
/* Weights, biases, norms and LayerScale of the block. */
void vit_backward_weights(struct vit_part *part);
/* From the gradient of the tokens to patch embedding, tokens, positions and pixels. */
LC_MUST_CHECK lc_status vit_backward_embed(struct vit_tape *tape, const vit_real *images,
                                           vit_real *d, struct lc_error *err);
/* Heads and final norm: d_logits, d_cls to d [batch][dim], whose CLS columns are written. */
void vit_backward_heads(struct vit_tape *tape, const vit_real *d_logits, const vit_real *d_cls,
                        vit_real *d);
size_t vit_backward_heads_size(const struct vit_tape *tape);

/* out[rows, in] += sum over tokens of d[row, token] * strips[token, in], for some rows. */
struct vit_outer {
  const struct vit_tape *tape;
  vit_real *d;
  size_t rows, row, count; /* rows of d's panels; first row and number of rows to do */
  vit_real *strips;
  size_t in;
  vit_real *out;
  size_t images;
  bool cls_only;
};
void vit_outer_rows(const struct vit_outer *outer, vit_real *scratch);

/* Adds one kind of sums to a gradient, and clears nothing. out[rows]. */
void vit_sums_reduce(const vit_real *sums, size_t rows, vit_real *out);

/* Adjoint of vit_position_interpolate: adds to d_stored [positions, dim]. */
LC_MUST_CHECK lc_status vit_position_backward(const struct vit_model *model, size_t grid_height,
                                              size_t grid_width, const vit_real *d_out,
                                              vit_real *d_stored, struct lc_error *err);
