/* Writes all files of a measurement, and of them evaluation.h5: predictions, truth, measures,
 * curves. */
#include "pipeline/learn/pl_measured.h"

#include <string.h>

#include "common/lc_file.h"
#include "common/lc_hash.h"
#include "common/lc_math.h"
#include "common/lc_scope.h"
#include "pipeline/report/pl_table.h"
#include "pipeline/store/pl_h5.h"
#include "vit/kernels/vit_backend.h"

#define SCHEMA_VERSION 1
#define NAME_WIDTH 32

static void put(struct pl_h5 *h5, const char *path, size_t rank, const size_t *dims,
                const double *data, const char *unit, const char *doc) {
  struct pl_h5_array array = {
      .path = path, .type = PL_H5_F64, .rank = rank, .data = data, .unit = unit, .doc = doc};
  for (size_t i = 0; i < rank; i++) array.dims[i] = dims[i];
  pl_h5_array(h5, &array);
}

static lc_status write_root(struct pl_h5 *h5, const struct pl_measured *m, struct lc_error *err) {
  char crops[LC_SHA256_HEX];
  LC_SCOPED(lc_text_free) struct lc_text recipe = {0};
  LC_TRY(lc_hash_file_hex(m->examples->crops->path, crops, err));
  pl_schema_print(&pl_recipe_schema, m->examples->recipe, PL_PRINT_CANONICAL, &recipe);
  pl_h5_about(h5, "lungcdam evaluation of a model on nodules", SCHEMA_VERSION,
              m->evaluation->trained
                  ? "research use only"
                  : "research use only; UNTRAINED WEIGHTS: the numbers mean nothing");
  pl_h5_attribute_text(h5, "/", "recipe", lc_text_get(&recipe));
  pl_h5_attribute_text(h5, "/", "weights_sha256", m->model->weights_sha256);
  if (m->model->assumed) pl_h5_attribute_text(h5, "/", "weights_assumed", m->model->assumed);
  pl_h5_attribute_integer(h5, "/", "weights_trained", m->evaluation->trained);
  pl_h5_attribute_text(h5, "/", "architecture", m->model->arch.name);
  pl_h5_attribute_text(h5, "/", "kernels", vit_backend()->name);
  pl_h5_attribute_text(h5, "/", "crops_sha256", crops);
  pl_h5_attribute_text(h5, "/", "split", m->split);
  return LC_OK;
}

/* Names along dimensions, as axes/NAME. */
static void write_axes(struct pl_h5 *h5, const struct pl_evaluation *e) {
  static const char *const limits[] = {"value", "low", "high"};
  const char *malignancy[PL_MALIGNANCY_MEASURES], *measures[PL_BIOMARKER_MEASURES];
  for (size_t i = 0; i < PL_MALIGNANCY_MEASURES; i++) malignancy[i] = pl_malignancy_measures[i].key;
  for (size_t i = 0; i < PL_BIOMARKER_MEASURES; i++) measures[i] = pl_biomarker_measures[i].key;
  pl_h5_names(h5, "axes/interval", limits, 3, NAME_WIDTH,
              "value, and limits of its 95 % interval by bootstrap over patients");
  pl_h5_scale(h5, "axes/interval");
  if (e->has_malignancy) {
    pl_h5_names(h5, "axes/malignancy_measure", malignancy, PL_MALIGNANCY_MEASURES, NAME_WIDTH,
                "measures of malignancy");
    pl_h5_scale(h5, "axes/malignancy_measure");
  }
  if (!e->has_biomarkers) return;
  pl_h5_names(h5, "axes/biomarker", pl_biomarker_names, PL_BIOMARKERS, NAME_WIDTH, "biomarkers");
  pl_h5_names(h5, "axes/biomarker_measure", measures, PL_BIOMARKER_MEASURES, NAME_WIDTH,
              "measures of one biomarker");
  pl_h5_scale(h5, "axes/biomarker");
  pl_h5_scale(h5, "axes/biomarker_measure");
}

/* What readers say and what the model says, [n] each, the last two [n, biomarker]. */
struct rows {
  double *rating, *logit, *probability, *truth, *predicted;
};

static void fill_row(const struct pl_measured *m, size_t i, const struct rows *rows) {
  const struct pl_examples *x = m->examples;
  const struct pl_crop *crop = &x->crops->crops[x->rows[i]];
  rows->rating[i] = crop->malignancy;
  if (x->malignancy != SIZE_MAX) {
    rows->logit[i] = m->predictions->values[i * m->predictions->outputs + x->malignancy];
    rows->probability[i] = lc_sigmoid(rows->logit[i]);
  }
  for (size_t b = 0; x->biomarkers != SIZE_MAX && b < PL_BIOMARKERS; b++) {
    rows->truth[i * PL_BIOMARKERS + b] = crop->biomarkers[b];
    rows->predicted[i * PL_BIOMARKERS + b] = pl_predicted_biomarker(x, m->predictions, i, b);
  }
}

static void put_rows(struct pl_h5 *h5, const struct pl_measured *m, const struct rows *rows) {
  size_t dims[2] = {m->examples->n, PL_BIOMARKERS};
  put(h5, "truth/malignancy", 1, dims, rows->rating, "1",
      "readers' mean rating; above 3 malignant, below benign, 3 left out");
  if (m->evaluation->has_malignancy) {
    put(h5, "prediction/malignancy_logit", 1, dims, rows->logit, "1",
        "output of the model, averaged over what test.symmetries asks for");
    put(h5, "prediction/malignancy_probability", 1, dims, rows->probability, "1", "its sigmoid");
  }
  if (!m->evaluation->has_biomarkers) return;
  put(h5, "truth/biomarkers", 2, dims, rows->truth, "rating; diameter mm",
      "readers' mean ratings [nodule, biomarker]; NaN: not given");
  put(h5, "prediction/biomarkers", 2, dims, rows->predicted, "rating; diameter mm",
      "predictions [nodule, biomarker]");
  pl_h5_attach(h5, "truth/biomarkers", 1, "axes/biomarker");
  pl_h5_attach(h5, "prediction/biomarkers", 1, "axes/biomarker");
}

/* Who the nodules are, then their rows. */
static lc_status write_rows(struct pl_h5 *h5, const struct pl_measured *m, struct lc_error *err) {
  size_t n = m->examples->n;
  LC_FREED const char **patients = NULL;
  LC_FREED int *numbers = NULL;
  LC_FREED double *all = NULL;
  LC_TRY(lc_alloc(&patients, n, sizeof *patients, err));
  LC_TRY(lc_alloc(&numbers, n, sizeof *numbers, err));
  LC_TRY(lc_alloc(&all, n * (3 + 2 * PL_BIOMARKERS), sizeof *all, err));
  const struct rows rows = {all, all + n, all + 2 * n, all + 3 * n, all + (3 + PL_BIOMARKERS) * n};
  for (size_t i = 0; i < n; i++) {
    const struct pl_crop *crop = &m->examples->crops->crops[m->examples->rows[i]];
    patients[i] = crop->patient;
    numbers[i] = crop->nodule;
    fill_row(m, i, &rows);
  }
  pl_h5_names(h5, "nodules/PatientID", patients, n, PL_PATIENT_SIZE, "patient of each nodule");
  pl_h5_array(h5, &(struct pl_h5_array){.path = "nodules/nodule",
                                        .type = PL_H5_I32,
                                        .rank = 1,
                                        .dims = {n},
                                        .data = numbers,
                                        .unit = "1",
                                        .doc = "number of the nodule in its patient"});
  put_rows(h5, m, &rows);
  return LC_OK;
}

/* values [n_measures, interval]; measures may be of several things: dims says. */
static void put_intervals(struct pl_h5 *h5, const char *path, size_t rank, const size_t *dims,
                          const struct vit_interval *intervals, const char *doc) {
  double values[PL_BIOMARKERS * PL_BIOMARKER_MEASURES * 3];
  size_t n = 1, shape[3] = {3, 3, 3};
  for (size_t i = 0; i < rank; i++) n *= shape[i] = dims[i];
  for (size_t i = 0; i < n; i++) {
    values[3 * i] = intervals[i].value;
    values[3 * i + 1] = intervals[i].low;
    values[3 * i + 2] = intervals[i].high;
  }
  put(h5, path, rank + 1, shape, values, "as the measure", doc);
  pl_h5_attach(h5, path, rank, "axes/interval");
}

static void write_measures(struct pl_h5 *h5, const struct pl_evaluation *e) {
  const size_t malignancy = PL_MALIGNANCY_MEASURES;
  const size_t biomarkers[2] = {PL_BIOMARKERS, PL_BIOMARKER_MEASURES};
  if (e->has_malignancy) {
    put_intervals(h5, "measures/malignancy", 1, &malignancy, e->malignancy,
                  "[malignancy_measure, interval]");
    pl_h5_attach(h5, "measures/malignancy", 0, "axes/malignancy_measure");
    put_intervals(h5, "measures/auroc_delong", 0, NULL, &e->auroc_delong,
                  "AUROC with DeLong's interval, nodules independent [interval]");
    pl_h5_attribute_integer(h5, "measures/malignancy", "decided", (int64_t)e->decided);
    pl_h5_attribute_integer(h5, "measures/malignancy", "malignant", (int64_t)e->malignant);
    pl_h5_attribute_real(h5, "measures/malignancy", "threshold", e->threshold);
  }
  if (!e->has_biomarkers) return;
  put_intervals(h5, "measures/biomarkers", 2, biomarkers, e->biomarkers[0],
                "[biomarker, biomarker_measure, interval]");
  pl_h5_attach(h5, "measures/biomarkers", 0, "axes/biomarker");
  pl_h5_attach(h5, "measures/biomarkers", 1, "axes/biomarker_measure");
  put_intervals(h5, "measures/mean_r2", 0, NULL, &e->mean_r2,
                "mean R2 of the biomarkers [interval]");
}

static void write_bins(struct pl_h5 *h5, const struct pl_evaluation *e) {
  double columns[4][PL_CALIBRATION_BINS];
  int64_t counts[PL_CALIBRATION_BINS];
  const size_t n = PL_CALIBRATION_BINS;
  for (size_t i = 0; i < n; i++) {
    columns[0][i] = e->bins[i].low;
    columns[1][i] = e->bins[i].high;
    columns[2][i] = e->bins[i].mean_probability;
    columns[3][i] = e->bins[i].positive_share;
    counts[i] = (int64_t)e->bins[i].count;
  }
  put(h5, "calibration/low", 1, &n, columns[0], "1", "lower edge of the bin of probability");
  put(h5, "calibration/high", 1, &n, columns[1], "1", "upper edge; of the last bin inclusive");
  put(h5, "calibration/mean_probability", 1, &n, columns[2], "1", "NaN: empty bin");
  put(h5, "calibration/malignant_share", 1, &n, columns[3], "1", "NaN: empty bin");
  const struct pl_h5_array count = {.path = "calibration/count",
                                    .type = PL_H5_I64,
                                    .rank = 1,
                                    .dims = {PL_CALIBRATION_BINS},
                                    .data = counts,
                                    .unit = "1",
                                    .doc = "nodules in the bin"};
  pl_h5_array(h5, &count);
}

/* One of the three numbers of each point as a dataset; work [n]. */
static void put_column(struct pl_h5 *h5, const char *path, const double *points, size_t n,
                       size_t column, double *work, const char *doc) {
  for (size_t i = 0; i < n; i++) work[i] = points[3 * i + column];
  put(h5, path, 1, &n, work, "1", doc);
}

static lc_status write_curves(struct pl_h5 *h5, const struct pl_measured *m, struct lc_error *err) {
  LC_SCOPED(pl_columns_free) struct pl_columns c = {0};
  LC_FREED struct vit_roc_point *roc = NULL;
  LC_FREED struct vit_precision_point *precision = NULL;
  LC_FREED double *work = NULL;
  size_t n_roc, n_precision;
  LC_TRY(pl_columns_init(&c, m->examples->n, err));
  pl_columns_malignancy(m->examples, m->predictions, NULL, m->examples->n, &c);
  LC_TRY(vit_roc_curve(c.predicted, c.labels, c.n, &roc, &n_roc, err));
  LC_TRY(vit_precision_curve(c.predicted, c.labels, c.n, &precision, &n_precision, err));
  LC_TRY(lc_alloc(&work, n_roc, sizeof *work, err));
  _Static_assert(sizeof *roc == 3 * sizeof(double) && sizeof *precision == 3 * sizeof(double),
                 "points are three numbers");
  put_column(h5, "roc/threshold", &roc->threshold, n_roc, 0, work,
             "malignant when the probability is at least this");
  put_column(h5, "roc/false_positive_rate", &roc->threshold, n_roc, 1, work, "1 - specificity");
  put_column(h5, "roc/sensitivity", &roc->threshold, n_roc, 2, work, "true positive rate");
  put_column(h5, "precision_recall/threshold", &precision->threshold, n_precision, 0, work,
             "malignant when the probability is at least this");
  put_column(h5, "precision_recall/recall", &precision->threshold, n_precision, 1, work,
             "sensitivity");
  put_column(h5, "precision_recall/precision", &precision->threshold, n_precision, 2, work,
             "positive predictive value");
  return LC_OK;
}

static lc_status write_h5(const struct pl_measured *m, const char *path, struct lc_error *err) {
  const struct pl_evaluation *e = m->evaluation;
  LC_SCOPED(pl_h5_abort) struct pl_h5 h5;
  pl_h5_start(&h5);
  write_axes(&h5, e);
  LC_TRY(write_root(&h5, m, err));
  LC_TRY(write_rows(&h5, m, err));
  write_measures(&h5, e);
  if (e->has_malignancy) write_bins(&h5, e);
  if (e->malignant > 0 && e->malignant < e->decided) LC_TRY(write_curves(&h5, m, err));
  return pl_h5_finish(&h5, path, err);
}

lc_status pl_measured_write(const struct pl_measured *m, const char *folder, struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text table = {0}, json = {0}, csv = {0};
  char path[LC_PATH_SIZE];
  pl_evaluation_print(m->evaluation, &table);
  LC_TRY(pl_text_write(&table, folder, "evaluation.txt", err));
  pl_evaluation_json(m->evaluation, &json);
  LC_TRY(pl_text_write(&json, folder, "evaluation.json", err));
  pl_predictions_csv(m->examples, m->predictions, &csv);
  LC_TRY(pl_text_write(&csv, folder, "predictions.csv", err));
  LC_TRY(lc_path_join(path, folder, "evaluation.h5", err));
  LC_TRY(write_h5(m, path, err));
  return pl_measured_pictures(m, folder, err);
}
