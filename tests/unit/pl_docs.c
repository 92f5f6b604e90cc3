/* What the documentation says of the program is so. */
#include "lc_file.h"
#include "lc_test.h"
#include "lc_text.h"
#include "pl_cli.h"
#include "pl_config.h"

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

static void every_command_is_documented(void **state) {
  (void)state;
  char *text = doc("docs/cli.md");
  for (const struct pl_command *command = pl_commands; command->name; command++) {
    char title[64];
    snprintf(title, sizeof title, "\n## %s\n", command->name);
    if (!strstr(text, title)) fail_msg("docs/cli.md has no section for %s", command->name);
  }
  free(text);
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
    bool told = strstr(text, all) || strstr(text, own);
    if (told != key->is_place) fail_msg("docs/configuration.md is wrong about %s", key->name);
  }
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(exit_codes_are_those_of_the_document),
                                     cmocka_unit_test(every_command_is_documented),
                                     cmocka_unit_test(places_are_those_of_the_document)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
