/* Says what there is to measure with and how, and lists the measures of a judging run. */
#include <string.h>

#include "pipeline/judge/pl_judge.h"

static unsigned what_there_is(const struct pl_judge *judge) {
  const struct pl_judge_config *config = judge->config;
  const struct {
    bool there;
    unsigned flag;
  } parts[] = {{config->sets_tokens, CDAM_HAVE_SINGLE_PATCHES},
               {config->road_measure, CDAM_HAVE_IMPUTATION},
               {judge->n_targets > 1, CDAM_HAVE_TARGETS},
               {judge->features != NULL, CDAM_HAVE_FEATURES},
               {config->pairs_measure && pl_judge_rated(judge), CDAM_HAVE_RATED_PAIRS},
               {config->pairs_measure && judge->features, CDAM_HAVE_TRUTH_PAIRS},
               {config->robustness_samples > 0, CDAM_HAVE_NEIGHBOURS},
               {config->randomise_measure, CDAM_HAVE_RANDOM_WEIGHTS},
               {config->repeat_runs > 1, CDAM_HAVE_RUNS}};
  unsigned have = 0;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (parts[i].there) have |= parts[i].flag;
  return have;
}

lc_status pl_judge_list_measures(struct pl_judge *judge, struct lc_error *err) {
  const struct pl_judge_config *config = judge->config;
  const struct pl_list *shares = &config->sets_shares, *boxes = &config->sets_boxes;
  if (shares->n > PL_JUDGE_SIZES || boxes->n > PL_JUDGE_SIZES)
    LC_FAIL(err, LC_ERR_CONFIG, "sets.shares and sets.boxes: expected at most %d numbers",
            PL_JUDGE_SIZES);
  LC_TRY(pl_judge_numbers(shares, "sets.shares", 1, 99, judge->shares, err));
  LC_TRY(pl_judge_numbers(boxes, "sets.boxes", 1, (long long)judge->grid, judge->boxes, err));
  judge->measuring = (struct cdam_measure_settings){
      .missing = {.kind = (cdam_removal_kind)config->missing_kind,
                  .value = (float)config->missing_value,
                  .blur_sigma = config->missing_blur_sigma,
                  .noise = config->road_noise,
                  .seed = (uint64_t)config->seed},
      .curves = {.steps = (size_t)config->curves_steps,
                 .random_orders = (size_t)config->curves_random_orders},
      .sets = (size_t)config->sets_count,
      .shares = judge->shares,
      .boxes = judge->boxes,
      .n_shares = shares->n,
      .n_boxes = boxes->n,
      .neighbours = {.radius = config->robustness_radius,
                     .samples = (size_t)config->robustness_samples},
      .runs = (size_t)config->repeat_runs};
  return cdam_measures_list(what_there_is(judge), &judge->measuring,
                            (const char *const *)config->measures_names.items,
                            config->measures_names.n, &judge->measures, &judge->n_measures, err);
}

bool pl_judge_measures(const struct pl_judge *judge, const char *name) {
  for (size_t m = 0; m < judge->n_measures; m++)
    for (size_t v = 0; v < judge->measures[m].measure->n_values; v++)
      if (strcmp(judge->measures[m].measure->values[v].name, name) == 0) return true;
  return false;
}
