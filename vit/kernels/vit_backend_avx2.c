/* AVX2 and FMA. Compiled with the flags for it; reached only after the CPU was asked. */
#include <immintrin.h>

#define LANES 8
#define ISA avx2
#define DOC "AVX2 and FMA, by hand"
#define RUNS_HERE (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))

typedef __m256 vf;
typedef __m256i vi;
#define vload(p) _mm256_loadu_ps(p)
#define vstore(p, x) _mm256_storeu_ps(p, x)
#define vset(x) _mm256_set1_ps(x)
#define vadd(a, b) _mm256_add_ps(a, b)
#define vsub(a, b) _mm256_sub_ps(a, b)
#define vmul(a, b) _mm256_mul_ps(a, b)
#define vdiv(a, b) _mm256_div_ps(a, b)
#define vfma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define vmax(a, b) _mm256_max_ps(a, b)
#define vmin(a, b) _mm256_min_ps(a, b)
#define vsqrt(a) _mm256_sqrt_ps(a)
#define vround(a) _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

/* p * 2^n for -127 <= n <= 127: the power is built in the exponent bits; 2^-127 becomes 0. */
static inline __m256 vexp2_times(__m256 p, __m256 n) {
  __m256i power =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return _mm256_mul_ps(p, _mm256_castsi256_ps(power));
}

/* High and low halves of the products of 32-bit numbers; every number of b is the same. */
static inline void vproduct(__m256i a, __m256i b, __m256i *high, __m256i *low) {
  __m256i even = _mm256_mul_epu32(a, b), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), b);
  *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
  *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
}

/* 8 rows of 8: pairs, fours, then halves of registers are exchanged. */
static inline void transpose_square(const float *in, size_t ldin, float *out, size_t ldout) {
  __m256 r[8], t[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(in + (size_t)i * ldin);
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 4)
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
      __m256d low = _mm256_castps_pd(t[i + k]), high = _mm256_castps_pd(t[i + k + 2]);
      r[i + 2 * k] = _mm256_castpd_ps(_mm256_unpacklo_pd(low, high));
      r[i + 2 * k + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low, high));
    }
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    _mm256_storeu_ps(out + (size_t)c * ldout, _mm256_permute2f128_ps(r[c], r[4 + c], 0x20));
    _mm256_storeu_ps(out + (size_t)(4 + c) * ldout, _mm256_permute2f128_ps(r[c], r[4 + c], 0x31));
  }
}

#include "vit/kernels/vit_backend_simd.h"
