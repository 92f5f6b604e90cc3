/* Runs the main job on one received series in a child process and passes its outcome back through a
 * pipe. */
#include "pipeline/delivery/pl_serve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/dicom_read/ct_index.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/run/pl_batch.h"
#include "pipeline/run/pl_job.h"
#include "pipeline/store/pl_output.h"

_Static_assert(sizeof(struct pl_serve_outcome) <= PIPE_BUF, "an outcome is one write to a pipe");

/* Places that the series has nothing to do with. That there are no weights is for pl_job_open. */
static lc_status check_places(const struct pl_config *config, struct lc_error *err) {
  const char *weights = config->model.path;
  if (*weights && access(weights, R_OK) != 0)
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: the weight file cannot be read: %s", weights,
            strerror(errno));
  size_t n;
  const char *const *nodules = pl_config_nodules(config, &n);
  for (size_t i = 0; i < n; i++)
    if (access(nodules[i], R_OK) != 0)
      LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: the nodules cannot be read: %s", nodules[i],
              strerror(errno));
  return LC_OK;
}

static lc_status check_all(const struct pl_config *config, struct lc_error *err) {
  struct pl_job job;
  struct pl_output output;
  LC_TRY(check_places(config, err));
  LC_TRY(pl_job_open(&job, config, NULL, err));
  pl_job_close(&job);
  return pl_output_open(&output, config->output_folder, err);
}

static void report(struct pl_serve_outcome *outcome, lc_status status, const struct lc_error *err) {
  outcome->status = status;
  memcpy(outcome->message, err->message, sizeof outcome->message);
}

void pl_serve_job_check(const struct pl_config *config, struct pl_serve_outcome *outcome) {
  struct lc_error err = {{0}};
  report(outcome, check_all(config, &err), &err);
}

/* Failures that another series would meet too, or this one not at another time. */
static bool is_environment(lc_status status) {
  return status == LC_ERR_NO_SPACE || status == LC_ERR_NOT_WRITABLE || status == LC_ERR_CONFIG ||
         status == LC_ERR_TENSOR || status == LC_ERR_TRUNCATED || status == LC_ERR_USAGE;
}

/* Says of a series that cannot be used, or whose nodule lies outside it, when slices seem to be
 * missing: then the rest of them helps, and nothing else does. */
static void add_incomplete(const struct pl_config *config, lc_status status, struct lc_error *err) {
  const char *const *paths = (const char *const *)config->input_paths.items;
  const struct ct_series *largest = NULL;
  LC_SCOPED(ct_index_free) struct ct_index index = {0};
  char signs[256];
  if (status != LC_ERR_GEOMETRY && status != LC_ERR_OUTSIDE) return;
  lc_log_level level = lc_log_get_level();
  lc_log_set_level(LC_LOG_SILENT); /* all was logged before */
  lc_status read = ct_index_scan(&index, paths, config->input_paths.n, NULL, NULL, NULL);
  lc_log_set_level(level);
  for (size_t i = 0; read == LC_OK && i < index.n_series; i++)
    if (!largest || index.series[i].n_slices > largest->n_slices) largest = &index.series[i];
  if (largest && ct_series_seems_incomplete(largest, signs, sizeof signs)) {
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used,
             "; probably incomplete: %s; send the rest", signs);
  }
}

void pl_serve_bound_memory(long long bytes) {
#if defined(__SANITIZE_ADDRESS__)
  (void)bytes; /* the sanitizer's own memory would count */
#else
  struct rlimit limit;
  if (bytes <= 0 || getrlimit(RLIMIT_DATA, &limit) != 0) return;
  if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < (rlim_t)bytes) return;
  limit.rlim_cur = (rlim_t)bytes;
  (void)setrlimit(RLIMIT_DATA, &limit);
#endif
}

/* Nodules that were received, beside those that the configuration names; a detector is asked only
 * where there are none. */
static lc_status add_sources(struct pl_config *own, const struct pl_config *config,
                             const char *const *sources, struct lc_error *err) {
  size_t n;
  const char *const *paths = pl_config_nodules(config, &n);
  own->nodules_source = (struct pl_list){0};
  lc_status status = LC_OK;
  for (size_t i = 0; status == LC_OK && i < n; i++)
    status = pl_list_add(&own->nodules_source, paths[i], err);
  for (size_t i = 0; status == LC_OK && sources[i]; i++)
    status = pl_list_add(&own->nodules_source, sources[i], err);
  if (status == LC_OK && own->nodules_source.n == 0)
    status = pl_list_add(&own->nodules_source, pl_config_detects(config) ? "detect" : "auto", err);
  return status;
}

void pl_serve_job(const struct pl_config *config, const char *series_folder,
                  const char *const *sources, struct pl_serve_outcome *outcome) {
  struct lc_error err = {{0}};
  char folder[LC_PATH_SIZE], only[] = "only", *paths[] = {folder};
  struct pl_config own = *config; /* borrows everything */
  lc_text_copy(folder, sizeof folder, series_folder);
  own.input_paths = (struct pl_list){.items = paths, .n = 1};
  own.input_series = only;
  lc_status status = check_places(config, &err);
  bool places = status == LC_OK;
  if (places) status = add_sources(&own, config, sources, &err);
  if (status == LC_OK) {
    LC_SCOPED(pl_batch_free) struct pl_batch batch = {0};
    status = pl_batch_run(&batch, &own, PL_EXISTING_RESUME, &err);
    outcome->n_done = batch.n_done;
    outcome->n_kept = batch.n_kept;
    memcpy(outcome->result, batch.last, sizeof outcome->result);
    /* Nodules that cannot be cut are in the log and the result; a later start would find the same.
     */
    if (status == LC_ERR_PARTIAL && batch.n_done == 1) status = LC_OK;
    add_incomplete(&own, status, &err);
  }
  pl_list_free(&own.nodules_source);
  report(outcome, status, &err);
  /* Anything may go away while the job runs. */
  outcome->is_environment = is_environment(status) || !places ||
                            (status == LC_ERR_NOT_FOUND && check_places(config, NULL) != LC_OK);
}

long pl_serve_job_start(void (*work)(void *context, struct pl_serve_outcome *outcome),
                        void *context, long long memory_bytes, int *descriptor) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  fflush(NULL);
  pid_t parent = getpid(), child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(LC_ERR_INTERNAL);
    pl_door_leave();
    pl_serve_bound_memory(memory_bytes);
    pl_signal_ignore(); /* also one that came while the job was being started */
    close(ends[0]);
    struct pl_serve_outcome outcome = {.status = LC_OK};
    work(context, &outcome);
    fflush(NULL);
    _exit(write(ends[1], &outcome, sizeof outcome) == sizeof outcome ? 0 : LC_ERR_INTERNAL);
  }
  close(ends[1]);
  *descriptor = ends[0];
  if (child < 0) close(ends[0]);
  return child;
}

void pl_serve_job_end(int descriptor, int wait_status, struct pl_serve_outcome *outcome) {
  memset(outcome, 0, sizeof *outcome);
  ssize_t got = read(descriptor, outcome, sizeof *outcome);
  close(descriptor);
  if (got == (ssize_t)sizeof *outcome && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
    return;
  memset(outcome, 0, sizeof *outcome);
  outcome->status = LC_ERR_INTERNAL;
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == LC_ERR_MEMORY) {
    outcome->status = LC_ERR_MEMORY;
    snprintf(outcome->message, sizeof outcome->message,
             "the job asked for more memory than it has");
  } else if (WIFSIGNALED(wait_status))
    snprintf(outcome->message, sizeof outcome->message, "the job was ended by signal %d (%s)",
             WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
  else
    snprintf(outcome->message, sizeof outcome->message, "the job ended without an outcome");
}
