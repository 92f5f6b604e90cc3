/* The products of vit_backend_simd.h, which includes this with LANES and the vector type defined.
 *
 * The product keeps a tile of the result in registers, streams the activations as vectors of
 * columns and broadcasts the weights one number at a time. Neither operand needs packing: weights
 * are read where the file is mapped, and a product's result is laid out as the next one's input. */

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
    vit_plain_gemm(m, n, k, a, a_row, a_col, b, ldb, c, ldc, e);
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
