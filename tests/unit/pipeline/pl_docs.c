/* What the documentation says of the program is so. */
#include <dirent.h>

#include "common/lc_file.h"
#include "common/lc_text.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/config/pl_config.h"
#include "tests/lc_test.h"

static char *doc(const char *name) {
  char path[512], *text;
  size_t count;
  snprintf(path, sizeof path, "%s/%s", LC_TEST_SOURCE_DIR, name);
  assert_ok(lc_file_read(path, 1 << 20, &text, &count, &test_err));
  return text;
}

static void exit_codes_are_those_of_the_document(void **state) {
  (void)state;
  char *text = doc("docs/exit-codes.md");
  for (int code = 0; code < LC_STATUS_COUNT; code++) {
    char row[64];
    snprintf(row, sizeof row, "| %d | %s |", code, lc_status_name((lc_status)code));
    if (!strstr(text, row)) fail_msg("docs/exit-codes.md has no row \"%s\"", row);
  }
  char beyond[32];
  snprintf(beyond, sizeof beyond, "| %d |", LC_STATUS_COUNT);
  assert_null(strstr(text, beyond));
  free(text);
}

/* Somewhere in docs/ stands how each command is called. */
static void every_command_is_documented(void **state) {
  (void)state;
  struct lc_text all = {0};
  struct dirent *entry;
  DIR *stream = opendir(LC_TEST_SOURCE_DIR "/docs");
  assert_non_null(stream);
  while ((entry = readdir(stream)) != NULL) {
    char name[300];
    const char *dot = strrchr(entry->d_name, '.');
    if (!dot || strcmp(dot, ".md") != 0) continue;
    snprintf(name, sizeof name, "docs/%s", entry->d_name);
    char *text = doc(name);
    lc_text_add(&all, "%s", text);
    free(text);
  }
  closedir(stream);
  for (const struct pl_command *const *command = pl_commands; *command; command++) {
    char call[64];
    snprintf(call, sizeof call, "lungcdam %s ", (*command)->name);
    if (!strstr(lc_text_get(&all), call)) fail_msg("docs/ does not say how to call %s", call);
  }
  lc_text_free(&all);
}

/* Keys that are not hashed are named in the document, because users rely on it. */
static void places_are_those_of_the_document(void **state) {
  (void)state;
  char *text = doc("docs/configuration.md");
  for (size_t i = 0; i < pl_config_schema.n_keys; i++) {
    const struct pl_key *key = &pl_config_schema.keys[i];
    char group[64], all[80], own[80];
    snprintf(group, sizeof group, "%.*s", (int)strcspn(key->name, "."), key->name);
    snprintf(all, sizeof all, "`%s.*`", group);
    snprintf(own, sizeof own, "`%s`", key->name);
    bool documented = strstr(text, all) || strstr(text, own);
    if (documented != (key->keeping == PL_PLACE))
      fail_msg("docs/configuration.md is wrong about %s", key->name);
  }
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(exit_codes_are_those_of_the_document),
                                     cmocka_unit_test(every_command_is_documented),
                                     cmocka_unit_test(places_are_those_of_the_document)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
