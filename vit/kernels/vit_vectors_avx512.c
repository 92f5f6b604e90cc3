/* The vector loops for AVX-512F. Compiled with the flags for it; reached only after the CPU was
 * asked. */
#include <immintrin.h>

#include "vit/kernels/vit_noise_quantile.h"
#include "vit/kernels/vit_vectors.h"

#define XOR3 0x96   /* of three words, bit by bit */
#define TOGGLE 0x78 /* the first, turned over where second and third are set */

/* The same bits by 16 lanes: a table of 32 numbers lies in two registers. */
static inline __attribute__((always_inline)) __m512 normals_of(__m512i word) {
  __m512 f = _mm512_cvtepi32_ps(_mm512_and_si512(word, _mm512_set1_epi32(0x3fffffff)));
  f = _mm512_add_ps(f, _mm512_set1_ps(0.5F));
  const __m512i bits = _mm512_castps_si512(f), octave = _mm512_srli_epi32(bits, 23);
  const __m512i fraction = _mm512_and_si512(bits, _mm512_set1_epi32(0x007fffff));
  const __m512i mantissa = _mm512_or_si512(fraction, _mm512_set1_epi32(0x3f800000));
  const __m512 t = _mm512_sub_ps(_mm512_castsi512_ps(mantissa), _mm512_set1_ps(1.5F));
  __m512 z = _mm512_setzero_ps();
#pragma GCC unroll 6
  for (int d = VIT_NOISE_DEGREE; d >= 0; d--) {
    const __m512 low = _mm512_load_ps(vit_noise_quantile[d]),
                 high = _mm512_load_ps(vit_noise_quantile[d] + 16);
    const __m512 c = _mm512_permutex2var_ps(low, octave, high);
    z = d == VIT_NOISE_DEGREE ? c : _mm512_fmadd_ps(z, t, c);
  }
  const __m512i sign = _mm512_set1_epi32((int32_t)0x80000000u);
  return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(z), word, sign, TOGGLE));
}

static void noise(struct vit_noise *f, size_t chunks, float *plus, float *minus) {
  __m512i s0 = _mm512_loadu_si512(f->state[0]), s1 = _mm512_loadu_si512(f->state[1]);
  __m512i s2 = _mm512_loadu_si512(f->state[2]), s3 = _mm512_loadu_si512(f->state[3]);
  const __m512 factor = _mm512_set1_ps(f->factor);
  for (size_t c = 0; c < chunks; c++) {
    __m512i word = _mm512_add_epi32(_mm512_rol_epi32(_mm512_add_epi32(s0, s3), 7), s0);
    const __m512i old0 = s0, old1 = s1;
    s0 = _mm512_ternarylogic_epi32(s0, s3, s1, XOR3);
    s1 = _mm512_ternarylogic_epi32(s1, s2, old0, XOR3);
    s2 = _mm512_ternarylogic_epi32(s2, old0, _mm512_slli_epi32(old1, 9), XOR3);
    s3 = _mm512_rol_epi32(_mm512_xor_si512(s3, old1), 11);
    const __m512 x = _mm512_loadu_ps(f->x + c * VIT_LANES), draw = normals_of(word);
    _mm512_storeu_ps(plus + c * VIT_LANES, _mm512_fmadd_ps(factor, draw, x));
    if (minus) _mm512_storeu_ps(minus + c * VIT_LANES, _mm512_fnmadd_ps(factor, draw, x));
  }
  _mm512_storeu_si512(f->state[0], s0);
  _mm512_storeu_si512(f->state[1], s1);
  _mm512_storeu_si512(f->state[2], s2);
  _mm512_storeu_si512(f->state[3], s3);
}

#define NOISE_BY_HAND
#define VECTORS vit_vectors_avx512
#include "vit/kernels/vit_vectors_loops.h"
