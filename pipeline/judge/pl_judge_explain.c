/* Computes the maps of every contestant, estimators and controls, for one image. */
#include <math.h>
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
  for (size_t i = 0; i < ask->n_targets * judge->patches; i++)
    scores[i] = (float)lc_random_normal(&random);
}

static void draw_centre(const struct pl_judge *judge, const struct pl_judge_ask *ask,
                        float *scores) {
  size_t grid = judge->grid;
  double middle = 0.5 * (double)(grid - 1);
  for (size_t p = 0; p < ask->n_targets * judge->patches; p++) {
    size_t row = p % judge->patches / grid, column = p % grid;
    double away = hypot((double)row - middle, (double)column - middle);
    scores[p] = (float)(1 - away / (double)grid);
  }
}

/* To the patch grid, and one map for every target. */
static lc_status take_maps(const struct pl_judge *judge, const struct pl_judge_ask *ask,
                           const struct cdam_estimator *estimator, struct cdam_maps *maps,
                           float *scores, struct lc_error *err) {
  if (estimator->on_pixels) {
    struct cdam_maps patches;
    LC_TRY(cdam_maps_to_patches(maps, judge->model.arch.patch_size, &patches, err));
    cdam_maps_free(maps);
    *maps = patches;
  }
  for (size_t t = 0; t < ask->n_targets; t++)
    memcpy(scores + t * judge->patches, cdam_maps_get(maps, 0, estimator->target_dependent ? t : 0),
           judge->patches * sizeof *scores);
  return LC_OK;
}

static lc_status estimate(const struct pl_judge *judge, const struct pl_judge_ask *ask,
                          const struct vit_trace *trace, float *scores, struct lc_error *err) {
  for (size_t c = 0; c < ask->count; c++) {
    const struct pl_judge_contestant *contestant = &judge->contestants[ask->first + c];
    float *out = scores + c * ask->n_targets * judge->patches;
    if (!contestant->estimator) {
      (contestant->centre ? draw_centre : draw_control)(judge, ask, out);
      continue;
    }
    struct cdam_settings settings = contestant->settings;
    settings.seed = seed_of(judge, ask);
    struct cdam_task task = {.model = ask->model,
                             .images = ask->image,
                             .height = judge->pixels,
                             .width = judge->pixels,
                             .trace = trace,
                             .targets = judge->targets,
                             .n_targets = ask->n_targets,
                             .settings = &settings,
                             .prepared = ask->model == &judge->model ? judge->prepared : NULL};
    LC_SCOPED(cdam_maps_free) struct cdam_maps maps = {0};
    LC_TRY(cdam_estimate(contestant->estimator, &task, &maps, err));
    LC_TRY(take_maps(judge, ask, contestant->estimator, &maps, out, err));
  }
  return LC_OK;
}

lc_status pl_judge_explain(const struct pl_judge *judge, const struct pl_judge_ask *ask,
                           float *scores, struct lc_error *err) {
  struct vit_request request = {0};
  LC_SCOPED(vit_workspace_free) struct vit_workspace workspace = {0};
  struct vit_trace trace;
  for (size_t c = 0; c < ask->count; c++)
    if (judge->contestants[ask->first + c].estimator)
      cdam_estimator_request(judge->contestants[ask->first + c].estimator, &request);
  LC_TRY(
      vit_workspace_init(&workspace, ask->model, 1, judge->pixels, judge->pixels, &request, err));
  LC_TRY(vit_forward(&workspace, ask->image, 1, &trace, err));
  return estimate(judge, ask, &trace, scores, err);
}
