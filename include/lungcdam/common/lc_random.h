/* Counter-based random numbers: the draw depends only on (seed, purpose, index, how many drawn), so
 * results do not depend on threads or order. One draw an argument list at most: compilers evaluate
 * arguments in orders of their own.
 *
 * Generator: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2,
 * 3", SC 2011). Thread-safety: one struct, one thread. */
#ifndef LC_RANDOM_H
#define LC_RANDOM_H

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_API_BEGIN

struct lc_random {
  uint32_t key[2];
  uint32_t counter[4];
  uint32_t block[4];
  int used;
  bool has_normal;
  double normal;
};

/* The ten-round block function itself, for tests against the published vectors. */
void lc_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* purpose is a short word that names what the draws are for ("smooth-noise"). */
void lc_random_init(struct lc_random *random, uint64_t seed, const char *purpose, uint64_t index);

uint32_t lc_random_u32(struct lc_random *random);
/* Uniform in [0, 1), 53 bits. */
double lc_random_uniform(struct lc_random *random);
double lc_random_between(struct lc_random *random, double low, double high);
/* Standard normal (Box-Muller). */
double lc_random_normal(struct lc_random *random);
/* Uniform integer in [0, n), n > 0, without modulo bias. */
uint32_t lc_random_below(struct lc_random *random, uint32_t n);
/* Fisher-Yates order of 0..n-1. */
void lc_random_permutation(struct lc_random *random, uint32_t *order, uint32_t n);

LC_API_END
#endif
