/* A model's weights as rows of CLS go through them, and products of them with which gradients go
 * back in two steps; private to the closed form.
 *
 * A target reads the last block's output x of CLS through z = (x - mean) / deviation: with F a row
 * of weights that is multiplied by the final norm's, f = F . z + a constant, and
 *
 *   df/dx = (F - <F> - z <F z>) / deviation            <.>: mean over the features
 *
 * For an output of a head that is one Linear, for a concept, and for the difference of two such, F
 * is the same for every input (`direct`, made by the engine). Where a head has a hidden layer, F is
 * the sum of the rows F_u of the hidden units that are on, times what the output makes of them.
 *
 * Carrying a row b back through LayerScale and fc2, and through LayerScale and the projection, is
 * linear, so it is done once for every F_u, for a row of ones, and for the z of each input:
 *
 *   carried(b) = [W_2' (scale2 * b), W_p' (scale1 * b)]
 *
 * After GELU's slope, fc1, norm2's weights, LayerScale and the projection are one matrix, `back`.
 */
#pragma once

#include <pthread.h>

#include "cdam/engine/cdam_prepared.h"
#include "common/lc_arena.h"

#define CDAM_POOL 8 /* pieces of scratch memory that wait for their next use */

struct cdam_prepared {
  const struct vit_model *model;
  size_t row;            /* from one carried row to the next: mlp_dim + dim and padding */
  size_t units;          /* hidden units of all heads, in their order */
  struct lc_arena arena; /* holds all that follows */
  float *constant;       /* [units]: what they read where z is zero */
  float *mean;           /* [units]: <F_u> */
  float *carried;        /* [units, row] */
  float *ones;           /* [row]: a row of ones, carried */
  float *back;           /* [mlp_dim, dim]: W_1 diag(scale1 * norm2's weights) W_p */
  float *back_mean;      /* [mlp_dim]: W_1 times norm2's weights */
  float *fc1_constant;   /* [mlp_dim]: what enters GELU where norm2's z is zero */
  /* Layers as [in, out], for rows, with norms' weights and LayerScale in them. */
  float *proj, *proj_constant; /* [dim, dim], [dim]: from heads without the values' bias */
  float *fc1;                  /* [dim, mlp_dim]: from norm2's z, less fc1_constant */
  float *fc2, *fc2_constant;   /* [mlp_dim, dim], [dim] */
  float *hidden;               /* [dim, units]: F_u */

  float *values;                   /* [dim, dim]: W_v times norm1's weights */
  float *values_along;             /* [dim]: sums of its rows */
  float *values_constant;          /* [dim]: W_v times norm1's bias */
  pthread_mutex_t lock;            /* of the making, and of the pool */
  struct lc_arena pool[CDAM_POOL]; /* base NULL: empty */
};

/* Makes the products unless that was done. */
LC_MUST_CHECK lc_status cdam_prepared_ready(struct cdam_prepared *prepared, struct lc_error *err);

/* Scratch memory of at least `bytes`, not cleared, and its return. */
LC_MUST_CHECK lc_status cdam_prepared_take(struct cdam_prepared *prepared, size_t bytes,
                                           struct lc_arena *arena, struct lc_error *err);
void cdam_prepared_give(struct cdam_prepared *prepared, struct lc_arena *arena);

/* out[m, row] = carried rows [m, dim]; scratch: [m, dim]. */
void cdam_cls_carry(const struct cdam_prepared *prepared, size_t m, const float *rows,
                    float *scratch, float *out);
/* The part of it that goes through the projection: out[m, ldo]. */
void cdam_cls_carry_proj(const struct cdam_prepared *prepared, size_t m, const float *rows,
                         float *scratch, float *out, size_t ldo);

/* c[m, n] (+)= a[m, k] b[k, n], all row-major, n of any size. Weights as they are stored make b. */
void cdam_cls_product(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                      size_t ldb, float *c, size_t ldc, bool accumulate);
