#include "pl_serve_job.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lc_text.h"
#include "pl_batch.h"
#include "pl_job.h"
#include "pl_output.h"
#include "pl_signal.h"

_Static_assert(sizeof(struct pl_serve_outcome) <= PIPE_BUF, "an outcome is one write to a pipe");

/* Places that the series has nothing to do with. */
static lc_status check_places(const struct pl_config *config, struct lc_error *err) {
  if (access(config->model_weights, R_OK) != 0)
    LC_FAIL(err, LC_ERR_CONFIG, "%s: the weight file cannot be read: %s",
            *config->model_weights ? config->model_weights : "--weights", strerror(errno));
  if (strcmp(config->nodules_source, "auto") != 0 && access(config->nodules_source, R_OK) != 0)
    LC_FAIL(err, LC_ERR_CONFIG, "%s: the nodules cannot be read: %s", config->nodules_source,
            strerror(errno));
  return LC_OK;
}

static lc_status check_all(const struct pl_config *config, struct lc_error *err) {
  LC_TRY(check_places(config, err));
  struct pl_output output;
  LC_TRY(pl_output_open(&output, config->output_folder, err));
  struct pl_job job;
  lc_status status = pl_job_open(&job, config, err);
  if (status == LC_OK) pl_job_close(&job);
  return status;
}

static void tell(struct pl_serve_outcome *outcome, lc_status status, const struct lc_error *err) {
  outcome->status = status;
  memcpy(outcome->message, err->message, sizeof outcome->message);
}

void pl_serve_job_check(const struct pl_config *config, struct pl_serve_outcome *outcome) {
  struct lc_error err = {{0}};
  tell(outcome, check_all(config, &err), &err);
}

/* Identity of the series by the first of its objects. */
static void identify(const char *folder, struct pl_serve_outcome *outcome) {
  DIR *stream = opendir(folder);
  struct ct_identity identity;
  char path[LC_PATH_SIZE];
  for (struct dirent *entry = stream ? readdir(stream) : NULL; entry; entry = readdir(stream)) {
    size_t length = strlen(entry->d_name);
    if (length < 5 || strcmp(entry->d_name + length - 4, ".dcm") != 0) continue;
    outcome->n_objects++;
    if (outcome->series_instance_uid[0] ||
        lc_path_join(path, folder, entry->d_name, NULL) != LC_OK ||
        ct_identity_read(&identity, path, NULL) != LC_OK)
      continue;
    memcpy(outcome->series_instance_uid, identity.series_instance_uid, CT_UID_SIZE);
    memcpy(outcome->study_instance_uid, identity.study_instance_uid, CT_UID_SIZE);
    memcpy(outcome->modality, identity.modality, sizeof outcome->modality);
  }
  if (stream) closedir(stream);
}

/* Failures that another series would meet too, or this one not at another time. */
static bool is_environment(lc_status status) {
  return status == LC_ERR_NO_SPACE || status == LC_ERR_NOT_WRITABLE || status == LC_ERR_CONFIG ||
         status == LC_ERR_TENSOR || status == LC_ERR_TRUNCATED || status == LC_ERR_USAGE;
}

void pl_serve_job(const struct pl_config *config, const char *series_folder,
                  struct pl_serve_outcome *outcome) {
  struct lc_error err = {{0}};
  char folder[LC_PATH_SIZE], only[] = "only", *paths[] = {folder};
  struct pl_config own = *config; /* borrows everything */
  lc_text_copy(folder, sizeof folder, series_folder);
  own.input_paths = (struct pl_list){.items = paths, .n = 1};
  own.input_series = only;
  identify(series_folder, outcome);
  lc_status status = check_places(config, &err);
  if (status == LC_OK) {
    struct pl_batch batch;
    status = pl_batch_run(&batch, &own, PL_EXISTING_RESUME, &err);
    outcome->n_done = batch.n_done;
    outcome->n_kept = batch.n_kept;
    pl_batch_free(&batch);
  }
  tell(outcome, status, &err);
  outcome->is_environment = is_environment(status);
}

static bool write_outcome(int descriptor, const struct pl_serve_outcome *outcome) {
  return write(descriptor, outcome, sizeof *outcome) == (ssize_t)sizeof *outcome;
}

long pl_serve_job_start(void (*work)(void *context, struct pl_serve_outcome *outcome),
                        void *context, int *descriptor) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  fflush(NULL);
  pid_t parent = getpid(), child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(LC_ERR_INTERNAL);
    pl_signal_ignore(); /* also one that came while the job was being started */
    close(ends[0]);
    struct pl_serve_outcome outcome = {.status = LC_OK};
    work(context, &outcome);
    fflush(NULL);
    _exit(write_outcome(ends[1], &outcome) ? 0 : LC_ERR_INTERNAL);
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
  if (WIFSIGNALED(wait_status))
    snprintf(outcome->message, sizeof outcome->message, "the job was ended by signal %d (%s)",
             WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
  else
    snprintf(outcome->message, sizeof outcome->message, "the job ended without an outcome");
}
