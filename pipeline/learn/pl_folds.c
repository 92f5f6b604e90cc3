/* Trains once for each fold, and computes mean and spread of every measure over them. */
#include "pipeline/learn/pl_folds.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_csv.h"
#include "common/lc_file.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/learn/pl_training.h"
#include "pipeline/report/pl_table.h"
#include "pipeline/store/pl_dataset.h"

#define MOST_MEASURES 256

/* Measures by name ("malignancy.auroc"), in the order of the first file; NaN where a fold has none.
 */
struct measures {
  char names[MOST_MEASURES][96];
  double *values; /* [MOST_MEASURES, folds] */
  size_t n, folds;
};

/* Counts, limits of intervals and lists are of one fold alone. */
static bool is_measure(const char *key) {
  static const char *const others[] = {"n", "low", "high", "decided", "malignant", "threshold"};
  size_t length = strlen(key);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (strcmp(key, others[i]) == 0) return false;
  return !(length > 4 && strcmp(key + length - 4, "_low") == 0) &&
         !(length > 5 && strcmp(key + length - 5, "_high") == 0);
}

static void keep(struct measures *m, size_t fold, const char *name, const json_t *value) {
  size_t i = 0;
  while (i < m->n && strcmp(m->names[i], name) != 0) i++;
  if (i == MOST_MEASURES) return;
  if (i == m->n) {
    snprintf(m->names[i], sizeof m->names[i], "%s", name);
    for (size_t k = 0; k < m->folds; k++) m->values[i * m->folds + k] = NAN;
    m->n++;
  }
  if (json_is_number(value)) m->values[i * m->folds + fold] = json_number_value(value);
}

/* Two levels below "malignancy" and "biomarkers": a measure is a number, or an object with one
 * named "value"; another object holds the measures of one biomarker. */
static void collect(struct measures *m, size_t fold, const char *prefix, json_t *object,
                    int levels) {
  const char *key;
  json_t *member;
  json_object_foreach(object, key, member) {
    char name[96];
    snprintf(name, sizeof name, "%s.%s", prefix, key);
    if (!is_measure(key)) continue;
    if (json_is_number(member) || json_is_null(member))
      keep(m, fold, name, member);
    else if (json_object_get(member, "value"))
      keep(m, fold, name, json_object_get(member, "value"));
    else if (json_is_object(member) && levels > 1)
      collect(m, fold, name, member, levels - 1);
  }
}

static lc_status fold_folder(const char *folder, size_t fold, char out[LC_PATH_SIZE],
                             struct lc_error *err) {
  char name[32];
  snprintf(name, sizeof name, "fold-%zu", fold);
  return lc_path_join(out, folder, name, err);
}

static lc_status read_fold(struct measures *m, const char *folder, size_t fold,
                           struct lc_error *err) {
  char path[LC_PATH_SIZE];
  json_error_t problem;
  LC_TRY(fold_folder(folder, fold, path, err));
  LC_TRY(lc_path_join(path, path, "evaluation.json", err));
  json_t *root = json_load_file(path, 0, &problem);
  if (!root) LC_FAIL(err, LC_ERR_FORMAT, "%s: line %d: %s", path, problem.line, problem.text);
  static const char *const parts[] = {"malignancy", "biomarkers"};
  for (size_t i = 0; i < 2; i++) collect(m, fold, parts[i], json_object_get(root, parts[i]), 2);
  json_decref(root);
  return LC_OK;
}

struct spread {
  size_t n;
  double mean, deviation, low, high; /* deviation over n - 1 */
};

static struct spread spread_of(const double *values, size_t n) {
  struct spread s = {.low = INFINITY, .high = -INFINITY};
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) {
    if (!isfinite(values[i])) continue;
    s.n++;
    sum += values[i];
    s.low = fmin(s.low, values[i]);
    s.high = fmax(s.high, values[i]);
  }
  s.mean = s.n ? sum / (double)s.n : NAN;
  for (size_t i = 0; i < n; i++)
    if (isfinite(values[i])) squares += (values[i] - s.mean) * (values[i] - s.mean);
  s.deviation = s.n > 1 ? sqrt(squares / (double)(s.n - 1)) : NAN;
  return s;
}

static json_t *number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

static void as_json(const struct measures *m, struct lc_text *out) {
  json_t *all = json_object();
  for (size_t i = 0; i < m->n; i++) {
    const double *values = m->values + i * m->folds;
    struct spread s = spread_of(values, m->folds);
    json_t *list = json_array();
    for (size_t k = 0; k < m->folds; k++) json_array_append_new(list, number(values[k]));
    json_object_set_new(all, m->names[i],
                        json_pack("{s:o,s:o,s:o}", "mean", number(s.mean), "deviation",
                                  number(s.deviation), "folds", list));
  }
  json_t *root = json_pack("{s:s,s:i,s:o}", "note", "research use only", "folds", (int)m->folds,
                           "measures", all);
  LC_FREED char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) : NULL;
  json_decref(root);
  if (text)
    lc_text_add_bytes(out, text, strlen(text));
  else
    out->failed = true;
}

static void as_csv(const struct measures *m, struct lc_text *out) {
  lc_text_add(out, "measure,mean,deviation");
  for (size_t k = 0; k < m->folds; k++) lc_text_add(out, ",fold_%zu", k);
  lc_text_add(out, "\n");
  for (size_t i = 0; i < m->n; i++) {
    const double *values = m->values + i * m->folds;
    struct spread s = spread_of(values, m->folds);
    double columns[] = {s.mean, s.deviation};
    lc_csv_put_text(out, m->names[i]);
    for (size_t k = 0; k < 2 + m->folds; k++) {
      lc_text_add(out, ",");
      lc_csv_put_number(out, k < 2 ? columns[k] : values[k - 2], 10);
    }
    lc_text_add(out, "\n");
  }
}

static void as_table(const struct measures *m, struct lc_text *out) {
  lc_text_add(out, "%zu folds, research use only%19s mean  deviation    lowest   highest\n",
              m->folds, "");
  for (size_t i = 0; i < m->n; i++) {
    struct spread s = spread_of(m->values + i * m->folds, m->folds);
    if (s.n > 0)
      lc_text_add(out, "  %-42s %9.4f %9.4f %9.4f %9.4f\n", m->names[i], s.mean, s.deviation, s.low,
                  s.high);
  }
}

lc_status pl_folds_summarise(const char *folder, size_t n, struct lc_text *table,
                             struct lc_error *err) {
  LC_FREED struct measures *m = NULL;
  LC_FREED double *values = NULL;
  LC_SCOPED(lc_text_free) struct lc_text csv = {0}, json = {0};
  LC_TRY(lc_alloc(&m, 1, sizeof *m, err));
  LC_TRY(lc_alloc(&values, MOST_MEASURES * n, sizeof *values, err));
  m->folds = n;
  m->values = values;
  for (size_t fold = 0; fold < n; fold++) LC_TRY(read_fold(m, folder, fold, err));
  as_json(m, &json);
  as_csv(m, &csv);
  LC_TRY(pl_text_write(&json, folder, "folds.json", err));
  LC_TRY(pl_text_write(&csv, folder, "folds.csv", err));
  as_table(m, table);
  return LC_OK;
}

static lc_status count_folds(const struct pl_recipe *r, size_t *n, struct lc_error *err) {
  LC_SCOPED(pl_dataset_free) struct pl_dataset dataset = {0};
  int most = -1;
  *n = (size_t)r->data_folds;
  if (r->data_split == PL_SPLIT_FILE)
    LC_FAIL(
        err, LC_ERR_CONFIG,
        "data.split is file, expected patient, nodule, stored-patient or stored-nodule to train "
        "on all folds");
  if (r->data_split == PL_SPLIT_PATIENT || r->data_split == PL_SPLIT_NODULE) return LC_OK;
  if (!pl_crops_is_dataset(r->data_crops))
    LC_FAIL(err, LC_ERR_CONFIG, "%s: not a data set by `lungcdam prepare`, which could hold folds",
            r->data_crops);
  LC_TRY(pl_dataset_read(&dataset, r->data_crops, false, err));
  for (size_t i = 0; i < dataset.n; i++) {
    int fold = r->data_split == PL_SPLIT_STORED_PATIENT ? dataset.samples[i].fold_patient
                                                        : dataset.samples[i].fold_nodule;
    if (fold > most) most = fold;
  }
  if (most < 1) LC_FAIL(err, LC_ERR_CONFIG, "%s: holds no folds", r->data_crops);
  *n = (size_t)most + 1;
  return LC_OK;
}

static lc_status train_fold(const struct pl_recipe *recipe, size_t fold, size_t n,
                            enum pl_existing existing, struct lc_error *err) {
  char folder[LC_PATH_SIZE];
  struct pl_recipe one = *recipe; /* its texts stay the other's */
  struct pl_evaluation evaluation;
  LC_TRY(fold_folder(recipe->output_folder, fold, folder, err));
  one.output_folder = folder;
  one.data_fold = (long long)fold;
  lc_log(LC_LOG_INFO, "fold %zu of %zu", fold + 1, n);
  lc_status status = pl_training_run(&one, existing, &evaluation, err);
  if (status != LC_OK) lc_error_prefix(err, "fold %zu", fold);
  return status;
}

lc_status pl_folds_run(const struct pl_recipe *recipe, enum pl_existing existing,
                       struct lc_text *table, struct lc_error *err) {
  const char *folder = recipe->output_folder;
  size_t n = 0;
  LC_TRY(count_folds(recipe, &n, err));
  if (existing == PL_EXISTING_REFUSE && lc_folder_exists(folder))
    LC_FAIL(err, LC_ERR_EXISTS, "%s: exists; --overwrite replaces it, --resume goes on", folder);
  LC_TRY(lc_folder_make(folder, err));
  for (size_t fold = 0; fold < n; fold++) LC_TRY(train_fold(recipe, fold, n, existing, err));
  return pl_folds_summarise(folder, n, table, err);
}
