/* Computes every measure of every contestant on one item. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdam/measures/cdam_compactness.h"
#include "cdam/measures/cdam_curve.h"
#include "cdam/measures/cdam_localisation.h"
#include "cdam/measures/cdam_probe.h"
#include "cdam/measures/cdam_robustness.h"
#include "cdam/measures/cdam_similarity.h"
#include "common/lc_arena.h"
#include "pipeline/judge/pl_judge.h"
#include "pipeline/learn/pl_evaluate.h"

#define GROUPS 20 /* of a map's own ranking */

static const double road_shares[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9};

struct work {
  const struct pl_judge *judge;
  size_t item;
  struct cdam_draws draws;
  struct pl_scored_item *scored;
  float *image;      /* [3, pixels, pixels] */
  float *scores;     /* [contestant, patch] of the judged target */
  float *again;      /* [contestant, patch] */
  size_t *target_of; /* [contestant] zeros */
  double *coverage;  /* [patch] */
  uint8_t *mask;     /* [pixels, pixels] */
  uint64_t turn;
};

static void work_free(struct work *work) {
  free(work->image);
  free(work->scores);
  free(work->again);
  free(work->target_of);
  free(work->coverage);
  free(work->mask);
}

static lc_status work_init(struct work *work, struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  size_t pixels = judge->pixels * judge->pixels, maps = judge->n_contestants * judge->patches;
  LC_TRY(lc_alloc(&work->image, 3 * pixels, sizeof *work->image, err));
  LC_TRY(lc_alloc(&work->scores, maps, sizeof *work->scores, err));
  LC_TRY(lc_alloc(&work->again, maps, sizeof *work->again, err));
  LC_TRY(lc_alloc(&work->target_of, judge->n_contestants, sizeof *work->target_of, err));
  LC_TRY(lc_alloc(&work->coverage, judge->patches, sizeof *work->coverage, err));
  return lc_alloc(&work->mask, pixels, sizeof *work->mask, err);
}

static const float *map_of(const struct work *work, size_t contestant) {
  return work->scores + contestant * work->judge->patches;
}

static void put(struct work *work, size_t contestant, const char *name, double value) {
  pl_scored_item_put(work->scored, work->judge, contestant, name, value);
}

/* What the model says of the nodule: the mean over its images, as every command reports it. The
 * measures look at the upright first one. */
static lc_status predict(const struct pl_judge *judge, size_t example, double *outputs,
                         struct lc_error *err) {
  struct pl_examples one = judge->examples;
  struct pl_predictions predictions;
  float logits[VIT_MAX_OUTPUTS];
  one.rows += example;
  one.n = 1;
  LC_TRY(pl_predict(&judge->model, &one, judge->recipe.test_symmetries, NULL, &predictions, err));
  for (size_t o = 0; o < one.outputs; o++) logits[o] = (float)predictions.values[o];
  for (size_t t = 0; t < judge->n_targets; t++)
    outputs[t] = cdam_target_value(&judge->targets[t], &judge->model, logits, NULL);
  pl_predictions_free(&predictions);
  return LC_OK;
}

static lc_status explain(struct work *work, struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  const struct pl_examples *examples = &judge->examples;
  LC_TRY(pl_examples_image(examples, judge->items[work->item], pl_examples_place(examples, 0), NULL,
                           work->image, err));
  struct pl_judge_ask ask = {.model = &judge->model,
                             .image = work->image,
                             .n_targets = judge->n_targets,
                             .count = judge->n_contestants,
                             .item = work->draws.item};
  LC_TRY(pl_judge_explain(judge, &ask, work->scored->maps, err));
  LC_TRY(predict(judge, judge->items[work->item], work->scored->outputs, err));
  for (size_t c = 0; c < judge->n_contestants; c++)
    memcpy(work->scores + c * judge->patches,
           work->scored->maps + c * judge->n_targets * judge->patches,
           judge->patches * sizeof *work->scores);
  return LC_OK;
}

static lc_status judge_curves(struct work *work, const struct cdam_evaluator *evaluator,
                              struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  struct cdam_curves curves;
  struct cdam_curve_settings settings = {.steps = (size_t)judge->config->curves_steps,
                                         .random_orders =
                                             (size_t)judge->config->curves_random_orders};
  LC_TRY(cdam_curves_measure(evaluator, work->scores, work->target_of, judge->n_contestants,
                             &settings, &work->draws, &curves, err));
  size_t size = judge->points * sizeof(double);
  memcpy(work->scored->share, curves.share, size);
  memcpy(work->scored->random, curves.random, size);
  memcpy(work->scored->most, curves.most, judge->n_contestants * size);
  memcpy(work->scored->least, curves.least, judge->n_contestants * size);
  for (size_t c = 0; c < judge->n_contestants; c++) {
    struct cdam_curve_summary s;
    cdam_curves_summarise(&curves, c, 0, &s);
    put(work, c, "deletion", s.deletion);
    put(work, c, "insertion", s.insertion);
    put(work, c, "gap", s.gap);
    put(work, c, "gap_share", s.gap_share);
    put(work, c, "monotonicity", s.monotonicity);
  }
  cdam_curves_free(&curves);
  return LC_OK;
}

/* Sets that all maps are held against; what and number name the measures. */
static lc_status judge_probe(struct work *work, struct cdam_probe *probe, const char *what,
                             const char *number, struct lc_error *err) {
  lc_status status = LC_OK;
  for (size_t c = 0; c < work->judge->n_contestants && status == LC_OK; c++) {
    struct cdam_faithfulness r;
    char name[PL_MEASURE_NAME];
    status = cdam_probe_judge(probe, map_of(work, c), 0, &r, err);
    if (status != LC_OK) break;
    snprintf(name, sizeof name, "%s%s%s", what, *number ? "_" : "", number);
    put(work, c, name, r.pearson);
    if (!*number) continue; /* sets of one patch each: correlation alone */
    snprintf(name, sizeof name, "infidelity_%s_%s", what, number);
    put(work, c, name, r.infidelity_scaled);
  }
  cdam_probe_free(probe);
  return status;
}

static lc_status judge_sets(struct work *work, const struct cdam_evaluator *evaluator,
                            struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  const struct pl_list *shares = &judge->config->sets_shares, *boxes = &judge->config->sets_boxes;
  size_t numbers[64], count = (size_t)judge->config->sets_count;
  struct cdam_probe probe;
  if (judge->config->sets_tokens) {
    LC_TRY(cdam_probe_tokens(evaluator, &probe, err));
    LC_TRY(judge_probe(work, &probe, "ablation", "", err));
  }
  LC_TRY(pl_judge_numbers(shares, "sets.shares", 1, 99, numbers, err));
  for (size_t i = 0; i < shares->n; i++) {
    size_t size = (numbers[i] * judge->patches + 50) / 100;
    LC_TRY(cdam_probe_subsets(evaluator, size > 0 ? size : 1, count, &work->draws, &probe, err));
    LC_TRY(judge_probe(work, &probe, "sensitivity", shares->items[i], err));
  }
  LC_TRY(pl_judge_numbers(boxes, "sets.boxes", 1, (long long)judge->grid, numbers, err));
  for (size_t i = 0; i < boxes->n; i++) {
    LC_TRY(cdam_probe_boxes(evaluator, judge->grid, judge->grid, numbers[i], count, &work->draws,
                            &probe, err));
    LC_TRY(judge_probe(work, &probe, "box", boxes->items[i], err));
  }
  return LC_OK;
}

/* Measures whose sets are a map's own. */
static lc_status judge_ranks(struct work *work, const struct cdam_evaluator *evaluator,
                             struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  size_t group = (judge->patches + GROUPS - 1) / GROUPS;
  for (size_t c = 0; c < judge->n_contestants; c++) {
    struct cdam_probe probe;
    struct cdam_faithfulness r;
    struct cdam_completeness whole;
    LC_TRY(cdam_probe_ranks(evaluator, map_of(work, c), group, &work->draws, &probe, err));
    lc_status status = cdam_probe_judge(&probe, map_of(work, c), 0, &r, err);
    cdam_probe_free(&probe);
    LC_TRY(status);
    put(work, c, "faithfulness_estimate", r.pearson);
    put(work, c, "monotonicity_correlation", r.monotone);
    LC_TRY(cdam_completeness_of(evaluator, map_of(work, c), 0, &whole, err));
    put(work, c, "completeness_gap", whole.gap_share);
  }
  return LC_OK;
}

static lc_status judge_road(struct work *work, const struct cdam_evaluator *evaluator,
                            struct lc_error *err) {
  struct cdam_curves curves;
  struct cdam_curve_settings settings = {.shares = road_shares,
                                         .n_shares = sizeof road_shares / sizeof *road_shares,
                                         .random_orders = 1};
  LC_TRY(cdam_curves_measure(evaluator, work->scores, work->target_of, work->judge->n_contestants,
                             &settings, &work->draws, &curves, err));
  for (size_t c = 0; c < work->judge->n_contestants; c++) {
    struct cdam_curve_summary s;
    cdam_curves_summarise(&curves, c, 0, &s);
    put(work, c, "road", s.decision);
    put(work, c, "road_gap", s.gap);
  }
  cdam_curves_free(&curves);
  return LC_OK;
}

typedef lc_status (*asking)(struct work *work, const struct cdam_evaluator *evaluator,
                            struct lc_error *err);

/* Runs measures of correctness with one meaning of "missing". */
static lc_status with_removal(struct work *work, const struct cdam_removal_settings *settings,
                              const asking *measures, size_t n, struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  struct cdam_removal removal;
  LC_TRY(cdam_removal_init(&removal, &judge->model, judge->targets, 1, judge->pixels, judge->pixels,
                           settings, err));
  lc_status status = cdam_removal_set_image(&removal, work->image, work->draws.item, err);
  struct cdam_evaluator evaluator = cdam_removal_evaluator(&removal);
  for (size_t i = 0; i < n && status == LC_OK; i++) status = measures[i](work, &evaluator, err);
  cdam_removal_free(&removal);
  return status;
}

static lc_status judge_correctness(struct work *work, struct lc_error *err) {
  const struct pl_judge_config *config = work->judge->config;
  const asking measures[] = {judge_curves, judge_sets, judge_ranks};
  struct cdam_removal_settings settings = {.kind = (cdam_removal_kind)config->missing_kind,
                                           .value = (float)config->missing_value,
                                           .blur_sigma = config->missing_blur_sigma,
                                           .noise = config->road_noise,
                                           .seed = work->draws.seed};
  LC_TRY(with_removal(work, &settings, measures, 3, err));
  if (!config->road_measure) return LC_OK;
  settings.kind = CDAM_FILL_IMPUTED;
  return with_removal(work, &settings, (const asking[]){judge_road}, 1, err);
}

static lc_status judge_compactness(struct work *work, struct lc_error *err) {
  size_t n = work->judge->patches;
  double thresholds[PL_JUDGE_THRESHOLDS], t = CDAM_COMPACT_THRESHOLD;
  for (size_t i = 0; i < PL_JUDGE_THRESHOLDS; i++)
    thresholds[i] = (double)i / (PL_JUDGE_THRESHOLDS - 1);
  for (size_t c = 0; c < work->judge->n_contestants; c++) {
    const float *map = map_of(work, c);
    double gini, largest = 0;
    double *curve = work->scored->compact + 2 * c * PL_JUDGE_THRESHOLDS;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)map[i]));
    cdam_compact_curve(map, n, thresholds, PL_JUDGE_THRESHOLDS, CDAM_SIGNED_MAXIMUM, curve);
    cdam_compact_curve(map, n, thresholds, PL_JUDGE_THRESHOLDS, CDAM_ABSOLUTE_MAXIMUM,
                       curve + PL_JUDGE_THRESHOLDS);
    put(work, c, "share_signed", cdam_compact_share(map, n, t, CDAM_SIGNED_MAXIMUM));
    put(work, c, "share_absolute", cdam_compact_share(map, n, t, CDAM_ABSOLUTE_MAXIMUM));
    LC_TRY(cdam_gini(map, n, &gini, err));
    put(work, c, "gini", gini);
    put(work, c, "entropy", cdam_entropy(map, n));
    put(work, c, "effective_complexity",
        largest > 0 ? (double)cdam_effective_complexity(map, n, t * largest) : NAN);
  }
  return LC_OK;
}

static lc_status judge_localisation(struct work *work, struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  LC_TRY(pl_judge_mask(judge, work->item, work->mask, err));
  cdam_coverage(work->mask, judge->pixels, judge->pixels, judge->grid, judge->grid, work->coverage);
  for (size_t c = 0; c < judge->n_contestants; c++) {
    struct cdam_localisation r;
    LC_TRY(cdam_localise(map_of(work, c), work->coverage, judge->patches, CDAM_POSITIVE, &r, err));
    put(work, c, "mass", r.mass);
    put(work, c, "rank", r.rank);
    put(work, c, "pointing", r.pointing);
    put(work, c, "auroc", r.auroc);
    LC_TRY(cdam_localise(map_of(work, c), work->coverage, judge->patches, CDAM_ABSOLUTE, &r, err));
    put(work, c, "mass_absolute", r.mass);
    put(work, c, "rank_absolute", r.rank);
    put(work, c, "pointing_absolute", r.pointing);
    put(work, c, "auroc_absolute", r.auroc);
    LC_TRY(pl_judge_truth(judge, work->item, c, map_of(work, c), work->scored, err));
  }
  return LC_OK;
}

static lc_status judge_classes(struct work *work, struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  size_t others = judge->n_targets - 1, n = judge->patches;
  for (size_t c = 0; c < judge->n_contestants && others > 0; c++) {
    double pearson = 0, cosine = 0;
    for (size_t t = 1; t < judge->n_targets; t++) {
      struct cdam_similarity s;
      LC_TRY(cdam_similarity_of(map_of(work, c),
                                work->scored->maps + (c * judge->n_targets + t) * n, n, &s, err));
      pearson += s.pearson / (double)others;
      cosine += s.cosine / (double)others;
    }
    put(work, c, "class_pearson", pearson);
    put(work, c, "class_cosine", cosine);
  }
  return LC_OK;
}

/* Positive scores, negative ones, and mean scores, on two nodules of one image. */
static void compare_pair(struct work *work, size_t c, const char *what,
                         const struct pl_judge_pair *pair) {
  size_t n = work->judge->patches;
  float *map = work->again + c * n;
  double high = 0, low = 0;
  char name[PL_MEASURE_NAME];
  for (size_t p = 0; p < n; p++) {
    high += (double)map[p] * pair->high[p];
    low += (double)map[p] * pair->low[p];
  }
  snprintf(name, sizeof name, "%s_order", what);
  put(work, c, name, high > low ? 1 : high < low ? 0 : 0.5);
  snprintf(name, sizeof name, "%s_share", what);
  put(work, c, name, cdam_mass_between(map, pair->high, pair->low, n, CDAM_POSITIVE));
  for (size_t p = 0; p < n; p++) map[p] = -map[p];
  snprintf(name, sizeof name, "%s_against", what);
  put(work, c, name, cdam_mass_between(map, pair->low, pair->high, n, CDAM_POSITIVE));
}

static lc_status explain_pair(struct work *work, enum pl_judge_pair_kind kind,
                              struct pl_judge_pair *pair, struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  bool found;
  LC_TRY(pl_judge_pair_make(judge, work->item, kind, pair, &found, err));
  if (!found) return LC_OK;
  struct pl_judge_ask ask = {.model = &judge->model,
                             .image = pair->image,
                             .n_targets = 1,
                             .count = judge->n_contestants,
                             .item = work->draws.item,
                             .turn = ++work->turn};
  LC_TRY(pl_judge_explain(judge, &ask, work->again, err));
  for (size_t c = 0; c < judge->n_contestants; c++)
    compare_pair(work, c, kind == PL_PAIR_TRUTH ? "truth_pair" : "pair", pair);
  return LC_OK;
}

static lc_status judge_pair(struct work *work, struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  struct pl_judge_pair pair = {0};
  if (!judge->config->pairs_measure) return LC_OK;
  lc_status status =
      lc_alloc(&pair.image, 3 * judge->pixels * judge->pixels, sizeof *pair.image, err);
  if (status == LC_OK) status = lc_alloc(&pair.high, 2 * judge->patches, sizeof *pair.high, err);
  if (status == LC_OK) {
    pair.low = pair.high + judge->patches;
    if (pl_judge_rated(judge)) status = explain_pair(work, PL_PAIR_RATED, &pair, err);
  }
  if (status == LC_OK && judge->features) status = explain_pair(work, PL_PAIR_TRUTH, &pair, err);
  free(pair.image);
  free(pair.high);
  return status;
}

/* One contestant that explains again, for cdam_robustness_of. */
struct again {
  struct work *work;
  size_t contestant;
};

static lc_status explain_again(void *context, const float *images, size_t n, float *scores,
                               struct lc_error *err) {
  struct again *again = context;
  const struct pl_judge *judge = again->work->judge;
  for (size_t i = 0; i < n; i++) {
    struct pl_judge_ask ask = {.model = &judge->model,
                               .image = images + i * 3 * judge->pixels * judge->pixels,
                               .n_targets = 1,
                               .first = again->contestant,
                               .count = 1,
                               .item = again->work->draws.item,
                               .turn = ++again->work->turn};
    LC_TRY(pl_judge_explain(judge, &ask, scores + i * judge->patches, err));
  }
  return LC_OK;
}

static lc_status judge_robustness(struct work *work, struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  const struct cdam_robustness_settings settings = {.radius = judge->config->robustness_radius,
                                                    .samples =
                                                        (size_t)judge->config->robustness_samples};
  for (size_t c = 0; c < judge->n_contestants && settings.samples > 0; c++) {
    struct again again = {work, c};
    struct cdam_explainer explainer = {judge->pixels, judge->pixels, judge->patches, &again,
                                       explain_again};
    struct cdam_robustness r;
    LC_TRY(cdam_robustness_of(&explainer, work->image, map_of(work, c), &settings, &work->draws, &r,
                              err));
    put(work, c, "max_sensitivity", r.max_sensitivity);
    put(work, c, "mean_sensitivity", r.mean_sensitivity);
    put(work, c, "lipschitz", r.lipschitz);
  }
  return LC_OK;
}

static lc_status explain_with(void *context, const struct vit_model *model, float *scores,
                              struct lc_error *err) {
  struct work *work = context;
  struct pl_judge_ask ask = {.model = model,
                             .image = work->image,
                             .n_targets = 1,
                             .count = work->judge->n_contestants,
                             .item = work->draws.item,
                             .turn = ++work->turn};
  return pl_judge_explain(work->judge, &ask, scores, err);
}

static lc_status judge_randomised(struct work *work, struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  size_t n = judge->n_contestants, stages = judge->stages;
  struct cdam_similarity *curve = NULL;
  struct cdam_randomised randomised;
  if (!judge->randomised) return LC_OK;
  LC_TRY(lc_alloc(&curve, stages * n, sizeof *curve, err));
  lc_status status = cdam_randomised_share(&randomised, judge->randomised, err);
  if (status == LC_OK) {
    status = cdam_randomise_curve(&randomised, true, explain_with, work, work->scores, n,
                                  judge->patches, curve, err);
    cdam_randomised_free(&randomised);
  }
  for (size_t c = 0; c < n && status == LC_OK; c++) {
    for (size_t s = 0; s < stages; s++)
      work->scored->randomised[c * stages + s] = curve[s * n + c].spearman_absolute;
    put(work, c, "randomised_heads", fabs(curve[c].spearman_absolute));
    put(work, c, "randomised_all", fabs(curve[(stages - 1) * n + c].spearman_absolute));
  }
  free(curve);
  return status;
}

/* Estimators that draw nothing repeat exactly: same settings, same bits. */
static lc_status judge_repeats(struct work *work, struct lc_error *err) {
  const struct pl_judge *judge = work->judge;
  size_t runs = (size_t)judge->config->repeat_runs, n = judge->patches;
  float *maps = NULL;
  if (runs < 2) return LC_OK;
  LC_TRY(lc_alloc(&maps, runs * n, sizeof *maps, err));
  lc_status status = LC_OK;
  for (size_t c = 0; c < judge->n_contestants && status == LC_OK; c++) {
    struct cdam_repeatability r = {.pearson = 1};
    memcpy(maps, map_of(work, c), n * sizeof *maps);
    if (!pl_judge_draws(&judge->contestants[c])) {
      put(work, c, "repeatability", r.pearson);
      continue;
    }
    for (size_t run = 1; run < runs && status == LC_OK; run++) {
      struct pl_judge_ask ask = {.model = &judge->model,
                                 .image = work->image,
                                 .n_targets = 1,
                                 .first = c,
                                 .count = 1,
                                 .item = work->draws.item,
                                 .run = run};
      status = pl_judge_explain(judge, &ask, maps + run * n, err);
    }
    if (status == LC_OK) status = cdam_repeatability_of(maps, runs, n, &r, err);
    if (status == LC_OK) put(work, c, "repeatability", r.pearson);
  }
  free(maps);
  return status;
}

lc_status pl_judge_item(const struct pl_judge *judge, size_t item, struct pl_scored_item *scored,
                        struct lc_error *err) {
  struct work work = {.judge = judge,
                      .item = item,
                      .draws = {(uint64_t)judge->config->seed, judge->items[item]},
                      .scored = scored};
  lc_status (*const steps[])(struct work *, struct lc_error *) = {
      explain,    judge_correctness, judge_compactness, judge_localisation, judge_classes,
      judge_pair, judge_robustness,  judge_randomised,  judge_repeats};
  for (size_t i = 0; i < judge->n_contestants * judge->n_measures; i++) scored->values[i] = NAN;
  lc_status status = work_init(&work, err);
  for (size_t i = 0; i < sizeof steps / sizeof *steps && status == LC_OK; i++)
    status = steps[i](&work, err);
  work_free(&work);
  if (status == LC_OK && *scored->unlisted)
    LC_FAIL(err, LC_ERR_INTERNAL, "measure \"%s\" is computed and is in no table of measures",
            scored->unlisted);
  return status;
}
