/* The scratch of the closed form's engine and its steps; for cdam_cls*.c only. */
#pragma once

#include "cdam/engine/cdam_cls.h"
#include "cdam/engine/cdam_cls_weights.h"

#define CDAM_CHUNK 16   /* targets that go through the way back together; bounds the scratch */
#define CDAM_TOGETHER 2 /* inputs that go through their panels together */
#define CDAM_PICKED 64  /* hidden units that are added or taken out together */

/* Up to the scores one column an input, from the attended values on one row; on the way back one
 * row an input and target, row input * chunk + target. m: inputs of a call. */
struct cdam_cls_rows {
  float *first, *query;      /* [dim, ld]: normed CLS, q */
  float *folded;             /* [heads, dim, ld]: u, then the attended tokens */
  float *directions;         /* [ld, heads, dim]: u of each input */
  float *scores, *attention; /* [m, heads, ld_tokens]: s, then a s; a */
  float *means;              /* [together, panels, heads, dim]: attended tokens by panel */
  float *tops, *sums;        /* [together, panels, heads]: of the softmax by panel */
  float *along;              /* [2, chunk * heads], or [3, heads] when shared: cdam_cls_tokens.c */
  float *basis;              /* [3, heads, ld_tokens]; when shared */
  float *weighted;           /* [heads, ld_tokens] of one input, or [m, heads, ld_tokens] when
                                shared: attention times a factor of each token */
  float *shift;              /* [dim]: W_v direction of shared tokens */
  float *attended;           /* [ld, dim]: o without the values' bias, a row an input */
  float *after;              /* [ld, dim]: x after attention */
  /* z of what enters norm2 and the final norm, 1 / deviation of each. */
  float *z2, *z;               /* [ld, dim] */
  float *rstd2, *rstd;         /* [ld] */
  float *carried_z2;           /* [ld, dim]: the projection's part */
  float *carried_z;            /* [ld, row] */
  float *scratch;              /* [the larger of inputs and targets, dim] */
  float *pre, *active, *slope; /* [ld, mlp]: before and after GELU, its slope */
  float *dots;                 /* [ld, units]: F_u . z, zero where the unit is off */
  float *on;                   /* [ld, units]: slope of the hidden unit: of ReLU 1 where it is on */
  float *means_on;             /* [ld, units]: <F_u>, zero where the unit is off */
  /* What targets read (cdam_cls_weights.h); set once. */
  float *direct, *direct_mean; /* [targets, dim], [targets] */
  float *direct_carried;       /* [targets, row] */
  float *coefficients;         /* [targets, units]: of the hidden units */
  /* The way back. */
  float *mostly;      /* [units]: 1 where a unit is on for most inputs of the group */
  float *of_units;    /* [m * chunk, units]: coefficients where units are on; for related
                         inputs [chunk, units] */
  float *base;        /* [chunk, row] */
  float *picked;      /* [CDAM_PICKED, row] */
  float *picked_by;   /* [chunk, CDAM_PICKED] */
  float *wide;        /* [m * chunk, row] */
  float *norm2_means; /* [m * chunk, 2]: of norm2's gradient, and along z2 */
  float *branch;      /* [m * chunk, dim]: g at the end */
  float *reading;     /* [m * chunk, heads, dim]: w; unless shared */
  float *reads; /* r: of one input [chunk, heads, ld_tokens]; of one head [m * chunk, ld_tokens]
                   when shared */
  float *sum;   /* [ld_tokens] */
};

/* What the targets read of CLS, for the engine's start. */
void cdam_cls_targets(struct cdam_cls *engine);
/* From the normed tokens to what the heads hand to the projection of the CLS row. */
void cdam_cls_attend(struct cdam_cls *engine, size_t n);
/* The CLS row of n inputs through the rest of the model, keeping what the way back needs. */
void cdam_cls_forward(struct cdam_cls *engine, size_t n);
/* From the targets first ... first + chunk - 1 to g = df/do, in branch. */
void cdam_cls_backward(struct cdam_cls *engine, size_t n, size_t first, size_t chunk);
/* What tokens say along w = W_v' g: adds the scores of these targets. */
void cdam_cls_read(struct cdam_cls *engine, size_t n, size_t first, size_t chunk,
                   const struct cdam_cls_sum *sum);
