/* Moves complete series to work, runs the job on one at a time, and files each under done or
 * quarantine with its outcome. */
#include "pipeline/delivery/pl_serve_series.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/lc_log.h"
#include "common/lc_text.h"
#include "pipeline/delivery/pl_serve_job.h"
#include "pipeline/store/pl_output.h"

#define LOOK_EVERY_S 0.5
#define EXPIRE_EVERY_S 60
#define HOLD_S 60       /* after a failure that is not the series' */
#define ATTEMPTS_MOST 3 /* of a series whose job crashes or runs out of memory */

static double now_s(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

void pl_serve_series_start(struct pl_serve_series *series, struct pl_spool *spool,
                           struct pl_serve_sending *sending,
                           const struct pl_serve_options *options) {
  memset(series, 0, sizeof *series);
  series->sending = sending;
  series->options = options;
  series->spool = spool;
  series->began = now_s(CLOCK_REALTIME);
  series->descriptor = -1;
  size_t waiting = pl_spool_count(spool, PL_SPOOL_WORK);
  size_t open = pl_spool_count(spool, PL_SPOOL_RECEIVING);
  if (waiting + open > 0)
    lc_log(LC_LOG_INFO, "%s: %zu series wait and %zu are not complete, from before", spool->folder,
           waiting, open);
}

bool pl_serve_series_busy(const struct pl_serve_series *series) {
  return series->child > 0;
}

static void stamp(char out[32]) {
  time_t now = time(NULL);
  struct tm parts;
  gmtime_r(&now, &parts);
  strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

/* What came of a series, for people and programs. */
static lc_status describe(const struct pl_serve_outcome *outcome, const char *word,
                          const char *result, struct lc_text *out, struct lc_error *err) {
  char when[32], reason[LC_ERROR_SIZE];
  stamp(when);
  lc_text_copy(reason, sizeof reason, outcome->message);
  for (char *c = reason; *c; c++)
    if (*c < ' ' || *c > '~') *c = '?'; /* JSON is UTF-8, paths may be anything */
  json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "outcome", word, "status",
                           lc_status_name(outcome->status), "reason", reason, "SeriesInstanceUID",
                           outcome->series_instance_uid, "StudyInstanceUID",
                           outcome->study_instance_uid, "modality", outcome->modality, "objects",
                           (json_int_t)outcome->n_objects, "time", when);
  if (json && result) json_object_set_new(json, "results", json_string(result));
  char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
  json_decref(json);
  if (!text) LC_FAIL(err, LC_ERR_MEMORY, "no memory to say what came of a series");
  lc_text_add(out, "%s\n", text);
  free(text);
  if (out->failed) LC_FAIL(err, LC_ERR_MEMORY, "no memory to say what came of a series");
  return LC_OK;
}

/* Messages name files where the job found them; from now on they lie where the series goes. */
static void relocate(const struct pl_serve_series *series, const char *name,
                     enum pl_spool_place from, enum pl_spool_place to,
                     struct pl_serve_outcome *outcome) {
  char before[LC_PATH_SIZE], after[LC_PATH_SIZE];
  struct lc_text text = {0};
  pl_spool_path(series->spool, from, name, before);
  pl_spool_path(series->spool, to, name, after);
  const char *rest = outcome->message;
  for (const char *found; (found = strstr(rest, before)); rest = found + strlen(before)) {
    lc_text_add_bytes(&text, rest, (size_t)(found - rest));
    lc_text_add(&text, "%s", after);
  }
  lc_text_add(&text, "%s", rest);
  if (!text.failed) lc_text_copy(outcome->message, sizeof outcome->message, lc_text_get(&text));
  lc_text_free(&text);
}

static lc_status finish(struct pl_serve_series *series, const char *name,
                        struct pl_serve_outcome *outcome, enum pl_spool_place from,
                        enum pl_spool_place to, const char *word, const char *result) {
  struct lc_text text = {0};
  struct lc_error err;
  relocate(series, name, from, to, outcome);
  lc_status status = describe(outcome, word, result, &text, &err);
  if (status == LC_OK)
    status = pl_spool_finish(series->spool, name, from, to, lc_text_get(&text), &err);
  lc_text_free(&text);
  if (status == LC_OK) return LC_OK;
  lc_log(LC_LOG_ERROR, "%s", err.message);
  series->hold_until = now_s(CLOCK_MONOTONIC) + HOLD_S; /* the series stays where it was */
  return status;
}

static void quarantine(struct pl_serve_series *series, const char *name,
                       struct pl_serve_outcome *outcome, enum pl_spool_place from) {
  if (finish(series, name, outcome, from, PL_SPOOL_QUARANTINE, "quarantined", NULL) == LC_OK)
    lc_log(LC_LOG_ERROR, "series %s: to quarantine as %s: %s (%s)", outcome->series_instance_uid,
           name, outcome->message, lc_status_name(outcome->status));
}

static void hold(struct pl_serve_series *series, const struct pl_serve_outcome *outcome) {
  series->hold_until = now_s(CLOCK_MONOTONIC) + HOLD_S;
  lc_log(LC_LOG_ERROR, "series %s waits %d s: %s (%s)", outcome->series_instance_uid, HOLD_S,
         outcome->message, lc_status_name(outcome->status));
}

/* The folder of a series' results. */
static void result_of(const struct pl_serve_series *series, const struct pl_serve_outcome *outcome,
                      char path[LC_PATH_SIZE]) {
  char name[129];
  pl_output_name(name, outcome->series_instance_uid);
  if (lc_path_join(path, series->options->config->output_folder, name, NULL) != LC_OK)
    path[0] = '\0';
}

static void done(struct pl_serve_series *series, const char *name,
                 struct pl_serve_outcome *outcome) {
  char result[LC_PATH_SIZE];
  result_of(series, outcome, result);
  if (outcome->status != LC_OK) {
    if (finish(series, name, outcome, PL_SPOOL_WORK, PL_SPOOL_DONE, "without nodules", NULL) ==
        LC_OK)
      lc_log(LC_LOG_WARNING, "series %s: %zu objects, no nodules: %s", outcome->series_instance_uid,
             outcome->n_objects, outcome->message);
    return;
  }
  series->sending->pending = true;
  const char *word = outcome->n_kept ? "kept" : "done";
  if (finish(series, name, outcome, PL_SPOOL_WORK, PL_SPOOL_DONE, word, result) == LC_OK)
    lc_log(LC_LOG_INFO, "series %s: %zu objects, %s: %s", outcome->series_instance_uid,
           outcome->n_objects, outcome->n_kept ? "results kept" : "done", result);
}

/* May the same job work at another time? */
static bool may_be_chance(lc_status status) {
  return status == LC_ERR_INTERNAL || status == LC_ERR_MEMORY;
}

bool pl_serve_series_ended(struct pl_serve_series *series, pid_t child, int wait_status) {
  if (series->child <= 0 || child != series->child) return false;
  struct pl_serve_outcome outcome;
  char name[PL_SPOOL_NAME];
  pl_serve_job_end(series->descriptor, wait_status, &outcome);
  memcpy(name, series->running, sizeof name);
  series->running[0] = '\0';
  series->child = 0;
  series->descriptor = -1;
  if (!outcome.series_instance_uid[0])
    lc_text_copy(outcome.series_instance_uid, sizeof outcome.series_instance_uid, name);
  if (outcome.status == LC_OK || outcome.status == LC_ERR_NO_NODULES ||
      outcome.status == LC_ERR_MISMATCH)
    done(series, name, &outcome);
  else if (outcome.is_environment ||
           (may_be_chance(outcome.status) && series->attempts < ATTEMPTS_MOST))
    hold(series, &outcome);
  else
    quarantine(series, name, &outcome, PL_SPOOL_WORK);
  return true;
}

static void work(void *context, struct pl_serve_outcome *outcome) {
  const struct pl_serve_series *series = context;
  char folder[LC_PATH_SIZE];
  pl_spool_path(series->spool, PL_SPOOL_WORK, series->running, folder);
  pl_serve_job(series->options->config, folder, outcome);
  if (outcome->status != LC_OK || series->options->destinations->n == 0) return;
  struct lc_error err;
  char result[LC_PATH_SIZE];
  result_of(series, outcome, result);
  outcome->status = pl_serve_send_queue(series->sending, result, &err);
  if (outcome->status == LC_OK) return;
  memcpy(outcome->message, err.message, sizeof outcome->message);
  outcome->is_environment = true;
}

static void start_next(struct pl_serve_series *series) {
  char name[PL_SPOOL_NAME];
  pl_spool_oldest(series->spool, name);
  if (!name[0]) return;
  memcpy(series->running, name, sizeof name);
  if (strcmp(series->tried, name) != 0) series->attempts = 0;
  memcpy(series->tried, name, sizeof name);
  series->attempts++;
  long child = pl_serve_job_start(work, series, &series->descriptor);
  if (child > 0) {
    series->child = (pid_t)child;
    return;
  }
  lc_log(LC_LOG_ERROR, "no process for a job: %s", strerror(errno));
  series->running[0] = '\0';
  series->hold_until = now_s(CLOCK_MONOTONIC) + HOLD_S;
}

/* Everything in receiving/ that is complete moves on. */
static void complete(struct pl_serve_series *series) {
  const struct pl_serve_options *options = series->options;
  const char *running = series->running[0] ? series->running : NULL;
  for (;;) {
    char name[PL_SPOOL_NAME];
    struct lc_error err = {{0}};
    lc_status status =
        pl_spool_complete(series->spool, options->quiet_s, series->began, running, name, &err);
    if (!name[0]) return;
    if (status == LC_OK) {
      lc_log(LC_LOG_DEBUG, "%s: complete", name);
      continue;
    }
    struct pl_serve_outcome outcome = {.status = status};
    memcpy(outcome.message, err.message, sizeof outcome.message);
    lc_text_copy(outcome.series_instance_uid, sizeof outcome.series_instance_uid, name);
    if (status != LC_ERR_MISMATCH) {
      lc_log(LC_LOG_ERROR, "%s", err.message);
      return;
    }
    quarantine(series, name, &outcome, PL_SPOOL_RECEIVING);
    if (pl_spool_has(series->spool, PL_SPOOL_RECEIVING, name)) return;
  }
}

void pl_serve_series_step(struct pl_serve_series *series) {
  double now = now_s(CLOCK_MONOTONIC);
  if (now - series->looked >= LOOK_EVERY_S) {
    series->looked = now;
    complete(series);
  }
  if (now - series->expired >= EXPIRE_EVERY_S) {
    series->expired = now;
    int lock = pl_spool_lock(series->spool);
    pl_spool_expire(series->spool);
    pl_spool_recount(series->spool);
    pl_spool_unlock(lock);
  }
  if (series->child <= 0 && now >= series->hold_until) start_next(series);
}
