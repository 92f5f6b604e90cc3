/* Damaged outboxes: damage is seen, an object that is still there is queued again, what is lost is
 * logged and set aside, and nothing crashes or leaks (the sanitizers watch).
 * needs: net */
#include "tests/pl_outbox_test.h"

#include <dirent.h>
#include <sys/stat.h>

#include "common/lc_random.h"

static void put(const char *path, const char *bytes, size_t count) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, count, file), count);
  fclose(file);
}

static lc_status reopen(void) {
  pl_outbox_close(&outbox_test);
  return pl_outbox_open(&outbox_test, outbox_path("outbox"), false, &test_err);
}

/* Changes a column of all entries as a stray bit would: beside the program, without a digest. */
static void change(const char *assignment) {
  char sql[200];
  snprintf(sql, sizeof sql, "UPDATE entry SET %s", assignment);
  assert_ok(pl_db_run(&outbox_test.db, sql, PL_NO_VALUES, NULL, &test_err));
}

static size_t n_damaged(void) {
  struct pl_outlook outlook;
  assert_ok(pl_outbox_look_ahead(&outbox_test, &outbox_known, "a", 0, &outlook, &test_err));
  return outlook.damaged;
}

static size_t n_files(const char *folder) {
  size_t n = 0;
  DIR *stream = opendir(outbox_path(folder));
  assert_non_null(stream);
  for (struct dirent *file = readdir(stream); file; file = readdir(stream))
    n += file->d_name[0] != '.';
  closedir(stream);
  return n;
}

static void a_damaged_entry_is_queued_again(void **state) {
  (void)state;
  static const char *const damage[] = {"state = 1",        "sha256 = 'x'", "attempts = 99",
                                       "source = 'other'", "digest = ''",  "transaction_uid = '1'"};
  outbox_add("a", outbox_object("2.25.1", 0), false);
  struct pl_entry before = outbox_entry("a");
  for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
    change(damage[i]);
    struct pl_entries entries = outbox_list("a");
    assert_int_equal(entries.n, 0);
    pl_entries_free(&entries);
    assert_int_equal(n_damaged(), 1);
    outbox_tidy();
    assert_int_equal(n_damaged(), 0);
    struct pl_entry after = outbox_entry("a");
    assert_int_equal(after.state, PL_STATE_QUEUED);
    assert_string_equal(after.sha256, before.sha256);
    assert_true(outbox_has_object(&after));
  }
}

/* Settled entries keep no bytes: nothing can be queued, and nothing was lost. */
static void a_damaged_entry_without_object_is_removed(void **state) {
  (void)state;
  outbox_add("a", outbox_object("2.25.1", 0), false);
  struct pl_entry entry = outbox_entry("a");
  entry.state = PL_STATE_SENT;
  assert_ok(pl_outbox_change(&outbox_test, &entry, &test_err));
  assert_ok(pl_outbox_release(&outbox_test, &entry, &outbox_known, &test_err));
  change("state = 0");
  outbox_tidy();
  struct pl_entries entries = outbox_list("a");
  assert_int_equal(entries.n, 0);
  pl_entries_free(&entries);
  assert_int_equal(n_damaged(), 0);
}

/* Where it should go can no longer be known: its bytes are kept, and not sent to anyone. */
static void an_entry_with_another_destination(void **state) {
  (void)state;
  outbox_add("a", outbox_object("2.25.1", 0), false);
  change("destination = 'c'");
  outbox_tidy();
  struct pl_entries entries = outbox_list(NULL);
  assert_int_equal(entries.n, 0);
  pl_entries_free(&entries);
  assert_int_equal(n_files("outbox/objects"), 0);
  assert_int_equal(n_files("outbox/damaged"), 1);
}

static void damaged_bytes_are_not_sent(void **state) {
  (void)state;
  char path[LC_PATH_SIZE], source[LC_PATH_SIZE];
  lc_text_copy(source, sizeof source, outbox_object("2.25.1", 0));
  outbox_add("a", source, false);
  struct pl_entry entry = outbox_entry("a");
  assert_ok(pl_outbox_verify(&outbox_test, &entry, &test_err));
  assert_ok(pl_outbox_object(&outbox_test, &entry, path, &test_err));
  put(path, "DICM?", 5);
  assert_fails(pl_outbox_verify(&outbox_test, &entry, &test_err), LC_ERR_FORMAT,
               "damaged in the outbox");
  assert_false(lc_file_exists(path)); /* set aside */
  assert_fails(pl_outbox_verify(&outbox_test, &entry, &test_err), LC_ERR_FORMAT, "missing");
  assert_int_equal(outbox_add("a", source, false), PL_ADDED_QUEUED);
  assert_ok(pl_outbox_verify(&outbox_test, &entry, &test_err));
}

static void strangers_in_the_folders(void **state) {
  (void)state;
  outbox_add("a", outbox_object("2.25.1", 0), false);
  put(outbox_path("outbox/objects/left-over.dcm"), "x", 1);
  put(outbox_path("outbox/objects/2.25.7-0123456789abcdef.dcm"), "x", 1);
  outbox_tidy();
  struct pl_entry entry = outbox_entry("a");
  assert_true(outbox_has_object(&entry));
  assert_int_equal(n_files("outbox/objects"), 1);
}

/* A database that is gone, empty, or none: where an object goes is not known any more, so it is
 * kept and sent to nobody. */
static void a_database_that_is_lost(void **state) {
  (void)state;
  static const char *const what[] = {NULL, "", "not a database"};
  static const size_t aside[] = {1, 1, 2}; /* the object, which stays one; the database */
  char path[LC_PATH_SIZE];
  lc_text_copy(path, sizeof path, outbox_path("outbox/outbox.db"));
  assert_ok(pl_outbox_keep_destination(&outbox_test, &outbox_known.items[0], &test_err));
  for (size_t i = 0; i < 3; i++) {
    outbox_add("a", outbox_object("2.25.1", 0), false);
    pl_outbox_close(&outbox_test);
    if (what[i])
      put(path, what[i], strlen(what[i]));
    else
      assert_int_equal(remove(path), 0);
    assert_ok(reopen());
    outbox_tidy();
    struct pl_entries entries = outbox_list(NULL);
    assert_int_equal(entries.n, 0);
    pl_entries_free(&entries);
    assert_int_equal(n_files("outbox/objects"), 0);
    assert_int_equal(n_files("outbox/damaged"), aside[i]);
  }
}

/* Where but one destination is kept, the objects of lost entries are queued for it again. */
static void entries_that_are_lost(void **state) {
  (void)state;
  static const char noise[4096] = "no page of a table";
  struct pl_destinations kept = {0};
  assert_ok(pl_outbox_keep_destination(&outbox_test, &outbox_known.items[0], &test_err));
  outbox_add("a", outbox_object("2.25.1", 0), false);
  struct pl_entry before = outbox_entry("a");
  pl_outbox_close(&outbox_test);
  FILE *file = fopen(outbox_path("outbox/outbox.db"), "r+b");
  assert_non_null(file);
  assert_int_equal(fseek(file, 4096, SEEK_SET), 0); /* the table of entries */
  assert_int_equal(fwrite(noise, 1, sizeof noise, file), sizeof noise);
  fclose(file);
  assert_ok(reopen());
  struct pl_entry after = outbox_entry("a");
  assert_int_equal(after.state, PL_STATE_QUEUED);
  assert_string_equal(after.sha256, before.sha256);
  assert_ok(pl_outbox_verify(&outbox_test, &after, &test_err));
  assert_ok(pl_outbox_kept_destinations(&outbox_test, &kept, &test_err));
  assert_int_equal(kept.n, 1);
  pl_destinations_free(&kept);
  assert_int_equal(n_files("outbox/damaged"), 1);
}

/* Any byte of the file may change: the object is queued for its destination afterwards, or set
 * aside, or the outbox says what is wrong and keeps everything. */
static void bytes_changed_anywhere(void **state) {
  (void)state;
  assert_ok(pl_outbox_keep_destination(&outbox_test, &outbox_known.items[0], &test_err));
  for (int i = 0; i < 20; i++) {
    char uid[32];
    snprintf(uid, sizeof uid, "2.25.%d", i + 1);
    outbox_add("a", outbox_object(uid, 0), false);
  }
  pl_outbox_close(&outbox_test);
  char *whole, *copy;
  size_t n;
  size_t set_aside = 0;
  assert_ok(lc_file_read(outbox_path("outbox/outbox.db"), 1 << 20, &whole, &n, &test_err));
  copy = malloc(n);
  assert_non_null(copy);
  for (uint64_t i = 0; i < 300; i++) {
    struct lc_random random;
    lc_random_init(&random, 1, "outbox", i);
    memcpy(copy, whole, n);
    for (int k = 0; k < 3; k++)
      copy[lc_random_below(&random, i % 2 ? 100 : (uint32_t)n)] =
          (char)lc_random_below(&random, 256);
    put(outbox_path("outbox/outbox.db"), copy, n);
    remove(outbox_path("outbox/outbox.db-wal"));
    remove(outbox_path("outbox/outbox.db-shm"));
    lc_status status = reopen();
    if (status != LC_OK) { /* a version that it does not have */
      assert_int_equal(status, LC_ERR_UNSUPPORTED);
      assert_int_equal(n_files("outbox/objects") + set_aside, 20);
      continue;
    }
    outbox_tidy();
    struct pl_entries entries = outbox_list(NULL);
    for (size_t k = 0; k < entries.n; k++) {
      assert_string_equal(entries.items[k].destination, "a");
      assert_int_equal(entries.items[k].state, PL_STATE_QUEUED);
      assert_ok(pl_outbox_verify(&outbox_test, &entries.items[k], &test_err));
    }
    assert_int_equal(n_files("outbox/objects"), entries.n);
    pl_entries_free(&entries);
    pl_outbox_close(&outbox_test);
    /* What was set aside comes back for the next. */
    DIR *stream = opendir(outbox_path("outbox/damaged"));
    assert_non_null(stream);
    for (struct dirent *file = readdir(stream); file; file = readdir(stream)) {
      char from[LC_PATH_SIZE], to[LC_PATH_SIZE];
      if (file->d_name[0] == '.') continue;
      snprintf(from, sizeof from, "%s/outbox/damaged/%s", outbox_folder, file->d_name);
      snprintf(to, sizeof to, "%s/outbox/objects/%s", outbox_folder, file->d_name);
      if (strstr(file->d_name, ".dcm"))
        assert_int_equal(rename(from, to), 0);
      else
        assert_int_equal(remove(from), 0);
    }
    closedir(stream);
    assert_int_equal(n_files("outbox/objects"), 20);
  }
  put(outbox_path("outbox/outbox.db"), whole, n);
  assert_ok(reopen());
  free(copy);
  free(whole);
}

/* A later program's outbox is not touched. */
static void a_later_version(void **state) {
  (void)state;
  assert_ok(pl_db_run(&outbox_test.db, "PRAGMA user_version = 99", PL_NO_VALUES, NULL, &test_err));
  assert_fails(reopen(), LC_ERR_UNSUPPORTED, "written by a later lungcdam");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, outbox_test_make, outbox_test_remove)
  const struct CMUnitTest tests[] = {TEST(a_damaged_entry_is_queued_again),
                                     TEST(a_damaged_entry_without_object_is_removed),
                                     TEST(an_entry_with_another_destination),
                                     TEST(damaged_bytes_are_not_sent),
                                     TEST(strangers_in_the_folders),
                                     TEST(a_database_that_is_lost),
                                     TEST(entries_that_are_lost),
                                     TEST(bytes_changed_anywhere),
                                     TEST(a_later_version)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
