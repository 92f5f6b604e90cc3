/* Comma-separated values (RFC 4180): one reader and one writer.
 *
 * Read: a heading, then rows of as many cells; cells in quotes may hold commas, line ends and
 * doubled quotes; a byte order mark, CRLF, blank lines, spaces around bare cells and empty cells
 * beyond the heading are passed over. Where the heading has no comma, semicolons or else tabs
 * separate the cells. Written: cells are quoted where they
 * must be, so that any text comes back as it was.
 *
 * Thread-safety: distinct objects, distinct threads; a table that was read may be read by many. */
#pragma once

#include "common/lc_api.h"
#include "common/lc_text.h"

LC_C_BEGIN

#define LC_CSV_BYTES ((size_t)64 << 20) /* largest file */

struct lc_csv {
  const char *path; /* borrowed, for messages */
  char *text;       /* the file; cells point into it */
  char **cells;     /* [n_rows + 1, n_columns], the heading first */
  size_t *lines;    /* [n_rows + 1] on which a row begins */
  size_t n_columns, n_rows;
};

/* LC_ERR_FORMAT with file and line: no heading, a row of another length, a quote that does not end,
 * text after one that does. */
LC_MUST_CHECK lc_status lc_csv_read(struct lc_csv *csv, const char *path, struct lc_error *err);
void lc_csv_free(struct lc_csv *csv);

/* Number of the column of this name, in whatever case, or of the first of several that is there:
 * "seriesuid|SeriesInstanceUID". LC_ERR_FORMAT names them and those that are there. */
LC_MUST_CHECK lc_status lc_csv_column(const struct lc_csv *csv, const char *names, size_t *column,
                                      struct lc_error *err);
static inline const char *lc_csv_cell(const struct lc_csv *csv, size_t row, size_t column) {
  return csv->cells[(row + 1) * csv->n_columns + column];
}
/* LC_ERR_FORMAT with file, line and column unless the cell is a finite number. */
LC_MUST_CHECK lc_status lc_csv_number(const struct lc_csv *csv, size_t row, size_t column,
                                      double *value, struct lc_error *err);

/* Adds one cell's text, quoted where needed. */
void lc_csv_put_text(struct lc_text *out, const char *text);
/* Adds a number with so many digits; nothing where it is not finite. */
void lc_csv_put_number(struct lc_text *out, double value, int digits);

LC_C_END
