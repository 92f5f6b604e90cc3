/* The plain functions, and what OpenBLAS does, for back ends that have their own for some things
 * only. vit_backend.h says what each does. Thread-safety: pure functions. */
#pragma once

#include "vit/kernels/vit_backend.h"

void vit_plain_gemm(size_t m, size_t n, size_t k, const vit_real *a, size_t a_row, size_t a_col,
                    const vit_real *b, size_t ldb, vit_real *c, size_t ldc,
                    const struct vit_epilogue *epilogue);
void vit_plain_gemm_nt(size_t m, size_t n, size_t columns, const vit_real *a, size_t lda,
                       const vit_real *b, size_t ldb, vit_real *c, size_t ldc, bool accumulate);
void vit_plain_layer_norm(size_t rows, size_t n, const vit_real *x, size_t ldx,
                          const vit_real *weight, const vit_real *bias, vit_real eps, vit_real *y,
                          size_t ldy, vit_real *mean, vit_real *rstd);
void vit_plain_softmax(size_t rows, size_t n, vit_real *s, size_t lds, vit_real scale,
                       vit_real *top, vit_real *inverse);
void vit_plain_scale_columns(size_t rows, size_t n, vit_real *x, size_t ldx,
                             const vit_real *factor);
void vit_plain_scale_rows(size_t rows, size_t n, const vit_real *in, size_t ldin,
                          const vit_real *factor, vit_real *x, size_t ldx);
void vit_plain_transpose(size_t rows, size_t columns, const vit_real *in, size_t ldin,
                         vit_real *out, size_t ldout);
void vit_plain_probabilities(size_t rows, size_t n, vit_real *s, size_t lds, vit_real scale,
                             const vit_real *top, const vit_real *inverse);
void vit_plain_softmax_backward(size_t rows, size_t n, const vit_real *p, vit_real *d, size_t ld,
                                vit_real scale, const vit_real *delta);
void vit_plain_gelu_backward(size_t rows, size_t n, const vit_real *pre, vit_real *d,
                             vit_real *value, size_t ld);
void vit_plain_layer_norm_backward(size_t rows, size_t n, const vit_real *dy, const vit_real *x,
                                   size_t ld, const vit_real *weight, const vit_real *mean,
                                   const vit_real *rstd, const vit_real *residual, vit_real *dx);
void vit_plain_column_dots(size_t rows, size_t n, const vit_real *a, const vit_real *b, size_t ld,
                           vit_real *out);
void vit_plain_add_rows(size_t rows, size_t n, const vit_real *x, size_t ld, vit_real *sums);
void vit_plain_add_products(size_t rows, size_t n, const vit_real *a, const vit_real *b, size_t ld,
                            vit_real *sums);
void vit_plain_add_norm_rows(size_t rows, size_t n, const vit_real *dy, const vit_real *x,
                             size_t ld, const vit_real *mean, const vit_real *rstd, vit_real *sums);
void vit_plain_drop(size_t rows, size_t n, const struct vit_drop *how, const vit_real *x,
                    const vit_real *row_scale, const vit_real *residual, vit_real *y, size_t ld);

void vit_plain_product(bool turn_a, bool turn_b, size_t m, size_t n, size_t k, double scale,
                       const double *a, size_t lda, const double *b, size_t ldb, double *c,
                       size_t ldc);
double vit_plain_dot(size_t n, const double *a, const double *b);

#ifndef VIT_REAL_DOUBLE
void vit_openblas_start(void);
void vit_openblas_product(bool turn_a, bool turn_b, size_t m, size_t n, size_t k, double scale,
                          const double *a, size_t lda, const double *b, size_t ldb, double *c,
                          size_t ldc);
double vit_openblas_dot(size_t n, const double *a, const double *b);
#endif

#ifdef VIT_REAL_DOUBLE
#define VIT_PLAIN_VECTORS 0
#else
#define VIT_PLAIN_VECTORS VIT_VECTORS, .vectors = &vit_vectors_plain
#endif

/* All but the products. */
#define VIT_PLAIN_FUNCTIONS                                                                        \
  .abilities = VIT_ON_HOST | VIT_BACKWARD | VIT_DROPOUT | VIT_PLAIN_VECTORS,                       \
  .memory = &lc_host_memory, .packed_size = vit_host_packed_size, .pack = vit_host_pack,           \
  .linear = vit_host_linear, .layer_norm = vit_plain_layer_norm, .softmax = vit_plain_softmax,     \
  .scale_columns = vit_plain_scale_columns, .scale_rows = vit_plain_scale_rows,                    \
  .transpose = vit_plain_transpose, .probabilities = vit_plain_probabilities,                      \
  .softmax_backward = vit_plain_softmax_backward, .gelu_backward = vit_plain_gelu_backward,        \
  .layer_norm_backward = vit_plain_layer_norm_backward, .column_dots = vit_plain_column_dots,      \
  .add_rows = vit_plain_add_rows, .add_products = vit_plain_add_products,                          \
  .add_norm_rows = vit_plain_add_norm_rows, .drop = vit_plain_drop
