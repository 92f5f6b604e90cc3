/* Solves the linear system of imputation; cdam_removal.c adds the noise. */
#include "cdam/measures/cdam_impute.h"

#include <math.h>

#include "common/lc_arena.h"
#include "common/lc_scope.h"

#define RESIDUAL 1e-10
#define SIDE (1.0 / 6)
#define CORNER (1.0 / 12)

/* The unknowns with their neighbours; a neighbour below n is an unknown, n stands for zero. */
struct system {
  size_t n;
  uint32_t *pixel;   /* [n] */
  uint32_t *near;    /* [n, 8] */
  double *diagonal;  /* [n] weights of neighbours inside the image */
  double *x, *r, *z; /* [n + 1], the last is always zero */
  double *p, *q;
};

static const int row_step[8] = {-1, 1, 0, 0, -1, -1, 1, 1};
static const int column_step[8] = {0, 0, -1, 1, -1, 1, -1, 1};

static double weight_of(int k) {
  return k < 4 ? SIDE : CORNER;
}

/* y = A v: diagonal minus the weights between unknowns. */
static void apply(const struct system *s, const double *v, double *y) {
  for (size_t i = 0; i < s->n; i++) {
    const uint32_t *near = s->near + 8 * i;
    double side = v[near[0]] + v[near[1]] + v[near[2]] + v[near[3]];
    double corner = v[near[4]] + v[near[5]] + v[near[6]] + v[near[7]];
    y[i] = s->diagonal[i] * v[i] - SIDE * side - CORNER * corner;
  }
}

static double dot(const double *a, const double *b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* Known neighbours go to the right-hand side, which is left in r. */
static void set_up(struct system *s, const float *image, const uint32_t *number, size_t rows,
                   size_t columns) {
  for (size_t i = 0; i < s->n; i++) {
    long row = (long)(s->pixel[i] / columns), column = (long)(s->pixel[i] % columns);
    s->diagonal[i] = 0;
    s->r[i] = 0;
    for (int k = 0; k < 8; k++) {
      long y = row + row_step[k], x = column + column_step[k];
      s->near[8 * i + (size_t)k] = (uint32_t)s->n;
      if (y < 0 || x < 0 || y >= (long)rows || x >= (long)columns) continue;
      size_t at = (size_t)y * columns + (size_t)x;
      s->diagonal[i] += weight_of(k);
      if (number[at] < s->n)
        s->near[8 * i + (size_t)k] = number[at];
      else
        s->r[i] += weight_of(k) * (double)image[at];
    }
  }
}

/* Conjugate gradients (Hestenes and Stiefel 1952) with the diagonal as preconditioner, from zero.
 */
static lc_status solve(struct system *s, struct lc_error *err) {
  size_t n = s->n, most = 20 * n + 100, step = 0;
  double *x = s->x, *r = s->r, *z = s->z, *p = s->p, *q = s->q;
  double goal = RESIDUAL * sqrt(dot(r, r, n));
  for (size_t i = 0; i < n; i++) {
    x[i] = 0;
    p[i] = z[i] = r[i] / s->diagonal[i];
  }
  x[n] = p[n] = z[n] = 0;
  double rz = dot(r, z, n);
  for (; step < most && sqrt(dot(r, r, n)) > goal; step++) {
    apply(s, p, q);
    double alpha = rz / dot(p, q, n);
    for (size_t i = 0; i < n; i++) {
      x[i] += alpha * p[i];
      r[i] -= alpha * q[i];
      z[i] = r[i] / s->diagonal[i];
    }
    double next = dot(r, z, n), beta = next / rz;
    rz = next;
    for (size_t i = 0; i < n; i++) p[i] = z[i] + beta * p[i];
  }
  if (!(sqrt(dot(r, r, n)) <= goal))
    LC_FAIL(err, LC_ERR_NUMERIC, "imputation of %zu pixels: residual %.3g after %zu steps", n,
            sqrt(dot(r, r, n)), step);
  return LC_OK;
}

lc_status cdam_impute(float *image, const uint8_t *missing, size_t rows, size_t columns,
                      struct lc_error *err) {
  LC_SCOPED(lc_arena_free) struct lc_arena arena = {0};
  struct system s = {0};
  size_t pixels = rows * columns;
  if (pixels >= UINT32_MAX / 8)
    LC_FAIL(err, LC_ERR_MEMORY, "imputation of an image of %zu x %zu", rows, columns);
  for (size_t i = 0; i < pixels; i++) s.n += missing[i] != 0;
  if (s.n == 0) return LC_OK;
  if (s.n == pixels) {
    double sum = 0;
    for (size_t i = 0; i < pixels; i++) sum += (double)image[i];
    for (size_t i = 0; i < pixels; i++) image[i] = (float)(sum / (double)pixels);
    return LC_OK;
  }
  size_t numbers = pixels + 9 * s.n, reals = 6 * (s.n + 1);
  LC_TRY(lc_arena_init(&arena, numbers * sizeof(uint32_t) + reals * sizeof(double) + 9 * 64, err));
  uint32_t *number = lc_arena_take(&arena, pixels, sizeof *number);
  s.pixel = lc_arena_take(&arena, s.n, sizeof *s.pixel);
  s.near = lc_arena_take(&arena, 8 * s.n, sizeof *s.near);
  double **parts[] = {&s.diagonal, &s.x, &s.r, &s.z, &s.p, &s.q};
  for (size_t i = 0; i < 6; i++) *parts[i] = lc_arena_take(&arena, s.n + 1, sizeof(double));
  for (size_t i = 0, k = 0; i < pixels; i++) {
    number[i] = missing[i] ? (uint32_t)k : UINT32_MAX;
    if (missing[i]) s.pixel[k++] = (uint32_t)i;
  }
  set_up(&s, image, number, rows, columns);
  LC_TRY(solve(&s, err));
  for (size_t i = 0; i < s.n; i++) image[s.pixel[i]] = (float)s.x[i];
  return LC_OK;
}
