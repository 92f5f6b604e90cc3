#include "pipeline/store/pl_output.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/lc_test.h"

static char folder[256];

static void in(char out[512], const char *name) {
  snprintf(out, 512, "%s/%s", folder, name);
}

static void put(const char *directory, const char *name, const char *text) {
  char path[LC_PATH_SIZE];
  assert_ok(lc_path_join(path, directory, name, &test_err));
  assert_ok(lc_file_write(path, text, strlen(text), &test_err));
}

static int entries(const char *path) {
  int n = 0;
  DIR *stream = opendir(path);
  assert_non_null(stream);
  for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream))
    n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
  closedir(stream);
  return n;
}

static void a_draft_is_hidden_until_it_is_published(void **state) {
  (void)state;
  char path[512], result[600];
  in(path, "publish");
  struct pl_output output;
  struct pl_draft draft;
  assert_ok(pl_output_open(&output, path, &test_err));
  assert_ok(pl_draft_begin(&draft, &output, "1.2.3", &test_err));
  put(draft.folder, "a", "first");
  snprintf(result, sizeof result, "%s/1.2.3", path);
  assert_false(lc_file_exists(result));
  assert_int_equal(strrchr(draft.folder, '/')[1], '.');
  assert_ok(pl_draft_publish(&draft, false, &test_err));
  assert_true(lc_file_exists(result));
  assert_int_equal(entries(path), 1);

  assert_ok(pl_draft_begin(&draft, &output, "1.2.3", &test_err));
  put(draft.folder, "b", "second");
  assert_fails(pl_draft_publish(&draft, false, &test_err), LC_ERR_EXISTS, "1.2.3: exists");
  assert_int_equal(entries(path), 1); /* the draft is gone, the first result is not */
  snprintf(result, sizeof result, "%s/1.2.3/a", path);
  assert_true(lc_file_exists(result));

  assert_ok(pl_draft_begin(&draft, &output, "1.2.3", &test_err));
  put(draft.folder, "b", "second");
  assert_ok(pl_draft_publish(&draft, true, &test_err));
  assert_false(lc_file_exists(result));
  assert_int_equal(entries(path), 1);
  pl_output_close(&output);
}

static void a_discarded_draft_leaves_nothing(void **state) {
  (void)state;
  char path[512];
  in(path, "discard");
  struct pl_output output;
  struct pl_draft draft;
  assert_ok(pl_output_open(&output, path, &test_err));
  assert_ok(pl_draft_begin(&draft, &output, "x", &test_err));
  put(draft.folder, "a", "text");
  pl_draft_discard(&draft);
  pl_draft_discard(&draft);
  assert_int_equal(entries(path), 0);
  pl_output_close(&output);
  assert_false(lc_file_exists(path)); /* made by us and empty */
}

/* What a killed process left is removed; what a living one is making is not. */
static void stale_drafts_are_removed(void **state) {
  (void)state;
  char path[512], dead[700], temporary[700], alive[700], other[700];
  in(path, "stale");
  struct pl_output output;
  struct pl_draft draft;
  assert_ok(pl_output_open(&output, path, &test_err));
  pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, NULL, 0);
  snprintf(dead, sizeof dead, "%s/.lungcdam-1.2.%d.partial", path, (int)child);
  snprintf(temporary, sizeof temporary, "%s/.lungcdam.h5.%d.partial", path, (int)child);
  snprintf(alive, sizeof alive, "%s/.lungcdam-1.3.%d.partial", path, (int)getppid());
  snprintf(other, sizeof other, "%s/.hidden", path);
  assert_ok(lc_folder_make(dead, &test_err));
  put(dead, "half", "x");
  put(path, strrchr(temporary, '/') + 1, "x");
  assert_ok(lc_folder_make(alive, &test_err));
  assert_ok(lc_folder_make(other, &test_err));
  assert_ok(pl_draft_begin(&draft, &output, "mine", &test_err)); /* locked by this process */
  struct pl_output second;
  assert_ok(pl_output_open(&second, path, &test_err));
  assert_false(lc_file_exists(dead));
  assert_false(lc_file_exists(temporary));
  assert_true(lc_file_exists(alive));
  assert_true(lc_file_exists(other));
  assert_true(lc_file_exists(draft.folder));
  pl_draft_discard(&draft);
}

static void names_from_files_are_made_safe(void **state) {
  (void)state;
  char name[129];
  pl_output_name(name, "../../etc/passwd");
  assert_string_equal(name, "_._.._etc_passwd");
  pl_output_name(name, "");
  assert_string_equal(name, "_");
  pl_output_name(name, "1.2.840");
  assert_string_equal(name, "1.2.840");
  char many[300];
  memset(many, 'a', sizeof many - 1);
  many[sizeof many - 1] = '\0';
  pl_output_name(name, many);
  assert_int_equal(strlen(name), 128);
}

static void a_place_that_is_no_folder_is_refused(void **state) {
  (void)state;
  char path[512];
  put(folder, "file", "x");
  in(path, "file/below");
  struct pl_output output;
  assert_fails(pl_output_open(&output, path, &test_err), LC_ERR_NOT_WRITABLE, "file");
  in(path, "file");
  assert_fails(pl_output_open(&output, path, &test_err), LC_ERR_NOT_WRITABLE, "file");
}

int main(void) {
  lc_test_folder(folder);
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_draft_is_hidden_until_it_is_published),
                                     cmocka_unit_test(a_discarded_draft_leaves_nothing),
                                     cmocka_unit_test(stale_drafts_are_removed),
                                     cmocka_unit_test(names_from_files_are_made_safe),
                                     cmocka_unit_test(a_place_that_is_no_folder_is_refused)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (lc_folder_remove(folder, NULL) != LC_OK) return 1;
  return failed;
}
