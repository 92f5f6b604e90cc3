/* The loops of vit_vectors.h and the bulk noise, compiled for one instruction set: the including
 * file names the table, VECTORS, and may define NOISE_BY_HAND. */
#include "vit/kernels/vit_vectors.h"

#include <math.h>
#include <string.h>

#include "vit/kernels/vit_noise_quantile.h"

#ifdef __clang__
/* Where a NaN would decide, clang keeps a search for an extreme as it is, and says so each time. */
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

#define INLINE static inline __attribute__((always_inline))
#define LANES VIT_LANES

#define LEAST (-87.0F) /* that exp_of takes */

/* e^x for x from LEAST to 0 (or little above), to a few units in the last place: a power of two and
 * the series on [-ln 2 / 2, ln 2 / 2] (coefficients: Moshier, Cephes 2.2, expf). Callers cut x in a
 * loop of its own: with the branch in this one the compiler makes no vectors. */
INLINE float exp_of(float x) {
  float n = (float)(int32_t)(x * 1.44269504F - 0.5F);
  float r = x - n * 0.693359375F + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1;
  uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  return p * power;
}

static float softmax(const float *restrict scores, size_t n, size_t padded,
                     float *restrict attention, float *sum) {
  float top = scores[0], total = 0;
#pragma omp simd reduction(max : top)
  for (size_t i = 0; i < n; i++) top = scores[i] > top ? scores[i] : top;
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    float x = scores[i] - top;
    attention[i] = x < LEAST ? LEAST : x;
  }
#pragma omp simd reduction(+ : total)
  for (size_t i = 0; i < n; i++) {
    attention[i] = exp_of(attention[i]);
    total += attention[i];
  }
  float share = 1 / total;
#pragma omp simd
  for (size_t i = 0; i < n; i++) attention[i] *= share;
  for (size_t i = n; i < padded; i++) attention[i] = 0;
  *sum = total;
  return top;
}

static void scale(float *x, size_t n, float factor) {
#pragma omp simd
  for (size_t i = 0; i < n; i++) x[i] *= factor;
}

static void multiply(const float *attention, const float *scores, size_t n, float *keys) {
#pragma omp simd
  for (size_t i = 0; i < n; i++) keys[i] = attention[i] * scores[i];
}

static void add_scores(const float *restrict a, const float *restrict k, const float *restrict r,
                       size_t n, float mean, float weight, float *restrict map) {
#pragma omp simd
  for (size_t i = 0; i < n; i++) map[i] += weight * (k[i] * (r[i] - mean) + a[i] * r[i]);
}

static void add_routed(const float *restrict k, const float *restrict r, size_t n, float mean,
                       float weight, float *restrict map) {
#pragma omp simd
  for (size_t i = 0; i < n; i++) map[i] += weight * (k[i] * (r[i] - mean));
}

static void add_content(const float *restrict a, const float *restrict r, size_t n, float weight,
                        float *restrict map) {
#pragma omp simd
  for (size_t i = 0; i < n; i++) map[i] += weight * (a[i] * r[i]);
}

static void affine(const float *restrict factor, float constant, size_t n, float *restrict x) {
#pragma omp simd
  for (size_t i = 0; i < n; i++) x[i] = factor[i] * x[i] + constant;
}

static void mix(const float *restrict factor, const float *restrict a, const float *restrict b,
                const float *restrict c, float x, float y, float constant, size_t n,
                float *restrict out) {
#pragma omp simd
  for (size_t i = 0; i < n; i++) out[i] = factor[i] * (x * a[i] + y * b[i] + c[i]) + constant;
}

static void norm(const float *restrict mean, const float *restrict rstd, float along,
                 float constant, size_t n, float *restrict x) {
#pragma omp simd
  for (size_t i = 0; i < n; i++) x[i] = rstd[i] * (x[i] - along * mean[i]) + constant;
}

static void through_norm(const float *restrict ones, const float *restrict z, float mean,
                         float along, float factor, size_t n, float *restrict x) {
#pragma omp simd
  for (size_t i = 0; i < n; i++) x[i] = factor * (x[i] - (mean * ones[i] + along * z[i]));
}

static void through_slope(const float *restrict ones, const float *restrict z, float mean,
                          float along, float factor, const struct vit_slope *by, size_t n,
                          float *restrict x, float sums[2]) {
  const float *restrict slope = by->slope, *restrict row = by->row;
  const float *restrict pre = by->pre, *restrict constant = by->constant;
  float means[LANES] = {0}, alongs[LANES] = {0};
  for (size_t first = 0; first < n; first += LANES) {
    size_t count = n - first < LANES ? n - first : LANES;
#pragma omp simd
    for (size_t k = 0; k < count; k++) {
      size_t i = first + k;
      float value = factor * (x[i] - (mean * ones[i] + along * z[i])) * slope[i];
      x[i] = value;
      means[k] += value * row[i];
      alongs[k] += value * (pre[i] - constant[i]);
    }
  }
  for (size_t k = 1; k < LANES; k++) {
    means[0] += means[k];
    alongs[0] += alongs[k];
  }
  sums[0] = means[0];
  sums[1] = alongs[0];
}

typedef float lanes __attribute__((vector_size(sizeof(float) * LANES)));

/* Sums of vectors of columns side by side: one alone would wait for its own last sum. */
INLINE void some_moments(const float *x, size_t rows, size_t columns, const size_t vectors,
                         float *sums, float *squares) {
  enum { MOST = 4 };
  lanes s[MOST] = {{0}}, q[MOST] = {{0}}, value;
  for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
    for (size_t v = 0; v < vectors; v++) {
      memcpy(&value, x + r * columns + v * LANES, sizeof value);
      s[v] += value;
      q[v] += value * value;
    }
  }
  memcpy(sums, s, vectors * sizeof *s);
  memcpy(squares, q, vectors * sizeof *q);
}

static void moments(const float *restrict x, size_t rows, size_t columns, float eps,
                    float *restrict mean, float *restrict rstd) {
  size_t c = 0;
  for (; c + (size_t)4 * LANES <= columns; c += (size_t)4 * LANES)
    some_moments(x + c, rows, columns, 4, mean + c, rstd + c);
  for (; c < columns; c += LANES) some_moments(x + c, rows, columns, 1, mean + c, rstd + c);
  float share = 1 / (float)rows;
#pragma omp simd
  for (size_t i = 0; i < columns; i++) {
    float m = mean[i] * share, variance = rstd[i] * share - m * m;
    mean[i] = m;
    rstd[i] = 1 / sqrtf((variance > 0 ? variance : 0) + eps);
  }
}

static void range(const float *x, size_t n, float *low, float *high) {
  float least = x[0], most = x[0];
#pragma omp simd reduction(min : least) reduction(max : most)
  for (size_t i = 0; i < n; i++) {
    least = x[i] < least ? x[i] : least;
    most = x[i] > most ? x[i] : most;
  }
  *low = least;
  *high = most;
}

static void add_positive(const float *restrict a, const float *restrict b, size_t n, float weight,
                         float *restrict sum) {
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    float e = a[i] * b[i];
    sum[i] += weight * (e > 0 ? e : 0);
  }
}

static void add(const float *x, const float *noise, size_t n, float factor, float *out) {
#pragma omp simd
  for (size_t i = 0; i < n; i++) out[i] = x[i] + factor * noise[i];
}

/* Sixteen sums side by side, whatever the width of the CPU's vectors. */
static float dot(const float *a, const float *b, size_t n) {
  float sums[LANES] = {0}, total = 0;
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t k = 0; k < LANES; k++) sums[k] += a[i + k] * b[i + k];
  for (; i < n; i++) total += a[i] * b[i];
  for (size_t k = 0; k < LANES; k++) total += sums[k];
  return total;
}

static float sum(const float *a, size_t n) {
  float sums[LANES] = {0}, total = 0;
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t k = 0; k < LANES; k++) sums[k] += a[i + k];
  for (; i < n; i++) total += a[i];
  for (size_t k = 0; k < LANES; k++) total += sums[k];
  return total;
}

static float standardise(float *x, size_t n, float eps) {
  float mean = sum(x, n) / (float)n;
  for (size_t i = 0; i < n; i++) x[i] -= mean;
  float rstd = 1 / sqrtf(dot(x, x, n) / (float)n + eps);
  scale(x, n, rstd);
  return rstd;
}

/* A draw from a word: 30 bits for the tail, one for the sign. */
INLINE float normal_of(uint32_t word) {
  float f = (float)(int32_t)(word & 0x3fffffffu) + 0.5F, t, z;
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  uint32_t octave = bits >> 23 & 31u;
  bits = (bits & 0x007fffffu) | 0x3f800000u;
  memcpy(&t, &bits, sizeof t);
  t -= 1.5F;
  z = vit_noise_quantile[VIT_NOISE_DEGREE][octave];
  for (int d = VIT_NOISE_DEGREE - 1; d >= 0; d--)
    z = __builtin_fmaf(z, t, vit_noise_quantile[d][octave]);
  memcpy(&bits, &z, sizeof bits);
  bits ^= word & 0x80000000u;
  memcpy(&z, &bits, sizeof z);
  return z;
}

#ifndef NOISE_BY_HAND
static void noise(struct vit_noise *f, size_t chunks, float *plus, float *minus) {
  for (size_t c = 0; c < chunks; c++) {
    const float *x = f->x + c * LANES;
    float draw[LANES];
#pragma omp simd
    for (size_t i = 0; i < LANES; i++) {
      uint32_t word;
      VIT_NOISE_STEP(f->state[0][i], f->state[1][i], f->state[2][i], f->state[3][i], word);
      draw[i] = normal_of(word);
      plus[c * LANES + i] = __builtin_fmaf(f->factor, draw[i], x[i]);
    }
    if (!minus) continue;
#pragma omp simd
    for (size_t i = 0; i < LANES; i++)
      minus[c * LANES + i] = __builtin_fmaf(-f->factor, draw[i], x[i]);
  }
}
#endif

const struct vit_vectors VECTORS = {
    .softmax = softmax,
    .scale = scale,
    .multiply = multiply,
    .add_scores = add_scores,
    .add_routed = add_routed,
    .add_content = add_content,
    .affine = affine,
    .mix = mix,
    .norm = norm,
    .through_norm = through_norm,
    .through_slope = through_slope,
    .moments = moments,
    .range = range,
    .add_positive = add_positive,
    .add = add,
    .dot = dot,
    .sum = sum,
    .standardise = standardise,
    .noise = noise,
};
