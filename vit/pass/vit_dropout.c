/* Decides what dropout and stochastic depth set to zero, by Philox keyed with seed, step and
 * sample, and applies it to the input of the heads. */
#include "vit/pass/vit_dropout.h"

#include <math.h>

#include "common/lc_random.h"

#define STEPS 65536 /* of a rate */

static lc_status check_rate(const char *name, double rate, struct lc_error *err) {
  if (!(rate >= 0 && rate < 1))
    LC_FAIL(err, LC_ERR_CONFIG, "dropout: the rate %s is %g, expected 0 to below 1", name, rate);
  return LC_OK;
}

lc_status vit_dropout_check(const struct vit_dropout *rates, struct lc_error *err) {
  LC_TRY(check_rate("of the backbone", rates->backbone, err));
  LC_TRY(check_rate("of the heads", rates->heads, err));
  return check_rate("of the path", rates->path, err);
}

void vit_drops_draw(struct vit_drops *drops, uint64_t seed, uint64_t step, const uint32_t *samples,
                    size_t n) {
  for (size_t i = 0; i < n; i++) {
    struct lc_random random;
    /* Two draws, so that neither number has to leave bits to the other. */
    lc_random_init(&random, seed, "dropout", step);
    uint64_t of_step = (uint64_t)lc_random_u32(&random) << 32;
    of_step |= lc_random_u32(&random);
    lc_random_init(&random, of_step, "dropout-sample", samples[i]);
    drops->keys[i][0] = lc_random_u32(&random);
    drops->keys[i][1] = lc_random_u32(&random);
  }
  drops->drawn = n;
}

static uint32_t threshold_of(double rate) {
  long steps = lround(rate * STEPS);
  return (uint32_t)(steps < STEPS ? steps : STEPS - 1);
}

/* Stochastic depth: 0 for a branch that is left out, else what makes up for those that are. */
static double path_factor(const struct vit_drops *drops, uint32_t site, size_t block,
                          const uint32_t key[2]) {
  if (!(drops->rates.path > 0) || drops->depth < 2) return 1;
  double rate = drops->rates.path * (double)block / (double)(drops->depth - 1);
  const uint32_t counter[4] = {0, 0, site, 1}; /* the last word parts it from the masks */
  uint32_t words[4];
  lc_philox(counter, key, words);
  return (double)words[0] < rate * 4294967296.0 ? 0 : 1 / (1 - rate);
}

bool vit_drops_at(const struct vit_drops *drops, enum vit_drop_place place, size_t block,
                  size_t image, size_t first, struct vit_drop *how) {
  if (image >= drops->drawn) return false;
  double rate = place == VIT_DROP_HEADS ? drops->rates.heads : drops->rates.backbone;
  bool branch = place == VIT_DROP_PROJ || place == VIT_DROP_FC2;
  if (!(rate > 0) && !(branch && drops->rates.path > 0)) return false;
  if (!branch && place != VIT_DROP_GELU) block = 0;
  uint32_t threshold = threshold_of(rate), site = (uint32_t)(block * 8 + (size_t)place);
  double scale = (double)STEPS / (double)(STEPS - threshold);
  if (branch) scale *= path_factor(drops, site, block, drops->keys[image]);
  *how = (struct vit_drop){.key = {drops->keys[image][0], drops->keys[image][1]},
                           .site = site,
                           .first = (uint32_t)first,
                           .threshold = threshold,
                           .scale = (vit_real)scale};
  return true;
}

bool vit_drops_columns(const struct vit_drops *drops, size_t images, size_t rows, vit_real *x,
                       size_t ld) {
  bool any = false;
  for (size_t i = 0; i < images; i++) {
    struct vit_drop how;
    if (!vit_drops_at(drops, VIT_DROP_HEADS, 0, i, 0, &how)) continue;
    any = true;
    for (size_t r = 0; r < rows; r++) {
      vit_real *value = x + r * ld + i;
      *value = vit_drop_keeps(&how, r, 0) ? *value * how.scale : 0;
    }
  }
  return any;
}
