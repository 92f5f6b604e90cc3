/* Loops of the closed form of CDAM that are not matrix products, and noise in bulk: written once so
 * that the compiler makes vector code of them, and compiled for several instruction sets
 * (vit_vectors_loops.h, inside the library). float32. Thread-safety: pure. */
#ifndef VIT_VECTORS_H
#define VIT_VECTORS_H

#include <stdint.h>

#include "common/lc_api.h"
#include "vit/kernels/vit_real.h"

LC_API_BEGIN

/* One step of a generator xoshiro128++ (Blackman, Vigna, ACM TOMS 47, 2021), on numbers or vectors
 * of them. */
/* NOLINTBEGIN(bugprone-macro-parentheses): the arguments are names of words. */
#define VIT_NOISE_ROTATED(x, by) ((x) << (by) | (x) >> (32 - (by)))
#define VIT_NOISE_STEP(s0, s1, s2, s3, word)                                                       \
  do {                                                                                             \
    __typeof__(word) shifted = s1 << 9;                                                            \
    word = s0 + s3;                                                                                \
    word = VIT_NOISE_ROTATED(word, 7) + s0;                                                        \
    s2 ^= s0;                                                                                      \
    s3 ^= s1;                                                                                      \
    s1 ^= s2;                                                                                      \
    s0 ^= s3;                                                                                      \
    s2 ^= shifted;                                                                                 \
    s3 = VIT_NOISE_ROTATED(s3, 11);                                                                \
  } while (0)
/* NOLINTEND(bugprone-macro-parentheses) */

/* Generators side by side, and what their draws are added to. */
struct vit_noise {
  uint32_t state[4][VIT_LANES];
  const float *x;
  float factor;
};

/* For through_slope, each of n numbers: what the gradient is multiplied by, the activation's slope;
 * and what the two sums are taken with, `row` and pre - constant, pre what entered the activation.
 */
struct vit_slope {
  const float *slope, *row, *pre, *constant;
};

struct vit_vectors {
  /* attention[n] = softmax of scores[n]; from n to padded it is set to zero. Returns the largest
   * score, *sum the sum of e^(score - largest). */
  float (*softmax)(const float *scores, size_t n, size_t padded, float *attention, float *sum);

  /* keys[i] = attention[i] * scores[i]; keys may be scores. */
  void (*multiply)(const float *attention, const float *scores, size_t n, float *keys);

  /* map[i] += weight * ((a[i] + k[i]) * r[i] - mean * k[i]): one head's share of CDAM with
   * a attention, k = a * s, r reads and their attended mean. */
  void (*add_scores)(const float *a, const float *k, const float *r, size_t n, float mean,
                     float weight, float *map);
  /* The two parts: map[i] += weight * k[i] * (r[i] - mean), and map[i] += weight * a[i] * r[i]. */
  void (*add_routed)(const float *k, const float *r, size_t n, float mean, float weight,
                     float *map);
  void (*add_content)(const float *a, const float *r, size_t n, float weight, float *map);

  /* x[i] *= factor */
  void (*scale)(float *x, size_t n, float factor);
  /* x[i] = factor[i] * x[i] + constant */
  void (*affine)(const float *factor, float constant, size_t n, float *x);
  /* out[i] = factor[i] * (x * a[i] + y * b[i] + c[i]) + constant */
  void (*mix)(const float *factor, const float *a, const float *b, const float *c, float x, float y,
              float constant, size_t n, float *out);
  /* x[i] = rstd[i] * (x[i] - along * mean[i]) + constant: what a vector reads of normed tokens,
   * from what it reads of the tokens themselves. */
  void (*norm)(const float *mean, const float *rstd, float along, float constant, size_t n,
               float *x);
  /* x becomes (x - mean) / deviation; returns 1 / deviation. */
  float (*standardise)(float *x, size_t n, float eps);
  /* x[i] = factor * (x[i] - mean * ones[i] - along * z[i]): the gradient through a norm, carried.
   */
  void (*through_norm)(const float *ones, const float *z, float mean, float along, float factor,
                       size_t n, float *x);
  /* The same, then times by->slope[i]. sums[0] becomes the sum of the new x[i] * row[i], sums[1]
   * that of the new x[i] * (pre[i] - constant[i]): what the next norm's through_norm needs. */
  void (*through_slope)(const float *ones, const float *z, float mean, float along, float factor,
                        const struct vit_slope *by, size_t n, float *x, float sums[2]);
  /* Mean and 1 / deviation of each column of x [rows, columns], columns a multiple of 16. The
   * columns' means must be small beside their deviations. */
  void (*moments)(const float *x, size_t rows, size_t columns, float eps, float *mean, float *rstd);
  /* Smallest and largest of n numbers. */
  void (*range)(const float *x, size_t n, float *low, float *high);
  /* sum[i] += weight * max(0, a[i] * b[i]) */
  void (*add_positive)(const float *a, const float *b, size_t n, float weight, float *sum);
  /* out[i] = x[i] + factor * noise[i]; out may be noise. */
  void (*add)(const float *x, const float *noise, size_t n, float factor, float *out);

  /* Sum of a[i] * b[i], and of a[i], in a fixed order. */
  float (*dot)(const float *a, const float *b, size_t n);
  float (*sum)(const float *a, size_t n);

  /* plus, minus = x +- factor * a standard normal, in chunks of one step of all generators; minus
   * may be NULL. The same bits in every table: products are fused with sums. */
  void (*noise)(struct vit_noise *noise, size_t chunks, float *plus, float *minus);
};

extern const struct vit_vectors vit_vectors_plain, vit_vectors_avx2, vit_vectors_avx512;

LC_API_END

#endif
