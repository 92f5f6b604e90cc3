/* Truth: does a map lie on the features of a phantom's nodule that speak for or against what is
 * explained.
 *
 * Of positive scores, and where a feature speaks against the target, of a signed map's negative
 * ones. "above" is the mass less the feature's share of the image, so that chance is 0; "within" is
 * the AUROC among the cells that touch the nodule, where finding the nodule does not help. */
#include <math.h>

#include "cdam/measures/cdam_localisation.h"
#include "cdam/measures/cdam_measure.h"
#include "common/lc_scope.h"

enum { MASS, ABOVE, RANK, AUROC, WITHIN, N_EACH };

static const bool speaks_against[CDAM_FEATURES] = {[CDAM_CALCIUM] = true};

/* AUROC among the cells that touch the nodule; room for one more map and coverage. */
static lc_status within(const struct cdam_subject *subject, const float *scores,
                        const double *coverage, float *some_scores, double *some_coverage,
                        double *auroc, struct lc_error *err) {
  struct cdam_localisation r = {.auroc = NAN};
  size_t kept = 0;
  for (size_t p = 0; p < subject->cells; p++)
    if (subject->touched[p] > 0) {
      some_scores[kept] = scores[p];
      some_coverage[kept++] = coverage[p];
    }
  if (kept > 0) LC_TRY(cdam_localise(some_scores, some_coverage, kept, CDAM_POSITIVE, &r, err));
  *auroc = r.auroc;
  return LC_OK;
}

/* One map and feature; scores and some_coverage: room for [2, cell] and [cell]. */
static lc_status measure(const struct cdam_subject *subject, size_t map, size_t feature,
                         float *scores, double *some_coverage, double *values,
                         struct lc_error *err) {
  size_t n = subject->cells;
  const double *coverage = subject->features + feature * n;
  const float *own = cdam_subject_finer(subject, map);
  bool turn = speaks_against[feature] && subject->is_signed[map];
  struct cdam_localisation r;
  double share = 0;
  for (size_t p = 0; p < n; p++) share += coverage[p] / (double)n;
  if (!(share > 0)) return LC_OK;
  for (size_t p = 0; p < n; p++) scores[p] = turn ? -own[p] : own[p];
  LC_TRY(cdam_localise(scores, coverage, n, CDAM_POSITIVE, &r, err));
  values[MASS] = r.mass;
  values[ABOVE] = r.mass - share;
  values[RANK] = r.rank;
  values[AUROC] = r.auroc;
  return within(subject, scores, coverage, scores + n, some_coverage, &values[WITHIN], err);
}

static lc_status run(struct cdam_subject *subject, double *values, struct lc_error *err) {
  LC_FREED float *scores = NULL;
  LC_FREED double *coverage = NULL;
  LC_TRY(lc_alloc(&scores, 2 * subject->cells, sizeof *scores, err));
  LC_TRY(lc_alloc(&coverage, subject->cells, sizeof *coverage, err));
  for (size_t m = 0; m < subject->maps; m++)
    for (size_t f = 0; f < CDAM_FEATURES; f++, values += N_EACH)
      LC_TRY(measure(subject, m, f, scores, coverage, values, err));
  return LC_OK;
}

#define FEATURE(name, sign, place)                                                                 \
  {name "_mass", CDAM_LARGER, "share of " sign " scores on " place},                               \
      {name "_above", CDAM_LARGER,                                                                 \
       "the same less the share of the image that it takes; chance is 0"},                         \
      {name "_rank", CDAM_LARGER, "highest pixels that lie there, as many as it has"},             \
      {name "_auroc", CDAM_LARGER, "ROC area of " sign " scores against it; chance is 0.5"}, {     \
    name "_within", CDAM_LARGER, "the same among patches that touch the nodule; chance is 0.5"     \
  }

/* In the order of enum cdam_feature. */
static const struct cdam_value values_of[] = {
    FEATURE("spicules", "positive", "spicules"), FEATURE("lobes", "positive", "lobes"),
    FEATURE("core", "positive", "the solid core"), FEATURE("calcium", "negative", "calcium"),
    FEATURE("cause", "positive", "what made it malignant")};
_Static_assert(sizeof values_of / sizeof *values_of == N_EACH * CDAM_FEATURES,
               "a feature's values");

const struct cdam_measure cdam_measure_truth = {.group = "truth",
                                                .needs = CDAM_HAVE_FEATURES,
                                                .values = values_of,
                                                .n_values = sizeof values_of / sizeof *values_of,
                                                .run = run};
