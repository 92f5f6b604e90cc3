/* CDAM in closed form for a group of inputs of the last block: the engine behind vanilla, Smooth
 * and Integrated CDAM and attention Grad-CAM; private to this room. docs/cdam.md derives the form.
 *
 * Keys and values of the patches are never formed for inputs that have tokens of their own; inputs
 * that share tokens share values. Only the CLS row goes through projection and MLP, as one row
 * an input, and as one row an input and target on the way back. Unless inputs are related, an
 * input's scores do not depend on which others share its group. Thread-safety: one engine, one
 * thread. */
#pragma once

#include "cdam/engine/cdam_map.h"
#include "cdam/engine/cdam_prepared.h"
#include "common/lc_arena.h"

#define CDAM_GROUP 32 /* inputs that go through the CLS row's products together, at most */

/* The tokens of an input are cut into panels, each a feature-major matrix [dim, panel] that stays
 * in the second-level cache. Padding columns of the last panel must be finite. */
struct cdam_cls_layout {
  size_t tokens, panel, panels, ld; /* ld: panel * panels */
};
#define CDAM_MOST_PANEL 192 /* columns */
struct cdam_cls_layout cdam_cls_layout(size_t tokens);

struct cdam_cls {
  struct cdam_prepared *prepared;
  const struct vit_model *model;
  const struct cdam_target *targets;
  size_t n_targets, width; /* width: of an attention head */
  struct cdam_cls_layout layout;
  size_t ld; /* columns of the CLS rows: inputs of a group, padded */
  struct lc_arena arena;
  struct cdam_cls_rows *rows; /* scratch, in the arena */

  /* What the caller fills before a call, for each input of the group; tokens of their own when
   * they are asked for. */
  float *cls;   /* [ld, dim]: CLS of the block's input, for the residual branch */
  bool shared;  /* all inputs have the same tokens but for factors and an offset */
  bool related; /* inputs of a group are copies of one image: mostly the same hidden units are on */

  /* Unless shared. The normed token i is (tokens_i - mean_i) * rstd_i * weight + bias with weight
   * and bias of norm, or tokens_i itself where norm is NULL. Folding the norm into the products
   * spares a pass over the tokens. */
  float *tokens; /* [group, panels, dim, panel] */
  /* Fills one panel of one input: tokens, mean, rstd, and cls with panel 0. Inputs 2 k and 2 k + 1
   * are asked for one after the other, so that the tokens of both may be made at once. */
  void (*fill)(void *context, size_t input, size_t panel);
  void *context;
  const struct vit_norm *norm;
  float *mean, *rstd; /* [group, layout.ld] */

  /* When shared. The normed token i is factor[input, i] * common_i + offset[input] * direction. */
  const float *common;    /* [panels, dim, panel] */
  const float *values;    /* [panels, dim, panel]: W_v common */
  const float *direction; /* [dim] */
  float *factor;          /* [group, layout.ld] */
  float *offset;          /* [group] */
};

/* group: most inputs a call, at most CDAM_GROUP. Its memory comes from what is prepared. */
LC_MUST_CHECK lc_status cdam_cls_init(struct cdam_cls *engine, struct cdam_prepared *prepared,
                                      const struct cdam_target *targets, size_t n_targets,
                                      size_t tokens, size_t group, bool shared,
                                      struct lc_error *err);
void cdam_cls_free(struct cdam_cls *engine);

/* Where one call adds its scores, [n, target, patch] each; those not wanted are NULL. gradcam:
 * attention Grad-CAM, whose gradients are at hand anyway; not for shared tokens. */
struct cdam_cls_sum {
  float *maps, *routed, *content, *gradcam;
  float weight;      /* of each added score */
  size_t map_stride; /* from one input's maps to the next one's; 0: all inputs add to the same */
};

/* For the first n inputs of the group. */
void cdam_cls_run(struct cdam_cls *engine, size_t n, const struct cdam_cls_sum *sum);
