/* A back end in vectors of LANES floats, written once and compiled for each instruction set. The
 * including file defines LANES, the type vf with its few operations, transpose_square (LANES rows
 * of LANES numbers turned), its name (ISA), one line about it (DOC), and whether it RUNS_HERE. */

#include <stddef.h>
#include <string.h>

#include "vit/kernels/vit_backend_plain.h"

#define INLINE static inline __attribute__((always_inline))

/* exp(x) for x <= 0 and moderate x above: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2], least
 * squares in relative error at Chebyshev points (1.9e-9); zero below -87. */
INLINE vf vexp(vf x) {
  x = vmax(x, vset(-88.0F));
  vf n = vround(vmul(x, vset(1.44269504F)));
  vf r = vfma(n, vset(-0.693359375F), x);
  r = vfma(n, vset(2.12194440e-4F), r);
  vf p = vset(1.382941147e-3F);
  p = vfma(p, r, vset(8.374777623e-3F));
  p = vfma(p, r, vset(4.166835919e-2F));
  p = vfma(p, r, vset(1.666642129e-1F));
  p = vfma(p, r, vset(4.999999106e-1F));
  p = vfma(p, r, vset(1.0F));
  p = vfma(p, r, vset(1.0F));
  return vexp2_times(p, n);
}

/* Normal distribution function: 1/2 + x Q(x^2), |x| cut at 5.5 where it is 1 - 2e-8. Q is a
 * polynomial in u = 2 x^2 / 5.5^2 - 1, least squares at Chebyshev points: 8e-8 in float32. */
INLINE vf vcdf(vf x) {
  static const float q[17] = {
      1.285519302e-01F,  -6.417232007e-02F, 4.773738608e-02F,  -3.879355639e-02F, 3.207571805e-02F,
      -2.603900805e-02F, 2.031779289e-02F,  -1.504755765e-02F, 1.042373758e-02F,  -6.690588780e-03F,
      4.177896772e-03F,  -2.602102235e-03F, 1.275359304e-03F,  -3.973906860e-04F, 2.709939145e-04F,
      -2.740660275e-04F, 9.485939518e-05F};
  vf t = vmin(vmax(x, vset(-5.5F)), vset(5.5F));
  vf u = vfma(vmul(t, t), vset(0.0661157025F), vset(-1.0F));
  vf p = vset(q[16]);
#pragma GCC unroll 16
  for (int i = 15; i >= 0; i--) p = vfma(p, u, vset(q[i]));
  return vfma(p, t, vset(0.5F));
}

INLINE vf vactivate(vit_activation activation, vf x) {
  if (activation == VIT_GELU) return vmul(x, vcdf(x));
  if (activation == VIT_RELU) return vmax(x, vset(0.0F));
  return x;
}

#include "vit/kernels/vit_backend_simd_gemm.h"

static void layer_norm(size_t rows, size_t n, const float *x, size_t ldx, const float *weight,
                       const float *bias, float eps, float *y, size_t ldy, float *mean,
                       float *rstd) {
  vf share = vset(1.0F / (float)rows);
  for (size_t j = 0; j < n; j += LANES) {
    vf even = vset(0.0F), odd = vset(0.0F);
    size_t r = 0;
    for (; r + 2 <= rows; r += 2) {
      even = vadd(even, vload(x + r * ldx + j));
      odd = vadd(odd, vload(x + (r + 1) * ldx + j));
    }
    if (r < rows) even = vadd(even, vload(x + r * ldx + j));
    vf m = vmul(vadd(even, odd), share);
    even = odd = vset(0.0F);
    for (r = 0; r + 2 <= rows; r += 2) {
      vf d = vsub(vload(x + r * ldx + j), m), f = vsub(vload(x + (r + 1) * ldx + j), m);
      even = vfma(d, d, even);
      odd = vfma(f, f, odd);
    }
    if (r < rows) {
      vf d = vsub(vload(x + r * ldx + j), m);
      even = vfma(d, d, even);
    }
    vf variance = vmul(vadd(even, odd), share);
    vf s = vdiv(vset(1.0F), vsqrt(vadd(variance, vset(eps))));
    for (r = 0; r < rows; r++) {
      vf d = vmul(vsub(vload(x + r * ldx + j), m), s);
      vstore(y + r * ldy + j, vfma(d, vset(weight[r]), vset(bias[r])));
    }
    if (mean) vstore(mean + j, m);
    if (rstd) vstore(rstd + j, s);
  }
}

/* Sums are kept in blocks of 64 rows, so that thousands of small terms are not lost. */
static void softmax(size_t rows, size_t n, float *s, size_t lds, float scale, float *largest,
                    float *inverse) {
  vf factor = vset(scale);
  for (size_t j = 0; j < n; j += LANES) {
    vf top = vload(s + j), other = top;
    size_t r = 0;
    for (; r + 2 <= rows; r += 2) {
      top = vmax(top, vload(s + r * lds + j));
      other = vmax(other, vload(s + (r + 1) * lds + j));
    }
    if (r < rows) top = vmax(top, vload(s + r * lds + j));
    top = vmax(top, other);
    vstore(largest + j, top);
    vf total = vset(0.0F);
    for (size_t first = 0; first < rows; first += 64) {
      size_t last = first + 64 < rows ? first + 64 : rows;
      vf sum = vset(0.0F);
      for (r = first; r < last; r++) {
        vf value = vexp(vmul(vsub(vload(s + r * lds + j), top), factor));
        vstore(s + r * lds + j, value);
        sum = vadd(sum, value);
      }
      total = vadd(total, sum);
    }
    vstore(inverse + j, vdiv(vset(1.0F), total));
  }
}

static void scale_columns(size_t rows, size_t n, float *x, size_t ldx, const float *factor) {
  for (size_t r = 0; r < rows; r++)
    for (size_t j = 0; j < n; j += LANES)
      vstore(x + r * ldx + j, vmul(vload(x + r * ldx + j), vload(factor + j)));
}

static void scale_rows(size_t rows, size_t n, const float *in, size_t ldin, const float *factor,
                       float *x, size_t ldx) {
  for (size_t r = 0; r < rows; r++)
    for (size_t j = 0; j < n; j += LANES)
      vstore(x + r * ldx + j, vmul(vset(factor[r]), vload(in + r * ldin + j)));
}

/* Squares of vectors in registers, the rest one by one. */
static void transpose(size_t rows, size_t columns, const float *in, size_t ldin, float *out,
                      size_t ldout) {
  size_t whole_rows = rows / LANES * LANES, whole_columns = columns / LANES * LANES;
  for (size_t c = 0; c < whole_columns; c += LANES)
    for (size_t r = 0; r < whole_rows; r += LANES)
      transpose_square(in + r * ldin + c, ldin, out + c * ldout + r, ldout);
  for (size_t c = whole_columns; c < columns; c++)
    for (size_t r = 0; r < whole_rows; r++) out[c * ldout + r] = in[r * ldin + c];
  for (size_t r = whole_rows; r < rows; r++)
    for (size_t c = 0; c < columns; c++) out[c * ldout + r] = in[r * ldin + c];
}

static void probabilities(size_t rows, size_t n, float *s, size_t lds, float scale,
                          const float *top, const float *inverse) {
  vf factor = vset(scale);
  for (size_t r = 0; r < rows; r++) {
    vf t = vset(top[r]), i = vset(inverse[r]);
    for (size_t j = 0; j < n; j += LANES) {
      vf x = vmul(vsub(vload(s + r * lds + j), t), factor);
      vstore(s + r * lds + j, vmul(vexp(x), i));
    }
  }
}

static void softmax_backward(size_t rows, size_t n, const float *p, float *d, size_t ld,
                             float scale, const float *delta) {
  vf factor = vset(scale);
  for (size_t r = 0; r < rows; r++) {
    vf t = vset(delta[r]);
    for (size_t j = 0; j < n; j += LANES) {
      vf x = vmul(vload(p + r * ld + j), factor);
      vstore(d + r * ld + j, vmul(x, vsub(vload(d + r * ld + j), t)));
    }
  }
}

static void gelu_backward(size_t rows, size_t n, const float *pre, float *d, float *value,
                          size_t ld) {
  for (size_t r = 0; r < rows; r++)
    for (size_t j = 0; j < n; j += LANES) {
      vf x = vload(pre + r * ld + j), cdf = vcdf(x);
      vf density = vexp(vmul(vmul(x, x), vset(-0.5F)));
      vf slope = vfma(vmul(x, vset(0.398942280F)), density, cdf);
      vstore(d + r * ld + j, vmul(vload(d + r * ld + j), slope));
      if (value) vstore(value + r * ld + j, vmul(x, cdf));
    }
}

static void layer_norm_backward(size_t rows, size_t n, const float *dy, const float *x, size_t ld,
                                const float *weight, const float *mean, const float *rstd,
                                const float *residual, float *dx) {
  vf share = vset(1.0F / (float)rows);
  for (size_t j = 0; j < n; j += LANES) {
    vf m = vload(mean + j), s = vload(rstd + j), sum = vset(0.0F), dot = vset(0.0F);
    for (size_t r = 0; r < rows; r++) {
      vf g = vmul(vload(dy + r * ld + j), vset(weight[r]));
      sum = vadd(sum, g);
      dot = vfma(g, vsub(vload(x + r * ld + j), m), dot);
    }
    sum = vmul(sum, share);
    dot = vmul(vmul(dot, share), vmul(s, s));
    for (size_t r = 0; r < rows; r++) {
      vf g = vsub(vmul(vload(dy + r * ld + j), vset(weight[r])), sum);
      g = vsub(g, vmul(vsub(vload(x + r * ld + j), m), dot));
      vstore(dx + r * ld + j, vfma(g, s, vload(residual + r * ld + j)));
    }
  }
}

static void column_dots(size_t rows, size_t n, const float *a, const float *b, size_t ld,
                        float *out) {
  for (size_t j = 0; j < n; j += LANES) {
    vf sum = vset(0.0F);
    for (size_t r = 0; r < rows; r++) sum = vfma(vload(a + r * ld + j), vload(b + r * ld + j), sum);
    vstore(out + j, sum);
  }
}

static void add_rows(size_t rows, size_t n, const float *x, size_t ld, float *sums) {
  for (size_t r = 0; r < rows; r++)
    for (size_t j = 0; j < n; j += LANES) {
      float *place = sums + r * VIT_LANES + j % VIT_LANES;
      vstore(place, vadd(vload(place), vload(x + r * ld + j)));
    }
}

static void add_products(size_t rows, size_t n, const float *a, const float *b, size_t ld,
                         float *sums) {
  for (size_t r = 0; r < rows; r++)
    for (size_t j = 0; j < n; j += LANES) {
      float *place = sums + r * VIT_LANES + j % VIT_LANES;
      vstore(place, vfma(vload(a + r * ld + j), vload(b + r * ld + j), vload(place)));
    }
}

static void add_norm_rows(size_t rows, size_t n, const float *dy, const float *x, size_t ld,
                          const float *mean, const float *rstd, float *sums) {
  for (size_t r = 0; r < rows; r++)
    for (size_t j = 0; j < n; j += LANES) {
      float *place = sums + r * VIT_LANES + j % VIT_LANES;
      vf normed = vmul(vsub(vload(x + r * ld + j), vload(mean + j)), vload(rstd + j));
      vstore(place, vfma(vload(dy + r * ld + j), normed, vload(place)));
    }
}

/* Vectors of whole numbers; arithmetic on them is the compiler's. */
typedef uint32_t vwords __attribute__((vector_size(LANES * 4)));
typedef int32_t vmask __attribute__((vector_size(LANES * 4)));

/* lc_philox with a column a lane. */
INLINE void philox(vwords c[4], const uint32_t key[2]) {
  const vwords m0 = (vwords){0} + 0xD2511F53U, m1 = (vwords){0} + 0xCD9E8D57U;
  uint32_t k0 = key[0], k1 = key[1];
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
    vi high0, low0, high1, low1;
    vproduct((vi)c[0], (vi)m0, &high0, &low0);
    vproduct((vi)c[2], (vi)m1, &high1, &low1);
    c[0] = (vwords)high1 ^ c[1] ^ k0;
    c[2] = (vwords)high0 ^ c[3] ^ k1;
    c[1] = (vwords)low1;
    c[3] = (vwords)low0;
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
}

static void drop(size_t rows, size_t n, const struct vit_drop *how, const float *x,
                 const float *row_scale, const float *residual, float *y, size_t ld) {
  vwords lanes;
  for (uint32_t i = 0; i < LANES; i++) lanes[i] = how->first + i;
  for (size_t r8 = 0; r8 < rows; r8 += 8)
    for (size_t c = 0; c < n; c += LANES) {
      vwords bits[4] = {lanes + (uint32_t)c, (vwords){0} + (uint32_t)(r8 / 8),
                        (vwords){0} + how->site, (vwords){0}};
      if (how->threshold > 0) philox(bits, how->key);
      for (size_t r = r8; r < r8 + 8 && r < rows; r++) {
        vwords word = bits[(r - r8) / 2], half = r % 2 ? word >> 16 : word & 0xFFFFU;
        vmask keeps = (vmask)(half >= how->threshold);
        vf value = vmul(vload(x + r * ld + c), vset(how->scale));
        value = (vf)((vmask)value & keeps);
        if (row_scale) value = vmul(value, vset(row_scale[r]));
        if (residual) value = vadd(vload(residual + r * ld + c), value);
        vstore(y + r * ld + c, value);
      }
    }
}

static bool runs_here(void) {
  return RUNS_HERE;
}

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)
#define JOIN_OF(a, b) a##b
#define JOIN(a, b) JOIN_OF(a, b)

const struct vit_backend JOIN(vit_backend_, ISA) = {
    .name = TEXT(ISA),
    .doc = DOC,
    .runs_here = runs_here,
    .start = vit_openblas_start,
    .abilities = VIT_ON_HOST | VIT_BACKWARD | VIT_DROPOUT | VIT_VECTORS,
    .memory = &lc_host_memory,
    .packed_size = vit_host_packed_size,
    .pack = vit_host_pack,
    .linear = vit_host_linear,
    .gemm = gemm,
    .gemm_nt = gemm_nt,
    .layer_norm = layer_norm,
    .softmax = softmax,
    .scale_columns = scale_columns,
    .scale_rows = scale_rows,
    .transpose = transpose,
    .probabilities = probabilities,
    .softmax_backward = softmax_backward,
    .gelu_backward = gelu_backward,
    .layer_norm_backward = layer_norm_backward,
    .column_dots = column_dots,
    .add_rows = add_rows,
    .add_products = add_products,
    .add_norm_rows = add_norm_rows,
    .drop = drop,
    .vectors = &JOIN(vit_vectors_, ISA),
    .product = vit_openblas_product,
    .dot = vit_openblas_dot,
};
