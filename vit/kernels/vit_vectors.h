/* The loops of the closed form that are not matrix products, written so that the compiler makes
 * vector code of them for several CPUs. Private to this room. Thread-safety: pure. */
#ifndef CDAM_VECTOR_H
#define CDAM_VECTOR_H

#include <stddef.h>

/* Picks the clone for the CPU at load time. The sanitizer's own start-up comes too late for that.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__)
#define CDAM_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CDAM_CLONES
#endif

/* attention[n] = softmax of scores[n]; from n to padded it is set to zero. Returns the largest
 * score, *sum the sum of e^(score - largest). */
float cdam_vector_softmax(const float *scores, size_t n, size_t padded, float *attention,
                          float *sum);

/* keys[i] = attention[i] * scores[i]; keys may be scores. */
void cdam_vector_multiply(const float *attention, const float *scores, size_t n, float *keys);

/* map[i] += weight * ((a[i] + k[i]) * r[i] - mean * k[i]): one head's share of CDAM with
 * a attention, k = a * s, r reads and their attended mean. */
void cdam_vector_add_scores(const float *a, const float *k, const float *r, size_t n, float mean,
                            float weight, float *map);
/* The two parts: map[i] += weight * k[i] * (r[i] - mean), and map[i] += weight * a[i] * r[i]. */
void cdam_vector_add_routed(const float *k, const float *r, size_t n, float mean, float weight,
                            float *map);
void cdam_vector_add_content(const float *a, const float *r, size_t n, float weight, float *map);

/* x[i] *= factor */
void cdam_vector_scale(float *x, size_t n, float factor);
/* x[i] = factor[i] * x[i] + constant */
void cdam_vector_affine(const float *factor, float constant, size_t n, float *x);
/* out[i] = factor[i] * (x * a[i] + y * b[i] + c[i]) + constant */
void cdam_vector_mix(const float *factor, const float *a, const float *b, const float *c, float x,
                     float y, float constant, size_t n, float *out);
/* x[i] = rstd[i] * (x[i] - along * mean[i]) + constant: what a vector reads of normed tokens, from
 * what it reads of the tokens themselves. */
void cdam_vector_norm(const float *mean, const float *rstd, float along, float constant, size_t n,
                      float *x);
/* x becomes (x - mean) / deviation; returns 1 / deviation. */
float cdam_vector_standardise(float *x, size_t n, float eps);
/* x[i] = factor * (x[i] - mean * ones[i] - along * z[i]): the gradient through a norm, carried. */
void cdam_vector_through_norm(const float *ones, const float *z, float mean, float along,
                              float factor, size_t n, float *x);
/* The same, then times slope[i]; *mean is the sum of x[i] * row[i], *along that of x[i] * (pre[i] -
 * constant[i]). */
struct cdam_vector_slope {
  const float *slope, *row, *pre, *constant;
};
void cdam_vector_through_slope(const float *ones, const float *z, float mean, float along,
                               float factor, const struct cdam_vector_slope *by, size_t n, float *x,
                               float sums[2]);
/* Mean and 1 / deviation of each column of x [rows, columns], columns a multiple of 16. The
 * columns' means must be small beside their deviations. */
void cdam_vector_moments(const float *x, size_t rows, size_t columns, float eps, float *mean,
                         float *rstd);
/* Smallest and largest of n numbers. */
void cdam_vector_range(const float *x, size_t n, float *low, float *high);
/* sum[i] += weight * max(0, a[i] * b[i]) */
void cdam_vector_add_positive(const float *a, const float *b, size_t n, float weight, float *sum);
/* out[i] = x[i] + factor * noise[i]; out may be noise. */
void cdam_vector_add(const float *x, const float *noise, size_t n, float factor, float *out);

/* Sum of a[i] * b[i], and of a[i], in a fixed order. */
float cdam_vector_dot(const float *a, const float *b, size_t n);
float cdam_vector_sum(const float *a, size_t n);

#endif
