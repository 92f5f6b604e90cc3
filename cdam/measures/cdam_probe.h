/* Probes: sets of patches that are removed from one image, and how far each set's removal lets the
 * targets drop. Measured once an image; then any number of maps are held against it at no cost.
 *
 * With S a set, s the map, f the target: drop(S) = f(whole) - f(without S), sum(S) = sum of s over
 * S. Sets of single patches, of n random patches, of k x k boxes, or of a map's own ranks give
 * correlation with token ablation, sensitivity-n and faithfulness correlation, its box form, and
 * faithfulness estimate. Thread-safety: measuring as the evaluator; reading has no state. */
#pragma once

#include "cdam/measures/cdam_evaluator.h"

struct cdam_probe {
  size_t sets, patches, targets;
  uint8_t *removed; /* [set, patch] 1 where missing */
  double *drop;     /* [set, target] */
  double *whole;    /* [target] value of the whole image */
};

/* Any sets; removed: [sets, patches]. Free with cdam_probe_free whatever the status. */
LC_MUST_CHECK lc_status cdam_probe_measure(const struct cdam_evaluator *evaluator,
                                           const uint8_t *removed, size_t sets,
                                           struct cdam_probe *probe, struct lc_error *err);
/* Every patch alone: sets = patches, in order; drop is token ablation. */
LC_MUST_CHECK lc_status cdam_probe_tokens(const struct cdam_evaluator *evaluator,
                                          struct cdam_probe *probe, struct lc_error *err);
/* `sets` random sets of `size` patches each (Ancona, Ceolini, Oeztireli, Gross, ICLR 2018). */
LC_MUST_CHECK lc_status cdam_probe_subsets(const struct cdam_evaluator *evaluator, size_t size,
                                           size_t sets, const struct cdam_draws *draws,
                                           struct cdam_probe *probe, struct lc_error *err);
/* `sets` different boxes of edge x edge patches at random places of the grid; all of them when
 * there are no more than that. */
LC_MUST_CHECK lc_status cdam_probe_boxes(const struct cdam_evaluator *evaluator, size_t grid_height,
                                         size_t grid_width, size_t edge, size_t sets,
                                         const struct cdam_draws *draws, struct cdam_probe *probe,
                                         struct lc_error *err);
/* The map's patches by falling score, in groups of `group` (the last may be smaller). */
LC_MUST_CHECK lc_status cdam_probe_ranks(const struct cdam_evaluator *evaluator,
                                         const float *scores, size_t group,
                                         const struct cdam_draws *draws, struct cdam_probe *probe,
                                         struct lc_error *err);
void cdam_probe_free(struct cdam_probe *probe);

/* What a probe says about one map. NaN where sums or drops do not vary. */
struct cdam_faithfulness {
  double pearson;    /* of sum(S) and drop(S), in [-1, 1]; larger is better. Subsets: sensitivity-n
                        (Ancona et al. 2018) and faithfulness correlation (Bhatt, Weller, Moura, IJCAI
                        2020, eq. 2). Ranks: faithfulness estimate (Alvarez-Melis, Jaakkola, NeurIPS
                        2018). Tokens: correlation with token ablation */
  double spearman;   /* the same of ranks */
  double monotone;   /* Spearman of |sum(S)| and drop(S)^2, in [-1, 1]; larger is better (Nguyen,
                        Martinez, arXiv 2007.07584, monotonicity; ranks) */
  double infidelity; /* mean of (sum(S) - drop(S))^2, in the target's unit squared; smaller is
                        better; for scores in that unit (Yeh et al., NeurIPS 2019, eq. 2, with the
                        presence of patches as what is perturbed) */
  double infidelity_scaled; /* mean of (b sum(S) - drop(S))^2 / mean of drop(S)^2 with the b that
                               makes it least, as there; in [0, 1]; smaller is better; for scores in
                               any unit */
};

/* scores: [patches]. */
LC_MUST_CHECK lc_status cdam_probe_judge(const struct cdam_probe *probe, const float *scores,
                                         size_t target, struct cdam_faithfulness *result,
                                         struct lc_error *err);

/* Completeness: the scores ought to add up to what the image adds over nothing (Sundararajan,
 * Taly, Yan, ICML 2017). */
struct cdam_completeness {
  double sum;       /* of the scores */
  double change;    /* f(whole) - f(all removed) */
  double gap;       /* sum - change; 0 is complete */
  double gap_share; /* |gap| / |change|; NaN when change is 0 */
};

LC_MUST_CHECK lc_status cdam_completeness_of(const struct cdam_evaluator *evaluator,
                                             const float *scores, size_t target,
                                             struct cdam_completeness *result,
                                             struct lc_error *err);
