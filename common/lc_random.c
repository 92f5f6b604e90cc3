/* Draws random numbers with Philox4x32-10: uniform, normal (Box-Muller), whole numbers without
 * modulo bias, and permutations (Fisher-Yates). */
#include "common/lc_random.h"

#include <math.h>
#include <string.h>

void lc_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c0;
    uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
    uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/* FNV-1a: the purpose only has to select a different stream. */
static uint32_t purpose_hash(const char *purpose) {
  uint32_t h = 2166136261u;
  for (; *purpose; purpose++) h = (h ^ (unsigned char)*purpose) * 16777619u;
  return h;
}

void lc_random_init(struct lc_random *random, uint64_t seed, const char *purpose, uint64_t index) {
  memset(random, 0, sizeof *random);
  random->key[0] = (uint32_t)seed;
  random->key[1] = (uint32_t)(seed >> 32);
  random->counter[1] = (uint32_t)index;
  random->counter[2] = (uint32_t)(index >> 32);
  random->counter[3] = purpose_hash(purpose);
  random->used = 4;
}

static inline uint32_t next_u32(struct lc_random *random) {
  if (random->used == 4) {
    lc_philox(random->counter, random->key, random->block);
    random->counter[0]++;
    random->used = 0;
  }
  return random->block[random->used++];
}

uint32_t lc_random_u32(struct lc_random *random) {
  return next_u32(random);
}

static inline double next_uniform(struct lc_random *random) {
  uint64_t high = next_u32(random) >> 5, low = next_u32(random) >> 6;
  return (double)(high * 67108864u + low) * (1.0 / 9007199254740992.0);
}

double lc_random_uniform(struct lc_random *random) {
  return next_uniform(random);
}

double lc_random_between(struct lc_random *random, double low, double high) {
  return low + (high - low) * lc_random_uniform(random);
}

double lc_random_normal(struct lc_random *random) {
  if (random->has_normal) {
    random->has_normal = false;
    return random->normal;
  }
  double radius = sqrt(-2.0 * log(1.0 - next_uniform(random)));
  double angle = 6.283185307179586476925 * next_uniform(random);
  random->normal = radius * sin(angle);
  random->has_normal = true;
  return radius * cos(angle);
}

uint32_t lc_random_below(struct lc_random *random, uint32_t n) {
  uint32_t threshold = (0u - n) % n;
  for (;;) {
    uint64_t product = (uint64_t)lc_random_u32(random) * n;
    if ((uint32_t)product >= threshold) return (uint32_t)(product >> 32);
  }
}

void lc_random_permutation(struct lc_random *random, uint32_t *order, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) order[i] = i;
  for (uint32_t i = n; i > 1; i--) {
    uint32_t j = lc_random_below(random, i);
    uint32_t t = order[i - 1];
    order[i - 1] = order[j];
    order[j] = t;
  }
}
