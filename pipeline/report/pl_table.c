/* Collects the cells of a table and prints it aligned for a terminal, as CSV or as JSON. */
#include "pipeline/report/pl_table.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_csv.h"
#include "common/lc_file.h"
#include "common/lc_scope.h"
#include "pipeline/report/pl_signal.h"

void pl_table_init(struct pl_table *table, const struct pl_column *columns, size_t n_columns) {
  memset(table, 0, sizeof *table);
  table->columns = columns;
  table->n_columns = n_columns;
}

void pl_table_free(struct pl_table *table) {
  for (size_t i = 0; i < table->n_cells; i++) free(table->cells[i].text);
  free(table->cells);
  memset(table, 0, sizeof *table);
}

static void add(struct pl_table *table, enum pl_cell_kind kind, const char *text, double number,
                bool whole) {
  if (table->failed) return;
  if (table->n_cells == table->capacity) {
    size_t capacity = table->capacity ? 2 * table->capacity : 64;
    struct pl_cell *cells = realloc(table->cells, capacity * sizeof *cells);
    if (!cells) {
      table->failed = true;
      return;
    }
    table->cells = cells;
    table->capacity = capacity;
  }
  char *copy = strdup(text);
  if (!copy) {
    table->failed = true;
    return;
  }
  table->cells[table->n_cells++] =
      (struct pl_cell){.kind = kind, .text = copy, .number = number, .whole = whole};
}

void pl_table_text(struct pl_table *table, const char *text) {
  add(table, PL_CELL_TEXT, text, 0, false);
}

void pl_table_format(struct pl_table *table, const char *fmt, ...) {
  char text[1024];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  add(table, PL_CELL_TEXT, text, 0, false);
}

void pl_table_number(struct pl_table *table, double value, int decimals) {
  char text[64];
  if (!isfinite(value)) {
    pl_table_missing(table);
    return;
  }
  snprintf(text, sizeof text, "%.*f", decimals, value);
  add(table, PL_CELL_NUMBER, text, value, false);
}

void pl_table_integer(struct pl_table *table, long long value) {
  char text[32];
  snprintf(text, sizeof text, "%lld", value);
  add(table, PL_CELL_NUMBER, text, (double)value, true);
}

void pl_table_bool(struct pl_table *table, bool value) {
  add(table, PL_CELL_BOOL, value ? "yes" : "no", value ? 1 : 0, false);
}

void pl_table_missing(struct pl_table *table) {
  add(table, PL_CELL_MISSING, "-", 0, false);
}

void pl_text_safe(struct lc_text *out, const char *text) {
  char *copy = strdup(text);
  if (copy) {
    lc_text_printable(copy);
    lc_text_add_bytes(out, copy, strlen(copy));
  }
  out->failed = out->failed || !copy;
  free(copy);
}

/* Code points, which is what a terminal shows for the scripts that occur here. */
static size_t width_of(const char *text) {
  size_t n = 0;
  for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
  return n;
}

static void pad(struct lc_text *out, size_t n) {
  for (size_t i = 0; i < n; i++) lc_text_add_bytes(out, " ", 1);
}

static void put_aligned(struct lc_text *out, const char *text, size_t width, bool right,
                        bool last) {
  size_t own = width_of(text);
  size_t space = own < width ? width - own : 0;
  if (right) pad(out, space);
  pl_text_safe(out, text);
  if (!right && !last) pad(out, space);
  lc_text_add(out, last ? "\n" : "  ");
}

static size_t column_width(const struct pl_table *table, size_t column) {
  size_t width = width_of(table->columns[column].title);
  for (size_t i = column; i < table->n_cells; i += table->n_columns) {
    size_t own = width_of(table->cells[i].text);
    if (own > width) width = own;
  }
  return width;
}

static void render_terminal(const struct pl_table *table, struct lc_text *out) {
  size_t *widths = calloc(table->n_columns, sizeof *widths);
  size_t rows = table->n_cells / table->n_columns, last = 0;
  out->failed = out->failed || !widths;
  for (size_t c = 0; widths && c < table->n_columns; c++) {
    if (!table->columns[c].title) continue;
    last = c;
    widths[c] = column_width(table, c);
  }
  for (size_t i = 0; widths && i < (rows + 1) * table->n_columns; i++) {
    size_t c = i % table->n_columns;
    const struct pl_column *column = &table->columns[c];
    if (!column->title) continue;
    const char *text =
        i < table->n_columns ? column->title : table->cells[i - table->n_columns].text;
    put_aligned(out, text, widths[c], column->right, c == last);
  }
  free(widths);
}

/* A number that reads back as the same double, or as the same float when it came from one. */
static void put_number(struct lc_text *out, const struct pl_cell *cell) {
  if (cell->whole) {
    lc_text_add(out, "%s", cell->text);
    return;
  }
  char text[40];
  for (int digits = 6; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, cell->number);
    if (strtod(text, NULL) == cell->number) break;
  }
  lc_text_add(out, "%s", text);
}

static void put_safe_cell(struct lc_text *out, const char *text) {
  struct lc_text safe = {0};
  pl_text_safe(&safe, text);
  lc_csv_put_text(out, lc_text_get(&safe));
  out->failed = out->failed || safe.failed;
  lc_text_free(&safe);
}

static void render_csv(const struct pl_table *table, struct lc_text *out) {
  size_t columns = table->n_columns > 0 ? table->n_columns : 1;
  for (size_t c = 0; c < table->n_columns; c++)
    lc_text_add(out, "%s%s", c > 0 ? "," : "", table->columns[c].key);
  lc_text_add(out, "\r\n");
  for (size_t i = 0; i < table->n_cells; i++) {
    const struct pl_cell *cell = &table->cells[i];
    size_t c = i % columns;
    if (c > 0) lc_text_add(out, ",");
    if (cell->kind == PL_CELL_NUMBER)
      put_number(out, cell);
    else if (cell->kind == PL_CELL_BOOL)
      lc_text_add(out, "%s", cell->number != 0 ? "true" : "false");
    else if (cell->kind == PL_CELL_TEXT)
      put_safe_cell(out, cell->text);
    if (c + 1 == columns) lc_text_add(out, "\r\n");
  }
}

static json_t *json_cell(const struct pl_cell *cell) {
  switch (cell->kind) {
  case PL_CELL_NUMBER:
    return cell->whole ? json_integer((json_int_t)strtoll(cell->text, NULL, 10))
                       : json_real(cell->number);
  case PL_CELL_BOOL:
    return json_boolean(cell->number != 0);
  case PL_CELL_MISSING:
    return json_null();
  default:
    break;
  }
  struct lc_text safe = {0};
  pl_text_safe(&safe, cell->text);
  json_t *text = json_string(lc_text_get(&safe));
  lc_text_free(&safe);
  return text;
}

static void render_json(const struct pl_table *table, struct lc_text *out) {
  json_t *rows = json_array();
  json_t *row = NULL;
  for (size_t i = 0; rows && i < table->n_cells; i++) {
    size_t c = i % table->n_columns;
    if (c == 0) row = json_object();
    json_object_set_new(row, table->columns[c].key, json_cell(&table->cells[i]));
    if (c + 1 == table->n_columns) json_array_append_new(rows, row);
  }
  char *text = rows ? json_dumps(rows, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;
  if (text)
    lc_text_add(out, "%s\n", text);
  else
    out->failed = true;
  free(text);
  json_decref(rows);
}

lc_status pl_table_render(const struct pl_table *table, enum pl_table_form form,
                          struct lc_text *out, struct lc_error *err) {
  if (table->n_columns == 0) LC_FAIL(err, LC_ERR_INTERNAL, "a table without columns");
  if (!table->failed && table->n_cells % table->n_columns != 0)
    LC_FAIL(err, LC_ERR_INTERNAL, "a table of %zu columns got %zu cells", table->n_columns,
            table->n_cells);
  if (form == PL_TABLE_JSON)
    render_json(table, out);
  else if (form == PL_TABLE_CSV)
    render_csv(table, out);
  else
    render_terminal(table, out);
  if (table->failed || out->failed) LC_FAIL(err, LC_ERR_MEMORY, "no memory for a table");
  return LC_OK;
}

lc_status pl_table_print(const struct pl_table *table, enum pl_table_form form, FILE *out,
                         struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  LC_TRY(pl_table_render(table, form, &text, err));
  pl_signal_waits(true, NULL); /* a pipe may be full */
  bool whole = fwrite(lc_text_get(&text), 1, text.length, out) == text.length;
  pl_signal_waits(false, NULL);
  return whole ? LC_OK : lc_file_write_error("standard output", errno, err);
}

lc_status pl_table_write(const struct pl_table *table, const char *folder, const char *name,
                         struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  LC_TRY(pl_table_render(table, PL_TABLE_CSV, &text, err));
  return pl_text_write(&text, folder, name, err);
}

lc_status pl_text_write(const struct lc_text *text, const char *folder, const char *name,
                        struct lc_error *err) {
  char path[LC_PATH_SIZE];
  LC_TRY(lc_path_join(path, folder, name, err));
  if (text->failed) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  return lc_file_write(path, lc_text_get(text), text->length, err);
}
