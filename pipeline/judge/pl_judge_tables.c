/* Compares the contestants over all items and writes the CSV tables and the HDF5 file. */
#include <stdlib.h>
#include <string.h>

#include "common/lc_scope.h"
#include "pipeline/judge/pl_judged.h"
#include "pipeline/report/pl_table.h"
#include "pipeline/store/pl_h5.h"

static const struct pl_crop *crop_of(const struct pl_judge *judge, size_t item) {
  return &judge->crops.crops[judge->examples.rows[judge->items[item]]];
}

static lc_status run_contest(struct pl_judged *judged, size_t measure, double *values,
                             struct lc_error *err) {
  const struct pl_judge *judge = judged->judge;
  size_t n = judge->n_contestants;
  for (size_t i = 0; i < judge->n_items; i++)
    for (size_t c = 0; c < n; c++)
      values[i * n + c] = judged->scored[i].values[c * judge->n_measures + measure];
  struct cdam_contest_table table = {.items = judge->n_items,
                                     .contestants = n,
                                     .values = values,
                                     .groups = judged->groups,
                                     .n_groups = judged->n_groups,
                                     .larger_is_better = judge->measures[measure].larger_is_better};
  return cdam_contest_run(&table, (size_t)judge->config->bootstrap_replicates,
                          judge->config->bootstrap_level, (uint64_t)judge->config->seed,
                          &judged->contests[measure], err);
}

lc_status pl_judged_contests(struct pl_judged *judged, struct lc_error *err) {
  const struct pl_judge *judge = judged->judge;
  LC_FREED double *values = NULL;
  LC_TRY(lc_alloc(&judged->groups, judge->n_items, sizeof *judged->groups, err));
  LC_TRY(pl_examples_groups(&judge->examples, judge->items, judge->n_items, judged->groups,
                            &judged->n_groups, err));
  LC_TRY(lc_alloc(&judged->contests, judge->n_measures, sizeof *judged->contests, err));
  LC_TRY(lc_alloc(&values, judge->n_items * judge->n_contestants, sizeof *values, err));
  for (size_t m = 0; m < judge->n_measures; m++) LC_TRY(run_contest(judged, m, values, err));
  return LC_OK;
}

void pl_judged_free(struct pl_judged *judged) {
  for (size_t i = 0; judged->scored && i < judged->judge->n_items; i++)
    pl_scored_item_free(&judged->scored[i]);
  for (size_t m = 0; judged->contests && m < judged->judge->n_measures; m++)
    cdam_contest_free(&judged->contests[m]);
  free(judged->scored);
  free(judged->contests);
  free(judged->groups);
  memset(judged, 0, sizeof *judged);
}

static const struct pl_column summary_columns[] = {
    {"measure", "MEASURE", false},  {"group", NULL, false},
    {"better", "BETTER", false},    {"estimator", "ESTIMATOR", false},
    {"items", "ITEMS", true},       {"mean", "MEAN", true},
    {"low", "LOW", true},           {"high", "HIGH", true},
    {"mean_rank", NULL, true},      {"mean_rank_low", NULL, true},
    {"mean_rank_high", NULL, true}, {"rank", "RANK", true},
    {"last_rank", "TO", true}};

static void add_summary(struct pl_table *table, const struct pl_judged *judged, size_t m,
                        size_t c) {
  const struct cdam_listed *measure = &judged->judge->measures[m];
  const struct cdam_contest *contest = &judged->contests[m];
  pl_table_text(table, measure->name);
  pl_table_text(table, measure->group);
  pl_table_text(table, measure->larger_is_better ? "larger" : "smaller");
  pl_table_text(table, judged->judge->contestants[c].name);
  pl_table_integer(table, (long long)contest->counts[c]);
  pl_table_number(table, contest->mean[c].value, 4);
  pl_table_number(table, contest->mean[c].low, 4);
  pl_table_number(table, contest->mean[c].high, 4);
  pl_table_number(table, contest->mean_rank[c].value, 2);
  pl_table_number(table, contest->mean_rank[c].low, 2);
  pl_table_number(table, contest->mean_rank[c].high, 2);
  if (contest->counts[c] > 0) {
    pl_table_integer(table, (long long)contest->rank[c]);
    pl_table_integer(table, (long long)contest->last_rank[c]);
  } else {
    pl_table_missing(table);
    pl_table_missing(table);
  }
}

static void fill_summary(struct pl_table *table, const struct pl_judged *judged) {
  pl_table_init(table, summary_columns, sizeof summary_columns / sizeof *summary_columns);
  for (size_t m = 0; m < judged->judge->n_measures; m++)
    for (size_t c = 0; c < judged->judge->n_contestants; c++) add_summary(table, judged, m, c);
}

lc_status pl_judged_print(const struct pl_judged *judged, struct lc_text *out,
                          struct lc_error *err) {
  LC_SCOPED(pl_table_free) struct pl_table table = {0};
  fill_summary(&table, judged);
  return pl_table_render(&table, PL_TABLE_TERMINAL, out, err);
}

static lc_status write_differences(const struct pl_judged *judged, const char *folder,
                                   struct lc_error *err) {
  static const struct pl_column columns[] = {{"measure", "", false}, {"a", "", false},
                                             {"b", "", false},       {"a_minus_b", "", true},
                                             {"low", "", true},      {"high", "", true}};
  const struct pl_judge *judge = judged->judge;
  LC_SCOPED(pl_table_free) struct pl_table table = {0};
  pl_table_init(&table, columns, 6);
  for (size_t m = 0; m < judge->n_measures; m++)
    for (size_t a = 0; a < judge->n_contestants; a++)
      for (size_t b = a + 1; b < judge->n_contestants; b++) {
        const struct vit_interval *d =
            &judged->contests[m].difference[a * judge->n_contestants + b];
        pl_table_text(&table, judge->measures[m].name);
        pl_table_text(&table, judge->contestants[a].name);
        pl_table_text(&table, judge->contestants[b].name);
        pl_table_number(&table, d->value, 4);
        pl_table_number(&table, d->low, 4);
        pl_table_number(&table, d->high, 4);
      }
  return pl_table_write(&table, folder, "differences.csv", err);
}

/* One line an item and contestant, a column a measure. */
static lc_status write_items(const struct pl_judged *judged, const char *folder,
                             struct lc_error *err) {
  const struct pl_judge *judge = judged->judge;
  size_t n = 4 + judge->n_measures;
  LC_FREED struct pl_column *columns = NULL;
  LC_TRY(lc_alloc(&columns, n, sizeof *columns, err));
  columns[0] = (struct pl_column){"PatientID", "", false};
  columns[1] = (struct pl_column){"nodule", "", true};
  columns[2] = (struct pl_column){"output", "", true};
  columns[3] = (struct pl_column){"estimator", "", false};
  for (size_t m = 0; m < judge->n_measures; m++)
    columns[4 + m] = (struct pl_column){judge->measures[m].name, "", true};
  LC_SCOPED(pl_table_free) struct pl_table table = {0};
  pl_table_init(&table, columns, n);
  for (size_t i = 0; i < judge->n_items; i++)
    for (size_t c = 0; c < judge->n_contestants; c++) {
      pl_table_text(&table, crop_of(judge, i)->patient);
      pl_table_integer(&table, crop_of(judge, i)->nodule);
      pl_table_number(&table, judged->scored[i].outputs[0], 4);
      pl_table_text(&table, judge->contestants[c].name);
      for (size_t m = 0; m < judge->n_measures; m++)
        pl_table_number(&table, judged->scored[i].values[c * judge->n_measures + m], 4);
    }
  return pl_table_write(&table, folder, "items.csv", err);
}

#define NAME_WIDTH (CDAM_MEASURE_NAME + 32)

static lc_status write_names(struct pl_h5 *h5, const struct pl_judge *judge, struct lc_error *err) {
  LC_FREED const char **measures = NULL, **contestants = NULL, **patients = NULL;
  LC_TRY(lc_alloc(&measures, judge->n_measures, sizeof *measures, err));
  LC_TRY(lc_alloc(&contestants, judge->n_contestants, sizeof *contestants, err));
  LC_TRY(lc_alloc(&patients, judge->n_items, sizeof *patients, err));
  for (size_t m = 0; m < judge->n_measures; m++) measures[m] = judge->measures[m].name;
  for (size_t c = 0; c < judge->n_contestants; c++) contestants[c] = judge->contestants[c].name;
  for (size_t i = 0; i < judge->n_items; i++) patients[i] = crop_of(judge, i)->patient;
  pl_h5_names(h5, "measure", measures, judge->n_measures, NAME_WIDTH,
              "measures (docs/measures.md)");
  pl_h5_names(h5, "estimator", contestants, judge->n_contestants, NAME_WIDTH, "estimators");
  pl_h5_names(h5, "PatientID", patients, judge->n_items, NAME_WIDTH, "patient of each item");
  return LC_OK;
}

static lc_status write_h5(const struct pl_judged *judged, const char *folder,
                          struct lc_error *err) {
  const struct pl_judge *judge = judged->judge;
  size_t row = judge->n_contestants * judge->n_measures;
  char path[LC_PATH_SIZE];
  LC_FREED double *values = NULL;
  LC_SCOPED(lc_text_free) struct lc_text settings = {0};
  LC_SCOPED(pl_h5_abort) struct pl_h5 h5;
  pl_h5_start(&h5);
  LC_TRY(lc_path_join(path, folder, "judge.h5", err));
  LC_TRY(lc_alloc(&values, judge->n_items * row, sizeof *values, err));
  for (size_t i = 0; i < judge->n_items; i++)
    memcpy(values + i * row, judged->scored[i].values, row * sizeof *values);
  pl_schema_print(&pl_judge_schema, judge->config, PL_PRINT_CANONICAL, &settings);
  pl_h5_attribute_text(&h5, "/", "key", judge->key);
  pl_h5_attribute_text(&h5, "/", "weights_sha256", judge->model.weights_sha256);
  if (judge->model.assumed) pl_h5_attribute_text(&h5, "/", "weights_assumed", judge->model.assumed);
  pl_h5_attribute_text(&h5, "/", "configuration", lc_text_get(&settings));
  pl_h5_attribute_text(&h5, "/", "use", "research use only");
  LC_TRY(write_names(&h5, judge, err));
  pl_h5_array(&h5, &(struct pl_h5_array){
                       .path = "values",
                       .type = PL_H5_F64,
                       .rank = 3,
                       .dims = {judge->n_items, judge->n_contestants, judge->n_measures},
                       .data = values,
                       .unit = "1",
                       .doc = "item, estimator, measure; NaN: not defined. Maps and curves are in "
                              "items/"});
  return pl_h5_finish(&h5, path, err);
}

lc_status pl_judged_write(const struct pl_judged *judged, const char *folder,
                          struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text html = {0};
  LC_SCOPED(pl_table_free) struct pl_table summary = {0};
  fill_summary(&summary, judged);
  LC_TRY(pl_table_write(&summary, folder, "summary.csv", err));
  LC_TRY(write_differences(judged, folder, err));
  LC_TRY(write_items(judged, folder, err));
  LC_TRY(write_h5(judged, folder, err));
  LC_TRY(pl_judged_html(judged, folder, &html, err));
  return pl_text_write(&html, folder, "report.html", err);
}
