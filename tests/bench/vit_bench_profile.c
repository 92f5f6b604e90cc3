/* Where the time goes: a kernel table that times each call and passes it on. */
#include <stdatomic.h>

#include "tests/bench/vit_bench.h"
#include "vit/kernels/vit_backend.h"

const char *const bench_kind_names[BENCH_KINDS] = {
    "patch embedding", "qkv", "scores", "softmax",          "values", "projection",
    "fc1 + GELU",      "fc2", "norms",  "weight gradients", "other"};

static struct bench_shape shape;
static const struct vit_backend *inner;
static struct vit_backend outer;
static atomic_llong total[BENCH_KINDS]; /* nanoseconds */
static _Thread_local double started;

static void begin(void) {
  started = bench_clock(CLOCK_MONOTONIC);
}

static void end(enum bench_kind kind) {
  atomic_fetch_add(&total[kind], (long long)(1e9 * (bench_clock(CLOCK_MONOTONIC) - started)));
}

/* A product's kind by its shape; forward and backward of one layer count together. */
static enum bench_kind kind_of(size_t m, size_t n, size_t k, size_t a_row,
                               const struct vit_epilogue *e) {
  size_t dim = shape.dim, mlp = shape.mlp, head = shape.head;
  if (n == 32 && e && e->accumulate && m <= 48 && m != head) return BENCH_WEIGHTS;
  if (m == head && e && e->accumulate) return BENCH_VALUES;
  if (m == mlp || (k == mlp && n == 0)) return m == mlp && k == dim ? BENCH_FC1 : BENCH_OTHER;
  if (m == dim && k == mlp) return BENCH_FC2;
  if ((m == 3 * dim && k == dim) || (m == dim && k == 3 * dim)) return BENCH_QKV;
  if (m == dim && k == dim) return BENCH_PROJ;
  if (k == head && a_row == 1) return BENCH_SCORES;
  if (m == head) return BENCH_VALUES;
  if (k == shape.features || m == shape.features) return BENCH_EMBED;
  return BENCH_OTHER;
}

static void gemm(size_t m, size_t n, size_t k, const vit_real *a, size_t a_row, size_t a_col,
                 const vit_real *b, size_t ldb, vit_real *c, size_t ldc,
                 const struct vit_epilogue *e) {
  begin();
  inner->gemm(m, n, k, a, a_row, a_col, b, ldb, c, ldc, e);
  end(kind_of(m, n, k, a_row, e));
}

static void layer_norm(size_t rows, size_t n, const vit_real *x, size_t ldx, const vit_real *weight,
                       const vit_real *bias, vit_real eps, vit_real *y, size_t ldy, vit_real *mean,
                       vit_real *rstd) {
  begin();
  inner->layer_norm(rows, n, x, ldx, weight, bias, eps, y, ldy, mean, rstd);
  end(BENCH_NORM);
}

static void layer_norm_backward(size_t rows, size_t n, const vit_real *dy, const vit_real *x,
                                size_t ld, const vit_real *weight, const vit_real *mean,
                                const vit_real *rstd, const vit_real *residual, vit_real *dx) {
  begin();
  inner->layer_norm_backward(rows, n, dy, x, ld, weight, mean, rstd, residual, dx);
  end(BENCH_NORM);
}

static void softmax(size_t rows, size_t n, vit_real *s, size_t lds, vit_real scale, vit_real *top,
                    vit_real *inverse) {
  begin();
  inner->softmax(rows, n, s, lds, scale, top, inverse);
  end(BENCH_SOFTMAX);
}

static void probabilities(size_t rows, size_t n, vit_real *s, size_t lds, vit_real scale,
                          const vit_real *top, const vit_real *inverse) {
  begin();
  inner->probabilities(rows, n, s, lds, scale, top, inverse);
  end(BENCH_SOFTMAX);
}

static void softmax_backward(size_t rows, size_t n, const vit_real *p, vit_real *d, size_t ld,
                             vit_real scale, const vit_real *delta) {
  begin();
  inner->softmax_backward(rows, n, p, d, ld, scale, delta);
  end(BENCH_SOFTMAX);
}

static void gelu_backward(size_t rows, size_t n, const vit_real *pre, vit_real *d, vit_real *value,
                          size_t ld) {
  begin();
  inner->gelu_backward(rows, n, pre, d, value, ld);
  end(BENCH_FC1);
}

static void transpose(size_t rows, size_t columns, const vit_real *in, size_t ldin, vit_real *out,
                      size_t ldout) {
  begin();
  inner->transpose(rows, columns, in, ldin, out, ldout);
  end(BENCH_OTHER);
}

static void add_rows(size_t rows, size_t n, const vit_real *x, size_t ld, vit_real *sums) {
  begin();
  inner->add_rows(rows, n, x, ld, sums);
  end(BENCH_WEIGHTS);
}

static void add_norm_rows(size_t rows, size_t n, const vit_real *dy, const vit_real *x, size_t ld,
                          const vit_real *mean, const vit_real *rstd, vit_real *sums) {
  begin();
  inner->add_norm_rows(rows, n, dy, x, ld, mean, rstd, sums);
  end(BENCH_WEIGHTS);
}

void bench_profile_start(const struct bench_shape *of) {
  shape = *of;
  inner = vit_backend();
  outer = *inner;
  outer.gemm = gemm;
  outer.layer_norm = layer_norm;
  outer.layer_norm_backward = layer_norm_backward;
  outer.softmax = softmax;
  outer.probabilities = probabilities;
  outer.softmax_backward = softmax_backward;
  outer.gelu_backward = gelu_backward;
  outer.transpose = transpose;
  outer.add_rows = add_rows;
  outer.add_norm_rows = add_norm_rows;
  for (int i = 0; i < BENCH_KINDS; i++) atomic_store(&total[i], 0);
  vit_backend_install(&outer);
}

void bench_profile_stop(double seconds[BENCH_KINDS]) {
  for (int i = 0; i < BENCH_KINDS; i++) seconds[i] = 1e-9 * (double)atomic_load(&total[i]);
  vit_backend_install(inner);
}
