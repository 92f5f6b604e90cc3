/* Runs the judging: keeps the items that are there and computes the missing ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_log.h"
#include "common/lc_parallel.h"
#include "common/lc_scope.h"
#include "pipeline/judge/pl_judged.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"

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

/* Above this a thread's memory, not its time, is what is short: items go one by one, each with all
 * threads. */
#define PATCHES_SIDE_BY_SIDE 256

/* Items that are judged side by side; files are read and written by one thread. */
struct round {
  struct pl_judged *judged;
  size_t n, *items;
  lc_status *status;
  struct lc_error *errors;
};

static void round_free(struct round *round) {
  free(round->items);
  free(round->status);
  free(round->errors);
}

static void judge_body(void *context, size_t i, int worker) {
  struct round *round = context;
  (void)worker;
  size_t item = round->items[i];
  round->status[i] =
      pl_judge_item(round->judged->judge, item, &round->judged->scored[item], &round->errors[i]);
}

static lc_status path_of(const struct pl_judge *judge, size_t item, const char *folder,
                         char path[LC_PATH_SIZE], struct lc_error *err) {
  char name[32];
  snprintf(name, sizeof name, "%06u.h5", judge->items[item]);
  return lc_path_join(path, folder, name, err);
}

/* What is done is written even when another item of the round failed. */
static lc_status run_round(struct round *round, const char *folder, struct lc_progress *progress,
                           struct lc_error *err) {
  const struct pl_judge *judge = round->judged->judge;
  lc_status failed = LC_OK;
  LC_TRY(pl_signal_check(err));
  lc_parallel_for(round->n, judge_body, round);
  for (size_t i = 0; i < round->n; i++) {
    char path[LC_PATH_SIZE];
    if (round->status[i] != LC_OK) {
      if (failed == LC_OK && err) *err = round->errors[i];
      if (failed == LC_OK) failed = round->status[i];
      continue;
    }
    LC_TRY(path_of(judge, round->items[i], folder, path, err));
    LC_TRY(pl_scored_item_write(judge, round->items[i], &round->judged->scored[round->items[i]],
                                path, err));
    lc_progress_step(progress, 1);
  }
  round->n = 0;
  return failed;
}

/* Reads what was judged before; the others are judged in rounds. */
static lc_status go_through(struct round *round, size_t side_by_side, const char *folder,
                            struct lc_progress *progress, struct lc_error *err) {
  const struct pl_judge *judge = round->judged->judge;
  size_t n_kept = 0;
  for (size_t i = 0; i < judge->n_items; i++) {
    char path[LC_PATH_SIZE];
    bool kept = false;
    LC_TRY(path_of(judge, i, folder, path, err));
    LC_TRY(pl_scored_item_init(&round->judged->scored[i], judge, err));
    LC_TRY(pl_scored_item_read(judge, i, path, &round->judged->scored[i], &kept, err));
    if (kept) {
      n_kept++;
      lc_progress_step(progress, 1);
      continue;
    }
    round->items[round->n++] = i;
    if (round->n == side_by_side) LC_TRY(run_round(round, folder, progress, err));
  }
  if (round->n > 0) LC_TRY(run_round(round, folder, progress, err));
  if (n_kept > 0)
    lc_log(LC_LOG_INFO, "%zu of %zu nodules were judged before", n_kept, judge->n_items);
  return LC_OK;
}

static lc_status all_items(struct pl_judged *judged, const char *folder, struct lc_error *err) {
  const struct pl_judge *judge = judged->judge;
  struct pl_progress progress;
  LC_SCOPED(pl_output_close) struct pl_output opened = {0}; /* removes what a killed run left */
  char items[LC_PATH_SIZE];
  size_t side = judge->patches <= PATCHES_SIDE_BY_SIDE ? (size_t)lc_threads() : 1;
  LC_SCOPED(round_free) struct round round = {.judged = judged};
  LC_TRY(lc_path_join(items, folder, "items", err));
  LC_TRY(pl_output_open(&opened, items, err));
  LC_TRY(lc_alloc(&judged->scored, judge->n_items, sizeof *judged->scored, err));
  LC_TRY(lc_alloc(&round.items, side, sizeof *round.items, err));
  LC_TRY(lc_alloc(&round.status, side, sizeof *round.status, err));
  LC_TRY(lc_alloc(&round.errors, side, sizeof *round.errors, err));
  pl_progress_start(&progress, "judging", "nodules", judge->n_items);
  lc_status status = go_through(&round, side, items, &progress.progress, err);
  pl_progress_end(&progress);
  return status;
}

lc_status pl_judge_run(const struct pl_judge_config *config, enum pl_existing existing,
                       struct lc_text *summary, struct lc_error *err) {
  LC_SCOPED(pl_judge_free) struct pl_judge judge = {0};
  LC_SCOPED(pl_judged_free) struct pl_judged judged = {.judge = &judge};
  LC_SCOPED(pl_output_close) struct pl_output output = {0};
  LC_TRY(pl_judge_init(&judge, config, err));
  LC_TRY(pl_output_open(&output, config->output_folder, err));
  LC_TRY(check_existing(output.folder, existing, err));
  LC_TRY(all_items(&judged, output.folder, err));
  LC_TRY(pl_judged_contests(&judged, err));
  LC_TRY(pl_judged_write(&judged, output.folder, err));
  return summary ? pl_judged_print(&judged, summary, err) : LC_OK;
}
