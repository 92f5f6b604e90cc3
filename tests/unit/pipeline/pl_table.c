#include "pipeline/report/pl_table.h"

#include <math.h>

#include "pipeline/report/pl_progress.h"
#include "tests/lc_test.h"

static const struct pl_column columns[] = {
    {"name", "NAME", false}, {"size_mm", "SIZE mm", true}, {"n", "N", true}, {"ok", NULL, false}};

static void fill(struct pl_table *table) {
  pl_table_init(table, columns, 4);
  pl_table_text(table, "M\xc3\xbcller, \"A\"");
  pl_table_number(table, 0.703125, 2);
  pl_table_integer(table, 133);
  pl_table_bool(table, true);
  pl_table_text(table, "evil \033[2J\xc2\x9b name");
  pl_table_number(table, NAN, 2);
  pl_table_integer(table, -1);
  pl_table_missing(table);
}

static void renders(enum pl_table_form form, const char *expected) {
  struct pl_table table;
  struct lc_text text = {0};
  fill(&table);
  assert_ok(pl_table_render(&table, form, &text, &test_err));
  assert_string_equal(lc_text_get(&text), expected);
  lc_text_free(&text);
  pl_table_free(&table);
}

/* Aligned by characters, not bytes; nothing a file says can steer the terminal. */
static void terminal_is_aligned_and_safe(void **state) {
  (void)state;
  renders(PL_TABLE_TERMINAL, "NAME             SIZE mm    N\n"
                             "M\xc3\xbcller, \"A\"         0.70  133\n"
                             "evil ?[2J? name        -   -1\n");
}

static void csv_follows_rfc_4180(void **state) {
  (void)state;
  renders(PL_TABLE_CSV, "name,size_mm,n,ok\r\n"
                        "\"M\xc3\xbcller, \"\"A\"\"\",0.703125,133,true\r\n"
                        "evil ?[2J? name,,-1,\r\n");
}

static void json_has_types(void **state) {
  (void)state;
  renders(PL_TABLE_JSON,
          "[\n  {\n    \"name\": \"M\xc3\xbcller, \\\"A\\\"\",\n    \"size_mm\": 0.703125,\n"
          "    \"n\": 133,\n    \"ok\": true\n  },\n  {\n"
          "    \"name\": \"evil ?[2J? name\",\n    \"size_mm\": null,\n"
          "    \"n\": -1,\n    \"ok\": null\n  }\n]\n");
}

static void incomplete_rows_are_refused(void **state) {
  (void)state;
  struct pl_table table;
  struct lc_text text = {0};
  pl_table_init(&table, columns, 4);
  pl_table_text(&table, "a");
  assert_fails(pl_table_render(&table, PL_TABLE_CSV, &text, &test_err), LC_ERR_INTERNAL,
               "4 columns got 1 cells");
  lc_text_free(&text);
  pl_table_free(&table);
}

static void says(const char *expected, uint64_t done, uint64_t total, double elapsed_s) {
  char line[128];
  pl_progress_line(line, sizeof line, "decoding", done, total, "slices", elapsed_s);
  assert_string_equal(line, expected);
}

static void progress_says_rate_and_time_left(void **state) {
  (void)state;
  says("decoding: 40 of 133 slices, 20/s, 5 s left", 40, 133, 2);
  says("decoding: 1 of 201 slices, 0.50/s, 6 min 40 s left", 1, 201, 2);
  says("decoding: 1 of 10001 slices, 1.00/s, 2 h 46 min left", 1, 10001, 1);
  says("decoding: 0 of 133 slices", 0, 133, 2);
  says("decoding: 12 slices, 6.00/s", 12, 0, 2);
  says("decoding: 134 of 134 slices, 67/s", 134, 134, 2);
  char tiny[8];
  pl_progress_line(tiny, sizeof tiny, "decoding", 40, 133, "slices", 2);
  assert_string_equal(tiny, "decodin");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(terminal_is_aligned_and_safe), cmocka_unit_test(csv_follows_rfc_4180),
      cmocka_unit_test(json_has_types), cmocka_unit_test(incomplete_rows_are_refused),
      cmocka_unit_test(progress_says_rate_and_time_left)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
