/* The configuration of a judging run: defaults, then a YAML file, then options, in that order.
 *
 * docs/judging.md explains it. Plain data; thread-safety: distinct objects, distinct threads. */
#pragma once

#include "pipeline/config/pl_parameters.h"

struct pl_judge_config {
  char *data_crops, *data_recipe, *data_truth, *data_split;
  long long data_items;
  char *model_weights;
  struct pl_load load; /* how they are read: texts and list are those of the overrides */
  char *target_judged;
  struct pl_list target_compared;
  struct pl_list estimators_names;
  bool estimators_random, estimators_centre;
  long long estimators_samples, estimators_shifts;
  struct pl_parameters estimators_parameters;
  struct pl_list measures_names;
  int missing_kind;
  double missing_value, missing_blur_sigma;
  long long curves_steps, curves_random_orders;
  long long sets_count;
  struct pl_list sets_shares, sets_boxes;
  bool sets_tokens;
  bool road_measure;
  double road_noise;
  long long robustness_samples;
  double robustness_radius;
  bool randomise_measure, pairs_measure;
  long long repeat_runs;
  long long bootstrap_replicates;
  double bootstrap_level;
  long long report_pictures;
  long long seed;
  char *output_folder;
};

extern const struct pl_schema pl_judge_schema;

/* What the command line says on top of a configuration file; any may be NULL. */
struct pl_judge_overrides {
  char *file;
  struct pl_list keys; /* "key=value" */
  char *crops, *recipe, *weights, *output;
  long long shifts; /* 0: not said */
  struct pl_load load;
};
LC_MUST_CHECK lc_status pl_judge_config_make(struct pl_judge_config *config,
                                             const struct pl_judge_overrides *overrides,
                                             struct lc_error *err);
void pl_judge_config_free(struct pl_judge_config *config);

/* Whole numbers of a list of texts: "2", "4"; values [n]. */
LC_MUST_CHECK lc_status pl_judge_numbers(const struct pl_list *list, const char *key, long long low,
                                         long long high, size_t *values, struct lc_error *err);
