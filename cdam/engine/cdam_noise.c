/* Draws normal noise in bulk: sixteen generators, whose steps the back end takes. */
#include "cdam/engine/cdam_noise.h"

#include <string.h>

#include "common/lc_random.h"
#include "vit/kernels/vit_backend.h"

#define LANES VIT_LANES /* generators; draw i is number i / LANES of generator i % LANES */

uint32_t cdam_xoshiro128pp(uint32_t s[4]) {
  uint32_t word;
  VIT_NOISE_STEP(s[0], s[1], s[2], s[3], word);
  return word;
}

static struct vit_noise start(uint64_t seed, const char *purpose, uint64_t index, const float *x,
                              float factor) {
  struct lc_random random;
  struct vit_noise f = {.x = x, .factor = factor};
  lc_random_init(&random, seed, purpose, index);
  for (size_t i = 0; i < LANES; i++)
    for (size_t word = 0; word < 4; word++) f.state[word][i] = lc_random_u32(&random);
  return f;
}

void cdam_noise_pair(uint64_t seed, const char *purpose, uint64_t index, const float *x,
                     float factor, float *plus, float *minus, size_t n) {
  struct vit_noise f = start(seed, purpose, index, x, factor);
  vit_vectors()->noise(&f, n / LANES, plus, minus);
}

void cdam_noise_fill(uint64_t seed, const char *purpose, uint64_t index, float *out, size_t n) {
  const float zero[LANES] = {0};
  struct vit_noise f = start(seed, purpose, index, zero, 1);
  for (size_t i = 0; i < n; i += LANES) {
    float step[LANES];
    vit_vectors()->noise(&f, 1, step, NULL);
    memcpy(out + i, step, (n - i < LANES ? n - i : LANES) * sizeof *out);
  }
}
