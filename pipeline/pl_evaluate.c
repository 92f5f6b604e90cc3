#include "pl_evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lc_arena.h"
#include "vit_forward.h"

#define BATCH 64

lc_status pl_predict(const struct vit_model *model, const struct pl_examples *examples,
                     bool symmetries, struct lc_progress *progress,
                     struct pl_predictions *predictions, struct lc_error *err) {
  lc_status status = LC_OK;
  struct vit_workspace workspace = {0};
  const struct vit_request request = {0};
  float *images = NULL;
  size_t pixels = (size_t)examples->recipe->data_pixels, image = 3 * pixels * pixels;
  unsigned turns = symmetries ? 8 : 1, views = turns * (unsigned)pl_examples_sights(examples);
  *predictions = (struct pl_predictions){.n = examples->n, .outputs = examples->outputs};
  LC_TRY_GOTO(lc_alloc(&predictions->values, examples->n * examples->outputs, sizeof(double), err),
              done);
  LC_TRY_GOTO(lc_alloc(&images, BATCH * image, sizeof *images, err), done);
  LC_TRY_GOTO(vit_workspace_init(&workspace, model, BATCH, pixels, pixels, &request, err), done);
  for (unsigned view = 0; view < views; view++)
    for (size_t start = 0; start < examples->n; start += BATCH) {
      size_t n = examples->n - start < BATCH ? examples->n - start : BATCH;
      struct vit_augment_draw draw;
      struct vit_trace trace;
      vit_augment_symmetry(view % turns, &draw);
      struct pl_sight sight = pl_examples_sight(examples, view / turns);
      for (size_t i = 0; i < n; i++)
        LC_TRY_GOTO(pl_examples_view(examples, start + i, sight, &draw, images + i * image, err),
                    done);
      LC_TRY_GOTO(vit_forward(&workspace, images, n, &trace, err), done);
      for (size_t k = 0; k < n * examples->outputs; k++)
        predictions->values[start * examples->outputs + k] += (double)trace.logits[k] / views;
      lc_progress_step(progress, n);
    }
done:
  vit_workspace_free(&workspace);
  free(images);
  if (status != LC_OK) pl_predictions_free(predictions);
  return status;
}

void pl_predictions_free(struct pl_predictions *predictions) {
  free(predictions->values);
  memset(predictions, 0, sizeof *predictions);
}

/* What the bootstrap measures, in this order; then R2 of each biomarker and their mean. */
enum measure {
  AUROC,
  PRECISION_CURVE,
  BRIER,
  ACCURACY,
  SENSITIVITY,
  SPECIFICITY,
  PRECISION,
  F1,
  R2
};
enum { N_MEASURES = R2 + PL_BIOMARKERS + 1 };

/* Predictions and truth by example. */
struct truth {
  const struct pl_examples *examples;
  const struct pl_predictions *predictions;
};

/* Columns of the chosen examples that have a label. */
struct columns {
  double *predicted, *truth; /* [n] */
  uint8_t *labels;           /* [n] */
  size_t n;
};

static void gather_malignancy(const struct truth *t, const size_t *indices, size_t n,
                              struct columns *c) {
  c->n = 0;
  for (size_t i = 0; i < n; i++) {
    int label = pl_crop_label(&t->examples->crops->crops[t->examples->rows[indices[i]]]);
    if (label < 0) continue;
    double logit =
        t->predictions->values[indices[i] * t->predictions->outputs + t->examples->malignancy];
    c->predicted[c->n] = 1 / (1 + exp(-logit));
    c->labels[c->n++] = (uint8_t)label;
  }
}

static void gather_biomarker(const struct truth *t, size_t biomarker, const size_t *indices,
                             size_t n, struct columns *c) {
  const struct pl_label_scale *scale = &t->examples->scale;
  c->n = 0;
  for (size_t i = 0; i < n; i++) {
    double truth = t->examples->crops->crops[t->examples->rows[indices[i]]].biomarkers[biomarker];
    if (!isfinite(truth)) continue;
    double score =
        t->predictions
            ->values[indices[i] * t->predictions->outputs + t->examples->biomarkers + biomarker];
    c->predicted[c->n] = scale->mean[biomarker] + scale->deviation[biomarker] * score;
    c->truth[c->n++] = truth;
  }
}

static void measure_malignancy(const struct columns *c, double *values) {
  struct vit_interval area;
  struct vit_decision d;
  if (vit_auroc(c->predicted, c->labels, c->n, 0.95, &area, NULL) == LC_OK)
    values[AUROC] = area.value;
  if (vit_average_precision(c->predicted, c->labels, c->n, &values[PRECISION_CURVE], NULL) != LC_OK)
    values[PRECISION_CURVE] = NAN;
  values[BRIER] = vit_brier(c->predicted, c->labels, c->n);
  vit_decide(c->predicted, c->labels, c->n, 0.5, &d);
  values[ACCURACY] = d.accuracy;
  values[SENSITIVITY] = d.sensitivity;
  values[SPECIFICITY] = d.specificity;
  values[PRECISION] = d.precision;
  values[F1] = d.f1;
}

static lc_status columns_init(struct columns *c, size_t n, struct lc_error *err) {
  memset(c, 0, sizeof *c);
  LC_TRY(lc_alloc(&c->predicted, n, sizeof *c->predicted, err));
  LC_TRY(lc_alloc(&c->truth, n, sizeof *c->truth, err));
  return lc_alloc(&c->labels, n, 1, err);
}

static void columns_free(struct columns *c) {
  free(c->predicted);
  free(c->truth);
  free(c->labels);
}

static void measure(void *context, const size_t *indices, size_t n, double *values, size_t count) {
  const struct truth *t = context;
  struct columns c;
  for (size_t i = 0; i < count; i++) values[i] = NAN;
  if (columns_init(&c, n, NULL) == LC_OK) {
    if (t->examples->malignancy != SIZE_MAX) {
      gather_malignancy(t, indices, n, &c);
      measure_malignancy(&c, values);
    }
    double sum = 0;
    for (size_t b = 0; t->examples->biomarkers != SIZE_MAX && b < PL_BIOMARKERS; b++) {
      struct vit_regression r;
      gather_biomarker(t, b, indices, n, &c);
      if (vit_regress(c.predicted, c.truth, c.n, &r, NULL) == LC_OK) values[R2 + b] = r.r2;
      sum += values[R2 + b];
    }
    if (t->examples->biomarkers != SIZE_MAX) values[R2 + PL_BIOMARKERS] = sum / PL_BIOMARKERS;
  }
  columns_free(&c);
}

/* What has no bootstrap: DeLong, calibration, the other measures of regression. */
static lc_status measure_once(const struct truth *t, const size_t *all, struct pl_evaluation *e,
                              struct lc_error *err) {
  struct columns c;
  lc_status status;
  size_t n = t->examples->n;
  LC_TRY_GOTO(columns_init(&c, n, err), done);
  if (e->has_malignancy) {
    gather_malignancy(t, all, n, &c);
    e->decided = c.n;
    for (size_t i = 0; i < c.n; i++) e->malignant += c.labels[i];
    LC_TRY_GOTO(vit_auroc(c.predicted, c.labels, c.n, 0.95, &e->auroc_delong, err), done);
    e->calibration_error =
        vit_calibration(c.predicted, c.labels, c.n, e->bins, PL_CALIBRATION_BINS);
  }
  for (size_t b = 0; e->has_biomarkers && b < PL_BIOMARKERS; b++) {
    gather_biomarker(t, b, all, n, &c);
    LC_TRY_GOTO(vit_regress(c.predicted, c.truth, c.n, &e->biomarkers[b], err), done);
  }
done:
  columns_free(&c);
  return status;
}

static void spread(const struct vit_interval *from, struct pl_evaluation *e) {
  e->auroc = from[AUROC];
  e->average_precision = from[PRECISION_CURVE];
  e->brier = from[BRIER];
  e->accuracy = from[ACCURACY];
  e->sensitivity = from[SENSITIVITY];
  e->specificity = from[SPECIFICITY];
  e->precision = from[PRECISION];
  e->f1 = from[F1];
  memcpy(e->r2, from + R2, sizeof e->r2);
  e->mean_r2 = from[R2 + PL_BIOMARKERS];
}

static lc_status run_bootstrap(struct truth *t, size_t replicates, uint64_t seed,
                               struct vit_interval *intervals, size_t *patients,
                               struct lc_error *err) {
  const struct pl_crops *crops = t->examples->crops;
  lc_status status = LC_OK;
  uint32_t *groups = NULL, *numbers = NULL;
  uint32_t n_groups = 0;
  LC_TRY_GOTO(lc_alloc(&groups, t->examples->n, sizeof *groups, err), done);
  LC_TRY_GOTO(lc_alloc(&numbers, crops->n_groups, sizeof *numbers, err), done);
  for (size_t i = 0; i < t->examples->n; i++) { /* patients of this split alone, numbered anew */
    uint32_t group = crops->crops[t->examples->rows[i]].group;
    if (numbers[group] == 0) numbers[group] = ++n_groups;
    groups[i] = numbers[group] - 1;
  }
  *patients = n_groups;
  if (replicates == 0) goto done;
  const struct vit_bootstrap bootstrap = {.groups = groups,
                                          .n = t->examples->n,
                                          .n_groups = n_groups,
                                          .replicates = replicates,
                                          .seed = seed,
                                          .level = 0.95};
  LC_TRY_GOTO(vit_bootstrap_run(&bootstrap, measure, t, intervals, N_MEASURES, err), done);
done:
  free(groups);
  free(numbers);
  return status;
}

lc_status pl_evaluate(const struct pl_examples *examples, const struct pl_predictions *predictions,
                      size_t replicates, uint64_t seed, struct pl_evaluation *e,
                      struct lc_error *err) {
  struct truth t = {examples, predictions};
  struct vit_interval intervals[N_MEASURES];
  double values[N_MEASURES];
  size_t *all = NULL;
  lc_status status = LC_OK;
  memset(e, 0, sizeof *e);
  e->nodules = examples->n;
  e->has_malignancy = examples->malignancy != SIZE_MAX;
  e->has_biomarkers = examples->biomarkers != SIZE_MAX;
  e->auroc_delong = (struct vit_interval){NAN, NAN, NAN};
  LC_TRY_GOTO(lc_alloc(&all, examples->n, sizeof *all, err), done);
  for (size_t i = 0; i < examples->n; i++) all[i] = i;
  measure(&t, all, examples->n, values, N_MEASURES);
  for (size_t i = 0; i < N_MEASURES; i++) intervals[i] = (struct vit_interval){values[i], NAN, NAN};
  LC_TRY_GOTO(measure_once(&t, all, e, err), done);
  LC_TRY_GOTO(run_bootstrap(&t, replicates, seed, intervals, &e->patients, err), done);
  spread(intervals, e);
done:
  free(all);
  return status;
}
