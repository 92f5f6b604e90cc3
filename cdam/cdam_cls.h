/* CDAM in closed form for a group of inputs of the last block: the engine behind vanilla, Smooth
 * and Integrated CDAM; private to this room. docs/cdam.md derives the form.
 *
 * Keys and values of the patches are never formed. Only the CLS row goes through projection and
 * MLP. Thread-safety: one engine, one thread; it calls BLAS as often as it needs and expects one
 * BLAS thread (cdam_blas_begin). */
#ifndef CDAM_CLS_H
#define CDAM_CLS_H

#include "cdam_map.h"
#include "lc_arena.h"

struct cdam_cls {
  const struct vit_model *model;
  const struct cdam_target *targets;
  size_t n_targets, tokens, group; /* group: most inputs a call */
  struct lc_arena arena;
  struct cdam_cls_rows *rows; /* scratch, in the arena */
};

LC_MUST_CHECK lc_status cdam_cls_init(struct cdam_cls *engine, const struct vit_model *model,
                                      const struct cdam_target *targets, size_t n_targets,
                                      size_t tokens, size_t group, struct lc_error *err);
void cdam_cls_free(struct cdam_cls *engine);

/* Where one call adds its scores, [n, target, patch] each; content and routed may be NULL. */
struct cdam_cls_sum {
  float *maps, *routed, *content;
  double weight;     /* of each added score */
  size_t map_stride; /* from one input's maps to the next one's; 0: all inputs add to the same */
};

/* normed: [n, tokens, dim], output of the last block's norm1 (or what one puts in its place).
 * cls: [n, dim], the CLS row of the block's input, for the residual branch. n at most group. */
void cdam_cls_run(struct cdam_cls *engine, size_t n, const float *normed, const float *cls,
                  const struct cdam_cls_sum *sum);

/* Layer normalisation of rows: out = (x - mean) / sqrt(var + eps) * weight + bias. In place
 * allowed.
 */
void cdam_norm_rows(const float *x, size_t rows, size_t dim, const struct vit_norm *norm, float eps,
                    float *out);

/* Sets BLAS to one thread and returns what it was; loops over inputs are parallel instead. */
int cdam_blas_begin(void);
void cdam_blas_end(int threads);

#endif
