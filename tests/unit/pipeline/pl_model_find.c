/* Which weight file a text means. */
#include "pipeline/config/pl_model_find.h"

#include <limits.h>

#include "common/lc_log.h"
#include "tests/lc_test.h"

#define MODELS LC_TEST_SOURCE_DIR "/configs/models"

static char shipped[PATH_MAX], models[PATH_MAX]; /* without links */
static char folder[256], first[300], second[300], lines[4096];

static void sink(void *context, lc_log_level level, const char *line) {
  (void)context;
  (void)level;
  size_t used = strlen(lines);
  snprintf(lines + used, sizeof lines - used, "%s\n", line);
}

static void put(const char *where, const char *name, const char *text) {
  char path[400];
  snprintf(path, sizeof path, "%s/%s", where, name);
  assert_ok(lc_file_write(path, text, strlen(text), &test_err));
}

static void folders_are(const char *text) {
  if (text)
    setenv(PL_MODEL_FOLDERS, text, 1);
  else
    unsetenv(PL_MODEL_FOLDERS);
  lines[0] = '\0';
}

static void finds(const char *text, const char *path, const char *name) {
  struct pl_model_found found;
  assert_ok(pl_model_find(&found, text, &test_err));
  assert_string_equal(found.path, path);
  assert_string_equal(found.name, name);
}

static void the_model_that_ships_has_a_name(void **state) {
  (void)state;
  struct pl_model_found found;
  folders_are(NULL);
  finds("lidc_axial", shipped, "lidc_axial");
  finds("lidc_axial.safetensors", shipped, "lidc_axial");
  for (int i = 0; i < 2; i++) {
    assert_ok(pl_model_find(&found, i ? "" : NULL, &test_err));
    assert_true(found.by_default && found.by_name);
    assert_string_equal(found.path, shipped);
  }
  assert_string_equal(lines, "");
  pl_model_say(&found, NULL);
  char line[PATH_MAX + 80];
  snprintf(line, sizeof line, "no weights given: model lidc_axial (%s): malignancy", shipped);
  assert_non_null(strstr(lines, line));
  assert_non_null(strstr(lines, "research use only\n"));
}

static void a_path_is_taken_as_it_is(void **state) {
  (void)state;
  struct pl_model_found found;
  folders_are(NULL);
  finds("./lidc_axial", "./lidc_axial", "lidc_axial");
  finds("/no/where/x.pth", "/no/where/x.pth", "x.pth");
  assert_ok(pl_model_find(&found, shipped, &test_err));
  assert_false(found.by_name || found.by_default);
  pl_model_say(&found, NULL);
  assert_string_equal(lines, "");
}

static void earlier_folders_go_first(void **state) {
  (void)state;
  char text[900], path[400];
  put(first, "a.safetensors", "1");
  put(second, "a.safetensors", "2");
  put(second, "b.safetensors", "3");
  snprintf(text, sizeof text, ":%s:%s/none:%s:", first, folder, second);
  folders_are(text);
  snprintf(path, sizeof path, "%s/a.safetensors", first);
  finds("a", path, "a");
  assert_non_null(strstr(lines, "none is no folder"));
  assert_non_null(strstr(lines, "it hides"));
  snprintf(path, sizeof path, "%s/b.safetensors", second);
  finds("b", path, "b");
  finds("lidc_axial", shipped, "lidc_axial");
  struct pl_list list = {0};
  assert_ok(pl_model_folders(&list, &test_err));
  assert_int_equal(list.n, 4); /* the empty parts are none */
  assert_string_equal(list.items[0], first);
  assert_string_equal(list.items[3], models);
  pl_list_free(&list);
}

static void what_is_not_there_is_reported(void **state) {
  (void)state;
  struct pl_model_found found;
  char text[900];
  snprintf(text, sizeof text, "%s:%s", first, second);
  folders_are(text);
  assert_fails(pl_model_find(&found, "lidc-axial", &test_err), LC_ERR_NOT_FOUND,
               "lidc-axial: neither a file here nor a model at hand, the nearest is 'lidc_axial'; "
               "models at hand: a, b, lidc_axial; searched: ");
  assert_non_null(strstr(test_err.message, second));
  assert_string_equal(found.path, "");
  assert_fails(pl_model_find(&found, ".a", &test_err), LC_ERR_NOT_FOUND, ".a: neither");
  assert_fails(pl_model_find(&found, ".safetensors", &test_err), LC_ERR_NOT_FOUND, "neither");
}

/* A folder of that name is no file; a file goes before the model, and that is logged. */
static void a_file_here_goes_first(void **state) {
  (void)state;
  char before[512];
  assert_non_null(getcwd(before, sizeof before));
  assert_int_equal(chdir(folder), 0);
  folders_are(first);
  assert_ok(lc_folder_make("b", &test_err));
  put(".", "a.safetensors", "4");
  finds("a.safetensors", "a.safetensors", "a");
  assert_non_null(strstr(lines, "the file of that name in the working directory, not the model"));
  put(".", "lidc_axial", "5");
  struct pl_model_found found;
  assert_ok(pl_model_find(&found, NULL, &test_err)); /* the default is no path */
  assert_string_equal(found.path, shipped);
  assert_int_equal(chdir(first), 0);
  lines[0] = '\0';
  finds("a.safetensors", "a.safetensors", "a"); /* the very file of the model */
  assert_string_equal(lines, "");
  assert_int_equal(chdir(before), 0);
}

static void purposes_come_from_a_text_or_the_note(void **state) {
  (void)state;
  struct lc_text text = {0};
  char path[400];
  put(first, "a.txt", "for tests\r\nmore\n");
  snprintf(path, sizeof path, "%s/a.safetensors", first);
  assert_ok(pl_model_purpose(path, NULL, &text, &test_err));
  assert_string_equal(lc_text_get(&text), "for tests");
  lc_text_free(&text);
  const char header[] = "{\"__metadata__\":{\"note\":\"made by hand\"}} ";
  char bytes[128] = {0};
  bytes[0] = (char)(sizeof header - 1);
  memcpy(bytes + 8, header, sizeof header - 1);
  snprintf(path, sizeof path, "%s/noted.safetensors", first);
  assert_ok(lc_file_write(path, bytes, 8 + sizeof header - 1, &test_err));
  assert_ok(pl_model_purpose(path, NULL, &text, &test_err));
  assert_string_equal(lc_text_get(&text), "made by hand");
  lc_text_free(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_model_that_ships_has_a_name),
      cmocka_unit_test(a_path_is_taken_as_it_is),
      cmocka_unit_test(earlier_folders_go_first),
      cmocka_unit_test(what_is_not_there_is_reported),
      cmocka_unit_test(a_file_here_goes_first),
      cmocka_unit_test(purposes_come_from_a_text_or_the_note),
  };
  lc_log_set_sink(sink, NULL);
  if (!realpath(MODELS, models) || !realpath(MODELS "/lidc_axial.safetensors", shipped)) return 1;
  lc_test_folder(folder);
  snprintf(first, sizeof first, "%s/first", folder);
  snprintf(second, sizeof second, "%s/second", folder);
  if (lc_folder_make(first, NULL) != LC_OK || lc_folder_make(second, NULL) != LC_OK) return 1;
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (lc_folder_remove(folder, NULL) != LC_OK) return 1;
  return failed;
}
