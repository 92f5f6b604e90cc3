/* Trains once for each fold into a folder of its own and sums up the results. */
#include "pipeline/learn/pl_folds.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/lc_file.h"
#include "common/lc_log.h"
#include "pipeline/learn/pl_training.h"
#include "pipeline/store/pl_dataset.h"

static lc_status count_folds(const struct pl_recipe *r, size_t *n, struct lc_error *err) {
  struct pl_dataset dataset;
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
  pl_dataset_free(&dataset);
  if (most < 1) LC_FAIL(err, LC_ERR_CONFIG, "%s: holds no folds", r->data_crops);
  *n = (size_t)most + 1;
  return LC_OK;
}

static lc_status fold_folder(const char *folder, size_t fold, char out[LC_PATH_SIZE],
                             struct lc_error *err) {
  char name[32];
  snprintf(name, sizeof name, "fold-%zu", fold);
  return lc_path_join(out, folder, name, err);
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
