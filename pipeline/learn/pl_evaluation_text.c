/* Prints evaluations as a table for people and as JSON, and predictions as CSV. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/lc_csv.h"
#include "common/lc_math.h"
#include "pipeline/learn/pl_evaluate.h"

static void print_interval(struct lc_text *out, const char *name, const struct vit_interval *i,
                           const char *how) {
  if (isnan(i->value)) {
    lc_text_add(out, "  %-18s not defined\n", name);
    return;
  }
  lc_text_add(out, "  %-18s %8.4f", name, i->value);
  if (!isnan(i->low)) lc_text_add(out, "   (95 %% %.4f to %.4f, %s)", i->low, i->high, how);
  lc_text_add(out, "\n");
}

const char *pl_evaluation_notice(const struct pl_evaluation *e) {
  return e->trained ? "" : "; UNTRAINED WEIGHTS: the numbers mean nothing";
}

static void print_malignancy(const struct pl_evaluation *e, struct lc_text *out) {
  lc_text_add(out, "malignancy: %zu nodules decided, %zu malignant; decisions at %g\n", e->decided,
              e->malignant, e->threshold);
  print_interval(out, "AUROC", &e->auroc_delong, "DeLong");
  for (size_t m = 0; m < PL_MALIGNANCY_MEASURES; m++)
    print_interval(out, pl_malignancy_measures[m].title, &e->malignancy[m], "bootstrap by patient");
}

/* Intervals of all but R2 are left to JSON and HDF5, so that a line fits a terminal. */
static void print_biomarkers(const struct pl_evaluation *e, struct lc_text *out) {
  static const enum pl_biomarker_measure plain[] = {PL_RMSE, PL_MAE, PL_PEARSON, PL_SPEARMAN};
  lc_text_add(
      out,
      "biomarkers:        n       R2 (95 %% by patient)     RMSE      MAE  Pearson Spearman\n");
  for (size_t b = 0; b < PL_BIOMARKERS; b++) {
    const struct vit_interval *r2 = &e->biomarkers[b][PL_R2];
    lc_text_add(out, "  %-13s %4zu %8.3f (%6.3f to %6.3f)", pl_biomarker_names[b], e->rated[b],
                r2->value, r2->low, r2->high);
    for (size_t k = 0; k < sizeof plain / sizeof *plain; k++)
      lc_text_add(out, " %8.3f", e->biomarkers[b][plain[k]].value);
    lc_text_add(out, "\n");
  }
  print_interval(out, "mean R2", &e->mean_r2, "bootstrap by patient");
}

void pl_evaluation_print(const struct pl_evaluation *e, struct lc_text *out) {
  lc_text_add(out, "%zu nodules of %zu patients, research use only%s\n", e->nodules, e->patients,
              pl_evaluation_notice(e));
  if (e->weights_sha256[0]) lc_text_add(out, "weights SHA-256 %s\n", e->weights_sha256);
  if (e->has_malignancy) print_malignancy(e, out);
  if (e->has_biomarkers) print_biomarkers(e, out);
}

static json_t *number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

static json_t *interval(const struct vit_interval *i) {
  return json_pack("{s:o,s:o,s:o}", "value", number(i->value), "low", number(i->low), "high",
                   number(i->high));
}

static json_t *malignancy(const struct pl_evaluation *e) {
  json_t *object = json_pack("{s:I,s:I,s:o,s:o}", "decided", (json_int_t)e->decided, "malignant",
                             (json_int_t)e->malignant, "threshold", number(e->threshold),
                             "auroc_delong", interval(&e->auroc_delong));
  for (size_t m = 0; m < PL_MALIGNANCY_MEASURES; m++)
    json_object_set_new(object, pl_malignancy_measures[m].key, interval(&e->malignancy[m]));
  json_t *bins = json_array();
  for (size_t b = 0; b < PL_CALIBRATION_BINS; b++) {
    const struct vit_calibration_bin *bin = &e->bins[b];
    json_array_append_new(bins, json_pack("{s:o,s:o,s:I,s:o,s:o}", "low", number(bin->low), "high",
                                          number(bin->high), "count", (json_int_t)bin->count,
                                          "mean_probability", number(bin->mean_probability),
                                          "positive_share", number(bin->positive_share)));
  }
  json_object_set_new(object, "calibration", bins);
  return object;
}

static json_t *biomarkers(const struct pl_evaluation *e) {
  json_t *object = json_pack("{s:o}", "mean_r2", interval(&e->mean_r2));
  for (size_t b = 0; b < PL_BIOMARKERS; b++) {
    json_t *one = json_pack("{s:I}", "n", (json_int_t)e->rated[b]);
    for (size_t m = 0; m < PL_BIOMARKER_MEASURES; m++) {
      const struct vit_interval *i = &e->biomarkers[b][m];
      const double values[] = {i->value, i->low, i->high};
      static const char *const ends[] = {"", "_low", "_high"};
      for (size_t k = 0; k < 3; k++) {
        char key[64];
        snprintf(key, sizeof key, "%s%s", pl_biomarker_measures[m].key, ends[k]);
        json_object_set_new(one, key, number(values[k]));
      }
    }
    json_object_set_new(object, pl_biomarker_names[b], one);
  }
  return object;
}

void pl_evaluation_json(const struct pl_evaluation *e, struct lc_text *out) {
  char note[128];
  snprintf(note, sizeof note, "research use only%s", pl_evaluation_notice(e));
  json_t *root = json_pack("{s:s,s:I,s:I}", "note", note, "nodules", (json_int_t)e->nodules,
                           "patients", (json_int_t)e->patients);
  if (e->weights_sha256[0])
    json_object_set_new(root, "weights_sha256", json_string(e->weights_sha256));
  if (e->has_malignancy) json_object_set_new(root, "malignancy", malignancy(e));
  if (e->has_biomarkers) json_object_set_new(root, "biomarkers", biomarkers(e));
  char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) : NULL;
  json_decref(root);
  if (text)
    lc_text_add(out, "%s\n", text);
  else
    out->failed = true;
  free(text);
}

static void add_number(struct lc_text *out, double value) {
  lc_text_add(out, ",");
  lc_csv_put_number(out, value, 9);
}

void pl_predictions_csv(const struct pl_examples *examples,
                        const struct pl_predictions *predictions, struct lc_text *out) {
  bool malignancy = examples->malignancy != SIZE_MAX, biomarkers = examples->biomarkers != SIZE_MAX;
  lc_text_add(out, "patient,nodule");
  if (malignancy) lc_text_add(out, ",malignancy_rating,malignancy_logit,malignancy_probability");
  for (size_t b = 0; biomarkers && b < PL_BIOMARKERS; b++)
    lc_text_add(out, ",%s_rating,%s_predicted", pl_biomarker_names[b], pl_biomarker_names[b]);
  lc_text_add(out, "\n");
  for (size_t i = 0; i < examples->n; i++) {
    const struct pl_crop *crop = &examples->crops->crops[examples->rows[i]];
    const double *values = predictions->values + i * predictions->outputs;
    lc_csv_put_text(out, crop->patient);
    lc_text_add(out, ",%d", crop->nodule);
    if (malignancy) {
      double logit = values[examples->malignancy];
      add_number(out, crop->malignancy);
      add_number(out, logit);
      add_number(out, lc_sigmoid(logit));
    }
    for (size_t b = 0; biomarkers && b < PL_BIOMARKERS; b++) {
      add_number(out, crop->biomarkers[b]);
      add_number(out, pl_predicted_biomarker(examples, predictions, i, b));
    }
    lc_text_add(out, "\n");
  }
}
