#include "pl_runlog.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lc_text.h"

#define MOST_BYTES ((size_t)1 << 30)

/* Complete lines of `old` whose number is below the limit. */
static void keep_lines(struct lc_text *out, const char *old, uint64_t keep_below) {
  const char *line = strchr(old, '\n');
  while (line) {
    const char *start = line + 1, *end = strchr(start, '\n');
    if (!end) return; /* half a line is from a program that died */
    if (strtoull(start, NULL, 10) < keep_below)
      lc_text_add_bytes(out, start, (size_t)(end + 1 - start));
    line = end;
  }
}

lc_status pl_runlog_open(struct pl_runlog *log, const char *folder, const char *name,
                         const char *header, uint64_t keep_below, struct lc_error *err) {
  struct lc_text text = {0};
  char *old = NULL;
  size_t count;
  lc_status status = LC_OK;
  memset(log, 0, sizeof *log);
  LC_TRY(lc_path_join(log->path, folder, name, err));
  lc_text_add(&text, "%s\n", header);
  if (keep_below > 0 && lc_file_exists(log->path)) {
    LC_TRY_GOTO(lc_file_read(log->path, MOST_BYTES, &old, &count, err), done);
    keep_lines(&text, old, keep_below);
  }
  if (text.failed) LC_FAIL_GOTO(done, err, LC_ERR_MEMORY, "%s: out of memory", log->path);
  LC_TRY_GOTO(lc_file_write(log->path, lc_text_get(&text), text.length, err), done);
  log->file = fopen(log->path, "a");
  if (!log->file) status = lc_file_write_error(log->path, errno, err);
done:
  free(old);
  lc_text_free(&text);
  return status;
}

lc_status pl_runlog_add(struct pl_runlog *log, struct lc_error *err, const char *fmt, ...) {
  va_list values;
  va_start(values, fmt);
  errno = 0;
  bool failed = vfprintf(log->file, fmt, values) < 0;
  va_end(values);
  failed = fputc('\n', log->file) == EOF || failed;
  failed = fflush(log->file) != 0 || failed;
  return failed ? lc_file_write_error(log->path, errno ? errno : EIO, err) : LC_OK;
}

void pl_runlog_close(struct pl_runlog *log) {
  if (log->file) fclose(log->file);
  log->file = NULL;
}
