/* Appends lines to a CSV log, drops those that a resumed run will write again, and reads a log back
 * as columns. */
#include "pipeline/store/pl_runlog.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/lc_arena.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"

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
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  LC_FREED char *old = NULL;
  size_t count;
  memset(log, 0, sizeof *log);
  LC_TRY(lc_path_join(log->path, folder, name, err));
  lc_text_add(&text, "%s\n", header);
  if (keep_below > 0 && lc_file_exists(log->path)) {
    LC_TRY(lc_file_read(log->path, MOST_BYTES, &old, &count, err));
    keep_lines(&text, old, keep_below);
  }
  if (text.failed) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", log->path);
  LC_TRY(lc_file_write(log->path, lc_text_get(&text), text.length, err));
  log->file = fopen(log->path, "a");
  return log->file ? LC_OK : lc_file_write_error(log->path, errno, err);
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

lc_status pl_runlog_sync(struct pl_runlog *log, struct lc_error *err) {
  return fdatasync(fileno(log->file)) == 0 ? LC_OK : lc_file_write_error(log->path, errno, err);
}

static size_t count(const char *text, size_t n, char what) {
  size_t found = 0;
  for (size_t i = 0; i < n; i++) found += text[i] == what;
  return found;
}

static lc_status read_names(struct pl_runlog_table *table, const char *header, const char *path,
                            struct lc_error *err) {
  size_t length = strcspn(header, "\n");
  table->n_columns = count(header, length, ',') + 1;
  LC_TRY(lc_alloc(&table->names, table->n_columns, sizeof *table->names, err));
  for (size_t c = 0; c < table->n_columns; c++) {
    size_t n = strcspn(header, ",\n");
    if (n == 0 || n >= PL_RUNLOG_NAME)
      LC_FAIL(err, LC_ERR_FORMAT, "%s: column %zu has no name of 1 to %d letters", path, c + 1,
              PL_RUNLOG_NAME - 1);
    memcpy(table->names[c], header, n);
    header += n + 1;
  }
  return LC_OK;
}

static lc_status read_rows(struct pl_runlog_table *table, const char *line, const char *path,
                           struct lc_error *err) {
  for (size_t r = 0; r < table->n_rows; r++)
    for (size_t c = 0; c < table->n_columns; c++) {
      char *end;
      double value = strtod(line, &end);
      if (end == line || *end != (c + 1 < table->n_columns ? ',' : '\n'))
        LC_FAIL(err, LC_ERR_FORMAT, "%s: line %zu: expected %zu numbers with commas between them",
                path, r + 2, table->n_columns);
      table->values[c * table->n_rows + r] = value;
      line = end + 1;
    }
  return LC_OK;
}

lc_status pl_runlog_read(struct pl_runlog_table *table, const char *path, struct lc_error *err) {
  char *bytes = NULL;
  size_t n;
  memset(table, 0, sizeof *table);
  LC_TRY(lc_file_read(path, MOST_BYTES, &bytes, &n, err));
  size_t lines = count(bytes, n, '\n');
  lc_status status = LC_OK;
  if (lines == 0) LC_FAIL_GOTO(done, err, LC_ERR_FORMAT, "%s: has no header", path);
  table->n_rows = lines - 1;
  LC_TRY_GOTO(read_names(table, bytes, path, err), done);
  LC_TRY_GOTO(
      lc_alloc(&table->values, table->n_columns * table->n_rows + 1, sizeof *table->values, err),
      done);
  LC_TRY_GOTO(read_rows(table, strchr(bytes, '\n') + 1, path, err), done);
done:
  free(bytes);
  if (status != LC_OK) pl_runlog_table_free(table);
  return status;
}

void pl_runlog_table_free(struct pl_runlog_table *table) {
  free(table->names);
  free(table->values);
  memset(table, 0, sizeof *table);
}

const double *pl_runlog_column(const struct pl_runlog_table *table, const char *name) {
  for (size_t c = 0; c < table->n_columns; c++)
    if (strcmp(table->names[c], name) == 0) return table->values + c * table->n_rows;
  return NULL;
}
