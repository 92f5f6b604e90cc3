/* Moves complete series to work, runs the job on one at a time, and files each under done or
 * quarantine with its outcome. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/dicom_read/ct_files.h"
#include "pipeline/delivery/pl_serve.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/store/pl_output.h"

#define LOOK_EVERY_S 0.5
#define EXPIRE_EVERY_S 60
#define HOLD_S 60       /* after a failure that is not the series' */
#define ATTEMPTS_MOST 3 /* of a series whose job crashes or runs out of memory */

lc_status pl_serve_series_start(struct pl_serve_series *series, struct pl_spool *spool,
                                struct pl_serve_sending *sending,
                                const struct pl_serve_options *options, struct lc_error *err) {
  LC_SCOPED(pl_spool_list_free) struct pl_spool_list list = {0};
  size_t n[PL_SPOOL_PLACES] = {0};
  memset(series, 0, sizeof *series);
  series->sending = sending;
  series->options = options;
  series->spool = spool;
  series->began_ms = pl_now_ms();
  series->descriptor = -1;
  LC_TRY(pl_spool_list(spool, &list, err));
  for (size_t i = 0; i < list.n; i++) n[list.items[i].place]++;
  if (n[PL_SPOOL_WORK] + n[PL_SPOOL_RECEIVING] > 0)
    lc_log(LC_LOG_INFO, "%s: %zu series wait and %zu are not complete, from before", spool->folder,
           n[PL_SPOOL_WORK], n[PL_SPOOL_RECEIVING]);
  return LC_OK;
}

bool pl_serve_series_busy(const struct pl_serve_series *series) {
  return series->child > 0;
}

/* What a series is called in the log. */
static const char *name_of(const struct pl_spool_series *one) {
  return one->series_instance_uid[0] ? one->series_instance_uid : one->name;
}

static bool finish(struct pl_serve_series *series, struct pl_spool_series *one,
                   enum pl_spool_place to, const char *outcome, lc_status status,
                   const char *reason) {
  struct lc_error err;
  lc_text_copy(one->outcome, sizeof one->outcome, outcome);
  lc_text_copy(one->status, sizeof one->status, lc_status_name(status));
  lc_text_copy(one->reason, sizeof one->reason, reason);
  if (pl_spool_finish(series->spool, one, to, &err) == LC_OK) return true;
  lc_log(LC_LOG_ERROR, "%s", err.message);
  series->hold_until = pl_now_s() + HOLD_S; /* the series stays where it was */
  return false;
}

static bool quarantine(struct pl_serve_series *series, struct pl_spool_series *one,
                       lc_status status, const char *reason) {
  one->results[0] = '\0';
  if (!finish(series, one, PL_SPOOL_QUARANTINE, "quarantined", status, reason)) return false;
  lc_log(LC_LOG_ERROR, "series %s: to quarantine as %s: %s (%s)", name_of(one), one->name, reason,
         lc_status_name(status));
  struct lc_error err;
  if (pl_spool_bound_quarantine(series->spool, &err) != LC_OK)
    lc_log(LC_LOG_ERROR, "%s", err.message);
  return true;
}

static void hold(struct pl_serve_series *series, const struct pl_spool_series *one,
                 const struct pl_serve_outcome *outcome) {
  series->hold_until = pl_now_s() + HOLD_S;
  lc_log(LC_LOG_ERROR, "series %s waits %d s: %s (%s)", name_of(one), HOLD_S, outcome->message,
         lc_status_name(outcome->status));
}

/* The folder of a series' results. */
static void result_of(const struct pl_serve_series *series, const struct pl_serve_outcome *outcome,
                      char path[LC_PATH_SIZE]) {
  const char *folder = series->options->config->output_folder;
  if (lc_path_join(path, folder, outcome->result, NULL) != LC_OK) path[0] = '\0';
}

/* Files that hold nodules: the images that they are of are worked on, now or when they come. */
static void nodules_came(struct pl_serve_series *series, struct pl_spool_series *one,
                         const struct pl_serve_outcome *outcome) {
  struct lc_error err;
  size_t n_woken = 0, n_wait = 0;
  if (!finish(series, one, PL_SPOOL_DONE, PL_SPOOL_NODULES, LC_OK, "")) return;
  if (pl_spool_wake(series->spool, one->name, &n_woken, &n_wait, &err) != LC_OK) {
    lc_log(LC_LOG_ERROR, "%s", err.message);
    return;
  }
  lc_log(LC_LOG_INFO,
         "series %s: %lld objects (%s), %zu marks: %zu series of images are worked on%s",
         name_of(one), one->objects, one->modality, outcome->n_marks, n_woken + n_wait,
         n_woken + n_wait ? "" : ", it waits for them");
}

static void relate(const struct pl_serve_series *series, const struct pl_spool_series *one,
                   const struct pl_serve_outcome *outcome) {
  const char *uids[PL_OUTCOME_UIDS];
  struct lc_error err;
  for (size_t i = 0; i < outcome->n_uids; i++) uids[i] = outcome->uids[i];
  if (outcome->n_uids > 0 &&
      pl_spool_relate(series->spool, one->name, uids, outcome->n_uids, &err) != LC_OK)
    lc_log(LC_LOG_ERROR, "%s", err.message);
}

static void done(struct pl_serve_series *series, struct pl_spool_series *one,
                 const struct pl_serve_outcome *outcome) {
  one->results[0] = '\0';
  if (outcome->is == PL_RECEIVED_NODULES) {
    nodules_came(series, one, outcome);
    return;
  }
  if (outcome->is != PL_RECEIVED_IMAGES) {
    bool own = outcome->is == PL_RECEIVED_OWN;
    if (finish(series, one, PL_SPOOL_DONE, own ? "own results" : "no images", LC_OK, ""))
      lc_log(LC_LOG_INFO, "series %s: %lld objects (%s), %s", name_of(one), one->objects,
             one->modality, own ? "results of lungcdam itself: ignored" : "tells of no nodules");
    return;
  }
  if (outcome->status != LC_OK) {
    if (finish(series, one, PL_SPOOL_DONE, PL_SPOOL_WITHOUT, outcome->status, outcome->message))
      lc_log(LC_LOG_INFO, "series %s: %lld objects, no nodules yet (waits %g s for them): %s",
             name_of(one), one->objects, series->options->nodule_wait_s, outcome->message);
    return;
  }
  series->sending->pending = true;
  result_of(series, outcome, one->results);
  if (finish(series, one, PL_SPOOL_DONE, outcome->n_kept ? "kept" : "done", LC_OK, ""))
    lc_log(LC_LOG_INFO, "series %s: %lld objects, %s: %s", name_of(one), one->objects,
           outcome->n_kept ? "results kept" : "done", one->results);
}

/* May the same job work at another time? */
static bool may_be_chance(lc_status status) {
  return status == LC_ERR_INTERNAL || status == LC_ERR_MEMORY;
}

bool pl_serve_series_ended(struct pl_serve_series *series, pid_t child, int wait_status) {
  if (series->child <= 0 || child != series->child) return false;
  struct pl_serve_outcome outcome;
  struct pl_spool_series one = series->running;
  pl_serve_job_end(series->descriptor, wait_status, &outcome);
  bool overtime = series->overtime && outcome.status != LC_OK;
  if (overtime) {
    outcome.status = LC_ERR_MEMORY;
    snprintf(outcome.message, sizeof outcome.message, "the job took more than %d s and was ended",
             series->options->bounds.job_s);
  }
  series->running.name[0] = '\0';
  series->child = 0;
  series->descriptor = -1;
  series->looked = 0; /* for the next */
  if (outcome.series_instance_uid[0]) {
    memcpy(one.series_instance_uid, outcome.series_instance_uid, CT_UID_SIZE);
    memcpy(one.study_instance_uid, outcome.study_instance_uid, CT_UID_SIZE);
    memcpy(one.modality, outcome.modality, sizeof one.modality);
  }
  relate(series, &one, &outcome);
  bool images = outcome.is == PL_RECEIVED_IMAGES;
  if (outcome.status == LC_OK || outcome.status == LC_ERR_NO_NODULES ||
      (images && outcome.status == LC_ERR_MISMATCH))
    done(series, &one, &outcome);
  else if (outcome.is_environment ||
           (!overtime && may_be_chance(outcome.status) && series->attempts < ATTEMPTS_MOST))
    hold(series, &one, &outcome);
  else
    (void)quarantine(series, &one, outcome.status, outcome.message);
  return true;
}

/* The DICOM objects of a result. */
static void audit_made(struct pl_audit *audit, const char *result) {
  static const char *const folders[] = {"captures", "objects"};
  struct pl_audit_studies studies = {.n = 0};
  for (size_t k = 0; k < sizeof folders / sizeof *folders; k++) {
    LC_SCOPED(ct_files_free) struct ct_files files = {0};
    char folder[LC_PATH_SIZE];
    struct ct_identity made;
    if (lc_path_join(folder, result, folders[k], NULL) != LC_OK || !lc_folder_exists(folder) ||
        ct_files_walk(&files, folder, NULL, NULL, NULL) != LC_OK)
      continue;
    for (size_t i = 0; i < files.count; i++)
      if (ct_identity_read(&made, files.paths[i], NULL) == LC_OK)
        (void)pl_audit_add(&studies, made.study_instance_uid, made.patient_id, made.sop_class_uid);
  }
  pl_audit_made(audit, &studies);
}

/* The folders of the files that hold nodules of a series; NULL-ended. */
static lc_status list_sources(struct pl_spool *spool, const char *name,
                              char (**folders)[LC_PATH_SIZE], const char **sources,
                              struct lc_error *err) {
  LC_FREED struct pl_spool_names *names = NULL;
  LC_TRY(lc_alloc(&names, 1, sizeof *names, err));
  LC_TRY(pl_spool_sources(spool, name, names, err));
  LC_TRY(lc_alloc(folders, names->n + 1, sizeof **folders, err));
  for (size_t i = 0; i < names->n; i++) {
    pl_spool_folder(spool, false, names->items[i], (*folders)[i]);
    sources[i] = (*folders)[i];
  }
  sources[names->n] = NULL;
  return LC_OK;
}

static void work(void *context, struct pl_serve_outcome *outcome) {
  const struct pl_serve_series *series = context;
  const struct pl_spool_series *one = &series->running;
  char folder[LC_PATH_SIZE];
  pl_spool_folder(series->spool, false, one->name, folder);
  pl_serve_identify(folder, outcome);
  if (outcome->is == PL_RECEIVED_OWN) return;
  if (outcome->is != PL_RECEIVED_IMAGES) {
    pl_serve_nodules(folder, outcome);
    return;
  }
  relate(series, one, outcome);
  LC_FREED char(*folders)[LC_PATH_SIZE] = NULL;
  const char *sources[PL_SPOOL_SOURCES_MOST + 1];
  struct lc_error err;
  outcome->status = list_sources(series->spool, one->name, &folders, sources, &err);
  if (outcome->status != LC_OK) {
    memcpy(outcome->message, err.message, sizeof outcome->message);
    outcome->is_environment = true;
    return;
  }
  pl_spool_rest(series->spool);
  pl_serve_job(series->options->config, folder, sources, outcome);
  char result[LC_PATH_SIZE];
  if (outcome->status != LC_OK) return;
  result_of(series, outcome, result);
  if (series->options->audit && outcome->n_done > 0) audit_made(series->options->audit, result);
  if (series->options->destinations->n == 0) return;
  outcome->status = pl_serve_send_queue(series->sending, result, &err);
  if (outcome->status == LC_OK) return;
  memcpy(outcome->message, err.message, sizeof outcome->message);
  outcome->is_environment = true;
}

static void start_next(struct pl_serve_series *series) {
  struct lc_error err;
  struct pl_spool_series *next = &series->running;
  if (pl_spool_next(series->spool, next, &err) != LC_OK) {
    lc_log(LC_LOG_ERROR, "%s", err.message);
    next->name[0] = '\0';
    series->hold_until = pl_now_s() + HOLD_S;
  }
  if (!next->name[0]) return;
  if (strcmp(series->tried, next->name) != 0) series->attempts = 0;
  memcpy(series->tried, next->name, sizeof series->tried);
  series->attempts++;
  pl_spool_rest(series->spool);
  long child =
      pl_serve_job_start(work, series, series->options->bounds.job_bytes, &series->descriptor);
  if (child > 0) {
    series->child = (pid_t)child;
    series->job_began = pl_now_s();
    series->overtime = false;
    return;
  }
  lc_log(LC_LOG_ERROR, "no process for a job: %s", strerror(errno));
  next->name[0] = '\0';
  series->hold_until = pl_now_s() + HOLD_S;
}

void pl_serve_series_watch(struct pl_serve_series *series) {
  int most = series->options->bounds.job_s;
  if (series->child <= 0 || most == 0 || series->overtime || pl_now_s() - series->job_began < most)
    return;
  series->overtime = true;
  kill(series->child, SIGKILL);
}

/* Everything that is complete moves on. */
static void complete(struct pl_serve_series *series) {
  for (;;) {
    struct pl_spool_series one;
    struct lc_error err = {{0}};
    lc_status status = pl_spool_complete(series->spool, series->options->quiet_s, series->began_ms,
                                         series->running.name, &one, &err);
    if (status == LC_OK && !one.name[0]) return;
    if (status == LC_OK) {
      lc_log(LC_LOG_DEBUG, "%s: complete", one.name);
      continue;
    }
    if (status != LC_ERR_MISMATCH) {
      lc_log(LC_LOG_ERROR, "%s", err.message);
      series->looked = pl_now_s() + HOLD_S;
      return;
    }
    if (!quarantine(series, &one, status, err.message)) return;
  }
}

/* Images for which no nodules came in time. */
static void give_up(struct pl_serve_series *series) {
  struct pl_spool_series one;
  struct lc_error err;
  for (;;) {
    if (pl_spool_given_up(series->spool, series->options->nodule_wait_s, &one, &err) != LC_OK) {
      lc_log(LC_LOG_ERROR, "%s", err.message);
      return;
    }
    if (!one.name[0]) return;
    char reason[LC_ERROR_SIZE];
    lc_text_copy(reason, sizeof reason, one.reason);
    if (!finish(series, &one, PL_SPOOL_DONE, "no nodules", LC_ERR_NO_NODULES, reason)) return;
    lc_log(LC_LOG_WARNING, "series %s: no nodules came in %g s: %s", name_of(&one),
           series->options->nodule_wait_s, reason);
  }
}

void pl_serve_series_step(struct pl_serve_series *series) {
  struct lc_error err;
  double now = pl_now_s();
  if (now - series->expired >= EXPIRE_EVERY_S) {
    series->expired = now;
    if (pl_spool_expire(series->spool, &err) != LC_OK ||
        pl_spool_bound_quarantine(series->spool, &err) != LC_OK)
      lc_log(LC_LOG_ERROR, "%s", err.message);
  }
  if (now - series->looked < LOOK_EVERY_S) return;
  series->looked = now;
  complete(series);
  give_up(series);
  if (series->child <= 0 && pl_now_s() >= series->hold_until) start_next(series);
}
