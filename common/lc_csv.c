/* Cuts a whole file into cells in place, and quotes cells on the way out. */
#include "common/lc_csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct reading {
  struct lc_csv *csv;
  char *at;
  size_t line, n_cells, capacity, rows_capacity;
  char separator;
};

/* What the heading has: commas, or else semicolons or tabs. */
static char find_separator(const char *text) {
  bool quoted = false, semicolon = false, tab = false;
  text += strspn(text, " \t\r\n");
  for (; *text && (quoted || *text != '\n'); text++) {
    quoted ^= *text == '"';
    if (quoted) continue;
    if (*text == ',') return ',';
    semicolon |= *text == ';';
    tab |= *text == '\t';
  }
  return semicolon ? ';' : tab ? '\t' : ',';
}

/* Spaces within a line that are no separators. */
static const char *blanks(const struct reading *r) {
  return r->separator == '\t' ? " \r" : " \t\r";
}

static lc_status add_cell(struct reading *r, char *cell, struct lc_error *err) {
  if (r->n_cells == r->capacity) {
    size_t larger = r->capacity ? 2 * r->capacity : 64;
    char **grown = realloc(r->csv->cells, larger * sizeof *grown);
    if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "%s: no memory for its cells", r->csv->path);
    r->csv->cells = grown;
    r->capacity = larger;
  }
  r->csv->cells[r->n_cells++] = cell;
  return LC_OK;
}

static lc_status add_row(struct reading *r, size_t number, size_t line, struct lc_error *err) {
  if (number == r->rows_capacity) {
    size_t larger = r->rows_capacity ? 2 * r->rows_capacity : 64;
    size_t *grown = realloc(r->csv->lines, larger * sizeof *grown);
    if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "%s: no memory for its rows", r->csv->path);
    r->csv->lines = grown;
    r->rows_capacity = larger;
  }
  r->csv->lines[number] = line;
  return LC_OK;
}

/* A cell in quotes, whose opening quote was read: doubled quotes become one. */
static lc_status quoted_cell(struct reading *r, char **cell, struct lc_error *err) {
  char *from = r->at, *to = r->at;
  size_t line = r->line;
  *cell = r->at;
  for (; *from && !(from[0] == '"' && from[1] != '"'); from++) {
    if (*from == '\n') r->line++;
    if (*from == '"') from++;
    *to++ = *from;
  }
  if (!*from) LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: a quote does not end", r->csv->path, line);
  from++;
  *to = '\0';
  from += strspn(from, blanks(r));
  if (*from && *from != r->separator && *from != '\n')
    LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: text after the end of a quote, expected a separator",
            r->csv->path, r->line);
  r->at = from;
  return LC_OK;
}

/* A bare cell, up to a separator or the end of the line; spaces around it do not count. The byte
 * that ends it is still to be read. */
static char *bare_cell(struct reading *r, char *end) {
  char *cell = r->at, *last = end;
  while (last > cell && strchr(blanks(r), last[-1])) last--;
  r->at = end;
  if (last < end) *last = '\0';
  return cell;
}

/* One row; false at the end of the file. */
static lc_status read_row(struct reading *r, size_t *cells, struct lc_error *err) {
  const char ends[] = {r->separator, '\n', '\0'};
  bool more = true;
  *cells = 0;
  while (more) {
    char *cell;
    r->at += strspn(r->at, blanks(r));
    if (*r->at == '"') {
      r->at++;
      LC_TRY(quoted_cell(r, &cell, err));
    } else {
      cell = bare_cell(r, r->at + strcspn(r->at, ends));
    }
    LC_TRY(add_cell(r, cell, err));
    ++*cells;
    more = *r->at == r->separator;
    bool ends_line = *r->at == '\n';
    if (*r->at) *r->at++ = '\0';
    r->line += ends_line;
  }
  return LC_OK;
}

static lc_status read_all(struct reading *r, struct lc_error *err) {
  struct lc_csv *csv = r->csv;
  size_t rows = 0;
  for (;;) {
    size_t cells, line;
    /* Blank lines are no rows. */
    for (char *blank; (blank = r->at + strspn(r->at, " \t\r")), *blank == '\n' || !*blank;) {
      if (!*blank) goto end;
      r->at = blank + 1;
      r->line++;
    }
    line = r->line;
    LC_TRY(read_row(r, &cells, err));
    if (rows == 0) csv->n_columns = cells;
    /* Spreadsheets end rows with the commas of columns that were never filled. */
    for (; cells > csv->n_columns && !*csv->cells[r->n_cells - 1]; cells--) r->n_cells--;
    if (cells != csv->n_columns)
      LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: %zu cells, the heading has %zu", csv->path, line, cells,
              csv->n_columns);
    LC_TRY(add_row(r, rows++, line, err));
  }
end:
  if (rows == 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: empty, expected a heading", csv->path);
  csv->n_rows = rows - 1;
  return LC_OK;
}

lc_status lc_csv_read(struct lc_csv *csv, const char *path, struct lc_error *err) {
  size_t bytes;
  *csv = (struct lc_csv){.path = path};
  LC_TRY(lc_file_read(path, LC_CSV_BYTES, &csv->text, &bytes, err));
  struct reading r = {.csv = csv, .at = csv->text, .line = 1};
  lc_status status = LC_OK;
  if (strlen(csv->text) != bytes)
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__, "%s: holds a zero byte, expected text",
                     path);
  if (strncmp(r.at, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0) r.at += strlen(BYTE_ORDER_MARK);
  r.separator = find_separator(r.at);
  if (status == LC_OK) status = read_all(&r, err);
  if (status != LC_OK) lc_csv_free(csv);
  return status;
}

void lc_csv_free(struct lc_csv *csv) {
  free(csv->text);
  free(csv->cells);
  free(csv->lines);
  memset(csv, 0, sizeof *csv);
}

lc_status lc_csv_column(const struct lc_csv *csv, const char *names, size_t *column,
                        struct lc_error *err) {
  struct lc_text there = {0}, asked = {0};
  for (const char *name = names; *name; name += strspn(name, "|")) {
    size_t length = strcspn(name, "|");
    lc_text_add(&asked, "%s%.*s", name > names ? " or " : "", (int)length, name);
    for (*column = 0; *column < csv->n_columns; ++*column)
      if (strncasecmp(csv->cells[*column], name, length) == 0 && !csv->cells[*column][length]) {
        lc_text_free(&asked);
        return LC_OK;
      }
    name += length;
  }
  for (size_t c = 0; c < csv->n_columns; c++)
    lc_text_add(&there, "%s%s", c ? ", " : "", csv->cells[c]);
  lc_status status =
      lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__, "%s:%zu: no column %s among: %.200s",
              csv->path, csv->lines[0], lc_text_get(&asked), lc_text_get(&there));
  lc_text_free(&asked);
  lc_text_free(&there);
  return status;
}

lc_status lc_csv_number(const struct lc_csv *csv, size_t row, size_t column, double *value,
                        struct lc_error *err) {
  const char *cell = lc_csv_cell(csv, row, column);
  if (!lc_text_to_double(cell, value))
    LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: %s \"%.40s\", expected a number", csv->path,
            csv->lines[row + 1], csv->cells[column], cell);
  return LC_OK;
}

void lc_csv_put_text(struct lc_text *out, const char *text) {
  size_t length = strlen(text);
  bool spaced = length > 0 && (strchr(" \t", text[0]) || strchr(" \t", text[length - 1]));
  bool marked = strncmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0;
  if (!spaced && !marked && !strpbrk(text, "\",;\t\r\n")) {
    lc_text_add_bytes(out, text, length);
    return;
  }
  lc_text_add_bytes(out, "\"", 1);
  for (; *text; text++) {
    if (*text == '"') lc_text_add_bytes(out, "\"", 1);
    lc_text_add_bytes(out, text, 1);
  }
  lc_text_add_bytes(out, "\"", 1);
}

void lc_csv_put_number(struct lc_text *out, double value, int digits) {
  if (isfinite(value)) lc_text_add(out, "%.*g", digits, value);
}
