/* Log lines and progress on the terminal: a bar with rate and remaining time when standard error is
 * a terminal, plain lines now and then elsewhere. Log lines and the bar do not run into each other.
 *
 * Thread-safety: start and end from one thread; lc_progress_step from any. */
#pragma once

#include "common/lc_log.h"

struct pl_progress {
  struct lc_progress progress; /* give its address to the rooms */
  char label[64];
  double started_s, drawn_s; /* monotonic seconds */
  bool drawn;
};

/* Monotonic time. */
double pl_now_s(void);

/* Installs the log sink: "lungcdam: warning: ..." on standard error. */
void pl_log_start(void);
/* From now on each line begins with the time (UTC), for programs that run for days. */
void pl_log_stamp(void);

/* total 0: unknown. */
void pl_progress_start(struct pl_progress *progress, const char *label, const char *unit,
                       uint64_t total);
void pl_progress_end(struct pl_progress *progress);

/* "running: 40 of 133 slices, 12.1/s, 8 s left"; for tests and for the bar. */
void pl_progress_line(char *out, size_t size, const char *label, uint64_t done, uint64_t total,
                      const char *unit, double elapsed_s);
