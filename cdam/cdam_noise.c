#include "cdam_noise.h"

#include <math.h>
#include <string.h>

#include "cdam_vector.h"
#include "lc_random.h"

#define LANES 16
#define CHUNK ((size_t)4 * LANES) /* values of one round of the generator */

/* Natural logarithm of x in (0, 1]: exponent apart, then the series of log1p on [-0.3, 0.42]
 * (coefficients: Moshier, Cephes 2.2, logf). */
static inline __attribute__((always_inline)) float log_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  int32_t shifted = (int32_t)(bits - 0x3f3504f3u); /* sqrt(1/2) */
  float e = (float)(shifted >> 23);
  bits = ((uint32_t)shifted & 0x007fffffu) + 0x3f3504f3u;
  float m;
  memcpy(&m, &bits, sizeof m);
  m -= 1.0F;
  float z = m * m;
  float p = 7.0376836292e-2F;
  p = p * m - 1.1514610310e-1F;
  p = p * m + 1.1676998740e-1F;
  p = p * m - 1.2420140846e-1F;
  p = p * m + 1.4249322787e-1F;
  p = p * m - 1.6668057665e-1F;
  p = p * m + 2.0000714765e-1F;
  p = p * m - 2.4999993993e-1F;
  p = p * m + 3.3333331174e-1F;
  return m + (p * m * z - 0.5F * z) + e * 0.69314718F;
}

/* Sine and cosine of 2 pi turns, turns in [-0.5, 0.5). */
static inline __attribute__((always_inline)) void turn(float turns, float *sine, float *cosine) {
  float quarter = (float)(int32_t)(4 * turns + (turns < 0 ? -0.5F : 0.5F));
  float x = (turns - 0.25F * quarter) * 6.2831853F, z = x * x;
  float s = x + x * z * (-1.6666654611e-1F + z * (8.3321608736e-3F - z * 1.9515295891e-4F));
  float c =
      1 - 0.5F * z +
      z * z * (4.166664568298827e-2F + z * (-1.388731625493765e-3F + z * 2.443315711809948e-5F));
  int32_t q = (int32_t)quarter & 3;
  float a = q & 1 ? c : s, b = q & 1 ? s : c;
  *sine = q & 2 ? -a : a;
  *cosine = (q + 1) & 2 ? -b : b;
}

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

/* One chunk: 16 blocks side by side, two Box-Muller pairs of each. */
static inline __attribute__((always_inline)) void one_chunk(const uint32_t k[5], uint32_t high,
                                                            uint32_t first, float *restrict out) {
#pragma omp simd
  for (uint32_t i = 0; i < LANES; i++) {
    uint32_t x0 = first + i, x1 = high, x2 = 0, x3 = 0;
    float sine, cosine;
    TWELVE_ROUNDS;
    float radius = sqrtf(-2 * log_of(((float)(int32_t)(x0 >> 8) + 0.5F) * 0x1p-24F));
    turn((float)((int32_t)x1 >> 8) * 0x1p-24F, &sine, &cosine);
    out[i] = radius * cosine;
    out[LANES + i] = radius * sine;
    radius = sqrtf(-2 * log_of(((float)(int32_t)(x2 >> 8) + 0.5F) * 0x1p-24F));
    turn((float)((int32_t)x3 >> 8) * 0x1p-24F, &sine, &cosine);
    out[2 * LANES + i] = radius * cosine;
    out[3 * LANES + i] = radius * sine;
  }
}

CDAM_CLONES static void fill(const uint32_t k[5], uint32_t high, float *out, size_t n) {
  size_t whole = n / CHUNK;
  for (size_t i = 0; i < whole; i++) one_chunk(k, high, (uint32_t)(i * LANES), out + i * CHUNK);
  if (whole * CHUNK == n) return;
  float rest[CHUNK];
  one_chunk(k, high, (uint32_t)(whole * LANES), rest);
  memcpy(out + whole * CHUNK, rest, (n - whole * CHUNK) * sizeof *out);
}

void cdam_noise_fill(uint64_t seed, const char *purpose, uint64_t index, float *out, size_t n) {
  struct lc_random random;
  uint32_t k[5];
  lc_random_init(&random, seed, purpose, index);
  const uint32_t key[4] = {random.key[0], random.key[1], random.counter[3], random.counter[1]};
  extend_key(key, k);
  fill(k, random.counter[2], out, n);
}

void cdam_noise_add(uint64_t seed, const char *purpose, uint64_t index, const float *x,
                    float factor, float *out, size_t n) {
  cdam_noise_fill(seed, purpose, index, out, n);
  cdam_vector_add(x, out, n, factor, out);
}
