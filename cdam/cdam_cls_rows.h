/* The scratch of the closed form's engine and the two passes of its CLS row; for cdam_cls.c and
 * cdam_cls_row.c only. */
#ifndef CDAM_CLS_ROWS_H
#define CDAM_CLS_ROWS_H

#include "cdam_cls.h"

#define CDAM_CHUNK 16 /* targets that go through the way back together; bounds the scratch */

/* ld = CDAM_GROUP, one column an input. ldg = inputs times targets of a chunk, padded; column
 * input * chunk + target. m: inputs of a call. */
struct cdam_cls_rows {
  float *first, *query;      /* [dim, ld]: normed CLS, q */
  float *folded;             /* [heads, dim, ld]: u, then the attended tokens */
  float *directions;         /* [heads, dim]: u of one input */
  float *scores, *attention; /* [m, heads, ld_tokens]: s, then a s; a */
  float *means;              /* [m, heads, dim]: attended tokens */
  float *mixed;              /* [dim, ld]: o */
  float *after, *normed2;    /* [dim, ld]: x after attention, its norm2 */
  float *pre, *active;       /* [mlp, ld]: before and after GELU; pre then holds its slope */
  float *last, *embedding;   /* [dim, ld]: block output, final norm */
  float *relu;               /* [hidden units of all heads, ld]: 1 where the unit is on */
  float *moments; /* [4, ld]: mean and 1 / deviation of norm2's and the final norm's input */
  float *upstream, *branch; /* [dim, ldg] */
  float *wide;              /* [mlp or hidden units, ldg] */
  float *values;            /* [heads, dim, ldg]: w */
  float *reading;           /* [heads, chunk, dim]: w of one input */
  float *reads;             /* [heads, chunk, ld_tokens]: r of one input */
  float *sum;               /* [ld_tokens] */
  float *weighted;          /* [heads, ld_tokens]: attention times factor of one input */
};

/* The CLS row of n inputs through the rest of the model, keeping what the way back needs. */
void cdam_cls_forward(struct cdam_cls *engine, size_t n);
/* From the targets first ... first + chunk - 1 to w, along which each token's content counts. */
void cdam_cls_backward(struct cdam_cls *engine, size_t n, size_t first, size_t chunk);

#endif
