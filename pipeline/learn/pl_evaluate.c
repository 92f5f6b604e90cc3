/* Predicts the examples of a split and computes every measure with its interval. */
#include "pipeline/learn/pl_evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_math.h"
#include "common/lc_scope.h"
#include "vit/pass/vit_forward.h"

#define BATCH 64

lc_status pl_predict(const struct vit_model *model, const struct pl_examples *examples,
                     bool symmetries, struct lc_progress *progress,
                     struct pl_predictions *predictions, struct lc_error *err) {
  LC_SCOPED(vit_workspace_free) struct vit_workspace workspace = {0};
  LC_FREED float *images = NULL;
  size_t pixels = (size_t)examples->recipe->data_pixels, image = 3 * pixels * pixels;
  unsigned turns = symmetries ? CT_SYMMETRIES : 1;
  unsigned views = turns * (unsigned)pl_examples_places(examples);
  size_t batch = examples->n < BATCH ? examples->n : BATCH;
  size_t outputs = examples->outputs, dim = model->arch.embed_dim;
  *predictions = (struct pl_predictions){.n = examples->n, .outputs = outputs, .dim = dim};
  LC_TRY(lc_alloc(&predictions->values, examples->n * outputs, sizeof(double), err));
  LC_TRY(lc_alloc(&predictions->embeddings, examples->n * dim, sizeof(double), err));
  LC_TRY(lc_alloc(&images, batch * image, sizeof *images, err));
  LC_TRY(vit_workspace_init(&workspace, model, batch, pixels, pixels, NULL, err));
  for (unsigned view = 0; view < views; view++)
    for (size_t start = 0; start < examples->n; start += batch) {
      size_t n = examples->n - start < batch ? examples->n - start : batch;
      struct ct_augment_draw draw;
      struct vit_trace trace;
      ct_augment_symmetry(view % turns, &draw);
      struct ct_image_place place = pl_examples_place(examples, view / turns);
      for (size_t i = 0; i < n; i++)
        LC_TRY(pl_examples_image(examples, start + i, place, &draw, images + i * image, err));
      LC_TRY(vit_forward(&workspace, images, n, &trace, err));
      for (size_t k = 0; k < n * outputs; k++)
        predictions->values[start * outputs + k] += (double)trace.logits[k] / views;
      for (size_t k = 0; k < n * dim; k++)
        predictions->embeddings[start * dim + k] += (double)trace.cls_embedding[k] / views;
      lc_progress_step(progress, n);
    }
  return LC_OK;
}

void pl_predictions_free(struct pl_predictions *predictions) {
  free(predictions->values);
  free(predictions->embeddings);
  memset(predictions, 0, sizeof *predictions);
}

const struct pl_measure_name pl_malignancy_measures[PL_MALIGNANCY_MEASURES] = {
    [PL_AUROC] = {"auroc", "AUROC"},
    [PL_AVERAGE_PRECISION] = {"average_precision", "average precision"},
    [PL_ACCURACY] = {"accuracy", "accuracy"},
    [PL_SENSITIVITY] = {"sensitivity", "sensitivity"},
    [PL_SPECIFICITY] = {"specificity", "specificity"},
    [PL_PRECISION] = {"precision", "precision"},
    [PL_F1] = {"f1", "F1"},
    [PL_SPECIFICITY_AT] = {"specificity_at_sensitivity_95", "specificity at 95%"},
    [PL_BRIER] = {"brier", "Brier score"},
    [PL_CALIBRATION_ERROR] = {"calibration_error", "calibration error"}};

const struct pl_measure_name pl_biomarker_measures[PL_BIOMARKER_MEASURES] = {
    [PL_R2] = {"r2", "R2"},
    [PL_MSE] = {"mse", "MSE"},
    [PL_RMSE] = {"rmse", "RMSE"},
    [PL_MAE] = {"mae", "MAE"},
    [PL_PEARSON] = {"pearson", "Pearson"},
    [PL_SPEARMAN] = {"spearman", "Spearman"}};

/* What the bootstrap measures, in this order: malignancy, each biomarker, and the mean R2. */
enum {
  FIRST_BIOMARKER = PL_MALIGNANCY_MEASURES,
  MEAN_R2 = FIRST_BIOMARKER + PL_BIOMARKERS * PL_BIOMARKER_MEASURES,
  N_MEASURES
};

/* Predictions and truth by example. */
struct truth {
  const struct pl_examples *examples;
  const struct pl_predictions *predictions;
};

void pl_columns_malignancy(const struct pl_examples *examples,
                           const struct pl_predictions *predictions, const size_t *indices,
                           size_t n, struct pl_columns *c) {
  c->n = 0;
  for (size_t i = 0; i < n; i++) {
    size_t k = indices ? indices[i] : i;
    ct_label label = ct_label_of(examples->crops->crops[examples->rows[k]].malignancy);
    if (label < 0) continue;
    double logit = predictions->values[k * predictions->outputs + examples->malignancy];
    c->predicted[c->n] = lc_sigmoid(logit);
    c->labels[c->n++] = (uint8_t)label;
  }
}

double pl_predicted_biomarker(const struct pl_examples *examples,
                              const struct pl_predictions *predictions, size_t i,
                              size_t biomarker) {
  double score = predictions->values[i * predictions->outputs + examples->biomarkers + biomarker];
  return examples->scale.mean[biomarker] + examples->scale.deviation[biomarker] * score;
}

void pl_columns_biomarker(const struct pl_examples *examples,
                          const struct pl_predictions *predictions, size_t biomarker,
                          const size_t *indices, size_t n, struct pl_columns *c) {
  c->n = 0;
  for (size_t i = 0; i < n; i++) {
    size_t k = indices ? indices[i] : i;
    double truth = examples->crops->crops[examples->rows[k]].biomarkers[biomarker];
    if (!isfinite(truth)) continue;
    c->predicted[c->n] = pl_predicted_biomarker(examples, predictions, k, biomarker);
    c->truth[c->n++] = truth;
  }
}

lc_status pl_columns_init(struct pl_columns *c, size_t n, struct lc_error *err) {
  memset(c, 0, sizeof *c);
  LC_TRY(lc_alloc(&c->predicted, n, sizeof *c->predicted, err));
  LC_TRY(lc_alloc(&c->truth, n, sizeof *c->truth, err));
  return lc_alloc(&c->labels, n, 1, err);
}

void pl_columns_free(struct pl_columns *c) {
  free(c->predicted);
  free(c->truth);
  free(c->labels);
  memset(c, 0, sizeof *c);
}

static void measure_malignancy(const struct pl_columns *c, double threshold, double *values) {
  struct vit_interval area;
  struct vit_decision d;
  struct vit_calibration_bin bins[PL_CALIBRATION_BINS];
  if (vit_auroc(c->predicted, c->labels, c->n, 0.95, &area, NULL) == LC_OK)
    values[PL_AUROC] = area.value;
  if (vit_average_precision(c->predicted, c->labels, c->n, &values[PL_AVERAGE_PRECISION], NULL) !=
      LC_OK)
    values[PL_AVERAGE_PRECISION] = NAN;
  if (vit_specificity_at(c->predicted, c->labels, c->n, PL_HIGH_SENSITIVITY,
                         &values[PL_SPECIFICITY_AT], NULL) != LC_OK)
    values[PL_SPECIFICITY_AT] = NAN;
  vit_decide(c->predicted, c->labels, c->n, threshold, &d);
  values[PL_ACCURACY] = d.accuracy;
  values[PL_SENSITIVITY] = d.sensitivity;
  values[PL_SPECIFICITY] = d.specificity;
  values[PL_PRECISION] = d.precision;
  values[PL_F1] = d.f1;
  values[PL_BRIER] = vit_brier(c->predicted, c->labels, c->n);
  values[PL_CALIBRATION_ERROR] =
      vit_calibration(c->predicted, c->labels, c->n, bins, PL_CALIBRATION_BINS);
}

static void measure_biomarker(const struct pl_columns *c, double *values) {
  struct vit_regression r;
  if (vit_regress(c->predicted, c->truth, c->n, &r, NULL) != LC_OK) return;
  values[PL_R2] = r.r2;
  values[PL_MSE] = r.mse;
  values[PL_RMSE] = r.rmse;
  values[PL_MAE] = r.mae;
  values[PL_PEARSON] = r.pearson;
  values[PL_SPEARMAN] = r.spearman;
}

static void measure(void *context, const size_t *indices, size_t n, double *values, size_t count) {
  const struct truth *t = context;
  struct pl_columns c;
  for (size_t i = 0; i < count; i++) values[i] = NAN;
  if (pl_columns_init(&c, n, NULL) == LC_OK) {
    if (t->examples->malignancy != SIZE_MAX) {
      pl_columns_malignancy(t->examples, t->predictions, indices, n, &c);
      measure_malignancy(&c, t->examples->recipe->test_threshold, values);
    }
    double sum = 0;
    for (size_t b = 0; t->examples->biomarkers != SIZE_MAX && b < PL_BIOMARKERS; b++) {
      double *of_biomarker = values + FIRST_BIOMARKER + b * PL_BIOMARKER_MEASURES;
      pl_columns_biomarker(t->examples, t->predictions, b, indices, n, &c);
      measure_biomarker(&c, of_biomarker);
      sum += of_biomarker[PL_R2];
    }
    if (t->examples->biomarkers != SIZE_MAX) values[MEAN_R2] = sum / PL_BIOMARKERS;
  }
  pl_columns_free(&c);
}

/* What has no bootstrap: DeLong's interval, bins and counts. Values that are not finite are found
 * here and named. */
static lc_status measure_once(const struct truth *t, struct pl_evaluation *e,
                              struct lc_error *err) {
  LC_SCOPED(pl_columns_free) struct pl_columns c = {0};
  size_t n = t->examples->n;
  LC_TRY(pl_columns_init(&c, n, err));
  if (e->has_malignancy) {
    pl_columns_malignancy(t->examples, t->predictions, NULL, n, &c);
    e->decided = c.n;
    for (size_t i = 0; i < c.n; i++) e->malignant += c.labels[i];
    LC_TRY(vit_auroc(c.predicted, c.labels, c.n, 0.95, &e->auroc_delong, err));
    (void)vit_calibration(c.predicted, c.labels, c.n, e->bins, PL_CALIBRATION_BINS);
  }
  for (size_t b = 0; e->has_biomarkers && b < PL_BIOMARKERS; b++) {
    struct vit_regression r;
    pl_columns_biomarker(t->examples, t->predictions, b, NULL, n, &c);
    e->rated[b] = c.n;
    LC_TRY(vit_regress(c.predicted, c.truth, c.n, &r, err));
  }
  return LC_OK;
}

static lc_status run_bootstrap(struct truth *t, size_t replicates, uint64_t seed,
                               struct vit_interval *intervals, size_t *patients,
                               struct lc_error *err) {
  size_t n = t->examples->n;
  LC_FREED uint32_t *groups = NULL;
  LC_TRY(lc_alloc(&groups, n, sizeof *groups, err));
  LC_TRY(pl_examples_groups(t->examples, NULL, n, groups, patients, err));
  const struct vit_bootstrap bootstrap = {.groups = groups,
                                          .n = n,
                                          .n_groups = *patients,
                                          .replicates = replicates,
                                          .seed = seed,
                                          .level = 0.95};
  if (replicates == 0) return LC_OK;
  return vit_bootstrap_run(&bootstrap, measure, t, intervals, N_MEASURES, err);
}

lc_status pl_evaluate(const struct pl_examples *examples, const struct pl_predictions *predictions,
                      size_t replicates, uint64_t seed, struct pl_evaluation *e,
                      struct lc_error *err) {
  struct truth t = {examples, predictions};
  struct vit_interval intervals[N_MEASURES];
  double values[N_MEASURES];
  *e = (struct pl_evaluation){.nodules = examples->n,
                              .has_malignancy = examples->malignancy != SIZE_MAX,
                              .has_biomarkers = examples->biomarkers != SIZE_MAX,
                              .trained = true,
                              .threshold = examples->recipe->test_threshold,
                              .auroc_delong = {NAN, NAN, NAN}};
  measure(&t, NULL, examples->n, values, N_MEASURES);
  for (size_t i = 0; i < N_MEASURES; i++) intervals[i] = (struct vit_interval){values[i], NAN, NAN};
  LC_TRY(measure_once(&t, e, err));
  LC_TRY(run_bootstrap(&t, replicates, seed, intervals, &e->patients, err));
  memcpy(e->malignancy, intervals, sizeof e->malignancy);
  memcpy(e->biomarkers, intervals + FIRST_BIOMARKER, sizeof e->biomarkers);
  e->mean_r2 = intervals[MEAN_R2];
  return LC_OK;
}
