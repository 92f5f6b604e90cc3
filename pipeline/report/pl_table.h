/* One table, three outputs: columns on the terminal, JSON, CSV.
 *
 * Cells are added row by row, column by column. Control characters never reach the terminal: texts
 * from files could otherwise steer it. Thread-safety: one table, one thread. */
#pragma once

#include <stdio.h>

#include "common/lc_text.h"

struct pl_column {
  const char *key;   /* name in JSON and CSV */
  const char *title; /* on the terminal; NULL: not shown there */
  bool right;        /* aligned to the right there */
};

enum pl_cell_kind { PL_CELL_TEXT = 0, PL_CELL_NUMBER, PL_CELL_BOOL, PL_CELL_MISSING };

struct pl_cell {
  enum pl_cell_kind kind;
  char *text; /* as shown on the terminal; numbers keep all digits in number */
  double number;
  bool whole;
};

struct pl_table {
  const struct pl_column *columns;
  size_t n_columns;
  struct pl_cell *cells; /* [n_cells], row after row */
  size_t n_cells, capacity;
  bool failed; /* memory ran out */
};

void pl_table_init(struct pl_table *table, const struct pl_column *columns, size_t n_columns);
void pl_table_free(struct pl_table *table);

void pl_table_text(struct pl_table *table, const char *text);
LC_PRINTF(2, 3) void pl_table_format(struct pl_table *table, const char *fmt, ...);
/* NaN is missing. decimals: shown on the terminal only. */
void pl_table_number(struct pl_table *table, double value, int decimals);
void pl_table_integer(struct pl_table *table, long long value);
void pl_table_bool(struct pl_table *table, bool value);
void pl_table_missing(struct pl_table *table);

enum pl_table_form { PL_TABLE_TERMINAL = 0, PL_TABLE_JSON, PL_TABLE_CSV };
/* JSON: an array of objects. CSV: RFC 4180 with a header line. */
LC_MUST_CHECK lc_status pl_table_print(const struct pl_table *table, enum pl_table_form form,
                                       FILE *out, struct lc_error *err);
/* The same as text; free with lc_text_free. */
LC_MUST_CHECK lc_status pl_table_render(const struct pl_table *table, enum pl_table_form form,
                                        struct lc_text *out, struct lc_error *err);

/* As CSV to folder/name; the same for a text that was built. Whole or not at all. */
LC_MUST_CHECK lc_status pl_table_write(const struct pl_table *table, const char *folder,
                                       const char *name, struct lc_error *err);
LC_MUST_CHECK lc_status pl_text_write(const struct lc_text *text, const char *folder,
                                      const char *name, struct lc_error *err);

/* Copies text with control characters replaced, for messages on the terminal. */
void pl_text_safe(struct lc_text *out, const char *text);
