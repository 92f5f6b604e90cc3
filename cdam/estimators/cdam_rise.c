/* RISE (Petsiuk, Das, Saenko, BMVC 2018) by leaving tokens out: a mask of random cells, each kept
 * with probability `keep`, is laid over the patch grid with a random shift, and patches under a
 * dropped cell are left out of the sequence.
 *
 *   score_i = mean of f over the masks that keep patch i  -  mean of f over all masks
 *
 * The paper's estimate up to a constant a map (the second term) and its factor; the constant makes
 * the sign mean something. Positive: f is higher when the patch is seen. */
#include "cdam/estimators/cdam_masked.h"
#include "common/lc_random.h"
#include "common/lc_scope.h"

enum { SAMPLES, CELLS, KEEP };

struct masks {
  size_t grid_height, grid_width, cells;
  double keep;
  uint64_t seed;
};

static size_t random_patches(const void *context, size_t mask, uint32_t *kept) {
  const struct masks *m = context;
  size_t longer = m->grid_height > m->grid_width ? m->grid_height : m->grid_width;
  size_t cell = (longer + m->cells - 1) / m->cells, side = longer / cell + 2, n = 0;
  struct lc_random random;
  for (uint64_t attempt = 0; n == 0; attempt++) {
    lc_random_init(&random, m->seed + (attempt << 32), "rise", mask);
    size_t down = lc_random_below(&random, (uint32_t)cell);
    size_t right = lc_random_below(&random, (uint32_t)cell);
    uint64_t column_bits[64];
    for (size_t r = 0; r < side; r++) {
      column_bits[r] = 0;
      for (size_t c = 0; c < side; c++)
        if (lc_random_uniform(&random) < m->keep) column_bits[r] |= (uint64_t)1 << c;
    }
    for (size_t y = 0; y < m->grid_height; y++)
      for (size_t x = 0; x < m->grid_width; x++)
        if (column_bits[(y + down) / cell] >> ((x + right) / cell) & 1)
          kept[n++] = (uint32_t)(y * m->grid_width + x);
  }
  return n;
}

/* stays: [mask, patch], 1 where the mask keeps the patch. */
static void average(size_t n_masks, size_t patches, const uint8_t *stays, const double *values,
                    size_t pairs, struct cdam_maps *maps) {
  for (size_t k = 0; k < pairs; k++) {
    double mean = 0;
    for (size_t i = 0; i < n_masks; i++) mean += values[i * pairs + k] / (double)n_masks;
    for (size_t p = 0; p < patches; p++) {
      double sum = 0, count = 0;
      for (size_t i = 0; i < n_masks; i++)
        if (stays[i * patches + p]) {
          sum += values[i * pairs + k];
          count++;
        }
      maps->scores[k * patches + p] = (float)(count > 0 ? sum / count - mean : 0);
    }
  }
}

static lc_status run(const struct cdam_task *task, struct cdam_maps *maps, struct lc_error *err) {
  const struct cdam_settings *s = task->settings;
  struct masks m = {.grid_height = task->trace->grid_height,
                    .grid_width = task->trace->grid_width,
                    .cells = (size_t)s->values[CELLS],
                    .keep = s->values[KEEP],
                    .seed = s->seed};
  size_t samples = (size_t)s->values[SAMPLES];
  size_t patches = task->trace->patches, pairs = task->trace->batch * task->n_targets;
  LC_FREED uint8_t *stays = NULL;
  LC_FREED uint32_t *kept = NULL;
  LC_FREED double *values = NULL;
  LC_TRY(lc_alloc(&stays, samples * patches, 1, err));
  LC_TRY(lc_alloc(&kept, patches, sizeof *kept, err));
  LC_TRY(lc_alloc(&values, samples * pairs, sizeof *values, err));
  struct cdam_masked masked = {
      .task = task, .n_masks = samples, .keep = random_patches, .context = &m};
  LC_TRY(cdam_masked_values(&masked, values, err));
  for (size_t i = 0; i < samples; i++) {
    size_t n = random_patches(&m, i, kept);
    for (size_t k = 0; k < n; k++) stays[i * patches + kept[k]] = 1;
  }
  average(samples, patches, stays, values, pairs, maps);
  return LC_OK;
}

static const struct cdam_parameter parameters[] = {
    [SAMPLES] = {"samples", CDAM_WHOLE, 500, 1, 1e6, NULL, "masks"},
    [CELLS] = {"cells", CDAM_WHOLE, 7, 1, 60, NULL, "cells along the longer side of a mask"},
    [KEEP] = {"keep", CDAM_NUMBER, 0.5, 0.01, 0.99, NULL, "probability that a cell stays"}};

const struct cdam_estimator cdam_estimator_rise = {
    .name = "rise",
    .title = "RISE",
    .source = "Petsiuk, Das, Saenko, BMVC 2018, arXiv 1806.07421",
    .needs = CDAM_NEEDS_IMAGES,
    .is_signed = true,
    .target_dependent = true,
    .draws = true,
    .parameters = parameters,
    .n_parameters = sizeof parameters / sizeof *parameters,
    .run = run};
