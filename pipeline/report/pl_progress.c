/* Prints log lines and progress on standard error: a bar on a terminal, a line every ten seconds
 * elsewhere. */
#include "pipeline/report/pl_progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/lc_scope.h"
#include "common/lc_text.h"

#define BAR_WIDTH 24
#define BAR_EVERY_S 0.1
#define LINE_EVERY_S 10.0

/* The bar that is on the terminal now; log lines wipe it first. */
static struct pl_progress *shown;

double pl_now_s(void) {
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

static void add_duration(struct lc_text *out, double seconds) {
  long s = (long)(seconds + 0.5);
  if (s >= 3600)
    lc_text_add(out, "%ld h %02ld min", s / 3600, s % 3600 / 60);
  else if (s >= 60)
    lc_text_add(out, "%ld min %02ld s", s / 60, s % 60);
  else
    lc_text_add(out, "%ld s", s);
}

void pl_progress_line(char *out, size_t size, const char *label, uint64_t done, uint64_t total,
                      const char *unit, double elapsed_s) {
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  double rate = elapsed_s > 0 ? (double)done / elapsed_s : 0;
  lc_text_add(&text, "%s: %llu", label, (unsigned long long)done);
  if (total > 0) lc_text_add(&text, " of %llu", (unsigned long long)total);
  lc_text_add(&text, " %s", unit);
  if (rate > 0) lc_text_add(&text, ", %.*f/s", rate < 10 ? 2 : 0, rate);
  if (rate > 0 && total > done) {
    lc_text_add(&text, ", ");
    add_duration(&text, (double)(total - done) / rate);
    lc_text_add(&text, " left");
  }
  lc_text_copy(out, size, lc_text_get(&text));
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
  double time_s = pl_now_s();
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
  progress->started_s = pl_now_s();
  /* The first plain line comes only when the work turns out to be long. */
  progress->drawn_s = isatty(STDERR_FILENO) ? 0 : progress->started_s;
  shown = progress;
}

void pl_progress_end(struct pl_progress *progress) {
  wipe();
  if (shown == progress) shown = NULL;
}
