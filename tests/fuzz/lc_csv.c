/* CSV: whatever the bytes, reading refuses, or what was read, written and read again is the same.
 */
#include "common/lc_csv.h"
#include "tests/fuzz/lc_fuzz.h"

static void write_cells(const struct lc_csv *csv, struct lc_text *out) {
  for (size_t i = 0; i < (csv->n_rows + 1) * csv->n_columns; i++) {
    if (i > 0) lc_text_add(out, "%s", i % csv->n_columns == 0 ? "\n" : ",");
    lc_csv_put_text(out, csv->cells[i]);
  }
  lc_text_add(out, "\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct lc_csv csv, again;
  struct lc_error err;
  if (lc_csv_read(&csv, fuzz_file(data, size, ""), &err) != LC_OK) return 0;
  double value = 0, sum = 0;
  size_t column;
  for (size_t r = 0; r < csv.n_rows; r++)
    for (size_t c = 0; c < csv.n_columns; c++)
      if (lc_csv_number(&csv, r, c, &value, &err) == LC_OK) sum += value;
  fuzz_use(sum);
  bool blank = true; /* a line of one empty cell is no row */
  for (size_t i = 0; i < csv.n_columns; i++) blank = blank && csv.cells[i][0] == '\0';
  if (csv.n_columns > 1 && !blank) {
    struct lc_text text = {0};
    write_cells(&csv, &text);
    if (lc_csv_read(&again, fuzz_file((const uint8_t *)text.data, text.length, ""), &err) != LC_OK)
      abort();
    if (again.n_columns != csv.n_columns || again.n_rows > csv.n_rows) abort();
    if (again.n_rows == csv.n_rows)
      for (size_t i = 0; i < (csv.n_rows + 1) * csv.n_columns; i++)
        if (strcmp(csv.cells[i], again.cells[i]) != 0) abort();
    lc_csv_free(&again);
    lc_text_free(&text);
  }
  if (!strchr(csv.cells[0], '|') && /* which separates names */
      lc_csv_column(&csv, csv.cells[0], &column, &err) == LC_OK && column != 0)
    abort();
  lc_csv_free(&csv);
  return 0;
}
