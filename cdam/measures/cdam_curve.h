/* Deletion and insertion curves: what happens to a target's value when patches go, the most
 * important first, the least important first, or in random order.
 *
 * Insertion is the same curve read from its end: adding the most important first to an empty image
 * is removing the least important first, backwards. So two orders give both curves, and any number
 * of maps of one image are measured in one call, in which their variants share batches.
 *
 * Thread-safety: as the evaluator. */
#pragma once

#include "cdam/measures/cdam_evaluator.h"

struct cdam_curve_settings {
  size_t steps;         /* equal steps from nothing removed to everything; 0: 20 */
  const double *shares; /* instead: ascending shares removed, in (0, 1); 0 and 1 are added */
  size_t n_shares;
  size_t random_orders; /* of the random curve; 0: 3 */
};

/* Curves of one image. Points 0 .. points - 1, from nothing removed to everything. */
struct cdam_curves {
  size_t maps, targets, points;
  size_t *removed; /* [points] patches missing at each point */
  double *share;   /* [points] the same as a share */
  double *most;    /* [map, point] value of the map's target, most important removed first */
  double *least;   /* [map, point] least important removed first */
  double *random;  /* [target, point] mean over random orders */
};

/* scores: [maps, patches]; target_of: [maps] which target each map explains. Ties are ordered by
 * draws (cdam_order). curves: cdam_curves_free whatever the status. */
LC_MUST_CHECK lc_status cdam_curves_measure(const struct cdam_evaluator *evaluator,
                                            const float *scores, const size_t *target_of,
                                            size_t maps, const struct cdam_curve_settings *settings,
                                            const struct cdam_draws *draws,
                                            struct cdam_curves *curves, struct lc_error *err);
void cdam_curves_free(struct cdam_curves *curves);

/* What curves say about one map. Areas are mean values under a curve over the share removed, by
 * the trapezium rule, in the target's unit (a logit); they may have any sign. */
struct cdam_curve_summary {
  double deletion;  /* area of `most`; smaller is better (Samek et al., IEEE TNNLS 28:2660, 2017;
                       Petsiuk, Das, Saenko, BMVC 2018) */
  double insertion; /* area of `least`; larger is better (ibid.) */
  double random;    /* area of the random curve, between the two for a map that knows anything */
  double gap;       /* insertion - deletion: area between the curves; larger is better, about 0 for
                       a random map (Bluecher, Vielhaben, Strodthoff, arXiv 2401.06654) */
  double gap_share; /* gap / |value of the whole - value of the empty image|; NaN where the two are
                       equal; unstable where they are close, so compare medians or use gap */
  double monotonicity; /* share of steps of `most` at which the value does not rise, [0, 1]; 1: each
                          patch that was called important supports the target (Arya et al., arXiv
                          1909.03012, whose verdict is whether this is 1) */
  double decision; /* share of points strictly between the ends at which the sign of the value is
                      that of the whole image; with imputed pixels the mean over images is ROAD's
                      curve averaged (Rong et al., ICML 2022); smaller is better */
};

void cdam_curves_summarise(const struct cdam_curves *curves, size_t map, size_t target,
                           struct cdam_curve_summary *summary);
