/* Writes all files of a measurement into a folder. */
#include "pipeline/learn/pl_measured.h"

#include "common/lc_file.h"
#include "common/lc_scope.h"
#include "pipeline/report/pl_table.h"

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
  LC_TRY(pl_measured_h5(m, path, err));
  return pl_measured_pictures(m, folder, err);
}
