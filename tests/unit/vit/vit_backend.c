/* Every back end against the plain one, on sizes that leave remainders, and what the header
 * promises: splitting a product changes no bit, softmax survives large scores, GELU is the exact
 * one. */
#include "vit/kernels/vit_backend.h"

#include "common/lc_random.h"
#include <math.h>

#include "tests/lc_test.h"

enum { ROWS = 77, COLUMNS = 112, TERMS = 1937, LD = 128 };

static float *numbers(size_t n, const char *purpose, double scale) {
  float *out = aligned_alloc(64, (n * sizeof *out + 63) / 64 * 64);
  struct lc_random random;
  assert_non_null(out);
  lc_random_init(&random, 9, purpose, 0);
  for (size_t i = 0; i < n; i++) out[i] = (float)(scale * lc_random_normal(&random));
  return out;
}

static void for_each_set(void (*check)(const struct vit_backend *set,
                                       const struct vit_backend *plain)) {
  const struct vit_backend *plain = NULL;
  assert_ok(vit_backend_select("plain", &test_err));
  plain = vit_backend();
  for (const struct vit_backend *const *set = vit_backends(); *set; set++) {
    assert_ok(vit_backend_select((*set)->name, &test_err));
    assert_ptr_equal(vit_backend(), *set);
    check(vit_backend(), plain);
  }
  assert_ok(vit_backend_select("auto", &test_err));
}

static void assert_alike(const float *a, const float *b, size_t rows, size_t n, size_t ld,
                         double tolerance, const char *what) {
  double worst = 0, top = 0;
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < n; c++) {
      double d = fabs((double)a[r * ld + c] - (double)b[r * ld + c]);
      if (!(d <= worst)) worst = d;
      if (fabs((double)b[r * ld + c]) > top) top = fabs((double)b[r * ld + c]);
    }
  if (!(worst <= tolerance * top)) fail_msg("%s: %g of %g", what, worst, top);
}

static void check_products(const struct vit_backend *set, const struct vit_backend *plain) {
  float *a = numbers((size_t)ROWS * TERMS, "a", 1), *b = numbers((size_t)TERMS * LD, "b", 1);
  float *c = numbers((size_t)ROWS * LD, "c", 1), *d = numbers((size_t)ROWS * LD, "c", 1);
  float *pre = numbers((size_t)ROWS * LD, "p", 1), *pre2 = numbers((size_t)ROWS * LD, "p", 1);
  float *bias = numbers(ROWS, "bias", 1), *scale = numbers(ROWS, "scale", 1);
  const size_t terms[] = {1, 15, 16, 64, 200, 1153, TERMS}, rows[] = {1, 5, 12, 24, ROWS};
  for (size_t t = 0; t < 7; t++)
    for (size_t m = 0; m < 5; m++)
      for (size_t n = 16; n <= COLUMNS; n += 32)
        for (int kind = 0; kind < 4; kind++) {
          /* Row-major and column-major first operands, with and without all that may follow. */
          size_t a_row = kind & 1 ? 1 : TERMS, a_col = kind & 1 ? ROWS : 1;
          memcpy(c, d, (size_t)ROWS * LD * sizeof *c);
          float *e = numbers((size_t)ROWS * LD, "c", 1);
          struct vit_epilogue one = {.accumulate = true,
                                     .bias = bias,
                                     .pre = pre,
                                     .activation = VIT_GELU,
                                     .row_scale = scale,
                                     .residual = b,
                                     .ld_residual = LD};
          struct vit_epilogue two = one;
          two.pre = pre2;
          set->gemm(rows[m], n, terms[t], a, a_row, a_col, b, LD, c, LD, kind & 2 ? &one : NULL);
          plain->gemm(rows[m], n, terms[t], a, a_row, a_col, b, LD, e, LD, kind & 2 ? &two : NULL);
          assert_alike(c, e, rows[m], n, LD, 2e-5, set->name);
          if (kind & 2) assert_alike(pre, pre2, rows[m], n, LD, 2e-5, "before the activation");
          free(e);
        }
  free(a), free(b), free(c), free(d), free(pre), free(pre2), free(bias), free(scale);
}

static void products(void **state) {
  (void)state;
  for_each_set(check_products);
}

static void check_splitting(const struct vit_backend *set, const struct vit_backend *plain) {
  (void)plain;
  if (set->fixed_panel > 0) return;
  float *a = numbers((size_t)ROWS * TERMS, "a", 1), *b = numbers((size_t)TERMS * LD, "b", 1);
  float *c = numbers((size_t)ROWS * LD, "c", 1), *d = numbers((size_t)ROWS * LD, "c", 1);
  const struct vit_epilogue add = {.accumulate = true};
  set->gemm(ROWS, COLUMNS, TERMS, a, TERMS, 1, b, LD, c, LD, &add);
  for (size_t r = 0; r < ROWS; r += 7)
    for (size_t n = 0; n < COLUMNS; n += 16)
      for (size_t k = 0; k < TERMS; k += 300)
        set->gemm(7, 16, TERMS - k < 300 ? TERMS - k : 300, a + r * TERMS + k, TERMS, 1,
                  b + k * LD + n, LD, d + r * LD + n, LD, &add);
  for (size_t r = 0; r < ROWS; r++)
    assert_memory_equal(c + r * LD, d + r * LD, COLUMNS * sizeof *c);
  free(a), free(b), free(c), free(d);
}

static void splitting(void **state) {
  (void)state;
  for_each_set(check_splitting);
}

static void check_softmax(const struct vit_backend *set, const struct vit_backend *plain) {
  (void)plain;
  enum { KEYS = 3001, N = 32 };
  float *s = numbers((size_t)KEYS * N, "scores", 3000), *first = malloc(KEYS * N * sizeof *first);
  float top[N], inverse[N];
  assert_non_null(first);
  s[5 * N + 7] = 3e38F;
  for (size_t r = 0; r < KEYS; r++) s[r * N + 9] = -3e38F;
  for (size_t r = 0; r < KEYS; r++) s[r * N + 11] = (float)r / 1000;
  memcpy(first, s, KEYS * N * sizeof *first);
  set->softmax(KEYS, N, s, N, 0.125F, top, inverse);
  for (size_t c = 0; c < N; c++) {
    double sum = 0, kept = 0;
    for (size_t r = 0; r < KEYS; r++)
      sum += exp(0.125 * ((double)first[r * N + c] - (double)top[c]));
    for (size_t r = 0; r < KEYS; r++) {
      double exact = exp(0.125 * ((double)first[r * N + c] - (double)top[c])) / sum;
      double got = (double)s[r * N + c] * (double)inverse[c];
      assert_true(fabs(got - exact) <= 2e-6 * exact + 1e-30);
      kept += got;
    }
    assert_true(fabs(kept - 1) < 1e-5);
  }
  assert_true(s[5 * N + 7] * inverse[7] == 1);
  assert_true(fabs((double)inverse[9] * (double)KEYS - 1) < 1e-5);
  free(first);
  free(s);
}

static void large_scores(void **state) {
  (void)state;
  for_each_set(check_softmax);
}

/* GELU as it follows a product, and its slope, against erf in double precision. */
static void check_gelu(const struct vit_backend *set, const struct vit_backend *plain) {
  (void)plain;
  enum { N = 4096 };
  static float x[N], y[N], d[N], value[N];
  const float one = 1;
  for (size_t i = 0; i < N; i++) {
    x[i] = (float)((double)i / 200 - 10);
    d[i] = 1;
  }
  const struct vit_epilogue gelu = {.activation = VIT_GELU};
  set->gemm(1, N, 1, &one, 1, 1, x, N, y, N, &gelu);
  set->gelu_backward(1, N, x, d, value, N);
  for (size_t i = 0; i < N; i++) {
    double v = (double)x[i], cdf = (1 + erf(v / sqrt(2))) / 2;
    double slope = cdf + v * exp(-v * v / 2) / sqrt(2 * 3.14159265358979323846);
    assert_true(fabs((double)y[i] - v * cdf) <= 3e-7 * (1 + fabs(v)));
    assert_true(fabs((double)value[i] - v * cdf) <= 3e-7 * (1 + fabs(v)));
    assert_true(fabs((double)d[i] - slope) <= 3e-7 * (1 + fabs(v)));
  }
}

static void exact_gelu(void **state) {
  (void)state;
  for_each_set(check_gelu);
}

static void check_rest(const struct vit_backend *set, const struct vit_backend *plain) {
  float *x = numbers((size_t)ROWS * LD, "x", 2), *y = numbers((size_t)ROWS * LD, "y", 1);
  float *out = numbers((size_t)LD * LD, "o", 1), *other = numbers((size_t)LD * LD, "o", 1);
  float *w = numbers(ROWS, "w", 1), *bias = numbers(ROWS, "bias", 1);
  float mean[2][LD], rstd[2][LD], dots[2][LD];
  for (size_t rows = 1; rows <= ROWS; rows += 38) {
    set->layer_norm(rows, COLUMNS, x, LD, w, bias, 1e-6F, out, LD, mean[0], rstd[0]);
    plain->layer_norm(rows, COLUMNS, x, LD, w, bias, 1e-6F, other, LD, mean[1], rstd[1]);
    assert_alike(out, other, rows, COLUMNS, LD, 1e-5, "layer_norm");
    assert_alike(mean[0], mean[1], 1, COLUMNS, LD, 1e-5, "mean");
    memcpy(out, x, (size_t)ROWS * LD * sizeof *x);
    set->layer_norm_backward(rows, COLUMNS, y, x, LD, w, mean[1], rstd[1], out, out);
    plain->layer_norm_backward(rows, COLUMNS, y, x, LD, w, mean[1], rstd[1], x, other);
    assert_alike(out, other, rows, COLUMNS, LD, 1e-5, "layer_norm_backward");
    set->column_dots(rows, COLUMNS, x, y, LD, dots[0]);
    plain->column_dots(rows, COLUMNS, x, y, LD, dots[1]);
    assert_alike(dots[0], dots[1], 1, COLUMNS, LD, 1e-5, "column_dots");
    memset(out, 0, (size_t)LD * LD * sizeof *out);
    memset(other, 0, (size_t)LD * LD * sizeof *out);
    set->add_rows(rows, COLUMNS, x, LD, out);
    set->add_norm_rows(rows, COLUMNS, y, x, LD, mean[1], rstd[1], out);
    set->add_products(rows, COLUMNS, y, x, LD, out);
    plain->add_rows(rows, COLUMNS, x, LD, other);
    plain->add_norm_rows(rows, COLUMNS, y, x, LD, mean[1], rstd[1], other);
    plain->add_products(rows, COLUMNS, y, x, LD, other);
    assert_alike(out, other, rows, VIT_LANES, VIT_LANES, 1e-5, "sums");
    for (size_t columns = 1; columns < LD; columns += 45) {
      set->transpose(rows, columns, x, LD, out, LD);
      plain->transpose(rows, columns, x, LD, other, LD);
      for (size_t c = 0; c < columns; c++)
        assert_memory_equal(out + c * LD, other + c * LD, rows * sizeof *out);
    }
    set->gemm_nt(rows, 3, 101, x, LD, y, LD, out, 3, false);
    plain->gemm_nt(rows, 3, 101, x, LD, y, LD, other, 3, false);
    assert_alike(out, other, rows, 3, 3, 1e-5, "gemm_nt");
  }
  free(x), free(y), free(out), free(other), free(w), free(bias);
}

/* Every set drops the elements that the definition names, and no others. */
static void check_drop(const struct vit_backend *set, const struct vit_backend *plain) {
  float *x = numbers((size_t)ROWS * LD, "x", 2), *y = numbers((size_t)ROWS * LD, "y", 1);
  float *out = numbers((size_t)ROWS * LD, "o", 1), *other = numbers((size_t)ROWS * LD, "o", 1);
  float *scale = numbers(ROWS, "scale", 1);
  struct vit_drop how = {{0xDEADBEEFU, 99}, 17, 256, 20000, 1.5F};
  size_t gone = 0;
  set->drop(ROWS, COLUMNS, &how, x, NULL, NULL, out, LD);
  for (size_t r = 0; r < ROWS; r++)
    for (size_t c = 0; c < COLUMNS; c++) {
      uint32_t words[4];
      lc_philox((uint32_t[4]){256 + (uint32_t)c, (uint32_t)r / 8, 17, 0}, how.key, words);
      uint32_t bits = words[r % 8 / 2] >> 16 * (r % 2) & 0xFFFF;
      assert_true(out[r * LD + c] == (bits < 20000 ? 0 : 1.5F * x[r * LD + c]));
      gone += bits < 20000;
    }
  assert_true(fabs((double)gone / (ROWS * COLUMNS) - 20000.0 / 65536) < 0.02);
  set->drop(ROWS, COLUMNS, &how, x, scale, y, out, LD);
  plain->drop(ROWS, COLUMNS, &how, x, scale, y, other, LD);
  assert_alike(out, other, ROWS, COLUMNS, LD, 1e-6, "drop");
  how.threshold = 0;
  how.scale = 1;
  set->drop(ROWS, COLUMNS, &how, x, NULL, NULL, out, LD);
  for (size_t r = 0; r < ROWS; r++)
    assert_memory_equal(out + r * LD, x + r * LD, COLUMNS * sizeof *x);
  free(x), free(y), free(out), free(other), free(scale);
}

/* Packed or not, W b and W' b over some of W's rows are the sums that the definition names. */
static void check_linear(const struct vit_backend *set, const struct vit_backend *plain) {
  (void)plain;
  enum { OUT = 60, IN = 44, FIRST = 12, SOME = 36 };
  float *weight = numbers((size_t)OUT * IN, "w", 1), *b = numbers((size_t)OUT * LD, "b", 1);
  float *out = numbers((size_t)OUT * LD, "o", 1), *expected = numbers((size_t)OUT * LD, "o", 1);
  for (int way = VIT_FORTH; way <= VIT_BACK; way++) {
    size_t bytes = set->packed_size((vit_way)way, OUT, IN);
    void *packed = aligned_alloc(64, (bytes + 127) / 64 * 64);
    assert_non_null(packed);
    for (size_t first = 0; bytes > 0 && first < OUT; first += 20)
      set->pack((vit_way)way, OUT, IN, weight, first, 20, packed);
    struct vit_matrix w = {.out = OUT, .in = IN, .data = bytes > 0 ? packed : weight};
    set->linear((vit_way)way, &w, FIRST, SOME, 48, b, LD, out, LD, NULL);
    size_t rows = way == VIT_FORTH ? SOME : IN, terms = way == VIT_FORTH ? IN : SOME;
    for (size_t r = 0; r < rows; r++)
      for (size_t c = 0; c < 48; c++) {
        double sum = 0;
        for (size_t k = 0; k < terms; k++) {
          size_t row = FIRST + (way == VIT_FORTH ? r : k), column = way == VIT_FORTH ? k : r;
          sum += (double)weight[row * IN + column] * (double)b[k * LD + c];
        }
        expected[r * LD + c] = (float)sum;
      }
    assert_alike(out, expected, rows, 48, LD, 2e-6, way == VIT_FORTH ? "forth" : "back");
    free(packed);
  }
  free(weight), free(b), free(out), free(expected);
}

static void layers(void **state) {
  (void)state;
  for_each_set(check_linear);
}

/* The loops of the closed form against their formulas in double precision. */
static void check_vectors(const struct vit_backend *set, const struct vit_backend *plain) {
  enum { N = 793, PADDED = 800 };
  const struct vit_vectors *v = set->vectors;
  float *a = numbers(PADDED, "a", 3), *b = numbers(PADDED, "b", 1), *out = numbers(PADDED, "o", 1);
  double dot = 0, sum = 0, total = 0, top = -INFINITY;
  for (size_t i = 0; i < N; i++) {
    dot += (double)a[i] * (double)b[i];
    sum += (double)a[i];
    if ((double)a[i] > top) top = (double)a[i];
  }
  assert_true(fabs((double)v->dot(a, b, N) - dot) < 1e-3);
  assert_true(fabs((double)v->sum(a, N) - sum) < 1e-3);
  for (size_t i = 0; i < N; i++) total += exp((double)a[i] - top);
  float found;
  assert_true((double)v->softmax(a, N, PADDED, out, &found) == top);
  assert_true(fabs((double)found - total) < 1e-5 * total);
  for (size_t i = 0; i < PADDED; i++)
    assert_true(fabs((double)out[i] - (i < N ? exp((double)a[i] - top) / total : 0)) < 2e-7);
  float low, high;
  v->range(a, N, &low, &high);
  for (size_t i = 0; i < N; i++) assert_true(low <= a[i] && a[i] <= high);
  assert_true((double)high == top);
  v->add(a, b, N, -2, out);
  for (size_t i = 0; i < N; i++) assert_true(fabsf(out[i] - (a[i] - 2 * b[i])) < 1e-5F);
  v->standardise(out, N, 1e-6F);
  double mean = 0, squares = 0;
  for (size_t i = 0; i < N; i++) mean += (double)out[i] / N;
  for (size_t i = 0; i < N; i++) squares += (double)out[i] * (double)out[i] / N;
  assert_true(fabs(mean) < 1e-6 && fabs(squares - 1) < 1e-4);
  /* Noise has the same bits everywhere. */
  struct vit_noise one = {.x = a, .factor = 0.5F}, two;
  for (uint32_t i = 0; i < 4 * VIT_LANES; i++) one.state[i / VIT_LANES][i % VIT_LANES] = 77 * i + 1;
  two = one;
  float plus[PADDED], minus[PADDED], other[PADDED];
  v->noise(&one, PADDED / VIT_LANES, plus, minus);
  plain->vectors->noise(&two, PADDED / VIT_LANES, other, NULL);
  assert_memory_equal(plus, other, sizeof plus);
  assert_memory_equal(one.state, two.state, sizeof one.state);
  for (size_t i = 0; i < N; i++)
    assert_true(fabsf(plus[i] + minus[i] - 2 * a[i]) < 1e-5F && plus[i] != minus[i]);
  free(a), free(b), free(out);
}

static void vectors(void **state) {
  (void)state;
  for_each_set(check_vectors);
}

static void dropping(void **state) {
  (void)state;
  for_each_set(check_drop);
}

static void the_rest(void **state) {
  (void)state;
  for_each_set(check_rest);
}

static void choosing(void **state) {
  (void)state;
  assert_fails(vit_backend_select("cuda", &test_err), LC_ERR_NOT_FOUND, "plain");
  assert_ok(vit_backend_select("plain", &test_err));
  assert_ptr_equal(vit_vectors(), &vit_vectors_plain); /* plain everywhere */
  struct vit_backend forward_only = *vit_backend();
  forward_only.name = "forward-only";
  forward_only.abilities = VIT_ON_HOST;
  vit_backend_install(&forward_only);
  assert_ok(vit_backend_need(VIT_ON_HOST, "a forward pass", &test_err));
  assert_fails(vit_backend_need(VIT_ON_HOST | VIT_BACKWARD, "training", &test_err),
               LC_ERR_UNSUPPORTED, "training: the back end \"forward-only\"");
  assert_ok(vit_backend_select("auto", &test_err));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(products),   cmocka_unit_test(splitting), cmocka_unit_test(large_scores),
      cmocka_unit_test(exact_gelu), cmocka_unit_test(the_rest),  cmocka_unit_test(dropping),
      cmocka_unit_test(choosing),   cmocka_unit_test(layers),    cmocka_unit_test(vectors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
