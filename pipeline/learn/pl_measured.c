/* Writes all files of a measurement into a folder. */
#include "pipeline/learn/pl_measured.h"

#include <stdio.h>

#include "common/lc_file.h"

static lc_status write_text(const char *folder, const char *name, struct lc_text *text,
                            struct lc_error *err) {
  char path[LC_PATH_SIZE];
  lc_status status = lc_path_join(path, folder, name, err);
  if (status == LC_OK && text->failed)
    status = lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "%s: out of memory", path);
  if (status == LC_OK) status = lc_file_write(path, lc_text_get(text), text->length, err);
  lc_text_free(text);
  return status;
}

lc_status pl_measured_write(const struct pl_measured *m, const char *folder, struct lc_error *err) {
  struct lc_text table = {0}, json = {0}, csv = {0};
  char path[LC_PATH_SIZE];
  pl_evaluation_print(m->evaluation, &table);
  LC_TRY(write_text(folder, "evaluation.txt", &table, err));
  pl_evaluation_json(m->evaluation, &json);
  LC_TRY(write_text(folder, "evaluation.json", &json, err));
  pl_predictions_csv(m->examples, m->predictions, &csv);
  LC_TRY(write_text(folder, "predictions.csv", &csv, err));
  LC_TRY(lc_path_join(path, folder, "evaluation.h5", err));
  LC_TRY(pl_measured_h5(m, path, err));
  return pl_measured_pictures(m, folder, err);
}
