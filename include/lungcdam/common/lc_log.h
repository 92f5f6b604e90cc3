/* Log lines and progress. Rooms below the pipeline never print: they log here, and the program
 * installs a sink. Without a sink lines of warning and above go nowhere.
 *
 * Thread-safety: lc_log and lc_progress_step may be called from any thread; the sink is called
 * under a lock, one line at a time. Installing a sink is for start-up, before threads exist. */
#ifndef LC_LOG_H
#define LC_LOG_H

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_API_BEGIN

typedef enum lc_log_level {
  LC_LOG_DEBUG = 0,
  LC_LOG_INFO,
  LC_LOG_WARNING,
  LC_LOG_ERROR,
  LC_LOG_SILENT
} lc_log_level;

/* line has no newline. */
typedef void (*lc_log_sink)(void *context, lc_log_level level, const char *line);

void lc_log_set_sink(lc_log_sink sink, void *context);
void lc_log_set_level(lc_log_level lowest);
lc_log_level lc_log_get_level(void);
LC_PRINTF(2, 3) void lc_log(lc_log_level level, const char *fmt, ...);

/* Parses "debug", "info", "warning", "error" or "silent"; false for another word. */
bool lc_log_level_parse(const char *word, lc_log_level *level);

/* Progress of one long job. The callback draws; it gets the number done, the total (0 = unknown)
 * and the unit in the plural ("slices"). A zeroed struct is a progress that nobody watches. */
struct lc_progress {
  void (*update)(void *context, uint64_t done, uint64_t total, const char *unit);
  void *context;
  const char *unit;
  uint64_t total;
  uint64_t done;
};

/* Adds n to done and calls `update`; progress may be NULL. Safe from several threads. */
void lc_progress_step(struct lc_progress *progress, uint64_t n);

LC_API_END
#endif
