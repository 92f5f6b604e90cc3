/* Loops as one would write them on paper: the oracle of the fast sets. */
#include "vit/kernels/vit_backend_plain.h"

#include <string.h>

static vit_real activate(vit_activation activation, vit_real x) {
  if (activation == VIT_GELU)
    return (vit_real)0.5 * x * (1 + vit_real_erf(x * (vit_real)0.70710678118654752440));
  if (activation == VIT_RELU) return x > 0 ? x : 0;
  return x;
}

static void finish_row(size_t i, size_t n, vit_real *c, size_t ldc, const struct vit_epilogue *e) {
  for (size_t j = 0; j < n; j++) {
    vit_real t = c[j];
    if (e->bias) t += e->bias[i];
    if (e->pre) e->pre[i * ldc + j] = t;
    t = activate(e->activation, t);
    if (e->row_scale) t *= e->row_scale[i];
    if (e->residual) t += e->residual[i * e->ld_residual + j];
    c[j] = t;
  }
}

/* A row is summed in a buffer, since the residual may be c itself. */
void vit_plain_gemm(size_t m, size_t n, size_t k, const vit_real *a, size_t a_row, size_t a_col,
                    const vit_real *b, size_t ldb, vit_real *c, size_t ldc,
                    const struct vit_epilogue *epilogue) {
  static const struct vit_epilogue none = {0};
  const struct vit_epilogue *e = epilogue ? epilogue : &none;
  vit_real sum[VIT_LANES];
  for (size_t i = 0; i < m; i++)
    for (size_t j0 = 0; j0 < n; j0 += VIT_LANES) {
      size_t width = n - j0 < VIT_LANES ? n - j0 : VIT_LANES;
      for (size_t j = 0; j < width; j++) sum[j] = e->accumulate ? c[i * ldc + j0 + j] : 0;
      for (size_t p = 0; p < k; p++) {
        vit_real value = a[i * a_row + p * a_col];
        for (size_t j = 0; j < width; j++) sum[j] += value * b[p * ldb + j0 + j];
      }
      struct vit_epilogue here = *e;
      if (here.residual) here.residual += j0;
      if (here.pre) here.pre += j0;
      finish_row(i, width, sum, ldc, &here);
      for (size_t j = 0; j < width; j++) c[i * ldc + j0 + j] = sum[j];
    }
}

void vit_plain_gemm_nt(size_t m, size_t n, size_t columns, const vit_real *a, size_t lda,
                       const vit_real *b, size_t ldb, vit_real *c, size_t ldc, bool accumulate) {
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++) {
      vit_real sum = accumulate ? c[i * ldc + j] : 0;
      for (size_t p = 0; p < columns; p++) sum += a[i * lda + p] * b[j * ldb + p];
      c[i * ldc + j] = sum;
    }
}

void vit_plain_layer_norm(size_t rows, size_t n, const vit_real *x, size_t ldx,
                          const vit_real *weight, const vit_real *bias, vit_real eps, vit_real *y,
                          size_t ldy, vit_real *mean, vit_real *rstd) {
  for (size_t c = 0; c < n; c++) {
    vit_real sum = 0, squares = 0;
    for (size_t r = 0; r < rows; r++) sum += x[r * ldx + c];
    vit_real m = sum / (vit_real)rows;
    for (size_t r = 0; r < rows; r++) {
      vit_real d = x[r * ldx + c] - m;
      squares += d * d;
    }
    vit_real s = 1 / vit_real_sqrt(squares / (vit_real)rows + eps);
    for (size_t r = 0; r < rows; r++)
      y[r * ldy + c] = (x[r * ldx + c] - m) * s * weight[r] + bias[r];
    if (mean) mean[c] = m;
    if (rstd) rstd[c] = s;
  }
}

void vit_plain_softmax(size_t rows, size_t n, vit_real *s, size_t lds, vit_real scale,
                       vit_real *top, vit_real *inverse) {
  for (size_t c = 0; c < n; c++) {
    vit_real largest = s[c];
    for (size_t r = 1; r < rows; r++) largest = s[r * lds + c] > largest ? s[r * lds + c] : largest;
    top[c] = largest;
    double sum = 0;
    for (size_t r = 0; r < rows; r++) {
      vit_real value = vit_real_exp(scale * (s[r * lds + c] - largest));
      s[r * lds + c] = value;
      sum += (double)value;
    }
    inverse[c] = (vit_real)(1 / sum);
  }
}

void vit_plain_scale_columns(size_t rows, size_t n, vit_real *x, size_t ldx,
                             const vit_real *factor) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < n; c++) x[r * ldx + c] *= factor[c];
}

void vit_plain_transpose(size_t rows, size_t columns, const vit_real *in, size_t ldin,
                         vit_real *out, size_t ldout) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) out[c * ldout + r] = in[r * ldin + c];
}

void vit_plain_scale_rows(size_t rows, size_t n, const vit_real *in, size_t ldin,
                          const vit_real *factor, vit_real *x, size_t ldx) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < n; c++) x[r * ldx + c] = factor[r] * in[r * ldin + c];
}

void vit_plain_probabilities(size_t rows, size_t n, vit_real *s, size_t lds, vit_real scale,
                             const vit_real *top, const vit_real *inverse) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < n; c++)
      s[r * lds + c] = vit_real_exp(scale * (s[r * lds + c] - top[r])) * inverse[r];
}

void vit_plain_softmax_backward(size_t rows, size_t n, const vit_real *p, vit_real *d, size_t ld,
                                vit_real scale, const vit_real *delta) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < n; c++)
      d[r * ld + c] = scale * p[r * ld + c] * (d[r * ld + c] - delta[r]);
}

void vit_plain_gelu_backward(size_t rows, size_t n, const vit_real *pre, vit_real *d,
                             vit_real *value, size_t ld) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < n; c++) {
      vit_real x = pre[r * ld + c];
      vit_real cdf = (vit_real)0.5 * (1 + vit_real_erf(x * (vit_real)0.70710678118654752440));
      vit_real density = (vit_real)0.39894228040143267794 * vit_real_exp((vit_real)-0.5 * x * x);
      d[r * ld + c] *= cdf + x * density;
      if (value) value[r * ld + c] = x * cdf;
    }
}

void vit_plain_layer_norm_backward(size_t rows, size_t n, const vit_real *dy, const vit_real *x,
                                   size_t ld, const vit_real *weight, const vit_real *mean,
                                   const vit_real *rstd, const vit_real *residual, vit_real *dx) {
  for (size_t c = 0; c < n; c++) {
    vit_real sum = 0, dot = 0;
    for (size_t r = 0; r < rows; r++) {
      vit_real g = dy[r * ld + c] * weight[r];
      sum += g;
      dot += g * (x[r * ld + c] - mean[c]) * rstd[c];
    }
    sum /= (vit_real)rows;
    dot /= (vit_real)rows;
    for (size_t r = 0; r < rows; r++) {
      vit_real normed = (x[r * ld + c] - mean[c]) * rstd[c];
      dx[r * ld + c] =
          residual[r * ld + c] + rstd[c] * (dy[r * ld + c] * weight[r] - sum - normed * dot);
    }
  }
}

void vit_plain_column_dots(size_t rows, size_t n, const vit_real *a, const vit_real *b, size_t ld,
                           vit_real *out) {
  for (size_t c = 0; c < n; c++) {
    vit_real sum = 0;
    for (size_t r = 0; r < rows; r++) sum += a[r * ld + c] * b[r * ld + c];
    out[c] = sum;
  }
}

void vit_plain_add_rows(size_t rows, size_t n, const vit_real *x, size_t ld, vit_real *sums) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < n; c++) sums[r * VIT_LANES + c % VIT_LANES] += x[r * ld + c];
}

void vit_plain_add_products(size_t rows, size_t n, const vit_real *a, const vit_real *b, size_t ld,
                            vit_real *sums) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < n; c++)
      sums[r * VIT_LANES + c % VIT_LANES] += a[r * ld + c] * b[r * ld + c];
}

void vit_plain_add_norm_rows(size_t rows, size_t n, const vit_real *dy, const vit_real *x,
                             size_t ld, const vit_real *mean, const vit_real *rstd,
                             vit_real *sums) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < n; c++)
      sums[r * VIT_LANES + c % VIT_LANES] += dy[r * ld + c] * (x[r * ld + c] - mean[c]) * rstd[c];
}

/* Eight features of a token share their random words. */
void vit_plain_drop(size_t rows, size_t n, const struct vit_drop *how, const vit_real *x,
                    const vit_real *row_scale, const vit_real *residual, vit_real *y, size_t ld) {
  for (size_t first = 0; first < rows; first += 8)
    for (size_t c = 0; c < n; c++) {
      const uint32_t counter[4] = {how->first + (uint32_t)c, (uint32_t)(first / 8), how->site, 0};
      uint32_t words[4];
      lc_philox(counter, how->key, words);
      for (size_t r = first; r < first + 8 && r < rows; r++) {
        uint32_t bits = words[r % 8 / 2] >> (r % 2 ? 16 : 0) & 0xFFFFU;
        vit_real value = bits >= how->threshold ? x[r * ld + c] * how->scale : 0;
        if (row_scale) value *= row_scale[r];
        y[r * ld + c] = residual ? residual[r * ld + c] + value : value;
      }
    }
}

void vit_plain_product(bool turn_a, bool turn_b, size_t m, size_t n, size_t k, double scale,
                       const double *a, size_t lda, const double *b, size_t ldb, double *c,
                       size_t ldc) {
  for (size_t i = 0; i < m; i++) {
    memset(c + i * ldc, 0, n * sizeof *c);
    for (size_t p = 0; p < k; p++) {
      double value = scale * (turn_a ? a[p * lda + i] : a[i * lda + p]);
      for (size_t j = 0; j < n; j++)
        c[i * ldc + j] += value * (turn_b ? b[j * ldb + p] : b[p * ldb + j]);
    }
  }
}

double vit_plain_dot(size_t n, const double *a, const double *b) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static bool runs_here(void) {
  return true;
}

const struct vit_backend vit_backend_plain = {
    .name = "plain",
    .doc = "loops as on paper, in C: the oracle of the others",
    .runs_here = runs_here,
    VIT_PLAIN_FUNCTIONS,
    .gemm = vit_plain_gemm,
    .gemm_nt = vit_plain_gemm_nt,
    .product = vit_plain_product,
    .dot = vit_plain_dot,
};
