/* Remembers the first SIGINT or SIGTERM, and gives the second its default effect. */
#include "pipeline/report/pl_signal.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t arrived;

static void note(int number) {
  arrived = number;
  signal(number, SIG_DFL);
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
