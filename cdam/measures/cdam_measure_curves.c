/* Measures by curves: deletion and insertion, and ROAD (Rong et al., ICML 2022). */
#include <string.h>

#include "cdam/measures/cdam_measure.h"
#include "common/lc_scope.h"

/* Curves of all maps; *curves is freed by the caller. */
static lc_status measure_all(struct cdam_subject *subject, bool imputed,
                             const struct cdam_curve_settings *settings, struct cdam_curves *curves,
                             struct lc_error *err) {
  struct cdam_evaluator evaluator;
  LC_FREED float *maps = NULL;
  LC_FREED size_t *targets = NULL;
  LC_TRY(cdam_subject_evaluator(subject, imputed, &evaluator, err));
  LC_TRY(cdam_subject_maps(subject, &maps, err));
  LC_TRY(lc_alloc(&targets, subject->maps, sizeof *targets, err));
  return cdam_curves_measure(&evaluator, maps, targets, subject->maps, settings, &subject->draws,
                             curves, err);
}

static void keep_points(const struct cdam_points *points, const struct cdam_curves *curves) {
  size_t size = curves->points * sizeof(double);
  if (points->share) memcpy(points->share, curves->share, size);
  if (points->random) memcpy(points->random, curves->random, size);
  if (points->most) memcpy(points->most, curves->most, curves->maps * size);
  if (points->least) memcpy(points->least, curves->least, curves->maps * size);
}

enum { DELETION, INSERTION, GAP, GAP_SHARE, MONOTONICITY, N_CURVES };

static lc_status run_curves(struct cdam_subject *subject, double *values, struct lc_error *err) {
  LC_SCOPED(cdam_curves_free) struct cdam_curves curves = {0};
  LC_TRY(measure_all(subject, false, &subject->settings->curves, &curves, err));
  keep_points(&subject->points, &curves);
  for (size_t m = 0; m < subject->maps; m++, values += N_CURVES) {
    struct cdam_curve_summary s;
    cdam_curves_summarise(&curves, m, 0, &s);
    values[DELETION] = s.deletion;
    values[INSERTION] = s.insertion;
    values[GAP] = s.gap;
    values[GAP_SHARE] = s.gap_share;
    values[MONOTONICITY] = s.monotonicity;
  }
  return LC_OK;
}

static const struct cdam_value curve_values[N_CURVES] = {
    [DELETION] = {"deletion", CDAM_SMALLER, "area under the value, most important removed first"},
    [INSERTION] = {"insertion", CDAM_LARGER, "the same, least important removed first"},
    [GAP] = {"gap", CDAM_LARGER, "insertion - deletion, in the target's unit"},
    [GAP_SHARE] = {"gap_share", CDAM_LARGER, "gap as a share of what the image adds over nothing"},
    [MONOTONICITY] = {"monotonicity", CDAM_LARGER,
                      "share of deletion steps that do not raise the value"}};

const struct cdam_measure cdam_measure_curves = {
    .group = "correctness", .values = curve_values, .n_values = N_CURVES, .run = run_curves};

enum { ROAD, ROAD_GAP, N_ROAD };

static lc_status run_road(struct cdam_subject *subject, double *values, struct lc_error *err) {
  static const double shares[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9};
  const struct cdam_curve_settings settings = {
      .shares = shares, .n_shares = sizeof shares / sizeof *shares, .random_orders = 1};
  struct cdam_curves curves;
  LC_TRY(measure_all(subject, true, &settings, &curves, err));
  for (size_t m = 0; m < subject->maps; m++, values += N_ROAD) {
    struct cdam_curve_summary s;
    cdam_curves_summarise(&curves, m, 0, &s);
    values[ROAD] = s.decision;
    values[ROAD_GAP] = s.gap;
  }
  cdam_curves_free(&curves);
  return LC_OK;
}

static const struct cdam_value road_values[N_ROAD] = {
    [ROAD] = {"road", CDAM_SMALLER, "share of points at which the decision stays, pixels imputed"},
    [ROAD_GAP] = {"road_gap", CDAM_LARGER, "gap with imputed pixels"}};

const struct cdam_measure cdam_measure_road = {.group = "correctness",
                                               .needs = CDAM_HAVE_IMPUTATION,
                                               .values = road_values,
                                               .n_values = N_ROAD,
                                               .run = run_road};
