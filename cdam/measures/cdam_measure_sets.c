/* Measures by sets of patches that are removed (cdam_probe.h). */
#include "cdam/measures/cdam_measure.h"
#include "cdam/measures/cdam_probe.h"
#include "common/lc_scope.h"

enum { CORRELATION, INFIDELITY, N_SETS };

/* Holds all maps against the same sets. Single patches give the correlation alone. */
static lc_status judge_maps(const struct cdam_subject *subject, const struct cdam_probe *probe,
                            size_t n_values, double *values, struct lc_error *err) {
  for (size_t m = 0; m < subject->maps; m++, values += n_values) {
    struct cdam_faithfulness r;
    LC_TRY(cdam_probe_judge(probe, cdam_subject_map(subject, m), 0, &r, err));
    values[CORRELATION] = r.pearson;
    if (n_values > INFIDELITY) values[INFIDELITY] = r.infidelity_scaled;
  }
  return LC_OK;
}

static lc_status run_single_patches(struct cdam_subject *subject, double *values,
                                    struct lc_error *err) {
  struct cdam_evaluator evaluator;
  LC_SCOPED(cdam_probe_free) struct cdam_probe probe = {0};
  LC_TRY(cdam_subject_evaluator(subject, false, &evaluator, err));
  LC_TRY(cdam_probe_tokens(&evaluator, &probe, err));
  return judge_maps(subject, &probe, 1, values, err);
}

static const struct cdam_value single_values[] = {
    {"ablation", CDAM_LARGER, "Pearson with token ablation"}};

const struct cdam_measure cdam_measure_single_patches = {.group = "correctness",
                                                         .needs = CDAM_HAVE_SINGLE_PATCHES,
                                                         .values = single_values,
                                                         .n_values = 1,
                                                         .run = run_single_patches};

/* The subject's number in percent of the patches. */
static lc_status run_random_sets(struct cdam_subject *subject, double *values,
                                 struct lc_error *err) {
  size_t size = (subject->number * subject->patches + 50) / 100;
  struct cdam_evaluator evaluator;
  LC_SCOPED(cdam_probe_free) struct cdam_probe probe = {0};
  LC_TRY(cdam_subject_evaluator(subject, false, &evaluator, err));
  LC_TRY(cdam_probe_subsets(&evaluator, size > 0 ? size : 1, subject->settings->sets,
                            &subject->draws, &probe, err));
  return judge_maps(subject, &probe, N_SETS, values, err);
}

#define CORRELATION_DOC "Pearson of sums of scores and drops"
#define INFIDELITY_DOC "mean squared error of scaled sums, as a share of the mean squared drop"

static const struct cdam_value set_values[N_SETS] = {
    [CORRELATION] = {"sensitivity_#", CDAM_LARGER, CORRELATION_DOC},
    [INFIDELITY] = {"infidelity_sensitivity_#", CDAM_SMALLER, INFIDELITY_DOC}};

const struct cdam_measure cdam_measure_random_sets = {.group = "correctness",
                                                      .numbers = CDAM_EACH_SHARE,
                                                      .values = set_values,
                                                      .n_values = N_SETS,
                                                      .run = run_random_sets};

static lc_status run_random_boxes(struct cdam_subject *subject, double *values,
                                  struct lc_error *err) {
  struct cdam_evaluator evaluator;
  LC_SCOPED(cdam_probe_free) struct cdam_probe probe = {0};
  LC_TRY(cdam_subject_evaluator(subject, false, &evaluator, err));
  LC_TRY(cdam_probe_boxes(&evaluator, subject->grid, subject->grid, subject->number,
                          subject->settings->sets, &subject->draws, &probe, err));
  return judge_maps(subject, &probe, N_SETS, values, err);
}

static const struct cdam_value box_values[N_SETS] = {
    [CORRELATION] = {"box_#", CDAM_LARGER, CORRELATION_DOC},
    [INFIDELITY] = {"infidelity_box_#", CDAM_SMALLER, INFIDELITY_DOC}};

const struct cdam_measure cdam_measure_random_boxes = {.group = "correctness",
                                                       .numbers = CDAM_EACH_BOX,
                                                       .values = box_values,
                                                       .n_values = N_SETS,
                                                       .run = run_random_boxes};

#define GROUPS 20 /* of a map's own ranking */

enum { ESTIMATE, MONOTONE, COMPLETENESS, N_RANKS };

/* Sets that are a map's own. */
static lc_status run_ranks(struct cdam_subject *subject, double *values, struct lc_error *err) {
  size_t group = (subject->patches + GROUPS - 1) / GROUPS;
  struct cdam_evaluator evaluator;
  LC_TRY(cdam_subject_evaluator(subject, false, &evaluator, err));
  for (size_t m = 0; m < subject->maps; m++, values += N_RANKS) {
    const float *map = cdam_subject_map(subject, m);
    LC_SCOPED(cdam_probe_free) struct cdam_probe probe = {0};
    struct cdam_faithfulness r;
    struct cdam_completeness whole;
    LC_TRY(cdam_probe_ranks(&evaluator, map, group, &subject->draws, &probe, err));
    LC_TRY(cdam_probe_judge(&probe, map, 0, &r, err));
    values[ESTIMATE] = r.pearson;
    values[MONOTONE] = r.monotone;
    LC_TRY(cdam_completeness_of(&evaluator, map, 0, &whole, err));
    values[COMPLETENESS] = whole.gap_share;
  }
  return LC_OK;
}

static const struct cdam_value rank_values[N_RANKS] = {
    [ESTIMATE] = {"faithfulness_estimate", CDAM_LARGER,
                  "Pearson of scores and drops, groups by the map's own ranking"},
    [MONOTONE] = {"monotonicity_correlation", CDAM_LARGER,
                  "Spearman of |scores| and squared drops, same groups"},
    [COMPLETENESS] = {"completeness_gap", CDAM_SMALLER,
                      "|sum of scores - what the image adds over nothing| as a share of it"}};

const struct cdam_measure cdam_measure_ranks = {
    .group = "correctness", .values = rank_values, .n_values = N_RANKS, .run = run_ranks};
