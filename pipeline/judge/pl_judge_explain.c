/* Computes the maps of every contestant, estimators and controls, for one image. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_random.h"
#include "common/lc_scope.h"
#include "pipeline/judge/pl_judge.h"

bool pl_judge_draws(const struct pl_judge_contestant *contestant) {
  return contestant->estimator ? contestant->estimator->draws : !contestant->centre;
}

/* Seeds of different items and runs do not meet. */
static uint64_t seed_of(const struct pl_judge *judge, const struct pl_judge_ask *ask) {
  return (uint64_t)judge->config->seed + 1000003 * (ask->item + 1) + 999999937 * ask->run;
}

static void draw_control(const struct pl_judge *judge, const struct pl_judge_ask *ask,
                         float *scores) {
  struct lc_random random;
  lc_random_init(&random, seed_of(judge, ask), "judge-control", ask->turn);
  for (size_t i = 0; i < ask->n_targets * judge->cells * judge->cells; i++)
    scores[i] = (float)lc_random_normal(&random);
}

static void draw_centre(const struct pl_judge *judge, const struct pl_judge_ask *ask,
                        float *scores) {
  size_t edge = judge->cells, area = edge * edge;
  double middle = 0.5 * (double)(edge - 1);
  for (size_t p = 0; p < ask->n_targets * area; p++) {
    size_t row = p % area / edge, column = p % edge;
    double away = hypot((double)row - middle, (double)column - middle);
    scores[p] = (float)(1 - away / (double)edge);
  }
}

/* What all shifts of one image go through. sums: [ask->count], on cells or, for some estimators,
 * on pixels; empty for controls. */
struct shifting {
  const struct pl_judge *judge;
  const struct pl_judge_ask *ask;
  struct vit_workspace workspace;
  float *image; /* [3, pixels, pixels] as shifted */
  struct cdam_maps *sums;
};

static void shifting_free(struct shifting *shifting) {
  for (size_t c = 0; shifting->sums && c < shifting->ask->count; c++)
    cdam_maps_free(&shifting->sums[c]);
  free(shifting->sums);
  free(shifting->image);
  vit_workspace_free(&shifting->workspace);
}

static lc_status shifting_init(struct shifting *shifting, struct lc_error *err) {
  const struct pl_judge *judge = shifting->judge;
  const struct pl_judge_ask *ask = shifting->ask;
  struct vit_request request = {0};
  LC_TRY(lc_alloc(&shifting->sums, ask->count, sizeof *shifting->sums, err));
  LC_TRY(
      lc_alloc(&shifting->image, VIT_CHANNELS * judge->pixels * judge->pixels, sizeof(float), err));
  for (size_t c = 0; c < ask->count; c++) {
    const struct cdam_estimator *estimator = judge->contestants[ask->first + c].estimator;
    if (!estimator) continue;
    size_t edge = estimator->on_pixels ? judge->pixels : judge->cells;
    cdam_estimator_request(estimator, &request);
    LC_TRY(cdam_maps_init(&shifting->sums[c], 1, estimator->target_dependent ? ask->n_targets : 1,
                          edge, edge, err));
  }
  return vit_workspace_init(&shifting->workspace, ask->model, 1, judge->pixels, judge->pixels,
                            &request, err);
}

/* The maps of one shift. */
static lc_status estimate(struct shifting *shifting, size_t k, struct lc_error *err) {
  const struct pl_judge *judge = shifting->judge;
  const struct pl_judge_ask *ask = shifting->ask;
  struct vit_trace trace;
  cdam_shift_image(&judge->shifts, k, ask->image, VIT_CHANNELS, judge->pixels, judge->pixels,
                   shifting->image);
  LC_TRY(vit_forward(&shifting->workspace, shifting->image, 1, &trace, err));
  for (size_t c = 0; c < ask->count; c++) {
    const struct pl_judge_contestant *contestant = &judge->contestants[ask->first + c];
    if (!contestant->estimator) continue;
    struct cdam_settings settings = contestant->settings;
    settings.seed = seed_of(judge, ask);
    struct cdam_task task = {.model = ask->model,
                             .images = shifting->image,
                             .height = judge->pixels,
                             .width = judge->pixels,
                             .trace = &trace,
                             .targets = judge->targets,
                             .n_targets = ask->n_targets,
                             .settings = &settings,
                             .prepared = ask->model == &judge->model ? judge->prepared : NULL};
    LC_SCOPED(cdam_maps_free) struct cdam_maps maps = {0};
    LC_TRY(cdam_estimate(contestant->estimator, &task, &maps, err));
    for (size_t t = 0; t < maps.targets; t++)
      cdam_shift_add_back(&judge->shifts, k, cdam_maps_get(&maps, 0, t), maps.grid_height,
                          maps.grid_width, contestant->estimator->on_pixels,
                          cdam_maps_get(&shifting->sums[c], 0, t));
  }
  return LC_OK;
}

/* To cells, and one map for every target. */
static lc_status take_maps(const struct shifting *shifting, size_t index, float *scores,
                           struct lc_error *err) {
  const struct pl_judge *judge = shifting->judge;
  size_t area = judge->cells * judge->cells;
  const struct cdam_maps *maps = &shifting->sums[index];
  LC_SCOPED(cdam_maps_free) struct cdam_maps cells = {0};
  if (maps->grid_height != judge->cells) {
    LC_TRY(cdam_maps_to_patches(maps, judge->shifts.step, &cells, err));
    maps = &cells;
  }
  for (size_t t = 0; t < shifting->ask->n_targets; t++)
    memcpy(scores + t * area, cdam_maps_get(maps, 0, maps->targets > 1 ? t : 0),
           area * sizeof *scores);
  return LC_OK;
}

lc_status pl_judge_explain(const struct pl_judge *judge, const struct pl_judge_ask *ask,
                           float *scores, struct lc_error *err) {
  LC_SCOPED(shifting_free) struct shifting shifting = {.judge = judge, .ask = ask};
  size_t size = ask->n_targets * judge->cells * judge->cells;
  LC_TRY(shifting_init(&shifting, err));
  for (size_t k = 0; k < cdam_shifts_count(&judge->shifts); k++)
    LC_TRY(estimate(&shifting, k, err));
  for (size_t c = 0; c < ask->count; c++) {
    const struct pl_judge_contestant *contestant = &judge->contestants[ask->first + c];
    if (contestant->estimator)
      LC_TRY(take_maps(&shifting, c, scores + c * size, err));
    else
      (contestant->centre ? draw_centre : draw_control)(judge, ask, scores + c * size);
  }
  return LC_OK;
}

void pl_judge_to_patches(const struct pl_judge *judge, const float *maps, size_t n, float *scores) {
  size_t edge = judge->cells, along = judge->shifts.along;
  memset(scores, 0, n * judge->patches * sizeof *scores);
  for (size_t i = 0; i < n; i++)
    for (size_t y = 0; y < edge; y++)
      for (size_t x = 0; x < edge; x++)
        scores[i * judge->patches + y / along * judge->grid + x / along] +=
            maps[(i * edge + y) * edge + x];
}
