/* Runs the main job on each series of the input and counts failures. */
#include "pipeline/run/pl_batch.h"
#include "ct_io/dicom_read/ct_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/run/pl_artifacts.h"
#include "pipeline/run/pl_job.h"
#include "pipeline/run/pl_reference.h"
#include "pipeline/store/pl_store.h"

/* What one run holds while it goes. */
struct running {
  struct pl_batch *batch;
  const struct pl_config *config;
  enum pl_existing existing;
  struct pl_job job;
  struct pl_output output;
  const struct ct_index *index;
  const struct ct_series **chosen;
  size_t n_chosen;
};

static void running_free(struct running *running) {
  pl_job_close(&running->job);
  free(running->chosen);
}

static lc_status scan(const struct pl_config *config, struct ct_index *index,
                      struct lc_error *err) {
  if (config->input_paths.n == 0)
    LC_FAIL(err, LC_ERR_CONFIG, "no input: give --input DIR or input.paths");
  const struct ct_index_rules rules = {config->input_assume_hu, config->input_allow_missing};
  LC_SCOPED(pl_progress_end) struct pl_progress progress;
  pl_progress_start(&progress, "reading headers", "files", 0);
  return ct_index_scan(index, (const char *const *)config->input_paths.items, config->input_paths.n,
                       &rules, &progress.progress, err);
}

static lc_status choose(const struct pl_config *config, struct ct_index *index,
                        const struct ct_series ***chosen, size_t *n, struct lc_error *err) {
  const char *which = config->input_series;
  *chosen = NULL;
  *n = 0;
  memset(index, 0, sizeof *index);
  LC_TRY(scan(config, index, err));
  LC_TRY(lc_alloc(chosen, index->n_series + 1, sizeof(const struct ct_series *), err));
  if (strcmp(which, "all") != 0) {
    *n = 1;
    return ct_index_choose(index, strcmp(which, "only") == 0 ? NULL : which, *chosen, err);
  }
  for (size_t i = 0; i < index->n_series; i++)
    if (index->series[i].verdict != CT_REFUSED) (*chosen)[(*n)++] = &index->series[i];
  if (*n > 0) return LC_OK;
  return ct_index_choose(index, NULL, *chosen, err); /* says why none can be used */
}

lc_status pl_batch_choose(const struct pl_config *config, struct ct_index *index,
                          const struct ct_series ***chosen, size_t *n, struct lc_error *err) {
  LC_TRY(choose(config, index, chosen, n, err));
  return pl_reference_apply(config->input_reference, index, *chosen, *n, err);
}

/* The series' UID; parts of one series, and series of two studies that share it, are numbered among
 * those of the input, whichever of them are worked on. What is there of another study is not
 * replaced without being asked to. */
static lc_status target_of(const struct running *running, const struct ct_series *series,
                           char name[129], char path[LC_PATH_SIZE], struct lc_error *err) {
  int number = ct_index_number(running->index, series);
  do {
    pl_output_name_of(name, series->series_instance_uid, number++);
    LC_TRY(lc_path_join(path, running->output.folder, name, err));
  } while (running->existing == PL_EXISTING_RESUME &&
           pl_store_is_of_other(path, series->study_instance_uid));
  return LC_OK;
}

/* Before any work: what would be refused at the end is refused now. */
static lc_status check_existing(const struct running *running, struct lc_error *err) {
  if (running->existing != PL_EXISTING_REFUSE) return LC_OK;
  for (size_t i = 0; i < running->n_chosen; i++) {
    char name[129], path[LC_PATH_SIZE];
    LC_TRY(target_of(running, running->chosen[i], name, path, err));
    if (lc_file_exists(path))
      LC_FAIL(err, LC_ERR_EXISTS,
              "%s: exists; --overwrite replaces it, --resume keeps it when it "
              "was made from the same input, weights and configuration",
              path);
  }
  return LC_OK;
}

/* True when a complete result of the same input, patient and study, weights and configuration lies
 * there. */
static bool can_keep(struct running *running, struct pl_result *result, const char *path) {
  char store[LC_PATH_SIZE], found[LC_SHA256_HEX], voxels[LC_SHA256_HEX], identity[LC_SHA256_HEX];
  if (running->existing != PL_EXISTING_RESUME || !lc_file_exists(path)) return false;
  if (lc_path_join(store, path, PL_STORE_FILE, NULL) != LC_OK || !lc_file_exists(store))
    return false;
  if (pl_store_read_key(store, found, voxels, identity, NULL) != LC_OK) return false;
  if (*identity && strcmp(result->identity_sha256, identity) != 0)
    lc_log(LC_LOG_WARNING, "%s: is replaced: " PL_OTHER_IDENTITY, path);
  return strcmp(result->key, found) == 0 && pl_job_hash(&running->job, result, NULL) == LC_OK &&
         strcmp(result->voxels_sha256, voxels) == 0;
}

static lc_status make(struct running *running, struct pl_result *result, const char *name,
                      struct lc_error *err) {
  LC_TRY(pl_job_compute(&running->job, result, err));
  LC_SCOPED(pl_draft_discard) struct pl_draft draft = {.lock = -1};
  LC_TRY(pl_draft_begin(&draft, &running->output, name, err));
  LC_TRY(pl_artifacts_write(running->config, result, draft.folder, err));
  LC_TRY(pl_signal_check(err));
  LC_TRY(pl_draft_publish(&draft, running->existing != PL_EXISTING_REFUSE, err));
  pl_summary_add(&running->batch->summary, result);
  running->batch->n_done++;
  running->batch->n_left_out += result->n_left_out;
  lc_log(LC_LOG_INFO, "%s: %zu nodule%s", draft.target, result->nodules.n_nodules,
         result->nodules.n_nodules == 1 ? "" : "s");
  return LC_OK;
}

static lc_status one_series(struct running *running, const struct ct_series *series,
                            struct lc_error *err) {
  char name[129], path[LC_PATH_SIZE];
  LC_TRY(target_of(running, series, name, path, err));
  lc_text_copy(running->batch->last, sizeof running->batch->last, name);
  LC_SCOPED(pl_result_free) struct pl_result result = {0};
  LC_TRY(pl_job_find(&running->job, series, &result, err));
  if (can_keep(running, &result, path)) {
    running->batch->n_kept++;
    lc_log(LC_LOG_INFO, "%s: kept, made from the same input, weights and configuration", path);
  } else
    LC_TRY(make(running, &result, name, err));
  return LC_OK;
}

/* Failures that would meet every other series too. */
static bool ends_run(lc_status status) {
  return status == LC_ERR_INTERRUPTED || status == LC_ERR_NO_SPACE ||
         status == LC_ERR_NOT_WRITABLE || status == LC_ERR_MEMORY || status == LC_ERR_INTERNAL;
}

static lc_status all_series(struct running *running, struct lc_error *err) {
  struct pl_batch *batch = running->batch;
  for (size_t i = 0; i < running->n_chosen; i++) {
    LC_TRY(pl_signal_check(err));
    lc_status status = one_series(running, running->chosen[i], err);
    if (status == LC_OK) continue;
    if (running->n_chosen == 1 || ends_run(status)) return status;
    lc_log(LC_LOG_ERROR, "%s (%s)", err->message, lc_status_name(status));
    if (status == LC_ERR_NO_NODULES)
      batch->n_without++;
    else
      batch->n_failed++;
  }
  if (batch->n_failed > 0)
    LC_FAIL(err, LC_ERR_PARTIAL, "%zu of %zu series failed; the results of the others are complete",
            batch->n_failed, running->n_chosen);
  if (batch->n_left_out > 0)
    LC_FAIL(err, LC_ERR_PARTIAL,
            "%zu nodule%s could not be cut and %s left out; the others are in "
            "the results",
            batch->n_left_out, batch->n_left_out == 1 ? "" : "s",
            batch->n_left_out == 1 ? "is" : "are");
  return running->config->input_allow_missing ? LC_OK
                                              : ct_index_check_readable(running->index, err);
}

static lc_status work(struct running *running, struct lc_error *err) {
  LC_TRY(pl_output_open(&running->output, running->config->output_folder, err));
  lc_status status = check_existing(running, err);
  if (status == LC_OK) status = all_series(running, err);
  if (running->batch->n_done + running->batch->n_kept > 0) {
    struct lc_error why;
    lc_status master = pl_store_write_master(running->output.folder, &why);
    if (status == LC_OK && master != LC_OK) *err = why;
    if (status == LC_OK) status = master;
  }
  pl_output_close(&running->output);
  return status;
}

lc_status pl_batch_run(struct pl_batch *batch, const struct pl_config *config,
                       enum pl_existing existing, struct lc_error *err) {
  memset(batch, 0, sizeof *batch);
  LC_SCOPED(ct_index_free) struct ct_index index = {0};
  LC_SCOPED(running_free)
  struct running running = {
      .batch = batch, .config = config, .existing = existing, .index = &index};
  struct lc_error own;
  if (!err) err = &own;
  LC_TRY(pl_batch_choose(config, &index, &running.chosen, &running.n_chosen, err));
  LC_TRY(pl_job_open(&running.job, config, NULL, err));
  running.job.at_hand = running.chosen;
  running.job.n_at_hand = running.n_chosen;
  running.job.finder.index = &index;
  batch->trained = running.job.model.trained;
  memcpy(batch->weights_sha256, running.job.model.weights_sha256, sizeof batch->weights_sha256);
  pl_summary_init(&batch->summary, &running.job.model.arch);
  batch->has_summary = true;
  return work(&running, err);
}

void pl_batch_free(struct pl_batch *batch) {
  pl_summary_free(&batch->summary);
  memset(batch, 0, sizeof *batch);
}
