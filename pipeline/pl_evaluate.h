/* How good a model is on examples: predictions, and every measure with its interval.
 *
 * Intervals: AUROC by DeLong (nodules independent) and, for everything, by bootstrap over patients.
 * Thread-safety: distinct objects, distinct threads. */
#ifndef PL_EVALUATE_H
#define PL_EVALUATE_H

#include "lc_log.h"
#include "lc_text.h"
#include "pl_examples.h"
#include "vit_metrics.h"
#include "vit_model.h"

#define PL_CALIBRATION_BINS 10

struct pl_predictions {
  size_t n, outputs;
  double *values; /* [n, outputs] logits and z-scores, averaged over views, symmetries */
};

/* symmetries: average over the eight rotations and flips. progress counts images; may be NULL. */
LC_MUST_CHECK lc_status pl_predict(const struct vit_model *model,
                                   const struct pl_examples *examples, bool symmetries,
                                   struct lc_progress *progress, struct pl_predictions *predictions,
                                   struct lc_error *err);
void pl_predictions_free(struct pl_predictions *predictions);

struct pl_evaluation {
  bool has_malignancy, has_biomarkers;
  size_t nodules, patients;
  size_t decided, malignant; /* nodules with a malignancy label, and those that are malignant */
  struct vit_interval auroc_delong, auroc, average_precision, brier, accuracy, sensitivity,
      specificity, precision, f1; /* threshold 0.5 */
  double calibration_error;
  struct vit_calibration_bin bins[PL_CALIBRATION_BINS];
  struct vit_regression biomarkers[PL_BIOMARKERS]; /* errors in the units of the ratings, mm */
  struct vit_interval r2[PL_BIOMARKERS], mean_r2;
};

/* replicates 0: no bootstrap; the limits of all but auroc_delong are NaN then. */
LC_MUST_CHECK lc_status pl_evaluate(const struct pl_examples *examples,
                                    const struct pl_predictions *predictions, size_t replicates,
                                    uint64_t seed, struct pl_evaluation *evaluation,
                                    struct lc_error *err);

/* A table for people. */
void pl_evaluation_print(const struct pl_evaluation *evaluation, struct lc_text *out);
/* The same, complete, as JSON. NaN becomes null. */
void pl_evaluation_json(const struct pl_evaluation *evaluation, struct lc_text *out);
/* One row a nodule: patient, nodule, ratings and predictions, as CSV. */
void pl_predictions_csv(const struct pl_examples *examples,
                        const struct pl_predictions *predictions, struct lc_text *out);

#endif
