/* One transformer block at a time in double precision, every token of it, forward and backward:
 * slow and plain. The oracle of the closed form, and the ground for the relevance rules, which
 * divide by sums that nearly cancel and need the digits. Private to this room.
 *
 * Thread-safety: one struct, one thread. */
#pragma once

#include "cdam/engine/cdam_map.h"
#include "common/lc_arena.h"

/* How the attention's gradient goes back. */
typedef enum cdam_attention_rule {
  CDAM_ATTENTION_PLAIN = 0,
  CDAM_ATTENTION_FIXED,  /* through the values alone, as if the attention were a constant */
  CDAM_ATTENTION_ROUTED, /* through queries and keys alone */
  CDAM_ATTENTION_HALVED  /* half through the values, half through the attention, and of that a
                            quarter each through queries and keys */
} cdam_attention_rule;

/* Changes of the backward pass; zeros: the gradient itself. */
struct cdam_rules {
  bool norm_fixed; /* LayerNorm's deviation is a constant */
  bool gate_fixed; /* so is what an activation multiplies its input by: gelu(x) / x */
  cdam_attention_rule attention;
};

struct cdam_double {
  const struct vit_model *model;
  struct cdam_rules rules;   /* of the backward pass; the caller may set them */
  size_t n, dim, mlp, heads; /* n: tokens */
  size_t block;              /* whose weights and activations these are; depth: none yet */
  struct lc_arena arena;
  /* Weights of the block, [out, in]. */
  double *qkv_weight, *proj_weight, *fc1_weight, *fc2_weight;
  /* Activations, [n, width]; attention [heads, n, n]. attended and mlp_out after LayerScale. */
  double *input, *normed, *qkv, *attention, *mixed, *attended, *after, *normed2, *hidden, *active,
      *mlp_out, *output;
  /* Gradients. d_attention [heads, n, n] with respect to the softmax's result. */
  double *d_normed, *d_attention;
  double *spare, *spare_wide, *d_mixed, *d_qkv, *d_scores;
};

LC_MUST_CHECK lc_status cdam_double_init(struct cdam_double *d, const struct vit_model *model,
                                         size_t tokens, struct lc_error *err);
void cdam_double_free(struct cdam_double *d);

/* Tokens that enter the first block, [n, dim], from an image [3, height, width] whose patches are
 * all kept. */
LC_MUST_CHECK lc_status cdam_double_embed(const struct cdam_double *d, const float *image,
                                          size_t height, size_t width, double *tokens,
                                          struct lc_error *err);

/* Runs a block on input [n, dim] (which may be d->output) and keeps everything. */
void cdam_double_forward(struct cdam_double *d, size_t block, const double *input);

/* g [n, dim]: gradient at the output, replaced by the gradient at the block's input. d_normed and
 * d_attention are those of this call. */
void cdam_double_backward(struct cdam_double *d, double *g);

/* Gradient of a target with respect to the output of the last block, which must be the current
 * one: g [n, dim], zero but for CLS. */
void cdam_double_target(struct cdam_double *d, const struct cdam_target *target, double *g);

/* CDAM of image number `image` of a trace with last_input, and its two parts, by full backward
 * passes; maps that are not wanted are NULL, the others are overwritten. work: [n, dim]. The rules
 * are left as they were. */
void cdam_double_explain(struct cdam_double *d, const struct vit_trace *trace, size_t image,
                         const struct cdam_target *targets, size_t n_targets, double *work,
                         struct cdam_maps *maps, struct cdam_maps *routed,
                         struct cdam_maps *content);

/* The CLS embedding after the final norm, [dim]; the last block must be the current one. */
void cdam_double_embedding(const struct cdam_double *d, double *embedding);

/* Pre-activations of the hidden layer of a prediction head, [hidden]. */
void cdam_double_hidden(const struct vit_model *model, size_t head, const double *embedding,
                        double *hidden);
