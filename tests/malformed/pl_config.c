/* Damaged configuration files: each is read or refused with the file's name, none crashes or leaks
 * (the sanitizers watch). */
#include "pipeline/config/pl_config.h"

#include "common/lc_file.h"
#include "common/lc_random.h"
#include "tests/lc_test.h"

static char folder[256], path[300];

static lc_status read_text(const char *bytes, size_t count) {
  FILE *file = fopen(path, "wb"); /* not lc_file_write: it syncs, which takes long */
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, count, file), count);
  fclose(file);
  struct pl_overrides overrides = {.file = path};
  struct pl_config config;
  test_err.message[0] = '\0';
  lc_status status = pl_config_make(&config, &overrides, &test_err);
  if (status == LC_OK) pl_config_free(&config);
  return status;
}

/* Either it is a configuration, or the message says which file, key or rule is wrong. */
static void settled(const char *bytes, size_t count) {
  lc_status status = read_text(bytes, count);
  if (status == LC_OK) return;
  assert_int_equal(status, LC_ERR_CONFIG);
  assert_true(strstr(test_err.message, "run.yaml") || strstr(test_err.message, "expected"));
}

static struct lc_text whole(void) {
  struct pl_overrides none = {0};
  struct pl_config config;
  struct lc_text text = {0};
  assert_ok(pl_config_make(&config, &none, &test_err));
  pl_schema_print(&pl_config_schema, &config, PL_PRINT_CANONICAL, &text);
  pl_config_free(&config);
  return text;
}

static void truncated_anywhere(void **state) {
  (void)state;
  struct lc_text text = whole();
  for (size_t n = 0; n < text.length; n++) settled(text.data, n);
  lc_text_free(&text);
}

static void bytes_changed(void **state) {
  (void)state;
  struct lc_text text = whole();
  struct lc_random random;
  char *copy = malloc(text.length);
  assert_non_null(copy);
  size_t refused = 0;
  for (uint64_t i = 0; i < 600; i++) {
    memcpy(copy, text.data, text.length);
    lc_random_init(&random, 1, "yaml", i);
    for (int k = 0; k < 3; k++)
      copy[lc_random_below(&random, (uint32_t)text.length)] = (char)lc_random_below(&random, 256);
    settled(copy, text.length);
    refused += test_err.message[0] != '\0';
  }
  assert_true(refused > 500); /* the reader is strict */
  free(copy);
  lc_text_free(&text);
}

static void refuses(const char *text, const char *message) {
  assert_fails(read_text(text, strlen(text)), LC_ERR_CONFIG, message);
}

static void yaml_that_does_harm(void **state) {
  (void)state;
  refuses("a: &a [*a]\n", "unknown key 'a'");
  refuses("figure: &f\n  opacity: 0.5\n  colours: *f\n", "figure.colours is a mapping");
  refuses("? [complex]\n: 1\n", "a key is not a word");
  refuses("\xff\xfe\xfa", "not YAML");
  refuses("%YAML 9.9\n---\na: 1\n", "not YAML");
  refuses("figure:\n  opacity: 1e999\n", "expected a number");
  refuses("cube:\n  edge: 99999999999999999999\n", "expected a whole number");
  struct lc_text deep = {0};
  for (int i = 0; i < 100000; i++) lc_text_add(&deep, "[");
  assert_fails(read_text(lc_text_get(&deep), deep.length), LC_ERR_CONFIG, "more than 64 deep");
  lc_text_free(&deep);
  char *large = calloc(1, (1 << 20) + 2);
  assert_non_null(large);
  memset(large, '#', (1 << 20) + 1);
  assert_fails(read_text(large, (1 << 20) + 1), LC_ERR_FORMAT, "at most 1048576 are accepted");
  free(large);
  struct lc_text laughs = {0}; /* aliases of aliases: expanded they would be 2^40 items */
  lc_text_add(&laughs, "a0: &a0 [x, x]\n");
  for (int i = 1; i < 40; i++) lc_text_add(&laughs, "a%d: &a%d [*a%d, *a%d]\n", i, i, i - 1, i - 1);
  assert_fails(read_text(lc_text_get(&laughs), laughs.length), LC_ERR_CONFIG, "unknown key 'a0'");
  lc_text_free(&laughs);
}

int main(void) {
  lc_test_folder(folder);
  snprintf(path, sizeof path, "%s/run.yaml", folder);
  const struct CMUnitTest tests[] = {cmocka_unit_test(truncated_anywhere),
                                     cmocka_unit_test(bytes_changed),
                                     cmocka_unit_test(yaml_that_does_harm)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (lc_folder_remove(folder, NULL) != LC_OK) return 1;
  return failed;
}
