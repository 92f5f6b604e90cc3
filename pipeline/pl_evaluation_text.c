/* Evaluations as text: for people, as JSON, and predictions as CSV. */
#include <math.h>
#include <stdio.h>

#include "pl_evaluate.h"

static void print_interval(struct lc_text *out, const char *name, const struct vit_interval *i,
                           const char *how) {
  lc_text_add(out, "  %-18s %8.4f", name, i->value);
  if (!isnan(i->low)) lc_text_add(out, "   (95 %% %.4f to %.4f, %s)", i->low, i->high, how);
  lc_text_add(out, "\n");
}

void pl_evaluation_print(const struct pl_evaluation *e, struct lc_text *out) {
  static const char by_patient[] = "bootstrap by patient";
  lc_text_add(out, "%zu nodules of %zu patients, research use only\n", e->nodules, e->patients);
  if (e->has_malignancy) {
    lc_text_add(out, "malignancy: %zu nodules decided, %zu malignant\n", e->decided, e->malignant);
    print_interval(out, "AUROC", &e->auroc_delong, "DeLong");
    print_interval(out, "AUROC", &e->auroc, by_patient);
    print_interval(out, "average precision", &e->average_precision, by_patient);
    print_interval(out, "accuracy", &e->accuracy, by_patient);
    print_interval(out, "sensitivity", &e->sensitivity, by_patient);
    print_interval(out, "specificity", &e->specificity, by_patient);
    print_interval(out, "precision", &e->precision, by_patient);
    print_interval(out, "F1", &e->f1, by_patient);
    print_interval(out, "Brier score", &e->brier, by_patient);
    lc_text_add(out, "  %-18s %8.4f\n", "calibration error", e->calibration_error);
  }
  if (!e->has_biomarkers) return;
  lc_text_add(out,
              "biomarkers:           R2 (95 %% by patient)      RMSE     MAE  Pearson Spearman\n");
  for (size_t b = 0; b < PL_BIOMARKERS; b++) {
    const struct vit_regression *r = &e->biomarkers[b];
    lc_text_add(out, "  %-14s %7.3f (%6.3f to %6.3f) %7.3f %7.3f %8.3f %8.3f\n",
                pl_biomarker_names[b], e->r2[b].value, e->r2[b].low, e->r2[b].high, r->rmse, r->mae,
                r->pearson, r->spearman);
  }
  print_interval(out, "mean R2", &e->mean_r2, by_patient);
}

static void json_number(struct lc_text *out, const char *key, double value) {
  if (isfinite(value))
    lc_text_add(out, "\"%s\": %.10g", key, value);
  else
    lc_text_add(out, "\"%s\": null", key);
}

static void json_interval(struct lc_text *out, const char *key, const struct vit_interval *i) {
  lc_text_add(out, "    \"%s\": {", key);
  json_number(out, "value", i->value);
  lc_text_add(out, ", ");
  json_number(out, "low", i->low);
  lc_text_add(out, ", ");
  json_number(out, "high", i->high);
  lc_text_add(out, "},\n");
}

static void json_malignancy(const struct pl_evaluation *e, struct lc_text *out) {
  lc_text_add(out, ",\n  \"malignancy\": {\n    \"decided\": %zu,\n    \"malignant\": %zu,\n",
              e->decided, e->malignant);
  json_interval(out, "auroc_delong", &e->auroc_delong);
  json_interval(out, "auroc", &e->auroc);
  json_interval(out, "average_precision", &e->average_precision);
  json_interval(out, "accuracy", &e->accuracy);
  json_interval(out, "sensitivity", &e->sensitivity);
  json_interval(out, "specificity", &e->specificity);
  json_interval(out, "precision", &e->precision);
  json_interval(out, "f1", &e->f1);
  json_interval(out, "brier", &e->brier);
  lc_text_add(out, "    ");
  json_number(out, "calibration_error", e->calibration_error);
  lc_text_add(out, ",\n    \"calibration\": [\n");
  for (size_t b = 0; b < PL_CALIBRATION_BINS; b++) {
    lc_text_add(out, "      {\"low\": %g, \"high\": %g, \"count\": %zu, ", e->bins[b].low,
                e->bins[b].high, e->bins[b].count);
    json_number(out, "mean_probability", e->bins[b].mean_probability);
    lc_text_add(out, ", ");
    json_number(out, "positive_share", e->bins[b].positive_share);
    lc_text_add(out, "}%s\n", b + 1 < PL_CALIBRATION_BINS ? "," : "");
  }
  lc_text_add(out, "    ]\n  }");
}

static void json_biomarkers(const struct pl_evaluation *e, struct lc_text *out) {
  lc_text_add(out, ",\n  \"biomarkers\": {\n");
  json_interval(out, "mean_r2", &e->mean_r2);
  for (size_t b = 0; b < PL_BIOMARKERS; b++) {
    const struct vit_regression *r = &e->biomarkers[b];
    const struct {
      const char *key;
      double value;
    } parts[] = {{"r2", r->r2},           {"r2_low", e->r2[b].low}, {"r2_high", e->r2[b].high},
                 {"mse", r->mse},         {"rmse", r->rmse},        {"mae", r->mae},
                 {"pearson", r->pearson}, {"spearman", r->spearman}};
    lc_text_add(out, "    \"%s\": {\"n\": %zu", pl_biomarker_names[b], r->n);
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
      lc_text_add(out, ", ");
      json_number(out, parts[k].key, parts[k].value);
    }
    lc_text_add(out, "}%s\n", b + 1 < PL_BIOMARKERS ? "," : "");
  }
  lc_text_add(out, "  }");
}

void pl_evaluation_json(const struct pl_evaluation *e, struct lc_text *out) {
  lc_text_add(out,
              "{\n  \"note\": \"research use only\",\n  \"nodules\": %zu,\n  \"patients\": %zu",
              e->nodules, e->patients);
  if (e->has_malignancy) json_malignancy(e, out);
  if (e->has_biomarkers) json_biomarkers(e, out);
  lc_text_add(out, "\n}\n");
}

static void csv_number(struct lc_text *out, double value) {
  if (isfinite(value))
    lc_text_add(out, ",%.9g", value);
  else
    lc_text_add(out, ",");
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
    lc_text_add(out, "%s,%d", crop->patient, crop->nodule);
    if (malignancy) {
      double logit = values[examples->malignancy];
      csv_number(out, crop->malignancy);
      csv_number(out, logit);
      csv_number(out, 1 / (1 + exp(-logit)));
    }
    for (size_t b = 0; biomarkers && b < PL_BIOMARKERS; b++) {
      csv_number(out, crop->biomarkers[b]);
      csv_number(out, examples->scale.mean[b] +
                          examples->scale.deviation[b] * values[examples->biomarkers + b]);
    }
    lc_text_add(out, "\n");
  }
}
