/* Names the status codes and formats error messages; each error also goes to the debug log with
 * file and line. */
#include "common/lc_status.h"

#include <stdio.h>
#include <string.h>

#include "common/lc_log.h"
#include "common/lc_text.h"

static const char *const names[LC_STATUS_COUNT] = {
    "ok",        "internal",    "usage",        "config",      "not-found", "no-dicom",
    "ambiguous", "geometry",    "format",       "unsupported", "mismatch",  "outside",
    "truncated", "tensor",      "not-writable", "no-space",    "exists",    "memory",
    "numeric",   "interrupted", "no-nodules",   "partial",     "network"};

const char *lc_status_name(lc_status status) {
  if ((int)status < 0 || status >= LC_STATUS_COUNT) return "unknown";
  return names[status];
}

lc_status lc_fail(struct lc_error *err, lc_status status, const char *file, int line,
                  const char *fmt, ...) {
  char text[LC_ERROR_SIZE];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  lc_text_printable(text); /* names of files may hold anything */
  const char *base = strrchr(file, '/');
  lc_log(LC_LOG_DEBUG, "%s:%d raised %s: %s", base ? base + 1 : file, line, lc_status_name(status),
         text);
  if (err) memcpy(err->message, text, sizeof text);
  return status;
}

void lc_error_prefix(struct lc_error *err, const char *fmt, ...) {
  if (!err) return;
  char old[LC_ERROR_SIZE];
  memcpy(old, err->message, sizeof old);
  old[sizeof old - 1] = '\0';
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(err->message, sizeof err->message, fmt, args);
  va_end(args);
  if (n < 0 || (size_t)n >= sizeof err->message) return;
  snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s", old);
}
