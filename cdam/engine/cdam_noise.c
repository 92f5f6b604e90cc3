/* Draws normal noise in bulk: sixteen xoshiro128++ generators side by side and a polynomial for the
 * normal quantile, the same bits with AVX-512, AVX2 and plain code. */
#include "cdam/engine/cdam_noise.h"

#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

#include "cdam/engine/cdam_vector.h"
#include "common/lc_random.h"

#define LANES 16 /* generators side by side; draw i is number i / LANES of generator i % LANES */

/* Quantiles: |z| of a draw whose two-sided tail is p = f 2^-30, 0.5 <= f <= 2^30. Within an octave
 * of p, |z| is a polynomial of degree 5 in t = mantissa - 1.5, fitted at 64 Chebyshev points:
 * within 4e-6 of the quantile everywhere. Column: exponent of f as it lies in a float, modulo 32; f
 * = 2^30 is the median. */
#define DEGREE 5
static const float quantile[DEGREE + 1][32] __attribute__((aligned(64))) = {
    {5.9432683F,   5.82864571F, 5.71184492F, 5.59273863F, 5.47118711F, 5.34703588F, 5.22011471F,
     5.09023237F,  4.95717621F, 4.82070732F, 4.68055439F, 4.53640938F, 4.38791943F, 4.23467731F,
     4.07620811F,  3.91195488F, 3.74125433F, 3.56330967F, 3.37714791F, 3.18156171F, 2.97502279F,
     2.7555511F,   2.52050447F, 2.26622915F, 1.98743045F, 1.67594254F, 1.31801391F, 0.887149751F,
     0.318642706F, 0.0F,        6.16643095F, 6.05582809F},
    {-0.10923633F,  -0.111274332F, -0.113428861F, -0.115711346F, -0.118134849F, -0.120714352F,
     -0.123467162F, -0.12641336F,  -0.12957643F,  -0.132983997F, -0.136668876F, -0.1406703F,
     -0.145035654F, -0.149822816F, -0.155103296F, -0.16096656F,  -0.167526335F, -0.174929574F,
     -0.183370113F, -0.193109423F, -0.204510078F, -0.218091473F, -0.234628201F, -0.255334616F,
     -0.282241791F, -0.319054633F, -0.373417616F, -0.464415938F, -0.659298122F, 0.0F,
     -0.105470844F, -0.107304804F},
    {0.0353665426F, 0.0359908417F, 0.036648754F,  0.0373433717F, 0.0380781889F, 0.0388571806F,
     0.0396848843F, 0.0405665115F, 0.0415080748F, 0.0425165556F, 0.0436001085F, 0.0447683185F,
     0.0460325442F, 0.0474063382F, 0.0489060171F, 0.0505513959F, 0.0523667969F, 0.0543823466F,
     0.0566358007F, 0.0591749512F, 0.0620609075F, 0.0653722286F, 0.0692095011F, 0.0736975372F,
     0.0789727867F, 0.0851030424F, 0.0916793346F, 0.0954414532F, 0.0690148547F, 0.0F,
     0.0342081413F, 0.0347731225F},
    {-0.015481214F,  -0.0157476552F, -0.0160280708F, -0.0163237099F, -0.0166359786F, -0.0169664752F,
     -0.0173170157F, -0.0176896732F, -0.0180868357F, -0.0185112581F, -0.0189661421F, -0.0194552299F,
     -0.0199829303F, -0.0205544662F, -0.021176083F,  -0.021855304F,  -0.0226012841F, -0.0234252661F,
     -0.0243412033F, -0.0253666062F, -0.0265237F,    -0.0278409962F, -0.0293554291F, -0.0311151743F,
     -0.0331833512F, -0.0356447026F, -0.038640447F,  -0.0427689627F, -0.0572352521F, 0.0F,
     -0.0149859264F, -0.0152276345F},
    {0.00865790341F, 0.00880409498F, 0.00895780511F, 0.00911969226F, 0.00929049682F, 0.00947105791F,
     0.00966232549F, 0.00986538175F, 0.0100814691F,  0.0103120152F,  0.010558675F,   0.0108233765F,
     0.0111083761F,  0.0114163412F,  0.0117504429F,  0.0121144811F,  0.0125130527F,  0.0129517699F,
     0.0134375514F,  0.0139790215F,  0.0145870484F,  0.0152754867F,  0.0160621814F,  0.0169703346F,
     0.0180302318F,  0.0192811415F,  0.020770805F,   0.0224976391F,  0.021519836F,   0.0F,
     0.00838579051F, 0.00851864368F},
    {-0.00472511305F, -0.00480394205F, -0.00488677574F, -0.00497396011F, -0.00506588444F,
     -0.00516298739F, -0.00526576722F, -0.00537478924F, -0.00549070118F, -0.00561424671F,
     -0.0057462845F,  -0.00588781293F, -0.00603999943F, -0.00620421767F, -0.00638209656F,
     -0.00657558255F, -0.00678702164F, -0.00701926649F, -0.00727582024F, -0.00756102987F,
     -0.00788035057F, -0.00824070349F, -0.00865097065F, -0.00912266318F, -0.00967080519F,
     -0.0103150206F,  -0.0110807801F,  -0.012007609F,   -0.0141076231F,  0.0F,
     -0.0045782635F,  -0.00464997906F},
};

/* One step of the generator, on numbers or vectors of them. */
/* NOLINTBEGIN(bugprone-macro-parentheses): the arguments are names of words. */
#define ROTATED(x, by) ((x) << (by) | (x) >> (32 - (by)))
#define STEP(s0, s1, s2, s3, word)                                                                 \
  do {                                                                                             \
    __typeof__(word) shifted = s1 << 9;                                                            \
    word = s0 + s3;                                                                                \
    word = ROTATED(word, 7) + s0;                                                                  \
    s2 ^= s0;                                                                                      \
    s3 ^= s1;                                                                                      \
    s1 ^= s2;                                                                                      \
    s0 ^= s3;                                                                                      \
    s2 ^= shifted;                                                                                 \
    s3 = ROTATED(s3, 11);                                                                          \
  } while (0)
/* NOLINTEND(bugprone-macro-parentheses) */

uint32_t cdam_xoshiro128pp(uint32_t s[4]) {
  uint32_t word;
  STEP(s[0], s[1], s[2], s[3], word);
  return word;
}

/* A draw from a word: 30 bits for the tail, one for the sign. */
static inline __attribute__((always_inline)) float normal_of(uint32_t word) {
  float f = (float)(int32_t)(word & 0x3fffffffu) + 0.5F, t, z;
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  uint32_t octave = bits >> 23 & 31u;
  bits = (bits & 0x007fffffu) | 0x3f800000u;
  memcpy(&t, &bits, sizeof t);
  t -= 1.5F;
  z = quantile[DEGREE][octave];
  for (int d = DEGREE - 1; d >= 0; d--) z = __builtin_fmaf(z, t, quantile[d][octave]);
  memcpy(&bits, &z, sizeof bits);
  bits ^= word & 0x80000000u;
  memcpy(&z, &bits, sizeof z);
  return z;
}

/* plus, minus = x +- factor * the draw, in chunks of one step of all generators. */
struct fill {
  uint32_t state[4][LANES];
  const float *x;
  float factor;
};

/* In C, made for several instruction sets below. */
static inline __attribute__((always_inline)) void fill_any(struct fill *f, size_t chunks,
                                                           float *plus, float *minus) {
  for (size_t c = 0; c < chunks; c++) {
    const float *x = f->x + c * LANES;
    float draw[LANES];
#pragma omp simd
    for (size_t i = 0; i < LANES; i++) {
      uint32_t word;
      STEP(f->state[0][i], f->state[1][i], f->state[2][i], f->state[3][i], word);
      draw[i] = normal_of(word);
      plus[c * LANES + i] = __builtin_fmaf(f->factor, draw[i], x[i]);
    }
    if (!minus) continue;
#pragma omp simd
    for (size_t i = 0; i < LANES; i++)
      minus[c * LANES + i] = __builtin_fmaf(-f->factor, draw[i], x[i]);
  }
}

#if defined(__x86_64__) && defined(__GNUC__)
#define WIDE __attribute__((target("avx512f")))
#define XOR3 0x96   /* of three words, bit by bit */
#define TOGGLE 0x78 /* the first, turned over where second and third are set */

/* The same bits by 16 lanes: a table of 32 numbers lies in two registers. */
WIDE static inline __attribute__((always_inline)) __m512 normals_of(__m512i word) {
  __m512 f = _mm512_cvtepi32_ps(_mm512_and_si512(word, _mm512_set1_epi32(0x3fffffff)));
  f = _mm512_add_ps(f, _mm512_set1_ps(0.5F));
  const __m512i bits = _mm512_castps_si512(f), octave = _mm512_srli_epi32(bits, 23);
  const __m512i fraction = _mm512_and_si512(bits, _mm512_set1_epi32(0x007fffff));
  const __m512i mantissa = _mm512_or_si512(fraction, _mm512_set1_epi32(0x3f800000));
  const __m512 t = _mm512_sub_ps(_mm512_castsi512_ps(mantissa), _mm512_set1_ps(1.5F));
  __m512 z = _mm512_setzero_ps();
#pragma GCC unroll 6
  for (int d = DEGREE; d >= 0; d--) {
    const __m512 low = _mm512_load_ps(quantile[d]), high = _mm512_load_ps(quantile[d] + 16);
    const __m512 c = _mm512_permutex2var_ps(low, octave, high);
    z = d == DEGREE ? c : _mm512_fmadd_ps(z, t, c);
  }
  const __m512i sign = _mm512_set1_epi32((int32_t)0x80000000u);
  return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(z), word, sign, TOGGLE));
}

WIDE static void fill_wide(struct fill *f, size_t chunks, float *plus, float *minus) {
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
    const __m512 x = _mm512_loadu_ps(f->x + c * LANES), draw = normals_of(word);
    _mm512_storeu_ps(plus + c * LANES, _mm512_fmadd_ps(factor, draw, x));
    if (minus) _mm512_storeu_ps(minus + c * LANES, _mm512_fnmadd_ps(factor, draw, x));
  }
  _mm512_storeu_si512(f->state[0], s0);
  _mm512_storeu_si512(f->state[1], s1);
  _mm512_storeu_si512(f->state[2], s2);
  _mm512_storeu_si512(f->state[3], s3);
}

__attribute__((target("avx2,fma"))) static void fill_half(struct fill *f, size_t chunks,
                                                          float *plus, float *minus) {
  fill_any(f, chunks, plus, minus);
}

static void fill(struct fill *f, size_t chunks, float *plus, float *minus) {
  if (__builtin_cpu_supports("avx512f"))
    fill_wide(f, chunks, plus, minus);
  else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    fill_half(f, chunks, plus, minus);
  else
    fill_any(f, chunks, plus, minus);
}
#else
static void fill(struct fill *f, size_t chunks, float *plus, float *minus) {
  fill_any(f, chunks, plus, minus);
}
#endif

static struct fill start(uint64_t seed, const char *purpose, uint64_t index, const float *x,
                         float factor) {
  struct lc_random random;
  struct fill f = {.x = x, .factor = factor};
  lc_random_init(&random, seed, purpose, index);
  for (size_t i = 0; i < LANES; i++)
    for (size_t word = 0; word < 4; word++) f.state[word][i] = lc_random_u32(&random);
  return f;
}

void cdam_noise_pair(uint64_t seed, const char *purpose, uint64_t index, const float *x,
                     float factor, float *plus, float *minus, size_t n) {
  struct fill f = start(seed, purpose, index, x, factor);
  fill(&f, n / LANES, plus, minus);
}

void cdam_noise_fill(uint64_t seed, const char *purpose, uint64_t index, float *out, size_t n) {
  const float zero[LANES] = {0};
  struct fill f = start(seed, purpose, index, zero, 1);
  for (size_t i = 0; i < n; i += LANES) {
    float step[LANES];
    fill(&f, 1, step, NULL);
    memcpy(out + i, step, (n - i < LANES ? n - i : LANES) * sizeof *out);
  }
}
