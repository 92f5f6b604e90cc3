/* Back ends: who does the arithmetic of the transformer. Layers and explanations reach functions,
 * weights and memory only through the back end in use; docs/extending.md shows how to add one.
 *
 * Layout: activations are feature-major. A matrix X of `rows` features and `n` columns (tokens) has
 * element (r, c) at x[r * ld + c]; n is a multiple of VIT_LANES (padding columns are computed and
 * ignored), rows start on a 64-byte boundary. Columns never mix except in gemm_nt and transpose, so
 * a token's values do not depend on which tokens share its matrix, nor on the number of threads.
 *
 * A back end computes a sum over k one term after another from k = 0, so that splitting a matrix by
 * rows or columns changes no bit; one that cannot promise this says which panel width it must
 * always be given (fixed_panel). Back ends differ from each other by rounding: results name theirs.
 *
 * Thread-safety: pure functions; all of them may run in many threads at once. */
#ifndef VIT_BACKEND_H
#define VIT_BACKEND_H

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_arena.h"
#include "common/lc_random.h"
#include "common/lc_status.h"
#include "vit/kernels/vit_vectors.h"

LC_API_BEGIN

typedef enum vit_activation { VIT_IDENTITY = 0, VIT_GELU, VIT_RELU } vit_activation;

/* What happens to a product [m, n] before it is stored in c:
 *   t = sum (+ c when accumulate) + bias[row]; pre = t; t = activation(t);
 *   c = t * row_scale[row] + residual. NULL parts are left out. */
struct vit_epilogue {
  bool accumulate;
  const vit_real *bias; /* [m] */
  vit_real *pre;        /* [m, ld of c]: keeps t before the activation, for the backward pass */
  vit_activation activation;
  const vit_real *row_scale; /* [m] */
  const vit_real *residual;  /* [m, ld_residual]; may be c itself */
  size_t ld_residual;
};

/* Which elements of a matrix of one image stay when others are dropped (vit_dropout.h, inside the
 * library). Feature r of token t has 16 random bits: the low (r even) or high half of word r % 8 /
 * 2 of Philox4x32-10 (lc_random.h) at counter (t, r / 8, site, 0). It goes where they are below the
 * threshold. */
struct vit_drop {
  uint32_t key[2]; /* of the image */
  uint32_t site;   /* where in the network */
  uint32_t first;  /* token of column 0 */
  uint32_t threshold;
  vit_real scale; /* of what stays */
};

static inline bool vit_drop_keeps(const struct vit_drop *drop, size_t row, size_t column) {
  const uint32_t counter[4] = {drop->first + (uint32_t)column, (uint32_t)(row / 8), drop->site, 0};
  uint32_t words[4];
  lc_philox(counter, drop->key, words);
  return (words[row % 8 / 2] >> (row % 2 ? 16 : 0) & 0xFFFFU) >= drop->threshold;
}

/* What a back end can do; a bit set. */
enum vit_ability {
  VIT_ON_HOST = 1,  /* the host may read and write its memory, as the layers of vit/pass do */
  VIT_BACKWARD = 2, /* gradients: the functions below "For the backward pass" */
  VIT_DROPOUT = 4,  /* drop */
  VIT_VECTORS = 8   /* the loops of the closed form */
};

/* Which way numbers go through a layer: y = W x, or gradients back, d_x = W' d_y. */
typedef enum vit_way { VIT_FORTH = 0, VIT_BACK } vit_way;

/* A weight matrix [out, in] in the form in which a back end multiplies by it that way. */
struct vit_matrix {
  size_t out, in;
  const void *data;
};

struct vit_backend {
  const char *name; /* as LUNGCDAM_KERNELS and results say it: "avx2" */
  const char *doc;  /* one line */
  bool (*runs_here)(void);
  bool by_name_only;   /* never the default: one that is less exact than float32, say */
  void (*start)(void); /* once it is chosen; or NULL */
  unsigned abilities;
  const struct lc_memory *memory; /* of activations, gradients and packed weights */
  size_t fixed_panel;             /* columns of a panel, always; 0: any multiple of VIT_LANES */

  /* Weights. `weight` is the whole matrix [out, in] as the file has it. packed_size: bytes of the
   * whole packed form, 0 where `linear` reads the matrix itself and `pack` is not called. pack:
   * puts rows first to first + rows - 1 to their place in `packed`, the whole packed form in the
   * back end's memory, 64-byte aligned. Several threads pack disjoint rows of one matrix at once,
   * in any order, so that each call may write only what is of its own rows. */
  size_t (*packed_size)(vit_way way, size_t out, size_t in);
  void (*pack)(vit_way way, size_t out, size_t in, const vit_real *weight, size_t first,
               size_t rows, void *packed);
  /* Through the rows first to first + rows - 1 of W:
   *   VIT_FORTH: c[rows, n] = epilogue(W b[in, n])     VIT_BACK: c[in, n] = epilogue(W' b[rows, n])
   * W is whole: `first` counts in it alone. The other pointers are those of the rows asked for:
   * forth row 0 of c, and of bias, pre, row_scale and residual of the epilogue, is row `first` of
   * W; back row 0 of b is, while c and the epilogue have a row for each of `in`. epilogue may be
   * NULL. */
  void (*linear)(vit_way way, const struct vit_matrix *w, size_t first, size_t rows, size_t n,
                 const vit_real *b, size_t ldb, vit_real *c, size_t ldc,
                 const struct vit_epilogue *epilogue);

  /* c[m, n] = epilogue(A B): A(i, p) = a[i * a_row + p * a_col], b[k, n] with ldb, c with ldc.
   * epilogue may be NULL. */
  void (*gemm)(size_t m, size_t n, size_t k, const vit_real *a, size_t a_row, size_t a_col,
               const vit_real *b, size_t ldb, vit_real *c, size_t ldc,
               const struct vit_epilogue *epilogue);

  /* c[m, n] (+)= sum over columns of a[i, col] b[j, col]: columns many, m and n small. Sums in a
   * fixed order of columns modulo VIT_LANES. c row-major with ldc. */
  void (*gemm_nt)(size_t m, size_t n, size_t columns, const vit_real *a, size_t lda,
                  const vit_real *b, size_t ldb, vit_real *c, size_t ldc, bool accumulate);

  /* y = (x - mean) * rstd * weight[row] + bias[row], mean and variance over the rows of each
   * column. mean and rstd: [n] kept for the backward pass, or NULL. y may be x. */
  void (*layer_norm)(size_t rows, size_t n, const vit_real *x, size_t ldx, const vit_real *weight,
                     const vit_real *bias, vit_real eps, vit_real *y, size_t ldy, vit_real *mean,
                     vit_real *rstd);

  /* Softmax over the rows of each column in two steps: s becomes exp(scale * (s - top)), with
   * top[n] the column's maximum and inverse[n] the reciprocal of the new column's sum. */
  void (*softmax)(size_t rows, size_t n, vit_real *s, size_t lds, vit_real scale, vit_real *top,
                  vit_real *inverse);

  /* x[r, c] *= factor[c] */
  void (*scale_columns)(size_t rows, size_t n, vit_real *x, size_t ldx, const vit_real *factor);

  /* x[r, c] = factor[r] * in[r, c]; x may be in. */
  void (*scale_rows)(size_t rows, size_t n, const vit_real *in, size_t ldin, const vit_real *factor,
                     vit_real *x, size_t ldx);

  /* out[c, r] = in[r, c]; any sizes. */
  void (*transpose)(size_t rows, size_t columns, const vit_real *in, size_t ldin, vit_real *out,
                    size_t ldout);

  /* For the backward pass. */

  /* Scores with a row a query become probabilities: s = exp(scale * (s - top[r])) * inverse[r]. */
  void (*probabilities)(size_t rows, size_t n, vit_real *s, size_t lds, vit_real scale,
                        const vit_real *top, const vit_real *inverse);
  /* Softmax with a row a query: d = scale * p * (d - delta[r]), delta the row's sum of p * d. */
  void (*softmax_backward)(size_t rows, size_t n, const vit_real *p, vit_real *d, size_t ld,
                           vit_real scale, const vit_real *delta);
  /* d *= GELU'(pre), value = GELU(pre) unless it is NULL. */
  void (*gelu_backward)(size_t rows, size_t n, const vit_real *pre, vit_real *d, vit_real *value,
                        size_t ld);
  /* dx = residual + gradient of layer_norm's input, from dy and what the forward pass had; dx may
   * be residual. */
  void (*layer_norm_backward)(size_t rows, size_t n, const vit_real *dy, const vit_real *x,
                              size_t ld, const vit_real *weight, const vit_real *mean,
                              const vit_real *rstd, const vit_real *residual, vit_real *dx);
  /* out[c] = sum over rows of a * b */
  void (*column_dots)(size_t rows, size_t n, const vit_real *a, const vit_real *b, size_t ld,
                      vit_real *out);
  /* sums[r, c % VIT_LANES] += x[r, c], for gradients of biases; sums: [rows, VIT_LANES]. */
  void (*add_rows)(size_t rows, size_t n, const vit_real *x, size_t ld, vit_real *sums);
  /* sums[r, c % VIT_LANES] += a[r, c] * b[r, c], for those of LayerScale. */
  void (*add_products)(size_t rows, size_t n, const vit_real *a, const vit_real *b, size_t ld,
                       vit_real *sums);
  /* sums[r, c % VIT_LANES] += dy[r, c] * (x[r, c] - mean[c]) * rstd[c], for those of norms. */
  void (*add_norm_rows)(size_t rows, size_t n, const vit_real *dy, const vit_real *x, size_t ld,
                        const vit_real *mean, const vit_real *rstd, vit_real *sums);

  /* y = residual + row_scale[r] * (scale * x where `how` keeps it, else 0); NULL parts are left
   * out. All with ld; y may be x. Every back end drops the same elements. */
  void (*drop)(size_t rows, size_t n, const struct vit_drop *how, const vit_real *x,
               const vit_real *row_scale, const vit_real *residual, vit_real *y, size_t ld);

#ifndef VIT_REAL_DOUBLE
  const struct vit_vectors *vectors;
#endif

  /* In double precision, for the general form of CDAM and for LRP, all row-major:
   * c[m, n] = scale op(A) op(B), op(X) = X' where it is turned; and the sum of a[i] b[i]. */
  void (*product)(bool turn_a, bool turn_b, size_t m, size_t n, size_t k, double scale,
                  const double *a, size_t lda, const double *b, size_t ldb, double *c, size_t ldc);
  double (*dot)(size_t n, const double *a, const double *b);
};

/* The back end in use: the fastest that runs here, or the one that the environment variable
 * LUNGCDAM_KERNELS names ("plain", "openblas", "avx2", "avx512"). A name that is unknown or does
 * not run here is a warning in the log, and the fastest is taken. */
const struct vit_backend *vit_backend(void);
/* Chooses by name, "auto" for the fastest; for start-up and tests, not while a pass runs.
 * LC_ERR_NOT_FOUND lists what runs here. */
LC_MUST_CHECK lc_status vit_backend_select(const char *name, struct lc_error *err);
/* Uses one that is not in the table: a wrapper that measures, say. It must stay. */
void vit_backend_install(const struct vit_backend *backend);
/* All that run here, fastest first, ended by NULL. */
const struct vit_backend *const *vit_backends(void);
/* LC_ERR_UNSUPPORTED, naming what for, unless the back end in use has all these abilities. */
LC_MUST_CHECK lc_status vit_backend_need(unsigned abilities, const char *what,
                                         struct lc_error *err);

#ifndef VIT_REAL_DOUBLE
static inline const struct vit_vectors *vit_vectors(void) {
  return vit_backend()->vectors;
}
#endif

/* For back ends on the host: weights as they are on the way forth, transposed on the way back, and
 * products by the gemm of the back end in use. */
size_t vit_host_packed_size(vit_way way, size_t out, size_t in);
void vit_host_pack(vit_way way, size_t out, size_t in, const vit_real *weight, size_t first,
                   size_t rows, void *packed);
void vit_host_linear(vit_way way, const struct vit_matrix *w, size_t first, size_t rows, size_t n,
                     const vit_real *b, size_t ldb, vit_real *c, size_t ldc,
                     const struct vit_epilogue *epilogue);

static inline size_t vit_pad(size_t columns) {
  return (columns + VIT_LANES - 1) / VIT_LANES * VIT_LANES;
}

LC_API_END
#endif
