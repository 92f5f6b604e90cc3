/* Lists the measures that a configuration asks for, in the order of the tables. */
#include <stdio.h>
#include <stdlib.h>

#include "common/lc_arena.h"
#include "pipeline/judge/pl_judge.h"

#define LARGER true
#define SMALLER false

struct listed {
  const char *name, *group;
  bool larger_is_better;
  const char *doc;
};

static const struct listed always[] = {
    {"deletion", "correctness", SMALLER, "area under the value, most important removed first"},
    {"insertion", "correctness", LARGER, "the same, least important removed first"},
    {"gap", "correctness", LARGER, "insertion - deletion, in the target's unit"},
    {"gap_share", "correctness", LARGER, "gap as a share of what the image adds over nothing"},
    {"monotonicity", "correctness", LARGER, "share of deletion steps that do not raise the value"},
    {"faithfulness_estimate", "correctness", LARGER,
     "Pearson of scores and drops, groups by the map's own ranking"},
    {"monotonicity_correlation", "correctness", LARGER,
     "Spearman of |scores| and squared drops, same groups"},
    {"completeness_gap", "correctness", SMALLER,
     "|sum of scores - what the image adds over nothing| as a share of it"},
    {"share_signed", "compactness", LARGER, "patches with |score| below 5 % of the largest score"},
    {"share_absolute", "compactness", LARGER,
     "patches with |score| below 5 % of the largest |score|"},
    {"gini", "compactness", LARGER, "Gini index of |scores|"},
    {"entropy", "compactness", SMALLER, "entropy of |scores|, nats"},
    {"effective_complexity", "compactness", SMALLER,
     "patches with |score| above 5 % of the largest |score|"},
    {"mass", "localisation", LARGER, "positive scores inside the nodule / all positive scores"},
    {"rank", "localisation", LARGER,
     "share of the highest pixels inside, as many as the nodule has"},
    {"pointing", "localisation", LARGER, "highest score inside"},
    {"auroc", "localisation", LARGER, "area under the ROC of positive scores against the nodule"},
    {"mass_absolute", "localisation", LARGER, "as mass, of |scores|"},
    {"rank_absolute", "localisation", LARGER, "as rank, of |scores|"},
    {"pointing_absolute", "localisation", LARGER, "as pointing, of |scores|"},
    {"auroc_absolute", "localisation", LARGER, "as auroc, of |scores|"},
};

/* Phantoms only: places of the nodule's features. */
static const struct listed truth[] = {
    {"spicules_mass", "truth", LARGER, "share of positive scores on spicules"},
    {"spicules_above", "truth", LARGER,
     "the same less the share of the image that it takes; chance is 0"},
    {"spicules_rank", "truth", LARGER, "highest pixels that lie there, as many as it has"},
    {"spicules_auroc", "truth", LARGER, "ROC area of positive scores against it; chance is 0.5"},
    {"spicules_within", "truth", LARGER,
     "the same among patches that touch the nodule; chance is 0.5"},
    {"lobes_mass", "truth", LARGER, "share of positive scores on lobes"},
    {"lobes_above", "truth", LARGER,
     "the same less the share of the image that it takes; chance is 0"},
    {"lobes_rank", "truth", LARGER, "highest pixels that lie there, as many as it has"},
    {"lobes_auroc", "truth", LARGER, "ROC area of positive scores against it; chance is 0.5"},
    {"lobes_within", "truth", LARGER,
     "the same among patches that touch the nodule; chance is 0.5"},
    {"core_mass", "truth", LARGER, "share of positive scores on the solid core"},
    {"core_above", "truth", LARGER,
     "the same less the share of the image that it takes; chance is 0"},
    {"core_rank", "truth", LARGER, "highest pixels that lie there, as many as it has"},
    {"core_auroc", "truth", LARGER, "ROC area of positive scores against it; chance is 0.5"},
    {"core_within", "truth", LARGER, "the same among patches that touch the nodule; chance is 0.5"},
    {"calcium_mass", "truth", LARGER, "share of negative scores on calcium"},
    {"calcium_above", "truth", LARGER,
     "the same less the share of the image that it takes; chance is 0"},
    {"calcium_rank", "truth", LARGER, "highest pixels that lie there, as many as it has"},
    {"calcium_auroc", "truth", LARGER, "ROC area of negative scores against it; chance is 0.5"},
    {"calcium_within", "truth", LARGER,
     "the same among patches that touch the nodule; chance is 0.5"},
    {"cause_mass", "truth", LARGER, "share of positive scores on what made it malignant"},
    {"cause_above", "truth", LARGER,
     "the same less the share of the image that it takes; chance is 0"},
    {"cause_rank", "truth", LARGER, "highest pixels that lie there, as many as it has"},
    {"cause_auroc", "truth", LARGER, "ROC area of positive scores against it; chance is 0.5"},
    {"cause_within", "truth", LARGER,
     "the same among patches that touch the nodule; chance is 0.5"},
};

static const struct listed tokens[] = {
    {"ablation", "correctness", LARGER, "Pearson with token ablation"}};
static const struct listed road[] = {
    {"road", "correctness", SMALLER, "share of points at which the decision stays, pixels imputed"},
    {"road_gap", "correctness", LARGER, "gap with imputed pixels"}};
static const struct listed classes[] = {
    {"class_pearson", "class sensitivity", SMALLER,
     "mean correlation with the maps of the other targets"},
    {"class_cosine", "class sensitivity", SMALLER, "mean cosine with them"}};
static const struct listed pairs[] = {
    {"pair_share", "class sensitivity", LARGER,
     "two nodules: share of positive scores on the one rated higher, by area; chance is 0.5"},
    {"pair_against", "class sensitivity", LARGER,
     "two nodules: share of negative scores on the one rated lower, by area; chance is 0.5"},
    {"pair_order", "class sensitivity", LARGER,
     "two nodules: the one rated higher has the higher mean score; chance is 0.5"}};
static const struct listed truth_pairs[] = {
    {"truth_pair_share", "class sensitivity", LARGER,
     "a spiculated nodule and a calcified one: share of positive scores on the first, by area"},
    {"truth_pair_against", "class sensitivity", LARGER,
     "the same: share of negative scores on the second; chance is 0.5"},
    {"truth_pair_order", "class sensitivity", LARGER,
     "the same: the first has the higher mean score; chance is 0.5"}};
static const struct listed robustness[] = {
    {"max_sensitivity", "robustness", SMALLER, "largest relative change of the map"},
    {"mean_sensitivity", "robustness", SMALLER, "mean relative change of the map"},
    {"lipschitz", "robustness", SMALLER, "largest change of the map / change of the image"}};
static const struct listed randomised[] = {
    {"randomised_heads", "robustness", SMALLER,
     "size of Spearman of |scores| after the heads are randomised"},
    {"randomised_all", "robustness", SMALLER, "the same after all weights are randomised"}};
static const struct listed repeated[] = {
    {"repeatability", "robustness", LARGER, "correlation of maps with other seeds"}};

static void add(struct pl_judge *judge, const struct listed *list, size_t n) {
  for (size_t i = 0; i < n; i++) {
    struct pl_judge_measure *m = &judge->measures[judge->n_measures++];
    snprintf(m->name, sizeof m->name, "%s", list[i].name);
    m->group = list[i].group;
    m->larger_is_better = list[i].larger_is_better;
    m->doc = list[i].doc;
  }
}

/* Two measures of each size: correlation, and infidelity after the best scaling. */
static void add_sets(struct pl_judge *judge, const char *what, const char *number) {
  char name[PL_MEASURE_NAME];
  snprintf(name, sizeof name, "%s_%s", what, number);
  add(judge, &(struct listed){name, "correctness", LARGER, "Pearson of sums of scores and drops"},
      1);
  snprintf(name, sizeof name, "infidelity_%s_%s", what, number);
  add(judge,
      &(struct listed){name, "correctness", SMALLER,
                       "mean squared error of scaled sums, as a share of the mean squared drop"},
      1);
}

#define ADD(list) add(judge, list, sizeof(list) / sizeof *(list))

lc_status pl_judge_list_measures(struct pl_judge *judge, struct lc_error *err) {
  const struct pl_judge_config *config = judge->config;
  size_t most = 96 + 2 * (config->sets_boxes.n + config->sets_shares.n);
  LC_TRY(lc_alloc(&judge->measures, most, sizeof *judge->measures, err));
  ADD(always);
  if (judge->features) ADD(truth);
  if (config->sets_tokens) ADD(tokens);
  for (size_t i = 0; i < config->sets_shares.n; i++)
    add_sets(judge, "sensitivity", config->sets_shares.items[i]);
  for (size_t i = 0; i < config->sets_boxes.n; i++)
    add_sets(judge, "box", config->sets_boxes.items[i]);
  if (config->road_measure) ADD(road);
  if (judge->n_targets > 1) ADD(classes);
  if (config->pairs_measure && pl_judge_rated(judge)) ADD(pairs);
  if (config->pairs_measure && judge->features) ADD(truth_pairs);
  if (config->robustness_samples > 0) ADD(robustness);
  if (config->randomise_measure) ADD(randomised);
  if (config->repeat_runs > 1) ADD(repeated);
  return LC_OK;
}
