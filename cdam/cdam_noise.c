#include "cdam_noise.h"

#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

#include "cdam_vector.h"
#include "lc_random.h"

#define LANES 16
#define CHUNK ((size_t)4 * LANES) /* values of one round of the generator */

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

/* Two mixes of a round; the words trade places by the order of the arguments. */
/* NOLINTBEGIN(bugprone-macro-parentheses): the arguments are names of words. */
#define MIX(a, b, r1, c, d, r2)                                                                    \
  do {                                                                                             \
    a += b;                                                                                        \
    b = (b << (r1) | b >> (32 - (r1))) ^ a;                                                        \
    c += d;                                                                                        \
    d = (d << (r2) | d >> (32 - (r2))) ^ c;                                                        \
  } while (0)

/* NOLINTEND(bugprone-macro-parentheses) */

/* Four rounds and the key after them. s: number of the key's turn. */
#define FOUR_ROUNDS(first, second, third, fourth, s)                                               \
  do {                                                                                             \
    first;                                                                                         \
    second;                                                                                        \
    third;                                                                                         \
    fourth;                                                                                        \
    x0 += k[(s) % 5];                                                                              \
    x1 += k[((s) + 1) % 5];                                                                        \
    x2 += k[((s) + 2) % 5];                                                                        \
    x3 += k[((s) + 3) % 5] + (s);                                                                  \
  } while (0)
#define EVEN(s)                                                                                    \
  FOUR_ROUNDS(MIX(x0, x1, 10, x2, x3, 26), MIX(x0, x3, 11, x2, x1, 21),                            \
              MIX(x0, x1, 13, x2, x3, 27), MIX(x0, x3, 23, x2, x1, 5), s)
#define ODD(s)                                                                                     \
  FOUR_ROUNDS(MIX(x0, x1, 6, x2, x3, 20), MIX(x0, x3, 17, x2, x1, 11),                             \
              MIX(x0, x1, 25, x2, x3, 10), MIX(x0, x3, 18, x2, x1, 20), s)

/* Threefry4x32, 12 rounds; adds, rotations and xors only, which every vector unit has. */
#define TWELVE_ROUNDS                                                                              \
  do {                                                                                             \
    x0 += k[0];                                                                                    \
    x1 += k[1];                                                                                    \
    x2 += k[2];                                                                                    \
    x3 += k[3];                                                                                    \
    EVEN(1);                                                                                       \
    ODD(2);                                                                                        \
    EVEN(3);                                                                                       \
  } while (0)

static void extend_key(const uint32_t key[4], uint32_t k[5]) {
  k[4] = 0x1BD11BDAu;
  for (int i = 0; i < 4; i++) {
    k[i] = key[i];
    k[4] ^= key[i];
  }
}

void cdam_threefry20(const uint32_t counter[4], const uint32_t key[4], uint32_t out[4]) {
  uint32_t k[5], x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3];
  extend_key(key, k);
  TWELVE_ROUNDS;
  ODD(4);
  EVEN(5);
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
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
  for (int d = DEGREE - 1; d >= 0; d--) z = z * t + quantile[d][octave];
  memcpy(&bits, &z, sizeof bits);
  bits ^= word & 0x80000000u;
  memcpy(&z, &bits, sizeof z);
  return z;
}

/* out[n] = x[n] + factor * the draw. A chunk is 16 blocks of the generator side by side: word w of
 * block b is its draw 16 w + b. */
struct fill {
  const uint32_t *k;    /* [5]: the extended key */
  uint32_t first, high; /* counter of the first chunk */
  const float *x;
  float factor;
};

static inline __attribute__((always_inline)) void plain_chunk(const struct fill *f, size_t chunk,
                                                              float *out) {
  const uint32_t *k = f->k, first = f->first + (uint32_t)(chunk * LANES);
  const float *x = f->x + chunk * CHUNK;
  float draw[CHUNK];
#pragma omp simd
  for (uint32_t i = 0; i < LANES; i++) {
    uint32_t x0 = first + i, x1 = f->high, x2 = 0, x3 = 0;
    TWELVE_ROUNDS;
    draw[i] = normal_of(x0);
    draw[LANES + i] = normal_of(x1);
    draw[2 * LANES + i] = normal_of(x2);
    draw[3 * LANES + i] = normal_of(x3);
  }
#pragma omp simd
  for (size_t i = 0; i < CHUNK; i++) out[i] = x[i] + f->factor * draw[i];
}

CDAM_CLONES static void fill_plain(const struct fill *f, size_t chunks, float *out) {
  for (size_t c = 0; c < chunks; c++) plain_chunk(f, c, out + c * CHUNK);
}

#if defined(__x86_64__) && defined(__GNUC__)
#define WIDE __attribute__((target("avx512f")))
typedef uint32_t words __attribute__((vector_size(64)));

/* The same bits by 16 lanes: a table of 32 numbers lies in two registers. */
WIDE static inline __attribute__((always_inline)) __m512 normals_of(words word) {
  const __m512i bits = (__m512i)word;
  __m512 f = _mm512_cvtepi32_ps(_mm512_and_si512(bits, _mm512_set1_epi32(0x3fffffff)));
  f = _mm512_add_ps(f, _mm512_set1_ps(0.5F));
  const __m512i octave = _mm512_srli_epi32(_mm512_castps_si512(f), 23);
  const __m512i mantissa = _mm512_and_si512(_mm512_castps_si512(f), _mm512_set1_epi32(0x007fffff));
  const __m512i one = _mm512_set1_epi32(0x3f800000);
  __m512 t = _mm512_castsi512_ps(_mm512_or_si512(mantissa, one));
  t = _mm512_sub_ps(t, _mm512_set1_ps(1.5F));
  __m512 z = _mm512_setzero_ps();
#pragma GCC unroll 6
  for (int d = DEGREE; d >= 0; d--) {
    const __m512 low = _mm512_load_ps(quantile[d]), high = _mm512_load_ps(quantile[d] + 16);
    const __m512 c = _mm512_permutex2var_ps(low, octave, high);
    z = d == DEGREE ? c : _mm512_add_ps(_mm512_mul_ps(z, t), c);
  }
  const __m512i sign = _mm512_and_si512(bits, _mm512_set1_epi32((int32_t)0x80000000u));
  return _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(z), sign));
}

/* Generator and quantiles take turns over a stretch, so that each has the registers to itself. */
WIDE static void fill_wide(const struct fill *f, size_t chunks, float *out) {
  enum { STRETCH = 16 };
  const uint32_t k[5] = {f->k[0], f->k[1], f->k[2], f->k[3], f->k[4]};
  const words lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const __m512 factor = _mm512_set1_ps(f->factor);
  words drawn[STRETCH * 4];
  for (size_t c = 0; c < chunks; c += STRETCH) {
    const size_t many = chunks - c < STRETCH ? chunks - c : STRETCH;
    for (size_t i = 0; i < many; i++) {
      words x0 = lane + f->first + (uint32_t)((c + i) * LANES), x1 = {0}, x2 = {0}, x3 = {0};
      x1 += f->high;
      TWELVE_ROUNDS;
      drawn[4 * i] = x0;
      drawn[4 * i + 1] = x1;
      drawn[4 * i + 2] = x2;
      drawn[4 * i + 3] = x3;
    }
    for (size_t i = 0; i < 4 * many; i++) {
      const size_t at = c * CHUNK + i * LANES;
      const __m512 draw = _mm512_mul_ps(factor, normals_of(drawn[i]));
      _mm512_storeu_ps(out + at, _mm512_add_ps(_mm512_loadu_ps(f->x + at), draw));
    }
  }
}

static bool wide(void) {
  return __builtin_cpu_supports("avx512f");
}
#else
#define fill_wide fill_plain
static bool wide(void) {
  return false;
}
#endif

void cdam_noise_add(uint64_t seed, const char *purpose, uint64_t index, const float *x,
                    float factor, float *out, size_t n) {
  struct lc_random random;
  uint32_t k[5];
  lc_random_init(&random, seed, purpose, index);
  const uint32_t key[4] = {random.key[0], random.key[1], random.counter[3], random.counter[1]};
  extend_key(key, k);
  struct fill f = {.k = k, .high = random.counter[2], .x = x, .factor = factor};
  void (*const fill)(const struct fill *, size_t, float *) = wide() ? fill_wide : fill_plain;
  size_t whole = n / CHUNK;
  fill(&f, whole, out);
  if (whole * CHUNK == n) return;
  /* The last chunk is drawn whole and cut. */
  float from[CHUNK] = {0}, to[CHUNK];
  memcpy(from, x + whole * CHUNK, (n - whole * CHUNK) * sizeof *x);
  f.x = from;
  f.first = (uint32_t)(whole * LANES);
  fill(&f, 1, to);
  memcpy(out + whole * CHUNK, to, (n - whole * CHUNK) * sizeof *out);
}

void cdam_noise_fill(uint64_t seed, const char *purpose, uint64_t index, float *out, size_t n) {
  memset(out, 0, n * sizeof *out);
  cdam_noise_add(seed, purpose, index, out, 1, out, n);
}
