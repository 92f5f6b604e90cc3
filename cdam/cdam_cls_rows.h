/* The scratch of the closed form's engine and its steps; for cdam_cls*.c only. */
#ifndef CDAM_CLS_ROWS_H
#define CDAM_CLS_ROWS_H

#include "cdam_cls.h"

#define CDAM_CHUNK 16 /* targets that go through the way back together; bounds the scratch */

/* Forward: feature-major, one column an input. Backward: one row an input and target, row
 * input * chunk + target; so both read weights as they are stored. m: inputs of a call. */
struct cdam_cls_rows {
  float *first, *query;      /* [dim, ld]: normed CLS, q */
  float *folded;             /* [heads, dim, ld]: u, then the attended tokens */
  float *directions;         /* [ld, heads, dim]: u of each input */
  float *scores, *attention; /* [m, heads, ld_tokens]: s, then a s; a */
  float *means;              /* [panels, heads, dim]: attended tokens of one input, by panel */
  float *tops, *sums;        /* [panels, heads]: of the softmax of one input, by panel */
  float *along;              /* [2, chunk * heads or heads]: see cdam_cls_tokens.c */
  float *weighted;           /* [heads, ld_tokens] of one input, or [m, heads, ld_tokens] when
                                shared: attention times a factor of each token */
  float *shift;              /* [dim, ld], and turned [ld, dim]: W_v offset of shared tokens */
  float *mixed;              /* [dim, ld]: o */
  float *attended;           /* [ld, dim]: o without the bias */
  float *after, *normed2;    /* [dim, ld]: x after attention, its norm2 */
  float *pre, *active;       /* [mlp, ld]: before and after GELU */
  float *last, *embedding;   /* [dim, ld]: block output, final norm */
  float *relu;               /* [hidden units of all heads, ld]: 1 where the unit is on */
  float *moments;            /* [4, ld]: mean and 1 / deviation of norm2's and the final norm's
                                input */
  /* What the way back reads, a row an input. */
  float *after_rows, *last_rows; /* [ld, dim] */
  float *slope, *active_rows;    /* [ld, mlp]: slope of GELU */
  float *relu_rows;              /* [ld, hidden units of all heads] */
  float *upstream, *branch;      /* [m * chunk, dim]; branch holds g at the end */
  float *wide;                   /* [m * chunk, mlp or hidden units] */
  float *reading;                /* [m * chunk, heads, dim]: w; unless shared */
  float *reads; /* r: of one input [chunk, heads, ld_tokens]; of one head [m * chunk, ld_tokens]
                   when shared */
  float *sum;   /* [ld_tokens] */
};

/* c[m, n] (+)= a[m, k] b[k, n], all row-major, n of any size. Weights as they are stored make b. */
void cdam_cls_product(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                      size_t ldb, float *c, size_t ldc, bool accumulate);

/* From the normed tokens to what the heads hand to the projection of the CLS row. */
void cdam_cls_attend(struct cdam_cls *engine, size_t n);
/* The CLS row of n inputs through the rest of the model, keeping what the way back needs. */
void cdam_cls_forward(struct cdam_cls *engine, size_t n);
/* From the targets first ... first + chunk - 1 to g = df/do, in branch. */
void cdam_cls_backward(struct cdam_cls *engine, size_t n, size_t first, size_t chunk);
/* What tokens say along w = W_v' g: adds the scores of these targets. */
void cdam_cls_read(struct cdam_cls *engine, size_t n, size_t first, size_t chunk,
                   const struct cdam_cls_sum *sum);

#endif
