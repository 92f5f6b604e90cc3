/* Where the documentation lies: a program of a source tree finds docs/ of that tree. */
#include "pipeline/cli/pl_cli.h"
#include "tests/lc_test.h"

static void finds_docs_of_the_source_tree(void **state) {
  (void)state;
  struct lc_text folder = {0};
  char *expected = realpath(LC_TEST_SOURCE_DIR "/docs", NULL);
  char built[4096] = "";
  assert_true(readlink("/proc/self/exe", built, sizeof built - 1) > 0);
  assert_non_null(expected);
  if (pl_docs_folder(&folder)) {
    assert_string_equal(lc_text_get(&folder), expected);
  } else { /* built outside of the tree: nothing is guessed */
    assert_string_equal(lc_text_get(&folder), "");
    assert_null(strstr(built, LC_TEST_SOURCE_DIR "/build"));
  }
  lc_text_free(&folder);
  free(expected);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(finds_docs_of_the_source_tree)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
