/* Prints evaluations as a table for people and as JSON, and predictions as CSV. */
#include <math.h>
#include <stdio.h>

#include "common/lc_csv.h"
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
  lc_text_add(out,
              ",\n  \"malignancy\": {\n    \"decided\": %zu,\n    \"malignant\": %zu,\n    "
              "\"threshold\": %.10g,\n",
              e->decided, e->malignant, e->threshold);
  json_interval(out, "auroc_delong", &e->auroc_delong);
  for (size_t m = 0; m < PL_MALIGNANCY_MEASURES; m++)
    json_interval(out, pl_malignancy_measures[m].key, &e->malignancy[m]);
  lc_text_add(out, "    \"calibration\": [\n");
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
    lc_text_add(out, "    \"%s\": {\"n\": %zu", pl_biomarker_names[b], e->rated[b]);
    for (size_t m = 0; m < PL_BIOMARKER_MEASURES; m++) {
      const struct vit_interval *interval = &e->biomarkers[b][m];
      const struct {
        const char *end;
        double value;
      } parts[] = {{"", interval->value}, {"_low", interval->low}, {"_high", interval->high}};
      for (size_t k = 0; k < 3; k++) {
        char key[64];
        snprintf(key, sizeof key, "%s%s", pl_biomarker_measures[m].key, parts[k].end);
        lc_text_add(out, ", ");
        json_number(out, key, parts[k].value);
      }
    }
    lc_text_add(out, "}%s\n", b + 1 < PL_BIOMARKERS ? "," : "");
  }
  lc_text_add(out, "  }");
}

void pl_evaluation_json(const struct pl_evaluation *e, struct lc_text *out) {
  lc_text_add(out,
              "{\n  \"note\": \"research use only%s\",\n  \"nodules\": %zu,\n  \"patients\": "
              "%zu",
              pl_evaluation_notice(e), e->nodules, e->patients);
  if (e->weights_sha256[0]) lc_text_add(out, ",\n  \"weights_sha256\": \"%s\"", e->weights_sha256);
  if (e->has_malignancy) json_malignancy(e, out);
  if (e->has_biomarkers) json_biomarkers(e, out);
  lc_text_add(out, "\n}\n");
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
      add_number(out, 1 / (1 + exp(-logit)));
    }
    for (size_t b = 0; biomarkers && b < PL_BIOMARKERS; b++) {
      add_number(out, crop->biomarkers[b]);
      add_number(out, examples->scale.mean[b] +
                          examples->scale.deviation[b] * values[examples->biomarkers + b]);
    }
    lc_text_add(out, "\n");
  }
}
