/* CDAM in closed form for a group of inputs of the last block: the engine behind vanilla, Smooth
 * and Integrated CDAM and attention Grad-CAM; private to this room. docs/cdam.md derives the form.
 *
 * Keys and values of the patches are never formed. Only the CLS row goes through projection and
 * MLP, as one column an input, and one an input and target on the way back. Matrices are
 * feature-major and go through the kernels of vit_kernels.h, so that an input's scores do not
 * depend on which others share its group. Thread-safety: one engine, one thread. */
#ifndef CDAM_CLS_H
#define CDAM_CLS_H

#include "cdam_map.h"
#include "lc_arena.h"
#include "vit_kernels.h"

#define CDAM_GROUP 16 /* inputs that go through the CLS row's products together, at most */

/* The tokens of an input are cut into panels, each a feature-major matrix [dim, panel] that stays
 * in the second-level cache. Padding columns of the last panel must be finite. */
struct cdam_cls {
  const struct vit_model *model;
  const struct cdam_target *targets;
  size_t n_targets, tokens, width; /* width: of an attention head */
  size_t panel, panels, ld_tokens; /* ld_tokens: panel * panels */
  struct lc_arena arena;
  struct cdam_cls_rows *rows; /* scratch, in the arena */

  /* What the caller fills before a call, for each input of the group. */
  bool shared; /* false: normed holds every input's tokens. true: it holds one set of tokens z, and
                  token i of an input is factor[input, i] * z_i + offset[input] */
  float *normed; /* [group or 1, panels, dim, panel]: output of the last block's norm1, or what one
                    puts in its place */
  float *factor; /* [group, ld_tokens] */
  float *offset; /* [group, dim] */
  float *cls;    /* [dim, CDAM_GROUP]: CLS of the block's input, for the residual branch */
};

/* group: most inputs a call, at most CDAM_GROUP. */
LC_MUST_CHECK lc_status cdam_cls_init(struct cdam_cls *engine, const struct vit_model *model,
                                      const struct cdam_target *targets, size_t n_targets,
                                      size_t tokens, size_t group, bool shared,
                                      struct lc_error *err);
void cdam_cls_free(struct cdam_cls *engine);

/* Where one call adds its scores, [n, target, patch] each; those not wanted are NULL. gradcam:
 * attention Grad-CAM, whose gradients are at hand anyway. */
struct cdam_cls_sum {
  float *maps, *routed, *content, *gradcam;
  float weight;      /* of each added score */
  size_t map_stride; /* from one input's maps to the next one's; 0: all inputs add to the same */
};

/* For the first n inputs of the group. */
void cdam_cls_run(struct cdam_cls *engine, size_t n, const struct cdam_cls_sum *sum);

#endif
