/* Layer-wise relevance propagation through a vision transformer, in double.
 *
 * Rules, as Chefer, Gur and Wolf's code (arXiv 2012.09838) applies them in its plain form:
 *   linear     alpha-beta with alpha 1, beta 0, positive and negative inputs apart:
 *              R_in = x+ * W+'(R / (W+ x+)) + x- * W-'(R / (W- x-)), bias left out
 *   sum        R_a = a R / (a + b), R_b = b R / (a + b)
 *   product    of A and V: R_A = A * ((R / (A V)) V') / 2, R_V = V * (A'(R / (A V))) / 2, and the
 *              same for Q K'
 *   GELU, ReLU, softmax, LayerNorm, LayerScale: R passes unchanged
 * A quotient x / y is x / (y + 1e-9), and 0 where y is 0.
 *
 * Sums of both signs nearly cancel here and there, and a quotient then blows rounding up: maps of
 * float and double runs may differ by percents. Private to this room.
 *
 * n is the number of tokens. Thread-safety: one struct, one thread. */
#pragma once

#include "cdam/engine/cdam_double.h"

struct cdam_lrp {
  struct lc_arena arena;
  double *weight;                     /* positive or negative part of a weight */
  double *part, *sum, *back, *result; /* [n, widest] */
  double *branch, *wide;              /* [n, dim], [n, mlp or 3 dim] */
  double *square;                     /* [n, n] */
  double *head_weight, *head_active;  /* of one layer of a prediction head */
};

LC_MUST_CHECK lc_status cdam_lrp_init(struct cdam_lrp *lrp, const struct cdam_double *d,
                                      struct lc_error *err);
void cdam_lrp_free(struct cdam_lrp *lrp);

/* Relevance of the last block's output for a target, r [n, dim]: zero but for CLS. The last block
 * must be the current one of d. The relevance of an output is 1, of a difference 1 and -1. */
void cdam_lrp_start(struct cdam_lrp *lrp, const struct cdam_double *d,
                    const struct cdam_target *target, double *r);

/* r [n, dim] at the output of d's current block is replaced by that at its input. attention
 * [heads, n, n] gets the relevance of the attention; when `only_attention` is set r is left
 * undefined. */
void cdam_lrp_block(struct cdam_lrp *lrp, const struct cdam_double *d, double *r, double *attention,
                    bool only_attention);
