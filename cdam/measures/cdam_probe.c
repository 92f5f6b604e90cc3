/* Chooses sets of patches (single, random, boxes, ranks), measures how far the targets drop without
 * each, and compares drops with sums of scores. */
#include "cdam/measures/cdam_probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cdam/measures/cdam_similarity.h"
#include "common/lc_arena.h"
#include "common/lc_random.h"
#include "common/lc_scope.h"
#include "vit/train/vit_metrics.h"

void cdam_probe_free(struct cdam_probe *probe) {
  free(probe->removed);
  free(probe->drop);
  free(probe->whole);
  *probe = (struct cdam_probe){0};
}

static lc_status probe_init(struct cdam_probe *probe, const struct cdam_evaluator *evaluator,
                            size_t sets, struct lc_error *err) {
  size_t patches = evaluator->patches, targets = evaluator->targets;
  *probe = (struct cdam_probe){.sets = sets, .patches = patches, .targets = targets};
  if (sets == 0) LC_FAIL(err, LC_ERR_USAGE, "a probe without sets of patches");
  lc_status status = lc_alloc(&probe->removed, sets * patches, sizeof *probe->removed, err);
  if (status == LC_OK) status = lc_alloc(&probe->drop, sets * targets, sizeof *probe->drop, err);
  if (status == LC_OK) status = lc_alloc(&probe->whole, targets, sizeof *probe->whole, err);
  if (status != LC_OK) cdam_probe_free(probe);
  return status;
}

/* The whole image is variant 0; the sets follow. */
static lc_status ask(struct cdam_probe *probe, const struct cdam_evaluator *evaluator,
                     struct lc_error *err) {
  size_t variants = probe->sets + 1, patches = probe->patches, targets = probe->targets;
  uint8_t *kept = NULL;
  double *values = NULL;
  lc_status status = lc_alloc(&kept, variants * patches, sizeof *kept, err);
  if (status == LC_OK) status = lc_alloc(&values, variants * targets, sizeof *values, err);
  if (status == LC_OK) {
    memset(kept, 1, patches);
    for (size_t i = 0; i < probe->sets * patches; i++) kept[patches + i] = !probe->removed[i];
    status = evaluator->evaluate(evaluator->context, kept, variants, values, err);
  }
  for (size_t t = 0; t < targets && status == LC_OK; t++) {
    probe->whole[t] = values[t];
    for (size_t s = 0; s < probe->sets; s++)
      probe->drop[s * targets + t] = values[t] - values[(s + 1) * targets + t];
  }
  free(kept);
  free(values);
  if (status != LC_OK) cdam_probe_free(probe);
  return status;
}

lc_status cdam_probe_measure(const struct cdam_evaluator *evaluator, const uint8_t *removed,
                             size_t sets, struct cdam_probe *probe, struct lc_error *err) {
  LC_TRY(probe_init(probe, evaluator, sets, err));
  memcpy(probe->removed, removed, sets * evaluator->patches);
  return ask(probe, evaluator, err);
}

lc_status cdam_probe_tokens(const struct cdam_evaluator *evaluator, struct cdam_probe *probe,
                            struct lc_error *err) {
  LC_TRY(probe_init(probe, evaluator, evaluator->patches, err));
  for (size_t p = 0; p < probe->patches; p++) probe->removed[p * probe->patches + p] = 1;
  return ask(probe, evaluator, err);
}

/* Fills sets with `size` patches each; set s takes places s * size .. of the orders drawn. */
static lc_status draw_subsets(struct cdam_probe *probe, size_t size, const struct cdam_draws *draws,
                              struct lc_error *err) {
  uint32_t *order = NULL;
  struct lc_random random;
  LC_TRY(lc_alloc(&order, probe->patches, sizeof *order, err));
  lc_random_init(&random, draws->seed, "judge-subsets", draws->item);
  for (size_t s = 0; s < probe->sets; s++) {
    lc_random_permutation(&random, order, (uint32_t)probe->patches);
    for (size_t k = 0; k < size; k++) probe->removed[s * probe->patches + order[k]] = 1;
  }
  free(order);
  return LC_OK;
}

lc_status cdam_probe_subsets(const struct cdam_evaluator *evaluator, size_t size, size_t sets,
                             const struct cdam_draws *draws, struct cdam_probe *probe,
                             struct lc_error *err) {
  *probe = (struct cdam_probe){0};
  if (size == 0 || size > evaluator->patches)
    LC_FAIL(err, LC_ERR_USAGE, "sets of %zu patches, expected 1 to %zu", size, evaluator->patches);
  LC_TRY(probe_init(probe, evaluator, sets, err));
  lc_status status = draw_subsets(probe, size, draws, err);
  if (status != LC_OK) {
    cdam_probe_free(probe);
    return status;
  }
  return ask(probe, evaluator, err);
}

lc_status cdam_probe_boxes(const struct cdam_evaluator *evaluator, size_t grid_height,
                           size_t grid_width, size_t edge, size_t sets,
                           const struct cdam_draws *draws, struct cdam_probe *probe,
                           struct lc_error *err) {
  *probe = (struct cdam_probe){0};
  if (grid_height * grid_width != evaluator->patches)
    LC_FAIL(err, LC_ERR_USAGE, "boxes on a grid of %zu x %zu for %zu patches", grid_height,
            grid_width, evaluator->patches);
  if (edge == 0 || edge > grid_height || edge > grid_width)
    LC_FAIL(err, LC_ERR_USAGE, "boxes of edge %zu on a grid of %zu x %zu", edge, grid_height,
            grid_width);
  size_t columns = grid_width - edge + 1, places = columns * (grid_height - edge + 1);
  uint32_t *order = NULL;
  struct lc_random random;
  LC_TRY(probe_init(probe, evaluator, sets < places ? sets : places, err));
  lc_status status = lc_alloc(&order, places, sizeof *order, err);
  if (status != LC_OK) {
    cdam_probe_free(probe);
    return status;
  }
  lc_random_init(&random, draws->seed, "judge-boxes", draws->item);
  lc_random_permutation(&random, order, (uint32_t)places);
  for (size_t s = 0; s < probe->sets; s++) {
    uint8_t *removed = probe->removed + s * probe->patches;
    size_t top = order[s] / columns, left = order[s] % columns;
    for (size_t y = 0; y < edge; y++) memset(removed + (top + y) * grid_width + left, 1, edge);
  }
  free(order);
  return ask(probe, evaluator, err);
}

lc_status cdam_probe_ranks(const struct cdam_evaluator *evaluator, const float *scores,
                           size_t group, const struct cdam_draws *draws, struct cdam_probe *probe,
                           struct lc_error *err) {
  size_t patches = evaluator->patches;
  uint32_t *order = NULL;
  *probe = (struct cdam_probe){0};
  if (group == 0) LC_FAIL(err, LC_ERR_USAGE, "groups of 0 patches");
  LC_TRY(probe_init(probe, evaluator, (patches + group - 1) / group, err));
  lc_status status = lc_alloc(&order, patches, sizeof *order, err);
  if (status == LC_OK) status = cdam_order(scores, patches, draws, order, err);
  for (size_t i = 0; i < patches && status == LC_OK; i++)
    probe->removed[i / group * patches + order[i]] = 1;
  free(order);
  if (status != LC_OK) {
    cdam_probe_free(probe);
    return status;
  }
  return ask(probe, evaluator, err);
}

static double score_sum(const struct cdam_probe *probe, size_t set, const float *scores) {
  const uint8_t *removed = probe->removed + set * probe->patches;
  double sum = 0;
  for (size_t p = 0; p < probe->patches; p++)
    if (removed[p]) sum += (double)scores[p];
  return sum;
}

static void judge_infidelity(const double *sums, const double *drops, size_t n,
                             struct cdam_faithfulness *result) {
  double ss = 0, dd = 0, sd = 0, off = 0;
  for (size_t i = 0; i < n; i++) {
    ss += sums[i] * sums[i];
    dd += drops[i] * drops[i];
    sd += sums[i] * drops[i];
    off += (sums[i] - drops[i]) * (sums[i] - drops[i]);
  }
  result->infidelity = off / (double)n;
  result->infidelity_scaled = dd > 0 ? 1 - (ss > 0 ? sd * sd / (ss * dd) : 0) : NAN;
}

lc_status cdam_probe_judge(const struct cdam_probe *probe, const float *scores, size_t target,
                           struct cdam_faithfulness *result, struct lc_error *err) {
  size_t n = probe->sets;
  LC_FREED double *sums = NULL;
  if (target >= probe->targets)
    LC_FAIL(err, LC_ERR_USAGE, "probe: target %zu of %zu", target, probe->targets);
  LC_TRY(lc_alloc(&sums, 2 * n, sizeof *sums, err));
  double *drops = sums + n;
  for (size_t s = 0; s < n; s++) {
    sums[s] = score_sum(probe, s, scores);
    drops[s] = probe->drop[s * probe->targets + target];
  }
  result->pearson = cdam_pearson(sums, drops, n);
  judge_infidelity(sums, drops, n, result);
  struct vit_regression ranks;
  LC_TRY(vit_regress(sums, drops, n, &ranks, err));
  result->spearman = ranks.spearman;
  for (size_t s = 0; s < n; s++) {
    sums[s] = fabs(sums[s]);
    drops[s] *= drops[s];
  }
  LC_TRY(vit_regress(sums, drops, n, &ranks, err));
  result->monotone = ranks.spearman;
  return LC_OK;
}

lc_status cdam_completeness_of(const struct cdam_evaluator *evaluator, const float *scores,
                               size_t target, struct cdam_completeness *result,
                               struct lc_error *err) {
  struct cdam_probe probe;
  uint8_t *removed = NULL;
  size_t patches = evaluator->patches;
  if (target >= evaluator->targets)
    LC_FAIL(err, LC_ERR_USAGE, "completeness: target %zu of %zu", target, evaluator->targets);
  LC_TRY(lc_alloc(&removed, patches, sizeof *removed, err));
  memset(removed, 1, patches);
  lc_status status = cdam_probe_measure(evaluator, removed, 1, &probe, err);
  free(removed);
  if (status != LC_OK) return status;
  *result = (struct cdam_completeness){.change = probe.drop[target]};
  cdam_probe_free(&probe);
  for (size_t p = 0; p < patches; p++) result->sum += (double)scores[p];
  result->gap = result->sum - result->change;
  result->gap_share = result->change != 0 ? fabs(result->gap) / fabs(result->change) : NAN;
  return LC_OK;
}
