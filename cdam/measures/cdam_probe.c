/* Chooses sets of patches, and compares drops of the targets with sums of scores. */
#include "cdam/measures/cdam_probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cdam/measures/cdam_similarity.h"
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
  LC_TRY(lc_alloc(&probe->removed, sets * patches, sizeof *probe->removed, err));
  LC_TRY(lc_alloc(&probe->drop, sets * targets, sizeof *probe->drop, err));
  return lc_alloc(&probe->whole, targets, sizeof *probe->whole, err);
}

/* The whole image is variant 0; the sets follow. */
static lc_status ask(struct cdam_probe *probe, const struct cdam_evaluator *evaluator,
                     struct lc_error *err) {
  size_t variants = probe->sets + 1, patches = probe->patches, targets = probe->targets;
  LC_FREED uint8_t *kept = NULL;
  LC_FREED double *values = NULL;
  LC_TRY(lc_alloc(&kept, variants * patches, sizeof *kept, err));
  LC_TRY(lc_alloc(&values, variants * targets, sizeof *values, err));
  memset(kept, 1, patches);
  for (size_t i = 0; i < probe->sets * patches; i++) kept[patches + i] = !probe->removed[i];
  LC_TRY(evaluator->evaluate(evaluator->context, kept, variants, values, err));
  memcpy(probe->whole, values, targets * sizeof *values);
  for (size_t i = 0; i < probe->sets * targets; i++)
    probe->drop[i] = values[i % targets] - values[targets + i];
  return LC_OK;
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

lc_status cdam_probe_subsets(const struct cdam_evaluator *evaluator, size_t size, size_t sets,
                             const struct cdam_draws *draws, struct cdam_probe *probe,
                             struct lc_error *err) {
  LC_FREED uint32_t *order = NULL;
  struct lc_random random;
  *probe = (struct cdam_probe){0};
  if (size == 0 || size > evaluator->patches)
    LC_FAIL(err, LC_ERR_USAGE, "sets of %zu patches, expected 1 to %zu", size, evaluator->patches);
  LC_TRY(probe_init(probe, evaluator, sets, err));
  LC_TRY(lc_alloc(&order, probe->patches, sizeof *order, err));
  lc_random_init(&random, draws->seed, "judge-subsets", draws->item);
  for (size_t s = 0; s < sets; s++) {
    lc_random_permutation(&random, order, (uint32_t)probe->patches);
    for (size_t k = 0; k < size; k++) probe->removed[s * probe->patches + order[k]] = 1;
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
  LC_FREED uint32_t *order = NULL;
  struct lc_random random;
  LC_TRY(probe_init(probe, evaluator, sets < places ? sets : places, err));
  LC_TRY(lc_alloc(&order, places, sizeof *order, err));
  lc_random_init(&random, draws->seed, "judge-boxes", draws->item);
  lc_random_permutation(&random, order, (uint32_t)places);
  for (size_t s = 0; s < probe->sets; s++) {
    uint8_t *removed = probe->removed + s * probe->patches;
    size_t top = order[s] / columns, left = order[s] % columns;
    for (size_t y = 0; y < edge; y++) memset(removed + (top + y) * grid_width + left, 1, edge);
  }
  return ask(probe, evaluator, err);
}

lc_status cdam_probe_ranks(const struct cdam_evaluator *evaluator, const float *scores,
                           size_t group, const struct cdam_draws *draws, struct cdam_probe *probe,
                           struct lc_error *err) {
  size_t patches = evaluator->patches;
  LC_FREED uint32_t *order = NULL;
  *probe = (struct cdam_probe){0};
  if (group == 0) LC_FAIL(err, LC_ERR_USAGE, "groups of 0 patches");
  LC_TRY(probe_init(probe, evaluator, (patches + group - 1) / group, err));
  LC_TRY(lc_alloc(&order, patches, sizeof *order, err));
  LC_TRY(cdam_order(scores, patches, draws, order, err));
  for (size_t i = 0; i < patches; i++) probe->removed[i / group * patches + order[i]] = 1;
  return ask(probe, evaluator, err);
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
    for (size_t p = 0; p < probe->patches; p++)
      if (probe->removed[s * probe->patches + p]) sums[s] += (double)scores[p];
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
  LC_SCOPED(cdam_probe_free) struct cdam_probe probe = {0};
  LC_FREED uint8_t *removed = NULL;
  size_t patches = evaluator->patches;
  if (target >= evaluator->targets)
    LC_FAIL(err, LC_ERR_USAGE, "completeness: target %zu of %zu", target, evaluator->targets);
  LC_TRY(lc_alloc(&removed, patches, sizeof *removed, err));
  memset(removed, 1, patches);
  LC_TRY(cdam_probe_measure(evaluator, removed, 1, &probe, err));
  *result = (struct cdam_completeness){.change = probe.drop[target]};
  for (size_t p = 0; p < patches; p++) result->sum += (double)scores[p];
  result->gap = result->sum - result->change;
  result->gap_share = result->change != 0 ? fabs(result->gap) / fabs(result->change) : NAN;
  return LC_OK;
}
