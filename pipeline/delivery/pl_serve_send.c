/* Queues the results of a series in an outbox and runs a child process that sends them. */
#include "pipeline/delivery/pl_serve.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/delivery/pl_send.h"
#include "pipeline/report/pl_progress.h"

/* Between two children when the first one failed. */
#define HOLD_S 60

static lc_status add_folder(struct pl_list *paths, const char *result, const char *name,
                            struct lc_error *err) {
  char path[LC_PATH_SIZE];
  LC_TRY(lc_path_join(path, result, name, err));
  return lc_folder_exists(path) ? pl_list_add(paths, path, err) : LC_OK;
}

lc_status pl_serve_send_queue(const struct pl_serve_sending *sending, const char *result_folder,
                              struct lc_error *err) {
  LC_SCOPED(pl_list_free) struct pl_list paths = {0};
  LC_SCOPED(pl_outbox_close) struct pl_outbox outbox = {.lock = -1};
  struct pl_queue_count count;
  LC_TRY(add_folder(&paths, result_folder, "captures", err));
  LC_TRY(add_folder(&paths, result_folder, "objects", err));
  if (paths.n == 0) return LC_OK;
  LC_TRY(pl_outbox_open(&outbox, sending->outbox, true, err));
  for (size_t i = 0; i < sending->destinations->n; i++)
    LC_TRY(pl_outbox_keep_destination(&outbox, &sending->destinations->items[i], err));
  /* The UIDs follow from the input: another content under one of them is a newer program's. */
  LC_TRY(pl_send_queue(&outbox, sending->destinations, (const char *const *)paths.items, paths.n,
                       true, &count, err));
  if (count.failed > 0)
    LC_FAIL(err, count.worst, "%zu objects of the results could not be queued", count.failed);
  lc_log(LC_LOG_INFO, "%zu objects queued in %s, %zu were there already", count.queued,
         sending->outbox, count.known);
  return LC_OK;
}

static lc_status send_all(const struct pl_serve_sending *sending, struct lc_error *err) {
  LC_SCOPED(pl_outbox_close) struct pl_outbox outbox = {.lock = -1};
  LC_TRY(pl_outbox_open(&outbox, sending->outbox, true, err));
  return pl_send_run(&outbox, sending->destinations, sending->destinations, HUGE_VAL,
                     sending->audit, err);
}

void pl_serve_send_step(struct pl_serve_sending *sending, struct pl_spool *spool) {
  if (!sending->pending || sending->child > 0 || sending->destinations->n == 0 ||
      pl_now_s() < sending->not_before)
    return;
  fflush(NULL);
  pl_spool_rest(spool);
  pid_t parent = getpid(), child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(LC_ERR_INTERNAL);
    pl_door_leave();
    struct lc_error err = {{0}};
    lc_status status = send_all(sending, &err);
    if (status != LC_OK && status != LC_ERR_INTERRUPTED) lc_log(LC_LOG_ERROR, "%s", err.message);
    _exit((int)status);
  }
  if (child < 0) lc_log(LC_LOG_ERROR, "no process to send in: %s", strerror(errno));
  sending->not_before = child < 0 ? pl_now_s() + HOLD_S : 0;
  sending->child = child > 0 ? child : 0;
  sending->pending = child <= 0;
}

bool pl_serve_send_ended(struct pl_serve_sending *sending, pid_t child, int wait_status) {
  if (sending->child <= 0 || sending->child != child) return false;
  sending->child = 0;
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == LC_OK) return true;
  sending->pending = true;
  sending->not_before = pl_now_s() + HOLD_S;
  return true;
}
