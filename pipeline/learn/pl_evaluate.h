/* How good a model is on examples: predictions, and every measure with its interval.
 *
 * Intervals: AUROC by DeLong (nodules independent) and, for everything, by bootstrap over patients.
 * Thread-safety: distinct objects, distinct threads. */
#pragma once

#include "common/lc_hash.h"
#include "common/lc_log.h"
#include "common/lc_text.h"
#include "pipeline/learn/pl_examples.h"
#include "vit/train/vit_metrics.h"
#include "vit/weights/vit_model.h"

#define PL_CALIBRATION_BINS 10
#define PL_HIGH_SENSITIVITY 0.95 /* at which specificity is also reported */

struct pl_predictions {
  size_t n, outputs, dim;
  double *values;     /* [n, outputs] logits and z-scores, averaged over views, symmetries */
  double *embeddings; /* [n, dim] of CLS, likewise */
};

/* symmetries: average over the eight rotations and flips. progress counts images; may be NULL.
 * predictions: pl_predictions_free whatever the status. */
LC_MUST_CHECK lc_status pl_predict(const struct vit_model *model,
                                   const struct pl_examples *examples, bool symmetries,
                                   struct lc_progress *progress, struct pl_predictions *predictions,
                                   struct lc_error *err);
void pl_predictions_free(struct pl_predictions *predictions);

/* Rating or mm that the model gives example i. */
double pl_predicted_biomarker(const struct pl_examples *examples,
                              const struct pl_predictions *predictions, size_t i, size_t biomarker);

/* Truth and predictions of one task, of the nodules that have a label. */
struct pl_columns {
  size_t n;
  double *predicted; /* [n] probability of malignancy; rating or mm */
  double *truth;     /* [n] rating or mm; not of malignancy */
  uint8_t *labels;   /* [n] malignancy alone */
};
LC_MUST_CHECK lc_status pl_columns_init(struct pl_columns *columns, size_t n, struct lc_error *err);
void pl_columns_free(struct pl_columns *columns);
/* Fill columns made for at least n nodules. indices [n] of examples; NULL: the first n. */
void pl_columns_malignancy(const struct pl_examples *examples,
                           const struct pl_predictions *predictions, const size_t *indices,
                           size_t n, struct pl_columns *columns);
void pl_columns_biomarker(const struct pl_examples *examples,
                          const struct pl_predictions *predictions, size_t biomarker,
                          const size_t *indices, size_t n, struct pl_columns *columns);

/* Measures of malignancy; decisions are made at test.threshold of the recipe. */
enum pl_malignancy_measure {
  PL_AUROC = 0,
  PL_AVERAGE_PRECISION,
  PL_ACCURACY,
  PL_SENSITIVITY,
  PL_SPECIFICITY,
  PL_PRECISION,
  PL_F1,
  PL_SPECIFICITY_AT, /* PL_HIGH_SENSITIVITY */
  PL_BRIER,
  PL_CALIBRATION_ERROR,
  PL_MALIGNANCY_MEASURES
};
/* Measures of one biomarker; errors are in the units of the rating, or mm. */
enum pl_biomarker_measure {
  PL_R2 = 0,
  PL_MSE,
  PL_RMSE,
  PL_MAE,
  PL_PEARSON,
  PL_SPEARMAN,
  PL_BIOMARKER_MEASURES
};
/* "auroc", "AUROC": keys are what JSON and HDF5 call them. */
struct pl_measure_name {
  const char *key, *title;
};
extern const struct pl_measure_name pl_malignancy_measures[PL_MALIGNANCY_MEASURES];
extern const struct pl_measure_name pl_biomarker_measures[PL_BIOMARKER_MEASURES];

struct pl_evaluation {
  bool trained; /* false: the weights are seeded, the numbers mean nothing, and every output says so
                 */
  char weights_sha256[LC_SHA256_HEX]; /* of the weight file; "" until it is set */
  bool has_malignancy, has_biomarkers;
  size_t nodules, patients;
  size_t decided, malignant; /* nodules with a malignancy label, and those that are malignant */
  double threshold;
  struct vit_interval auroc_delong, malignancy[PL_MALIGNANCY_MEASURES];
  struct vit_calibration_bin bins[PL_CALIBRATION_BINS];
  size_t rated[PL_BIOMARKERS]; /* nodules with a rating */
  struct vit_interval biomarkers[PL_BIOMARKERS][PL_BIOMARKER_MEASURES], mean_r2;
};

/* replicates 0: no bootstrap; the limits of all but auroc_delong are NaN then. `trained` is set;
 * the caller knows better. */
LC_MUST_CHECK lc_status pl_evaluate(const struct pl_examples *examples,
                                    const struct pl_predictions *predictions, size_t replicates,
                                    uint64_t seed, struct pl_evaluation *evaluation,
                                    struct lc_error *err);

/* What pictures and tables of seeded weights say beside "research use only"; "" when trained. */
const char *pl_evaluation_notice(const struct pl_evaluation *evaluation);

/* A table for people. */
void pl_evaluation_print(const struct pl_evaluation *evaluation, struct lc_text *out);
/* The same, complete, as JSON. NaN becomes null. */
void pl_evaluation_json(const struct pl_evaluation *evaluation, struct lc_text *out);
/* One row a nodule: patient, nodule, ratings and predictions, as CSV. */
void pl_predictions_csv(const struct pl_examples *examples,
                        const struct pl_predictions *predictions, struct lc_text *out);
