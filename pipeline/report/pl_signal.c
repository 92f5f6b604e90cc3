/* Remembers the first SIGINT or SIGTERM, gives the second its default effect, and ends a process
 * that only waits. */
#include "pipeline/report/pl_signal.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/* What is left to a process that waits to end by itself. */
#define GRACE_S 1

static volatile sig_atomic_t arrived, waiting;
static const char *volatile scratch_file;

static void note(int number) {
  arrived = number;
  signal(number, SIG_DFL);
  if (waiting) alarm(GRACE_S);
}

/* Only calls that a handler may make (signal-safety(7)). */
static void leave(int number) {
  static const char interrupt[] =
      "lungcdam: stopped by SIGINT; everything written so far is whole\n",
                    terminate[] =
                        "lungcdam: stopped by SIGTERM; everything written so far is whole\n";
  (void)number;
  if (scratch_file) unlink(scratch_file);
  (void)!(arrived == SIGINT ? write(STDERR_FILENO, interrupt, sizeof interrupt - 1)
                            : write(STDERR_FILENO, terminate, sizeof terminate - 1));
  _exit(LC_ERR_INTERRUPTED);
}

void pl_signal_waits(bool waits, const char *scratch) {
  scratch_file = scratch;
  waiting = waits;
  signal(SIGALRM, waits ? leave : SIG_DFL);
  if (arrived || !waits) alarm(waits ? GRACE_S : 0);
}

void pl_signal_start(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  /* A full pipe or a file size limit must come back as an error that is reported. */
  signal(SIGXFSZ, SIG_IGN);
}

void pl_signal_ignore(void) {
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  arrived = 0;
}

lc_status pl_signal_check(struct lc_error *err) {
  if (!arrived) return LC_OK;
  LC_FAIL(err, LC_ERR_INTERRUPTED, "stopped by %s; everything written so far is whole",
          arrived == SIGINT ? "SIGINT" : "SIGTERM");
}
