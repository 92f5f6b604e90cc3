/* The summary of a cross-validation: mean and standard deviation of each measure, by hand. */
#include "pipeline/learn/pl_folds.h"

#include <jansson.h>
#include <math.h>

#include "common/lc_file.h"
#include "tests/lc_test.h"

static char folder[256];

static void write_fold(size_t fold, const char *json) {
  char path[512];
  snprintf(path, sizeof path, "%s/fold-%zu", folder, fold);
  assert_ok(lc_folder_make(path, &test_err));
  snprintf(path, sizeof path, "%s/fold-%zu/evaluation.json", folder, fold);
  assert_ok(lc_file_write(path, json, strlen(json), &test_err));
}

static double number(const json_t *measures, const char *measure, const char *what) {
  const json_t *of = json_object_get(measures, measure);
  if (!of) fail_msg("no measure %s", measure);
  const json_t *value = json_object_get(of, what);
  return json_is_null(value) ? NAN : json_number_value(value);
}

/* 0.7, 0.8, 0.9: mean 0.8, deviation 0.1 over two degrees of freedom. A measure that one fold lacks
 * is that of the others; counts and limits of intervals are summed up nowhere. */
static void means_and_deviations_by_hand(void **state) {
  (void)state;
  lc_test_folder(folder);
  write_fold(
      0, "{\"malignancy\": {\"n\": 10, \"auroc\": {\"value\": 0.7, \"low\": 0.6, \"high\": 0.8},"
         " \"accuracy\": 0.5}, \"biomarkers\": {\"margin\": {\"r2\": {\"value\": 0.25}}}}");
  write_fold(1,
             "{\"malignancy\": {\"n\": 12, \"auroc\": {\"value\": 0.9, \"low\": 0.8, \"high\": 1},"
             " \"accuracy\": null}, \"biomarkers\": {\"margin\": {\"r2\": {\"value\": 0.75}}}}");
  write_fold(
      2, "{\"malignancy\": {\"n\": 11, \"auroc\": {\"value\": 0.8, \"low\": 0.7, \"high\": 0.9}},"
         " \"biomarkers\": {\"margin\": {\"r2\": {\"value\": 0.5}}}}");
  struct lc_text table = {0};
  assert_ok(pl_folds_summarise(folder, 3, &table, &test_err));
  char path[512];
  snprintf(path, sizeof path, "%s/folds.json", folder);
  json_t *root = json_load_file(path, 0, NULL);
  assert_non_null(root);
  const json_t *measures = json_object_get(root, "measures");
  assert_near(number(measures, "malignancy.auroc", "mean"), 0.8, 1e-9);
  assert_near(number(measures, "malignancy.auroc", "deviation"), 0.1, 1e-9);
  assert_near(number(measures, "biomarkers.margin.r2", "mean"), 0.5, 1e-9);
  assert_near(number(measures, "biomarkers.margin.r2", "deviation"), 0.25, 1e-9);
  assert_near(number(measures, "malignancy.accuracy", "mean"), 0.5, 1e-9);
  assert_true(isnan(number(measures, "malignancy.accuracy", "deviation"))); /* of one fold */
  assert_null(json_object_get(measures, "malignancy.n"));
  assert_int_equal(json_object_size(measures), 3);
  json_decref(root);
  assert_non_null(strstr(lc_text_get(&table), "0.8000    0.1000    0.7000    0.9000"));
  lc_text_free(&table);
  char *csv;
  size_t count;
  snprintf(path, sizeof path, "%s/folds.csv", folder);
  assert_ok(lc_file_read(path, 1 << 16, &csv, &count, &test_err));
  assert_non_null(strstr(csv, "measure,mean,deviation,fold_0,fold_1,fold_2\n"
                              "malignancy.auroc,0.8,0.1,0.7,0.9,0.8\n"));
  assert_non_null(strstr(csv, "\nmalignancy.accuracy,0.5,,0.5,,\n"));
  free(csv);
  write_fold(1, "{");
  struct lc_text none = {0};
  assert_fails(pl_folds_summarise(folder, 3, &none, &test_err), LC_ERR_FORMAT,
               "fold-1/evaluation.json");
  lc_text_free(&none);
  assert_ok(lc_folder_remove(folder, &test_err));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(means_and_deviations_by_hand)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
