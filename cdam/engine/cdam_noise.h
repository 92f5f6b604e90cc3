/* Standard normal noise in bulk: the draw depends only on (seed, purpose, index, position).
 *
 * Sixteen generators xoshiro128++ (Blackman, Vigna, "Scrambled linear pseudorandom number
 * generators", ACM TOMS 47, 2021) take turns, their states drawn by lc_random; then the normal
 * quantile, octave by octave a polynomial within 4e-6 of it; up to 6.2. The same bits on every CPU:
 * products are fused with sums everywhere. Thread-safety: pure. */
#pragma once

#include <stdint.h>

#include "common/lc_status.h"

/* out[n]: independent standard normals. */
void cdam_noise_fill(uint64_t seed, const char *purpose, uint64_t index, float *out, size_t n);

/* plus[n] = x[n] + factor * independent standard normals, n a multiple of 16; minus[n] = x[n] less
 * the same, or NULL. plus may be x where minus is NULL. */
void cdam_noise_pair(uint64_t seed, const char *purpose, uint64_t index, const float *x,
                     float factor, float *plus, float *minus, size_t n);

/* The generator's next word, for the test against the published ones. */
uint32_t cdam_xoshiro128pp(uint32_t state[4]);
