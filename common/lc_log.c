/* Filters log lines by level and hands them and progress to the installed callbacks, one thread at
 * a time. */
#include "common/lc_log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_text.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static lc_log_sink sink_now;
static void *sink_context;
static lc_log_level lowest_level = LC_LOG_INFO;

void lc_log_set_sink(lc_log_sink sink, void *context) {
  pthread_mutex_lock(&lock);
  sink_now = sink;
  sink_context = context;
  pthread_mutex_unlock(&lock);
}

void lc_log_set_level(lc_log_level lowest) {
  lowest_level = lowest;
}

lc_log_level lc_log_get_level(void) {
  return lowest_level;
}

void lc_log(lc_log_level level, const char *fmt, ...) {
  if (level < lowest_level || !sink_now) return;
  char line[2048];
  va_list args;
  va_start(args, fmt);
  vsnprintf(line, sizeof line, fmt, args);
  va_end(args);
  lc_text_printable(line);
  pthread_mutex_lock(&lock);
  if (sink_now) sink_now(sink_context, level, line);
  pthread_mutex_unlock(&lock);
}

bool lc_log_level_parse(const char *word, lc_log_level *level) {
  static const char *const words[] = {"debug", "info", "warning", "error", "silent"};
  for (int i = 0; i < (int)(sizeof words / sizeof *words); i++) {
    if (strcmp(word, words[i]) == 0) {
      *level = (lc_log_level)i;
      return true;
    }
  }
  return false;
}

void lc_progress_step(struct lc_progress *progress, uint64_t n) {
  if (!progress) return;
  pthread_mutex_lock(&lock);
  progress->done += n;
  if (progress->update)
    progress->update(progress->context, progress->done, progress->total, progress->unit);
  pthread_mutex_unlock(&lock);
}
