/* Shows one item to the measures. */
#include <stdlib.h>

#include "cdam/measures/cdam_localisation.h"
#include "common/lc_scope.h"
#include "pipeline/judge/pl_judged.h"
#include "pipeline/learn/pl_evaluate.h"

/* One item at work. */
struct work {
  const struct pl_judge *judge;
  size_t item;
  struct cdam_subject subject;
  float *image;               /* [3, pixels, pixels] */
  bool *is_signed, *is_drawn; /* [contestant] */
  float *scores;              /* [contestant, target, patch] */
  double *coverage;           /* [cell] */
  double *features, *touched; /* [CDAM_FEATURES, cell], [cell]; NULL without truth */
};

static void work_free(struct work *work) {
  free(work->image);
  free(work->is_signed);
  free(work->scores);
  free(work->coverage);
}

static lc_status work_init(struct work *work, struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  size_t n = judge->n_contestants, cells = judge->cells * judge->cells;
  LC_TRY(lc_alloc(&work->image, VIT_CHANNELS * judge->pixels * judge->pixels, sizeof(float), err));
  LC_TRY(lc_alloc(&work->is_signed, 2 * n, sizeof *work->is_signed, err));
  LC_TRY(lc_alloc(&work->scores, n * judge->n_targets * judge->patches, sizeof(float), err));
  LC_TRY(lc_alloc(&work->coverage, (2 + CDAM_FEATURES) * cells, sizeof(double), err));
  work->is_drawn = work->is_signed + n;
  if (!judge->features) return LC_OK;
  work->touched = work->coverage + cells;
  work->features = work->coverage + 2 * cells;
  return LC_OK;
}

/* What the model says of the nodule: the mean over its images, as every command reports it. The
 * measures look at the upright first one. */
static lc_status predict(const struct pl_judge *judge, size_t example, double *outputs,
                         struct lc_error *err) {
  struct pl_examples one = judge->examples;
  LC_SCOPED(pl_predictions_free) struct pl_predictions predictions = {0};
  float logits[VIT_MAX_OUTPUTS];
  one.rows += example;
  one.n = 1;
  LC_TRY(pl_predict(&judge->model, &one, judge->recipe.test_symmetries, NULL, &predictions, err));
  for (size_t o = 0; o < one.outputs; o++) logits[o] = (float)predictions.values[o];
  for (size_t t = 0; t < judge->n_targets; t++)
    outputs[t] = cdam_target_value(&judge->targets[t], &judge->model, logits, NULL);
  return LC_OK;
}

static lc_status explain(struct work *work, struct pl_scored_item *scored, struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  const struct pl_examples *examples = &judge->examples;
  LC_TRY(pl_examples_image(examples, judge->items[work->item], pl_examples_place(examples, 0), NULL,
                           work->image, err));
  struct pl_judge_ask ask = {.model = &judge->model,
                             .image = work->image,
                             .n_targets = judge->n_targets,
                             .count = judge->n_contestants,
                             .item = judge->items[work->item]};
  LC_TRY(pl_judge_explain(judge, &ask, scored->maps, err));
  pl_judge_to_patches(judge, scored->maps, judge->n_contestants * judge->n_targets, work->scores);
  return predict(judge, judge->items[work->item], scored->outputs, err);
}

static lc_status explain_again(void *context, const struct cdam_question *question, float *scores,
                               struct lc_error *err) {
  const struct work *work = context;
  const struct pl_judge *judge = work->judge;
  struct pl_judge_ask ask = {.model = question->model ? question->model : &judge->model,
                             .image = question->image,
                             .n_targets = 1,
                             .first = question->first,
                             .count = question->count,
                             .item = judge->items[work->item],
                             .turn = question->turn,
                             .run = question->run};
  LC_FREED float *maps = NULL;
  LC_TRY(lc_alloc(&maps, ask.count * judge->cells * judge->cells, sizeof *maps, err));
  LC_TRY(pl_judge_explain(judge, &ask, maps, err));
  pl_judge_to_patches(judge, maps, ask.count, scores);
  return LC_OK;
}

static lc_status make_pair(void *context, enum cdam_pair_kind kind, struct cdam_pair *pair,
                           bool *found, struct lc_error *err) {
  const struct work *work = context;
  return pl_judge_pair_make(work->judge, work->item, kind, pair, found, err);
}

/* What the measures see. */
static lc_status show(struct work *work, struct pl_scored_item *scored, struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  for (size_t c = 0; c < judge->n_contestants; c++) {
    const struct pl_judge_contestant *contestant = &judge->contestants[c];
    work->is_signed[c] = contestant->estimator && contestant->estimator->is_signed;
    work->is_drawn[c] = pl_judge_draws(contestant);
  }
  LC_FREED uint8_t *mask = NULL;
  LC_TRY(lc_alloc(&mask, judge->pixels * judge->pixels, sizeof *mask, err));
  LC_TRY(pl_judge_mask(judge, judge->items[work->item], mask, err));
  cdam_coverage(mask, judge->pixels, judge->pixels, judge->cells, judge->cells, work->coverage);
  if (judge->features)
    LC_TRY(pl_judge_features(judge, work->item, work->features, work->touched, err));
  work->subject =
      (struct cdam_subject){.settings = &judge->measuring,
                            .maps = judge->n_contestants,
                            .targets = judge->n_targets,
                            .patches = judge->patches,
                            .grid = judge->grid,
                            .pixels = judge->pixels,
                            .model = &judge->model,
                            .target = judge->targets,
                            .image = work->image,
                            .scores = work->scores,
                            .cells = judge->cells * judge->cells,
                            .finer = scored->maps,
                            .is_signed = work->is_signed,
                            .is_drawn = work->is_drawn,
                            .coverage = work->coverage,
                            .features = work->features,
                            .touched = work->touched,
                            .draws = {(uint64_t)judge->config->seed, judge->items[work->item]},
                            .randomised = judge->randomised,
                            .context = work,
                            .explain = explain_again,
                            .pair = make_pair,
                            .points = {scored->share, scored->random, scored->most, scored->least,
                                       scored->compact, scored->randomised}};
  return LC_OK;
}

lc_status pl_judge_item(const struct pl_judge *judge, size_t item, struct pl_scored_item *scored,
                        struct lc_error *err) {
  LC_SCOPED(work_free) struct work work = {.judge = judge, .item = item};
  LC_TRY(work_init(&work, err));
  LC_TRY(explain(&work, scored, err));
  LC_TRY(show(&work, scored, err));
  return cdam_measures_run(judge->measures, judge->n_measures, &work.subject, scored->values, err);
}
