/* AVX-512F, DQ. Compiled with the flags for it; reached only after the CPU was asked. */
#include <immintrin.h>

#define LANES 16
#define ISA avx512
#define DOC "AVX-512F and DQ, by hand"
#define RUNS_HERE (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))

typedef __m512 vf;
typedef __m512i vi;
#define vload(p) _mm512_loadu_ps(p)
#define vstore(p, x) _mm512_storeu_ps(p, x)
#define vset(x) _mm512_set1_ps(x)
#define vadd(a, b) _mm512_add_ps(a, b)
#define vsub(a, b) _mm512_sub_ps(a, b)
#define vmul(a, b) _mm512_mul_ps(a, b)
#define vdiv(a, b) _mm512_div_ps(a, b)
#define vfma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define vmax(a, b) _mm512_max_ps(a, b)
#define vmin(a, b) _mm512_min_ps(a, b)
#define vsqrt(a) _mm512_sqrt_ps(a)
#define vround(a) _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
/* p * 2^n */
#define vexp2_times(p, n) _mm512_scalef_ps(p, n)

/* High and low halves of the products of 32-bit numbers; every number of b is the same. */
static inline void vproduct(__m512i a, __m512i b, __m512i *high, __m512i *low) {
  __m512i even = _mm512_mul_epu32(a, b), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), b);
  *high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
  *low = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
}

/* Sums over the lanes of four registers, halves added to halves. */
static inline void vsum_four(const __m512 *x, float *sums) {
  __m128 q[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(x[i]), _mm512_extractf32x8_ps(x[i], 1));
    q[i] = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  }
  __m128 a = _mm_add_ps(_mm_movelh_ps(q[0], q[1]), _mm_movehl_ps(q[1], q[0]));
  __m128 b = _mm_add_ps(_mm_movelh_ps(q[2], q[3]), _mm_movehl_ps(q[3], q[2]));
  _mm_storeu_ps(sums, _mm_add_ps(_mm_shuffle_ps(a, b, 0x88), _mm_shuffle_ps(a, b, 0xDD)));
}

/* 16 rows of 16: pairs, fours, then quarters of registers are exchanged. */
static inline void transpose_square(const float *in, size_t ldin, float *out, size_t ldout) {
  __m512 r[16], t[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_ps(in + (size_t)i * ldin);
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 4)
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
      __m512d low = _mm512_castps_pd(t[i + k]), high = _mm512_castps_pd(t[i + k + 2]);
      r[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      r[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    __m512 a = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88);
    __m512 b = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
    __m512 d = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xDD);
    __m512 e = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xDD);
    _mm512_storeu_ps(out + (size_t)c * ldout, _mm512_shuffle_f32x4(a, b, 0x88));
    _mm512_storeu_ps(out + (size_t)(4 + c) * ldout, _mm512_shuffle_f32x4(d, e, 0x88));
    _mm512_storeu_ps(out + (size_t)(8 + c) * ldout, _mm512_shuffle_f32x4(a, b, 0xDD));
    _mm512_storeu_ps(out + (size_t)(12 + c) * ldout, _mm512_shuffle_f32x4(d, e, 0xDD));
  }
}

#include "vit/kernels/vit_backend_simd.h"
