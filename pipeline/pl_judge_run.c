/* The run: what is there is kept, what is missing is made, then everything is put together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lc_arena.h"
#include "lc_log.h"
#include "pl_judge.h"
#include "pl_progress.h"
#include "pl_signal.h"

static const char *const results[] = {"summary.csv", "differences.csv", "items.csv",
                                      "judge.h5",    "report.html",     "items"};

/* Before any work: what would be refused at the end is refused now. */
static lc_status check_existing(const char *folder, enum pl_existing existing,
                                struct lc_error *err) {
  for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
    char path[LC_PATH_SIZE];
    LC_TRY(lc_path_join(path, folder, results[i], err));
    if (!lc_file_exists(path)) continue;
    if (existing == PL_EXISTING_REFUSE)
      LC_FAIL(err, LC_ERR_EXISTS,
              "%s: exists; --overwrite replaces it, --resume keeps items that were judged by the "
              "same settings",
              path);
    if (existing == PL_EXISTING_OVERWRITE) LC_TRY(lc_folder_remove(path, err));
  }
  return LC_OK;
}

static lc_status one_item(const struct pl_judge *judge, size_t item, const char *folder,
                          struct pl_verdict *verdict, bool *kept, struct lc_error *err) {
  char path[LC_PATH_SIZE], name[32];
  snprintf(name, sizeof name, "%06u.h5", judge->items[item]);
  LC_TRY(lc_path_join(path, folder, name, err));
  LC_TRY(pl_verdict_init(verdict, judge, err));
  LC_TRY(pl_verdict_read(judge, item, path, verdict, kept, err));
  if (*kept) return LC_OK;
  LC_TRY(pl_signal_check(err));
  LC_TRY(pl_judge_item(judge, item, verdict, err));
  return pl_verdict_write(judge, item, verdict, path, err);
}

static lc_status all_items(struct pl_judged *judged, const char *folder, struct lc_error *err) {
  const struct pl_judge *judge = judged->judge;
  struct pl_progress progress;
  char items[LC_PATH_SIZE];
  size_t n_kept = 0;
  struct pl_output opened; /* removes what a killed run left */
  LC_TRY(lc_path_join(items, folder, "items", err));
  LC_TRY(pl_output_open(&opened, items, err));
  LC_TRY(lc_alloc(&judged->verdicts, judge->n_items, sizeof *judged->verdicts, err));
  pl_progress_start(&progress, "judging", "nodules", judge->n_items);
  lc_status status = LC_OK;
  for (size_t i = 0; i < judge->n_items && status == LC_OK; i++) {
    bool kept = false;
    status = one_item(judge, i, items, &judged->verdicts[i], &kept, err);
    n_kept += kept;
    if (status == LC_OK) lc_progress_step(&progress.progress, 1);
  }
  pl_progress_end(&progress);
  pl_output_close(&opened);
  if (n_kept > 0)
    lc_log(LC_LOG_INFO, "%zu of %zu nodules were judged before", n_kept, judge->n_items);
  return status;
}

lc_status pl_judge_run(const struct pl_judge_config *config, enum pl_existing existing,
                       struct lc_text *summary, struct lc_error *err) {
  struct pl_judge judge;
  struct pl_output output;
  LC_TRY(pl_judge_init(&judge, config, err));
  struct pl_judged judged = {.judge = &judge};
  lc_status status = pl_output_open(&output, config->output_folder, err);
  if (status != LC_OK) {
    pl_judge_free(&judge);
    return status;
  }
  status = check_existing(output.folder, existing, err);
  if (status == LC_OK) status = all_items(&judged, output.folder, err);
  if (status == LC_OK) status = pl_judged_contests(&judged, err);
  if (status == LC_OK) status = pl_judged_write(&judged, output.folder, err);
  if (status == LC_OK && summary) status = pl_judged_print(&judged, summary, err);
  pl_output_close(&output);
  pl_judged_free(&judged);
  pl_judge_free(&judge);
  return status;
}
