/* Products by OpenBLAS, the rest plain: for CPUs that the hand-written back ends do not cover. */
#include "vit/kernels/vit_backend_plain.h"

#ifndef VIT_REAL_DOUBLE
#include <cblas.h>

static vit_real activate(vit_activation activation, vit_real x) {
  if (activation == VIT_GELU) return 0.5F * x * (1.0F + erff(x * 0.707106781F));
  if (activation == VIT_RELU) return x > 0 ? x : 0;
  return x;
}

static void finish(size_t m, size_t n, const vit_real *sum, size_t ldsum, vit_real *c, size_t ldc,
                   const struct vit_epilogue *e) {
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++) {
      vit_real t = sum[i * ldsum + j] + (e->bias ? e->bias[i] : 0);
      if (e->pre) e->pre[i * ldc + j] = t;
      t = activate(e->activation, t);
      if (e->row_scale) t *= e->row_scale[i];
      if (e->residual) t += e->residual[i * e->ld_residual + j];
      c[i * ldc + j] = t;
    }
}

/* Some rows at a time through a small buffer, so that what follows finds them in cache and a
 * residual that is c itself is not overwritten before it is read. */
#define BUFFER 8192

static void gemm(size_t m, size_t n, size_t k, const vit_real *a, size_t a_row, size_t a_col,
                 const vit_real *b, size_t ldb, vit_real *c, size_t ldc,
                 const struct vit_epilogue *epilogue) {
  static const struct vit_epilogue none = {0};
  const struct vit_epilogue *e = epilogue ? epilogue : &none;
  if ((a_row != 1 && a_col != 1) || n > BUFFER) {
    vit_plain_gemm(m, n, k, a, a_row, a_col, b, ldb, c, ldc, epilogue);
    return;
  }
  vit_real sum[BUFFER];
  CBLAS_TRANSPOSE turn = a_col == 1 ? CblasNoTrans : CblasTrans;
  size_t lda = a_col == 1 ? a_row : a_col, step = BUFFER / n;
  for (size_t i = 0; i < m; i += step) {
    size_t rows = m - i < step ? m - i : step;
    if (e->accumulate)
      for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < n; j++) sum[r * n + j] = c[(i + r) * ldc + j];
    cblas_sgemm(CblasRowMajor, turn, CblasNoTrans, (blasint)rows, (blasint)n, (blasint)k, 1.0F,
                a + i * a_row, (blasint)lda, b, (blasint)ldb, e->accumulate ? 1.0F : 0.0F, sum,
                (blasint)n);
    struct vit_epilogue here = *e;
    if (here.bias) here.bias += i;
    if (here.row_scale) here.row_scale += i;
    if (here.pre) here.pre += i * ldc;
    if (here.residual) here.residual += i * here.ld_residual;
    finish(rows, n, sum, n, c + i * ldc, ldc, &here);
  }
}

static void gemm_nt(size_t m, size_t n, size_t columns, const vit_real *a, size_t lda,
                    const vit_real *b, size_t ldb, vit_real *c, size_t ldc, bool accumulate) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)n, (blasint)columns,
              1.0F, a, (blasint)lda, b, (blasint)ldb, accumulate ? 1.0F : 0.0F, c, (blasint)ldc);
}

void vit_openblas_product(bool turn_a, bool turn_b, size_t m, size_t n, size_t k, double scale,
                          const double *a, size_t lda, const double *b, size_t ldb, double *c,
                          size_t ldc) {
  cblas_dgemm(CblasRowMajor, turn_a ? CblasTrans : CblasNoTrans, turn_b ? CblasTrans : CblasNoTrans,
              (blasint)m, (blasint)n, (blasint)k, scale, a, (blasint)lda, b, (blasint)ldb, 0, c,
              (blasint)ldc);
}

double vit_openblas_dot(size_t n, const double *a, const double *b) {
  return cblas_ddot((blasint)n, a, 1, b, 1);
}

/* OpenBLAS itself runs single-threaded: the transformer's loops are the parallel ones. */
void vit_openblas_start(void) {
  openblas_set_num_threads(1);
}

static bool runs_here(void) {
  return true;
}

const struct vit_backend vit_backend_openblas = {
    .name = "openblas",
    .doc = "products by OpenBLAS, the rest plain",
    .runs_here = runs_here,
    .start = vit_openblas_start,
    .fixed_panel = 128,
    VIT_PLAIN_FUNCTIONS,
    .gemm = gemm,
    .gemm_nt = gemm_nt,
    .product = vit_openblas_product,
    .dot = vit_openblas_dot,
};
#endif
