/* Standard normal noise in bulk: the draw depends only on (seed, purpose, index, position).
 *
 * Threefry4x32 with 12 rounds (Salmon, Moraes, Dror, Shaw, SC 2011), the fewest that passed every
 * test of BigCrush; then the normal quantile, octave by octave a polynomial within 4e-6 of it; up
 * to 6.2. The same bits on every CPU: no fused operations. Thread-safety: pure. */
#ifndef CDAM_NOISE_H
#define CDAM_NOISE_H

#include <stdint.h>

#include "lc_status.h"

/* out[n]: independent standard normals. */
void cdam_noise_fill(uint64_t seed, const char *purpose, uint64_t index, float *out, size_t n);

/* out[n] = x[n] + factor * the same draw; out may be x. */
void cdam_noise_add(uint64_t seed, const char *purpose, uint64_t index, const float *x,
                    float factor, float *out, size_t n);

/* The generator with all its 20 rounds, for the test against the published vectors. */
void cdam_threefry20(const uint32_t counter[4], const uint32_t key[4], uint32_t out[4]);

#endif
