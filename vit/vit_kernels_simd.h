/* A kernel set in vectors of LANES floats, written once and compiled for each instruction set. The
 * including file defines LANES, the type vf with its few operations, transpose_square (LANES rows
 * of LANES numbers turned), and the set's name.
 *
 * The product keeps a tile of the result in registers, streams the activations as vectors of
 * columns and broadcasts the weights one number at a time. Neither operand needs packing: weights
 * are read where the file is mapped, and a product's result is laid out as the next one's input. */

#include <stddef.h>
#include <string.h>

#include "vit_kernels_sets.h"

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

/* What follows a product, for one row of a tile that lies in `t`. */
INLINE void finish_row(const float *t, size_t n, size_t row, float *c, float *pre,
                       const float *residual, const struct vit_epilogue *e) {
  vf bias = vset(e->bias ? e->bias[row] : 0.0F);
  vf scale = vset(e->row_scale ? e->row_scale[row] : 1.0F);
  for (size_t j = 0; j < n; j += LANES) {
    vf x = vadd(vload(t + j), bias);
    if (pre) vstore(pre + j, x);
    x = vactivate(e->activation, x);
    if (e->row_scale) x = vmul(x, scale);
    if (residual) x = vadd(x, vload(residual + j));
    vstore(c + j, x);
  }
}

/* Vectors of the largest tile. */
#define MAX_TILE 28

/* One term of the sums: R weights times V vectors. */
INLINE void step(const int R, const int V, const float *a, size_t a_row, const float *b, vf *sum) {
  vf x[3];
#pragma GCC unroll 4
  for (int v = 0; v < V; v++) x[v] = vload(b + (size_t)v * LANES);
#pragma GCC unroll 32
  for (int i = 0; i < R; i++) {
    vf w = vset(a[(size_t)i * a_row]);
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) sum[i * V + v] = vfma(w, x[v], sum[i * V + v]);
  }
}

/* One register tile: R rows, V vectors of columns. `row` is the first row in the whole matrix. */
INLINE void tile(const int R, const int V, size_t k, const float *a, size_t a_row, size_t a_col,
                 const float *b, size_t ldb, float *c, size_t ldc, size_t row, size_t column,
                 const struct vit_epilogue *e, const float *ahead, const float *next) {
  vf sum[MAX_TILE];
#pragma GCC unroll 32
  for (int i = 0; i < R; i++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++)
      sum[i * V + v] =
          e && e->accumulate ? vload(c + (size_t)i * ldc + (size_t)v * LANES) : vset(0.0F);
  size_t p = 0;
  /* What comes from far in short runs is asked for while other terms are summed: the weights of the
   * next rows, a cache line a row every 16 steps, or the activations of the next columns. */
  if (a_col == 1 && ahead)
    for (; p + 16 <= k; p += 16) {
#pragma GCC unroll 32
      for (int i = 0; i < R; i++) {
        __builtin_prefetch(ahead + (size_t)i * a_row + p, 0, 2);
        __builtin_prefetch(a + (size_t)i * a_row + 32, 0, 3);
      }
      for (int q = 0; q < 16; q++) {
        step(R, V, a, a_row, b, sum);
        a += a_col;
        b += ldb;
      }
    }
  else if (next)
    for (; p < k; p++) {
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) __builtin_prefetch(next + (size_t)v * LANES, 0, 2);
      step(R, V, a, a_row, b, sum);
      a += a_col;
      b += ldb;
      next += ldb;
    }
  for (; p < k; p++) {
    step(R, V, a, a_row, b, sum);
    a += a_col;
    b += ldb;
  }
  if (!e || !(e->bias || e->pre || e->activation || e->row_scale || e->residual)) {
#pragma GCC unroll 32
    for (int i = 0; i < R; i++)
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) vstore(c + (size_t)i * ldc + (size_t)v * LANES, sum[i * V + v]);
    return;
  }
  float t[MAX_TILE * LANES] __attribute__((aligned(64)));
#pragma GCC unroll 32
  for (int i = 0; i < R * V; i++) vstore(t + (size_t)i * LANES, sum[i]);
  for (int i = 0; i < R; i++) {
    size_t at = row + (size_t)i;
    finish_row(t + (size_t)(i * V) * LANES, (size_t)V * LANES, at, c + (size_t)i * ldc,
               e->pre ? e->pre + at * ldc + column : NULL,
               e->residual ? e->residual + at * e->ld_residual + column : NULL, e);
  }
}

#define TILE_ARGS                                                                                  \
  size_t k, const float *a, size_t a_row, size_t a_col, const float *b, size_t ldb, float *c,      \
      size_t ldc, size_t row, size_t column, const struct vit_epilogue *e, const float *ahead,     \
      const float *next
/* Two versions a shape, so that the unit stride of the weights is known to the compiler. */
#define TILE(R, V)                                                                                 \
  static __attribute__((noinline)) void tile_##R##_##V##_k(TILE_ARGS) {                            \
    (void)a_col;                                                                                   \
    tile(R, V, k, a, a_row, 1, b, ldb, c, ldc, row, column, e, ahead, next);                       \
  }                                                                                                \
  static __attribute__((noinline)) void tile_##R##_##V##_m(TILE_ARGS) {                            \
    (void)a_row;                                                                                   \
    tile(R, V, k, a, 1, a_col, b, ldb, c, ldc, row, column, e, ahead, next);                       \
  }
typedef void (*tile_function)(TILE_ARGS);

TILE(1, 1)
TILE(2, 1)
TILE(4, 1)
TILE(8, 1)
TILE(1, 2)
TILE(2, 2)
TILE(4, 2)
TILE(6, 2)
#if LANES == 16
TILE(3, 1)
TILE(5, 1)
TILE(6, 1)
TILE(7, 1)
TILE(9, 1)
TILE(10, 1)
TILE(11, 1)
TILE(12, 1)
TILE(13, 1)
TILE(14, 1)
TILE(3, 2)
TILE(5, 2)
TILE(7, 2)
TILE(8, 2)
TILE(9, 2)
TILE(10, 2)
TILE(11, 2)
TILE(12, 2)
TILE(13, 2)
TILE(14, 2)
TILE(1, 3)
TILE(2, 3)
TILE(3, 3)
TILE(4, 3)
TILE(5, 3)
TILE(6, 3)
TILE(7, 3)
TILE(8, 3)
TILE(9, 3)
#endif

struct shape {
  size_t rows, vectors;
  tile_function by_k, by_m;
};
#define SHAPE(R, V)                                                                                \
  { R, V, tile_##R##_##V##_k, tile_##R##_##V##_m }

/* For each number of vectors, tallest first. TALLEST: rows that are done for all columns before the
 * next. */
#if LANES == 16
#define TALLEST 14
static const struct shape shapes[3][14] = {
    {SHAPE(14, 1), SHAPE(13, 1), SHAPE(12, 1), SHAPE(11, 1), SHAPE(10, 1), SHAPE(9, 1), SHAPE(8, 1),
     SHAPE(7, 1), SHAPE(6, 1), SHAPE(5, 1), SHAPE(4, 1), SHAPE(3, 1), SHAPE(2, 1), SHAPE(1, 1)},
    {SHAPE(14, 2), SHAPE(13, 2), SHAPE(12, 2), SHAPE(11, 2), SHAPE(10, 2), SHAPE(9, 2), SHAPE(8, 2),
     SHAPE(7, 2), SHAPE(6, 2), SHAPE(5, 2), SHAPE(4, 2), SHAPE(3, 2), SHAPE(2, 2), SHAPE(1, 2)},
    {SHAPE(9, 3), SHAPE(8, 3), SHAPE(7, 3), SHAPE(6, 3), SHAPE(5, 3), SHAPE(4, 3), SHAPE(3, 3),
     SHAPE(2, 3), SHAPE(1, 3)}};
#else
#define TALLEST 12
static const struct shape shapes[2][4] = {{SHAPE(8, 1), SHAPE(4, 1), SHAPE(2, 1), SHAPE(1, 1)},
                                          {SHAPE(6, 2), SHAPE(4, 2), SHAPE(2, 2), SHAPE(1, 2)}};
#endif

/* Rows of the next block: twelve where that divides them, or blocks of about one height, so that no
 * short one is left over. */
INLINE size_t next_rows(size_t left) {
  size_t blocks = (left + TALLEST - 1) / TALLEST;
  return left % 12 == 0 ? 12 : (left + blocks - 1) / blocks;
}

/* Rows of the next tile, at most: of three vectors no more than nine fit into registers, and two
 * tiles of one height are better than a tall and a short one. */
INLINE size_t tile_rows(size_t left, size_t vectors) {
  return vectors == 3 && left > 9 ? (left + 1) / 2 : left;
}

/* Vectors of the next tile: two, or three where that spares a tile of one. */
INLINE size_t next_vectors(size_t left) {
#if LANES == 16
  return left == 3 ? 3 : left >= 2 ? 2 : 1;
#else
  return left >= 2 ? 2 : 1;
#endif
}

/* All rows of the columns first to last - 1 of n, over a part of the sum. */
static void gemm_columns(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_col,
                         const float *b, size_t ldb, float *c, size_t ldc,
                         const struct vit_epilogue *e, size_t first, size_t last) {
  bool by_m = a_row == 1 && a_col != 1;
  /* Rows outside: their weights stay in the first-level cache for all tiles of columns. */
  for (size_t i = 0; i < m;) {
    size_t rows = next_rows(m - i);
    for (size_t j = first; j < last;) {
      size_t vectors = next_vectors((last - j) / LANES), after = j + vectors * LANES;
      const float *ahead = j == first && i + 2 * rows <= m ? a + (i + rows) * a_row : NULL;
      const float *next = i == 0 && after + vectors * LANES <= n ? b + after : NULL;
      for (size_t r = 0; r < rows;) {
        const struct shape *shape = shapes[vectors - 1];
        while (shape->rows > tile_rows(rows - r, vectors)) shape++;
        (by_m ? shape->by_m : shape->by_k)(k, a + (i + r) * a_row, a_row, a_col, b + j, ldb,
                                           c + (i + r) * ldc + j, ldc, i + r, j, e, ahead,
                                           r == 0 ? next : NULL);
        r += shape->rows;
      }
      j = after;
    }
    i += rows;
  }
}

/* Columns of a wide second operand that are done for all rows before the next, so that it comes
 * once from far. A panel of activations is not wide. */
#define WIDE 256
#define COLUMNS 128

static void gemm_part(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_col,
                      const float *b, size_t ldb, float *c, size_t ldc,
                      const struct vit_epilogue *e) {
  size_t columns = n > WIDE ? COLUMNS : n;
  for (size_t j = 0; j < n; j += columns)
    gemm_columns(m, n, k, a, a_row, a_col, b, ldb, c, ldc, e, j, n - j < columns ? n : j + columns);
}

/* Terms of a long sum that are done for all rows before the next: their activations stay in the
 * second-level cache. The partial sums wait in c, which changes no bit. */
#define TERMS 768

static void gemm(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_col,
                 const float *b, size_t ldb, float *c, size_t ldc, const struct vit_epilogue *e) {
  if (a_row != 1 && a_col != 1) {
    vit_kernels_plain.gemm(m, n, k, a, a_row, a_col, b, ldb, c, ldc, e);
    return;
  }
  /* c cannot hold partial sums where it is the residual too. */
  if (k <= TERMS + TERMS / 2 || (e && e->residual == c)) {
    gemm_part(m, n, k, a, a_row, a_col, b, ldb, c, ldc, e);
    return;
  }
  struct vit_epilogue part = {.accumulate = e && e->accumulate};
  for (size_t done = 0; done < k; done += TERMS) {
    size_t terms = k - done < TERMS ? k - done : TERMS;
    bool last = done + terms == k;
    if (last && e) {
      bool accumulate = part.accumulate;
      part = *e;
      part.accumulate = accumulate;
    }
    gemm_part(m, n, terms, a + done * a_col, a_row, a_col, b + done * ldb, ldb, c, ldc, &part);
    part.accumulate = true;
  }
}

#define HALVES (VIT_LANES / LANES)
#if LANES == 16
#define NT_ROWS 6
#define NT_COLUMNS 4
#else
#define NT_ROWS 2
#define NT_COLUMNS 2
#endif

/* Dot products of R rows of a and C rows of b: each loaded vector serves several of them. */
INLINE void nt_tile(const int R, const int C, size_t columns, const float *a, size_t lda,
                    const float *b, size_t ldb, float *c, size_t ldc, bool accumulate) {
  vf sum[NT_ROWS * NT_COLUMNS * HALVES];
#pragma GCC unroll 32
  for (int i = 0; i < R * C * HALVES; i++) sum[i] = vset(0.0F);
  size_t p = 0;
  for (; p + VIT_LANES <= columns; p += VIT_LANES) {
#pragma GCC unroll 2
    for (int v = 0; v < HALVES; v++) {
      size_t at = p + (size_t)v * LANES;
      vf y[NT_COLUMNS];
#pragma GCC unroll 4
      for (int j = 0; j < C; j++) y[j] = vload(b + (size_t)j * ldb + at);
#pragma GCC unroll 8
      for (int i = 0; i < R; i++) {
        vf x = vload(a + (size_t)i * lda + at);
#pragma GCC unroll 4
        for (int j = 0; j < C; j++) {
          int s = (i * C + j) * HALVES + v;
          sum[s] = vfma(x, y[j], sum[s]);
        }
      }
    }
  }
#if LANES == 16
  if (C == 4 && p == columns) { /* the same sums as below, in registers */
#pragma GCC unroll 8
    for (int i = 0; i < R; i++) {
      float sums[4];
      vsum_four(sum + (ptrdiff_t)i * C, sums);
      float *to = c + (size_t)i * ldc;
      for (int j = 0; j < 4; j++) to[j] = accumulate ? to[j] + sums[j] : sums[j];
    }
    return;
  }
#endif
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
#pragma GCC unroll 4
    for (int j = 0; j < C; j++) {
      float part[VIT_LANES] __attribute__((aligned(64)));
      const float *x = a + (size_t)i * lda, *y = b + (size_t)j * ldb;
#pragma GCC unroll 2
      for (int v = 0; v < HALVES; v++) vstore(part + v * LANES, sum[(i * C + j) * HALVES + v]);
      for (size_t l = 0; p + l < columns; l++) part[l] += x[p + l] * y[p + l];
      for (size_t step = VIT_LANES / 2; step > 0; step /= 2)
        for (size_t l = 0; l < step; l++) part[l] += part[l + step];
      float *to = c + (size_t)i * ldc + j;
      *to = accumulate ? *to + part[0] : part[0];
    }
  }
}

static void gemm_nt(size_t m, size_t n, size_t columns, const float *a, size_t lda, const float *b,
                    size_t ldb, float *c, size_t ldc, bool accumulate) {
  for (size_t j = 0; j < n;) {
    bool wide = n - j >= NT_COLUMNS;
    for (size_t i = 0; i < m;) {
      const float *x = a + i * lda, *y = b + j * ldb;
      float *to = c + i * ldc + j;
      size_t rows = !wide ? 1 : m - i >= NT_ROWS ? NT_ROWS : m - i >= NT_ROWS / 2 ? NT_ROWS / 2 : 1;
      if (!wide)
        nt_tile(1, 1, columns, x, lda, y, ldb, to, ldc, accumulate);
      else if (rows == NT_ROWS)
        nt_tile(NT_ROWS, NT_COLUMNS, columns, x, lda, y, ldb, to, ldc, accumulate);
      else if (rows > 1)
        nt_tile(NT_ROWS / 2, NT_COLUMNS, columns, x, lda, y, ldb, to, ldc, accumulate);
      else
        nt_tile(1, NT_COLUMNS, columns, x, lda, y, ldb, to, ldc, accumulate);
      i += rows;
    }
    j += wide ? NT_COLUMNS : 1;
  }
}

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

const struct vit_kernels NAME = {.name = SET_NAME,
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
                                 .drop = drop};
