/* Pairs: does the map of an image of two nodules lie on the one that has what is explained.
 *
 * Positive scores, negative ones and mean scores on either nodule, by area. */
#include "cdam/measures/cdam_localisation.h"
#include "cdam/measures/cdam_measure.h"
#include "common/lc_scope.h"

enum { SHARE, AGAINST, ORDER, N_VALUES };

/* The map is turned over. */
static void compare(const struct cdam_pair *pair, float *map, size_t n, double *values) {
  double high = 0, low = 0;
  for (size_t p = 0; p < n; p++) {
    high += (double)map[p] * pair->high[p];
    low += (double)map[p] * pair->low[p];
  }
  values[ORDER] = high > low ? 1 : high < low ? 0 : 0.5;
  values[SHARE] = cdam_mass_between(map, pair->high, pair->low, n, CDAM_POSITIVE);
  for (size_t p = 0; p < n; p++) map[p] = -map[p];
  values[AGAINST] = cdam_mass_between(map, pair->low, pair->high, n, CDAM_POSITIVE);
}

static lc_status measure(struct cdam_subject *subject, enum cdam_pair_kind kind,
                         struct cdam_pair *pair, float *maps, double *values,
                         struct lc_error *err) {
  bool found;
  LC_TRY(subject->pair(subject->context, kind, pair, &found, err));
  if (!found) return LC_OK;
  const struct cdam_question question = {
      .image = pair->image, .count = subject->maps, .turn = ++subject->turn};
  LC_TRY(subject->explain(subject->context, &question, maps, err));
  for (size_t m = 0; m < subject->maps; m++)
    compare(pair, maps + m * subject->patches, subject->patches, values + m * N_VALUES);
  return LC_OK;
}

static lc_status run(struct cdam_subject *subject, enum cdam_pair_kind kind, double *values,
                     struct lc_error *err) {
  size_t area = subject->pixels * subject->pixels, n = subject->patches;
  LC_FREED float *image = NULL, *maps = NULL;
  LC_FREED double *places = NULL;
  LC_TRY(lc_alloc(&image, VIT_CHANNELS * area, sizeof *image, err));
  LC_TRY(lc_alloc(&places, 2 * n, sizeof *places, err));
  LC_TRY(lc_alloc(&maps, subject->maps * n, sizeof *maps, err));
  struct cdam_pair pair = {image, places, places + n};
  return measure(subject, kind, &pair, maps, values, err);
}

static lc_status run_rated(struct cdam_subject *subject, double *values, struct lc_error *err) {
  return run(subject, CDAM_PAIR_RATED, values, err);
}

static const struct cdam_value rated_values[N_VALUES] = {
    [SHARE] = {"pair_share", CDAM_LARGER,
               "two nodules: share of positive scores on the one rated higher, by area; chance is "
               "0.5"},
    [AGAINST] = {"pair_against", CDAM_LARGER,
                 "two nodules: share of negative scores on the one rated lower, by area; chance is "
                 "0.5"},
    [ORDER] = {"pair_order", CDAM_LARGER,
               "two nodules: the one rated higher has the higher mean score; chance is 0.5"}};

const struct cdam_measure cdam_measure_rated_pairs = {.group = "class sensitivity",
                                                      .needs = CDAM_HAVE_RATED_PAIRS,
                                                      .values = rated_values,
                                                      .n_values = N_VALUES,
                                                      .run = run_rated};

static lc_status run_truth(struct cdam_subject *subject, double *values, struct lc_error *err) {
  return run(subject, CDAM_PAIR_TRUTH, values, err);
}

static const struct cdam_value truth_values[N_VALUES] = {
    [SHARE] = {"truth_pair_share", CDAM_LARGER,
               "a spiculated nodule and a calcified one: share of positive scores on the first, by "
               "area"},
    [AGAINST] = {"truth_pair_against", CDAM_LARGER,
                 "the same: share of negative scores on the second; chance is 0.5"},
    [ORDER] = {"truth_pair_order", CDAM_LARGER,
               "the same: the first has the higher mean score; chance is 0.5"}};

const struct cdam_measure cdam_measure_truth_pairs = {.group = "class sensitivity",
                                                      .needs = CDAM_HAVE_TRUTH_PAIRS,
                                                      .values = truth_values,
                                                      .n_values = N_VALUES,
                                                      .run = run_truth};
