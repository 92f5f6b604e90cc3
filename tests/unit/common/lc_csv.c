/* Comma-separated values: what RFC 4180 allows comes back as it was written, and what it does not
 * is named. */
#include "tests/lc_test.h"

#include <math.h>

#include "common/lc_csv.h"
#include "common/lc_file.h"

static char folder[256], path[300];

static struct lc_csv read_text(const char *text) {
  struct lc_csv csv;
  assert_ok(lc_file_write(path, text, strlen(text), &test_err));
  assert_ok(lc_csv_read(&csv, path, &test_err));
  return csv;
}

static void cells_are_those_of_the_standard(void **state) {
  (void)state;
  struct lc_csv csv = read_text("\xef\xbb\xbfname, value ,\"a, b\"\r\n"
                                "\"DOE,JANE\",1,\"said \"\"no\"\"\"\r\n"
                                "\r\n"
                                "\"two\nlines\" , 2.5e1,\n"
                                "last,3,\"\",,\n");
  assert_int_equal(csv.n_columns, 3);
  assert_int_equal(csv.n_rows, 3);
  size_t name, value, third;
  assert_ok(lc_csv_column(&csv, "name", &name, &test_err));
  assert_ok(lc_csv_column(&csv, "value", &value, &test_err));
  assert_ok(lc_csv_column(&csv, "a, b", &third, &test_err));
  assert_string_equal(lc_csv_cell(&csv, 0, name), "DOE,JANE");
  assert_string_equal(lc_csv_cell(&csv, 0, third), "said \"no\"");
  assert_string_equal(lc_csv_cell(&csv, 1, name), "two\nlines");
  assert_string_equal(lc_csv_cell(&csv, 1, third), "");
  assert_string_equal(lc_csv_cell(&csv, 2, name), "last");
  assert_int_equal(csv.lines[1], 2);
  assert_int_equal(csv.lines[2], 4);
  assert_int_equal(csv.lines[3], 6); /* after a row of two lines */
  double number;
  assert_ok(lc_csv_number(&csv, 1, value, &number, &test_err));
  assert_true(number == 25);
  char words[512];
  snprintf(words, sizeof words, "%s:2: name \"DOE,JANE\", expected a number", path);
  assert_fails(lc_csv_number(&csv, 0, name, &number, &test_err), LC_ERR_FORMAT, words);
  assert_fails(lc_csv_column(&csv, "nmae", &name, &test_err), LC_ERR_FORMAT,
               ":1: no column nmae among: name, value, a, b");
  lc_csv_free(&csv);
}

/* What spreadsheets of other countries save. */
static void other_separators(void **state) {
  static const char *const texts[] = {"Name;Value\n\"A;B\";1\n x ,y ; 2.5 \n",
                                      "Name\tValue\r\n\"A;B\"\t1\r\n x ,y \t 2.5 \r\n",
                                      "\xef\xbb\xbf\"Name\";\"Value\"\nA;1\n\"x ,y\";2.5\n"};
  (void)state;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct lc_csv csv = read_text(texts[i]);
    size_t name, value;
    double number;
    assert_int_equal(csv.n_columns, 2);
    assert_int_equal(csv.n_rows, 2);
    assert_ok(lc_csv_column(&csv, "name", &name, &test_err));
    assert_ok(lc_csv_column(&csv, "number|VALUE", &value, &test_err));
    assert_string_equal(lc_csv_cell(&csv, 0, name), i < 2 ? "A;B" : "A");
    assert_string_equal(lc_csv_cell(&csv, 1, name), "x ,y");
    assert_ok(lc_csv_number(&csv, 1, value, &number, &test_err));
    assert_true(number == 2.5);
    assert_fails(lc_csv_column(&csv, "nam|Values", &name, &test_err), LC_ERR_FORMAT,
                 "no column nam or Values among: Name, Value");
    lc_csv_free(&csv);
  }
  struct lc_csv csv = read_text("a;b\n1,5;2\n"); /* a comma is no decimal point */
  double number;
  assert_fails(lc_csv_number(&csv, 0, 0, &number, &test_err), LC_ERR_FORMAT,
               "a \"1,5\", expected a number");
  lc_csv_free(&csv);
}

/* The bytes of a byte order mark at the front of a text are not taken for one of the file. */
static void first_text_with_a_mark(void **state) {
  (void)state;
  struct lc_text out = {0};
  lc_csv_put_text(&out, "\xef\xbb\xbfname");
  lc_text_add(&out, ",b\n1,2\n");
  struct lc_csv csv = read_text(lc_text_get(&out));
  assert_string_equal(csv.cells[0], "\xef\xbb\xbfname");
  lc_csv_free(&csv);
  lc_text_free(&out);
}

/* Anything that is written is read as it was. */
static void texts_come_back(void **state) {
  (void)state;
  static const char *const texts[] = {
      "plain",  "",    "a,b", "\"",       "\"\"", ",",       "a\nb",
      "a\r\nb", " x ", "\t",  "x\"y,z\n", "1e5",  "O'Brien", "\xc3\xa9t\xc3\xa9"};
  enum { N = sizeof texts / sizeof *texts };
  struct lc_text out = {0};
  lc_text_add(&out, "first,text,number\n");
  for (int i = 0; i < N; i++) {
    lc_text_add(&out, "%d,", i);
    lc_csv_put_text(&out, texts[i]);
    lc_text_add(&out, ",");
    lc_csv_put_number(&out, i % 2 ? NAN : 0.1 * i, 17);
    lc_text_add(&out, "\r\n");
  }
  struct lc_csv csv = read_text(lc_text_get(&out));
  assert_int_equal(csv.n_rows, N);
  for (size_t i = 0; i < N; i++) {
    double number;
    assert_string_equal(lc_csv_cell(&csv, i, 1), texts[i]);
    if (i % 2) {
      assert_string_equal(lc_csv_cell(&csv, i, 2), "");
    } else {
      assert_ok(lc_csv_number(&csv, i, 2, &number, &test_err));
      assert_true(number == 0.1 * (double)i);
    }
  }
  lc_csv_free(&csv);
  lc_text_free(&out);
}

static void faults_are_named(void **state) {
  (void)state;
  static const struct {
    const char *text, *words;
  } cases[] = {{"", "empty, expected a heading"},
               {"\n \n\r\n", "empty, expected a heading"},
               {"a,b\n1,2\n3\n", ":3: 1 cells, the heading has 2"},
               {"a,b\n1,2,3\n", ":2: 3 cells, the heading has 2"},
               {"a,b\n\"1,2\n3,4\n", ":2: a quote does not end"},
               {"a,b\n\"1\"x,2\n", ":2: text after the end of a quote"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct lc_csv csv;
    assert_ok(lc_file_write(path, cases[i].text, strlen(cases[i].text), &test_err));
    assert_fails(lc_csv_read(&csv, path, &test_err), LC_ERR_FORMAT, cases[i].words);
  }
  struct lc_csv csv;
  assert_ok(lc_file_write(path, "a\0b\n", 4, &test_err));
  assert_fails(lc_csv_read(&csv, path, &test_err), LC_ERR_FORMAT, "zero byte");
}

static int make_folder(void **state) {
  (void)state;
  snprintf(path, sizeof path, "%s/table.csv", lc_test_folder(folder));
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  return lc_folder_remove(folder, &test_err) != LC_OK;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cells_are_those_of_the_standard), cmocka_unit_test(other_separators),
      cmocka_unit_test(first_text_with_a_mark), cmocka_unit_test(texts_come_back),
      cmocka_unit_test(faults_are_named)};
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
