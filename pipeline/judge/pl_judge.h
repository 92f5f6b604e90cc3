/* Judging explanations: a data set of images, estimators and measures to tables with intervals.
 *
 * An item is one image; what is computed for it is one small file in OUTPUT/items, written whole,
 * so that a run can stop and go on anywhere. Draws depend on seed and item, never on order.
 * docs/judging.md explains settings and outputs. Thread-safety: one run, one thread; inside,
 * lc_threads(). */
#ifndef PL_JUDGE_H
#define PL_JUDGE_H

#include "cdam/estimators/cdam_estimator.h"
#include "cdam/measures/cdam_contest.h"
#include "cdam/measures/cdam_randomise.h"
#include "cdam/measures/cdam_removal.h"
#include "pipeline/config/pl_parameters.h"
#include "pipeline/learn/pl_examples.h"
#include "pipeline/store/pl_output.h"

#define PL_MEASURE_NAME 48
#define PL_JUDGE_THRESHOLDS 21 /* 0, 0.05 .. 1 of the compactness curves */

struct pl_judge_config {
  char *data_crops, *data_recipe, *data_truth, *data_split;
  long long data_items;
  char *model_weights;
  char *target_judged;
  struct pl_list target_compared;
  struct pl_list estimators_names;
  bool estimators_random, estimators_centre;
  long long estimators_samples;
  struct pl_parameters estimators_parameters;
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
};
LC_MUST_CHECK lc_status pl_judge_config_make(struct pl_judge_config *config,
                                             const struct pl_judge_overrides *overrides,
                                             struct lc_error *err);
void pl_judge_config_free(struct pl_judge_config *config);

struct pl_judge_measure {
  char name[PL_MEASURE_NAME]; /* "deletion", "box_2" */
  const char *group;          /* "correctness" */
  bool larger_is_better;
  const char *doc; /* one line; docs/measures.md says more */
};

/* One who is judged: an estimator, or a control that knows nothing of model and image. */
struct pl_judge_contestant {
  const char *name, *title;
  const struct cdam_estimator *estimator; /* NULL: a control */
  bool centre; /* the control whose scores fall with the distance from the middle; else drawn */
  struct cdam_settings settings;
};

/* Everything that is fixed before the first item. */
struct pl_judge {
  const struct pl_judge_config *config;
  struct pl_recipe recipe; /* how images are made */
  struct vit_model model;
  struct cdam_prepared *prepared; /* of the model */
  struct pl_crops crops;
  struct pl_examples examples;
  uint32_t *items; /* [n_items] of examples */
  size_t n_items;
  size_t pixels, grid, patches; /* square */
  uint8_t *features;            /* [n_items, pixels, pixels] flags of enum ct_feature, or NULL */
  struct cdam_target *targets;  /* [n_targets]; the first is the judged one */
  size_t n_targets;
  struct pl_judge_contestant *contestants;
  size_t n_contestants;
  struct pl_judge_measure *measures;
  size_t n_measures, points, stages;
  struct cdam_randomised *randomised; /* or NULL */
  char key[65];                       /* SHA-256 of all that decides an item's numbers */
};

LC_MUST_CHECK lc_status pl_judge_init(struct pl_judge *judge, const struct pl_judge_config *config,
                                      struct lc_error *err);
void pl_judge_free(struct pl_judge *judge);

/* The list of measures that a configuration asks for; called by pl_judge_init. */
LC_MUST_CHECK lc_status pl_judge_list_measures(struct pl_judge *judge, struct lc_error *err);
/* Reads where the features of each item's nodule are, when the configuration names a truth. */
LC_MUST_CHECK lc_status pl_judge_read_truth(struct pl_judge *judge, struct lc_error *err);
/* Whole numbers of a list of texts: "2", "4"; values [n]. */
LC_MUST_CHECK lc_status pl_judge_numbers(const struct pl_list *list, const char *key, long long low,
                                         long long high, size_t *values, struct lc_error *err);

/* What was found for one item. */
struct pl_scored_item {
  double *values;                 /* [contestant, measure], NaN where not defined */
  double *outputs;                /* [target] what the model says */
  double *most;                   /* [contestant, point] */
  double *least;                  /* [contestant, point] */
  double *random;                 /* [point] */
  double *compact;                /* [contestant, 2, threshold]: signed and absolute maximum */
  double *randomised;             /* [contestant, stage] Spearman of |scores| */
  double *share;                  /* [point] */
  float *maps;                    /* [contestant, target, patch] */
  char unlisted[PL_MEASURE_NAME]; /* a measure that was computed and is in no table; "" */
};
LC_MUST_CHECK lc_status pl_scored_item_init(struct pl_scored_item *scored,
                                            const struct pl_judge *judge, struct lc_error *err);
void pl_scored_item_free(struct pl_scored_item *scored);

/* HU of an item as the network sees it, [pixels, pixels], and where the nodule is in the same
 * pixels: the readers' consensus, or without outlines the disc of the nodule's diameter. */
LC_MUST_CHECK lc_status pl_judge_hu(const struct pl_judge *judge, size_t item, float *hu,
                                    struct lc_error *err);
LC_MUST_CHECK lc_status pl_judge_mask(const struct pl_judge *judge, size_t item, uint8_t *mask,
                                      struct lc_error *err);
/* The same of any example of the split. */
LC_MUST_CHECK lc_status pl_judge_example_hu(const struct pl_judge *judge, size_t example, float *hu,
                                            struct lc_error *err);
LC_MUST_CHECK lc_status pl_judge_example_mask(const struct pl_judge *judge, size_t example,
                                              uint8_t *mask, struct lc_error *err);

/* An image of two nodules side by side, the item's and one that is drawn by seed and item; which
 * one is left is drawn too. The two differ in what the readers say about the judged target (the
 * partner is of the split), or one is spiculated and the other calcified by the truth (an item
 * too). */
enum pl_judge_pair_kind { PL_PAIR_RATED = 0, PL_PAIR_TRUTH };
struct pl_judge_pair {
  float *image;       /* [3, pixels, pixels] */
  double *high, *low; /* [patch] place of the nodule with the higher and the lower rating, or of the
                         spiculated and the calcified one; each adds up to 1, so that size does not
                         matter */
};
/* True when readers rate what is judged: malignancy or a biomarker. */
bool pl_judge_rated(const struct pl_judge *judge);
/* Fills *pair, whose memory is the caller's; found is false when the split has no such partner. */
LC_MUST_CHECK lc_status pl_judge_pair_make(const struct pl_judge *judge, size_t item,
                                           enum pl_judge_pair_kind kind, struct pl_judge_pair *pair,
                                           bool *found, struct lc_error *err);

/* A value under its name. One that the tables do not list is kept in `unlisted`, and the item
 * fails. */
void pl_scored_item_put(struct pl_scored_item *scored, const struct pl_judge *judge,
                        size_t contestant, const char *name, double value);
/* The measures of group "truth" of one contestant's map [patches], where features are known. */
LC_MUST_CHECK lc_status pl_judge_truth(const struct pl_judge *judge, size_t item, size_t contestant,
                                       const float *map, struct pl_scored_item *scored,
                                       struct lc_error *err);
/* Judges all contestants on one item. Different items may be judged by different threads.
 * LC_ERR_INTERNAL for a measure that no table lists. */
LC_MUST_CHECK lc_status pl_judge_item(const struct pl_judge *judge, size_t item,
                                      struct pl_scored_item *scored, struct lc_error *err);
/* A wish for maps. */
struct pl_judge_ask {
  const struct vit_model *model;
  const float *image;  /* [3, pixels, pixels] */
  size_t n_targets;    /* the first of the judge's */
  size_t first, count; /* contestants */
  uint64_t item, turn; /* distinguish draws of the control */
  uint64_t run;        /* distinguishes draws of estimators */
};
/* scores: [count, n_targets, patches]. */
LC_MUST_CHECK lc_status pl_judge_explain(const struct pl_judge *judge,
                                         const struct pl_judge_ask *ask, float *scores,
                                         struct lc_error *err);
/* True for the control and for estimators that draw noise or masks. */
bool pl_judge_draws(const struct pl_judge_contestant *contestant);

/* One file an item. pl_scored_item_read: found is false when there is none with the judge's key. */
LC_MUST_CHECK lc_status pl_scored_item_write(const struct pl_judge *judge, size_t item,
                                             const struct pl_scored_item *scored, const char *path,
                                             struct lc_error *err);
LC_MUST_CHECK lc_status pl_scored_item_read(const struct pl_judge *judge, size_t item,
                                            const char *path, struct pl_scored_item *scored,
                                            bool *found, struct lc_error *err);

/* All items together. */
struct pl_judged {
  const struct pl_judge *judge;
  struct pl_scored_item *scored; /* [item] */
  struct cdam_contest *contests; /* [measure] */
  size_t n_groups;
  uint32_t *groups; /* [item] patients of the items, 0 .. n_groups - 1 */
};
LC_MUST_CHECK lc_status pl_judged_contests(struct pl_judged *judged, struct lc_error *err);
void pl_judged_free(struct pl_judged *judged);

/* Writes summary.csv, differences.csv, items.csv, judge.h5 and report.html to the folder. */
LC_MUST_CHECK lc_status pl_judged_write(const struct pl_judged *judged, const char *folder,
                                        struct lc_error *err);
/* The summary for people. */
LC_MUST_CHECK lc_status pl_judged_print(const struct pl_judged *judged, struct lc_text *out,
                                        struct lc_error *err);
LC_MUST_CHECK lc_status pl_judged_html(const struct pl_judged *judged, const char *folder,
                                       struct lc_text *out, struct lc_error *err);

/* The whole command. LC_ERR_EXISTS when the folder holds a run and neither overwrite nor resume was
 * asked for; LC_ERR_INTERRUPTED after a signal: the run can be resumed. summary may be NULL. */
LC_MUST_CHECK lc_status pl_judge_run(const struct pl_judge_config *config,
                                     enum pl_existing existing, struct lc_text *summary,
                                     struct lc_error *err);

#endif
