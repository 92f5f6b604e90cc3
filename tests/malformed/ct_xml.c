/* Annotation files that are damaged or hostile: each ends with file, line and expectation. */
#include "tests/lc_test.h"

#include "common/lc_file.h"
#include "common/lc_log.h"
#include "ct_io/nodule/ct_annotation_set.h"

#define HEAD                                                                                       \
  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LidcReadMessage xmlns=\"http://www.nih.gov\">\n"   \
  "<ResponseHeader><SeriesInstanceUid>1.2.3</SeriesInstanceUid></ResponseHeader>\n"
#define POINT(x, y) "<edgeMap><xCoord>" x "</xCoord><yCoord>" y "</yCoord></edgeMap>"
#define MARK(body) HEAD "<readingSession><unblindedReadNodule>" body "</unblindedReadNodule>"
#define ROI(points)                                                                                \
  "<roi><imageZposition>1.5</imageZposition><imageSOP_UID>1.2.3.4</imageSOP_UID>"                  \
  "<inclusion>TRUE</inclusion>" points "</roi>"
#define TAIL "</readingSession>\n</LidcReadMessage>\n"
#define GOOD                                                                                       \
  "<unblindedReadNodule><noduleID>good</noduleID>" ROI(                                            \
      POINT("1", "2") POINT("3", "2")) "</unblindedReadNodule>"

static char folder[256], path[300];

static lc_status read_text(const char *text, size_t length, struct ct_annotation *annotation) {
  assert_ok(lc_file_write(path, text, length, &test_err));
  return ct_annotation_read(annotation, path, &test_err);
}

static void test_messages(void **state) {
  (void)state;
  static const struct {
    const char *xml, *words;
  } cases[] = {
      {"", "case.xml:1: no element found"},
      {"not xml", "case.xml:1: syntax error"},
      {"<html></html>", "case.xml:1: root element html, expected LidcReadMessage"},
      {"<LidcReadMessage>", "case.xml:1: no element found"},
      {"<LidcReadMessage></LidcReadMessage>", "case.xml: no SeriesInstanceUid"},
      {HEAD "<readingSession>", "case.xml:4: no element found"},
      {HEAD "<a></b>" TAIL, "case.xml:4: mismatched tag"},
      {HEAD "<a b=1/>" TAIL, "case.xml:4: not well-formed"},
      {HEAD "&nbsp;" TAIL, "case.xml:4: undefined entity"},
      {HEAD "\x01" TAIL, "case.xml:4: not well-formed"},
      {HEAD "\xff\xfe" TAIL, "case.xml:4: not well-formed"},
      {"<!DOCTYPE a [<!ENTITY x \"y\">]>" HEAD TAIL, "case.xml:1: document type a, expected none"},
      {"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", "document type a, expected none"},
      {MARK("<unblindedReadNodule></unblindedReadNodule>") TAIL, "a mark inside a mark"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct ct_annotation annotation;
    lc_status status = read_text(cases[i].xml, strlen(cases[i].xml), &annotation);
    if (status != LC_ERR_FORMAT || !strstr(test_err.message, cases[i].words))
      fail_msg("case %zu: %s \"%s\", expected \"%s\"", i + 1, lc_status_name(status),
               test_err.message, cases[i].words);
    assert_null(annotation.marks);
  }
}

/* What cannot be read in a mark costs that mark; the log says why, and the next one is read. */
static char last_warning[512];

static void keep_warning(void *context, lc_log_level level, const char *line) {
  (void)context;
  if (level == LC_LOG_WARNING) snprintf(last_warning, sizeof last_warning, "%s", line);
}

static void a_bad_value_costs_its_mark(void **state) {
  (void)state;
  static const struct {
    const char *xml, *words;
  } cases[] = {
      {MARK(ROI(POINT("1.5", "2"))) GOOD TAIL,
       "xCoord \"1.5\", expected a whole number from 0 to 65535"},
      {MARK(ROI(POINT("-1", "2"))) GOOD TAIL, "xCoord \"-1\", expected"},
      {MARK(ROI(POINT("1", "99999999999999999999"))) GOOD TAIL, "yCoord \"99999999999999999999\""},
      {MARK(ROI(POINT("", "2"))) GOOD TAIL, "xCoord \"\", expected"},
      {MARK(ROI("<edgeMap><xCoord>1</xCoord></edgeMap>")) GOOD TAIL,
       "a point without xCoord and yCoord"},
      {MARK("<roi><imageZposition>up</imageZposition></roi>") GOOD TAIL,
       "imageZposition \"up\", expected a number"},
      {MARK("<roi><imageZposition>nan</imageZposition></roi>") GOOD TAIL, "imageZposition \"nan\""},
      {MARK("<characteristics><malignancy>7</malignancy></characteristics>") GOOD TAIL,
       "malignancy \"7\", expected a whole number from 0 to 6"},
      {MARK("<characteristics><malignancy>high</malignancy></characteristics>") GOOD TAIL,
       "malignancy \"high\", expected"},
  };
  lc_log_set_sink(keep_warning, NULL);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct ct_annotation annotation;
    assert_ok(read_text(cases[i].xml, strlen(cases[i].xml), &annotation));
    assert_int_equal(annotation.n_marks, 1);
    assert_string_equal(annotation.marks[0].nodule_id, "good");
    assert_int_equal(annotation.marks[0].n_outlines, 1);
    assert_int_equal(annotation.n_unreadable, 1);
    if (!strstr(last_warning, cases[i].words) || !strstr(last_warning, "case.xml:4: "))
      fail_msg("case %zu: \"%s\", expected \"%s\"", i + 1, last_warning, cases[i].words);
    ct_annotation_free(&annotation);
  }
  lc_log_set_sink(NULL, NULL);
}

static void test_limits(void **state) {
  (void)state;
  struct ct_annotation annotation;
  size_t size = 1 << 20, used;
  char *text = malloc(size);
  assert_non_null(text);
  used = (size_t)snprintf(text, size, HEAD);
  for (int i = 0; i < 40; i++) used += (size_t)snprintf(text + used, size - used, "<a>");
  assert_int_equal(read_text(text, used, &annotation), LC_ERR_FORMAT);
  assert_non_null(strstr(test_err.message, "elements nested deeper than 32"));
  used = (size_t)snprintf(text, size, HEAD "<a>");
  memset(text + used, 'x', 5000);
  assert_int_equal(read_text(text, used + 5000, &annotation), LC_ERR_FORMAT);
  assert_non_null(strstr(test_err.message, "more than 4095 characters of text"));
  free(text);
}

/* Whatever prefix of a good file is left: an error with the file's name, and nothing leaks. */
static void test_every_cut(void **state) {
  (void)state;
  static const char good[] =
      MARK("<noduleID>7</noduleID>" ROI(POINT("1", "2") POINT("2", "2") POINT("1", "2"))) TAIL;
  struct ct_annotation annotation;
  size_t whole = strlen(good) - 1; /* the last line feed does not matter */
  for (size_t n = 0; n < whole; n++) {
    assert_int_equal(read_text(good, n, &annotation), LC_ERR_FORMAT);
    assert_non_null(strstr(test_err.message, "case.xml:"));
  }
  assert_int_equal(read_text(good, whole, &annotation), LC_OK);
  assert_int_equal(annotation.n_marks, 1);
  assert_int_equal(annotation.marks[0].faults, CT_FAULT_NO_RATINGS | CT_FAULT_FEW_POINTS);
  ct_annotation_free(&annotation);
}

static void test_one_bad_file_among_good_ones(void **state) {
  (void)state;
  static const char good[] = HEAD "<readingSession>" TAIL;
  struct ct_annotation_set set;
  const char *paths = folder;
  char bad[300];
  snprintf(bad, sizeof bad, "%s/another.XML", folder);
  assert_ok(lc_file_write(path, good, strlen(good), &test_err));
  assert_ok(lc_file_write(bad, "<", 1, &test_err));
  assert_ok(ct_annotation_set_scan(&set, &paths, 1, NULL, &test_err));
  assert_int_equal(set.n_annotations, 1);
  assert_int_equal(set.problems.count, 1);
  assert_non_null(strstr(set.problems.paths[0], "another.XML:1: unclosed token"));
  ct_annotation_set_free(&set);
  assert_ok(lc_folder_remove(folder, &test_err));
  assert_fails(ct_annotation_set_scan(&set, &paths, 1, NULL, &test_err), LC_ERR_NOT_FOUND,
               "expected a folder or file");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_bad_value_costs_its_mark),
      cmocka_unit_test(test_messages),
      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_every_cut),
      cmocka_unit_test(test_one_bad_file_among_good_ones),
  };
  snprintf(path, sizeof path, "%s/case.xml", lc_test_folder(folder));
  return cmocka_run_group_tests(tests, NULL, NULL);
}
