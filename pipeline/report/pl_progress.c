/* Prints log lines and progress on standard error: a bar on a terminal, a line every ten seconds
 * elsewhere. */
#include "pipeline/report/pl_progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/lc_text.h"

#define BAR_WIDTH 24
#define BAR_EVERY_S 0.1
#define LINE_EVERY_S 10.0

/* The bar that is on the terminal now; log lines wipe it first. */
static struct pl_progress *shown;

static double now_s(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void wipe(void) {
  if (shown && shown->drawn) fputs("\r\033[K", stderr);
  if (shown) shown->drawn = false;
}

static bool stamped;

static void sink(void *context, lc_log_level level, const char *line) {
  (void)context;
  static const char *const words[] = {"debug: ", "", "warning: ", "error: "};
  char when[40] = "";
  time_t now = time(NULL);
  struct tm parts;
  if (stamped) strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ ", gmtime_r(&now, &parts));
  wipe();
  fprintf(stderr, "lungcdam: %s%s%s\n", when, level < LC_LOG_SILENT ? words[level] : "", line);
}

void pl_log_stamp(void) {
  stamped = true;
}

void pl_log_start(void) {
  lc_log_set_sink(sink, NULL);
}

static void add_duration(char *out, size_t size, double seconds) {
  long s = (long)(seconds + 0.5);
  if (s >= 3600)
    snprintf(out, size, "%ld h %02ld min", s / 3600, s % 3600 / 60);
  else if (s >= 60)
    snprintf(out, size, "%ld min %02ld s", s / 60, s % 60);
  else
    snprintf(out, size, "%ld s", s);
}

void pl_progress_line(char *out, size_t size, const char *label, uint64_t done, uint64_t total,
                      const char *unit, double elapsed_s) {
  int n = snprintf(out, size, "%s: %llu", label, (unsigned long long)done);
  size_t used = n < 0 || (size_t)n >= size ? size - 1 : (size_t)n;
  if (total > 0)
    n = snprintf(out + used, size - used, " of %llu %s", (unsigned long long)total, unit);
  else
    n = snprintf(out + used, size - used, " %s", unit);
  used += n < 0 || (size_t)n >= size - used ? size - used - 1 : (size_t)n;
  if (elapsed_s <= 0 || done == 0) return;
  double rate = (double)done / elapsed_s;
  n = snprintf(out + used, size - used, ", %.*f/s", rate < 10 ? 2 : 0, rate);
  used += n < 0 || (size_t)n >= size - used ? size - used - 1 : (size_t)n;
  if (total <= done) return;
  char left[40];
  add_duration(left, sizeof left, (double)(total - done) / rate);
  snprintf(out + used, size - used, ", %s left", left);
}

static void draw_bar(struct pl_progress *progress, uint64_t done, uint64_t total,
                     const char *line) {
  char bar[BAR_WIDTH + 1];
  size_t full = total > 0 ? (size_t)(BAR_WIDTH * (done < total ? done : total) / total) : 0;
  memset(bar, '-', BAR_WIDTH);
  memset(bar, '#', full);
  bar[BAR_WIDTH] = '\0';
  if (total > 0)
    fprintf(stderr, "\r\033[K[%s] %s", bar, line);
  else
    fprintf(stderr, "\r\033[K%s", line);
  fflush(stderr);
  progress->drawn = true;
}

static void update(void *context, uint64_t done, uint64_t total, const char *unit) {
  struct pl_progress *progress = (struct pl_progress *)context;
  double time_s = now_s();
  bool terminal = isatty(STDERR_FILENO) != 0;
  if (time_s - progress->drawn_s < (terminal ? BAR_EVERY_S : LINE_EVERY_S)) return;
  progress->drawn_s = time_s;
  char line[256];
  pl_progress_line(line, sizeof line, progress->label, done, total, unit,
                   time_s - progress->started_s);
  if (terminal)
    draw_bar(progress, done, total, line);
  else
    fprintf(stderr, "lungcdam: %s\n", line);
}

void pl_progress_start(struct pl_progress *progress, const char *label, const char *unit,
                       uint64_t total) {
  memset(progress, 0, sizeof *progress);
  lc_text_copy(progress->label, sizeof progress->label, label);
  progress->progress.unit = unit;
  progress->progress.total = total;
  progress->progress.context = progress;
  if (lc_log_get_level() <= LC_LOG_INFO) progress->progress.update = update;
  progress->started_s = now_s();
  /* The first plain line comes only when the work turns out to be long. */
  progress->drawn_s = isatty(STDERR_FILENO) ? 0 : progress->started_s;
  shown = progress;
}

void pl_progress_end(struct pl_progress *progress) {
  wipe();
  if (shown == progress) shown = NULL;
}
