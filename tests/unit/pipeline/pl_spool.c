/* The spool: series grow, wait, are processed and kept; late slices join them; nothing that was put
 * is lost by kills, damage, or the step from earlier versions, whose folders said where a series
 * stood.
 * needs: net */
#include "pipeline/delivery/pl_spool.h"

#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/lc_text.h"
#include "tests/lc_test.h"

static char folder[256], spool_folder[512];
static struct pl_spool spool;
static struct pl_spool_limits limits;

static void open_spool(void) {
  assert_ok(pl_spool_open(&spool, spool_folder, &limits, 2, &test_err));
}

static int make(void **state) {
  (void)state;
  lc_test_folder(folder);
  snprintf(spool_folder, sizeof spool_folder, "%s/spool", folder);
  limits = (struct pl_spool_limits){.max_bytes = 1 << 20, .max_series = 3, .keep_s = 3600};
  open_spool();
  return 0;
}

static int discard(void **state) {
  (void)state;
  pl_spool_close(&spool);
  return lc_folder_remove(folder, NULL) != LC_OK;
}

/* Puts object number `object` of series number `series` with these contents. */
static lc_status put_contents(struct pl_spool *into, int series, int object, const char *contents,
                              bool replace, struct pl_spool_put *done) {
  struct ct_identity identity = {
      .study_instance_uid = "1.2", .sop_class_uid = "1.2.3", .modality = "CT"};
  char part[LC_PATH_SIZE];
  snprintf(identity.series_instance_uid, CT_UID_SIZE, "1.2.%d", series);
  snprintf(identity.sop_instance_uid, CT_UID_SIZE, "1.2.%d.%d", series, object);
  pl_spool_part(into, 0, part);
  FILE *file = fopen(part, "w");
  if (!file) return LC_ERR_NOT_WRITABLE;
  fputs(contents, file);
  fclose(file);
  return pl_spool_put(into, &identity, part, replace, done, &test_err);
}

static lc_status put(struct pl_spool *into, int series, int object, char name[PL_SPOOL_NAME],
                     bool *is_new) {
  struct pl_spool_put done = {.is_new = false};
  char contents[32];
  snprintf(contents, sizeof contents, "object %d", object);
  lc_status status = put_contents(into, series, object, contents, true, &done);
  memcpy(name, done.name, sizeof done.name);
  *is_new = done.is_new;
  return status;
}

static bool put_all(int series, int first, int n) {
  char name[PL_SPOOL_NAME];
  bool is_new = false, any_new = false;
  for (int i = first; i < first + n; i++) {
    assert_ok(put(&spool, series, i, name, &is_new));
    any_new = any_new || is_new;
  }
  return any_new;
}

/* The next complete series, whatever the time; its number, or 0. */
static int complete(struct pl_spool_series *one) {
  assert_ok(pl_spool_complete(&spool, 0, 0, "", one, &test_err));
  return one->name[0] ? atoi(one->series_instance_uid + 4) : 0;
}

static void finish(enum pl_spool_place to, const char *outcome) {
  struct pl_spool_series one;
  assert_ok(pl_spool_next(&spool, &one, &test_err));
  assert_true(one.name[0]);
  lc_text_copy(one.outcome, sizeof one.outcome, outcome);
  lc_text_copy(one.reason, sizeof one.reason, "because");
  assert_ok(pl_spool_finish(&spool, &one, to, &test_err));
}

/* "PLACE:SERIES:OBJECTS " for each series, in the order of the list. */
static const char *summary(void) {
  static char text[512];
  struct pl_spool_list list;
  size_t length = 0;
  text[0] = '\0';
  assert_ok(pl_spool_look(spool_folder, &list, &test_err));
  for (size_t i = 0; i < list.n; i++) {
    const struct pl_spool_series *one = &list.items[i];
    char path[LC_PATH_SIZE];
    long long files = 0;
    length +=
        (size_t)snprintf(text + length, sizeof text - length, "%s:%s:%lld ",
                         pl_spool_place_names[one->place], one->series_instance_uid, one->objects);
    pl_spool_folder(&spool, one->place == PL_SPOOL_RECEIVING, one->name, path);
    DIR *stream = opendir(path);
    for (struct dirent *file = stream ? readdir(stream) : NULL; file; file = readdir(stream))
      files += file->d_name[0] != '.';
    if (stream) closedir(stream);
    assert_int_equal(files, one->objects);
    assert_int_equal(one->bytes, 4096 * files);
  }
  free(list.items);
  return text;
}

static void a_series_from_slice_to_result(void **state) {
  (void)state;
  struct pl_spool_series one;
  assert_true(put_all(1, 1, 3));
  assert_false(put_all(1, 2, 3)); /* two of them once more */
  assert_string_equal(summary(), "receiving:1.2.1:4 ");
  assert_ok(pl_spool_complete(&spool, 3600, 0, "", &one, &test_err));
  assert_string_equal(one.name, ""); /* it may still grow */
  assert_int_equal(complete(&one), 1);
  assert_string_equal(one.study_instance_uid, "1.2");
  assert_string_equal(one.modality, "CT");
  assert_int_equal(complete(&one), 0);
  assert_string_equal(summary(), "work:1.2.1:4 ");
  finish(PL_SPOOL_DONE, "done");
  assert_string_equal(summary(), "done:1.2.1:4 ");
  struct pl_spool_list list;
  assert_ok(pl_spool_list(&spool, &list, &test_err));
  assert_string_equal(list.items[0].outcome, "done");
  assert_string_equal(list.items[0].reason, "because");
  free(list.items);
}

static void late_slices_join(void **state) {
  (void)state;
  struct pl_spool_series one, running;
  put_all(1, 1, 3);
  (void)complete(&one);
  assert_ok(pl_spool_next(&spool, &running, &test_err));
  put_all(1, 4, 2);
  /* Not while it is being processed. */
  assert_ok(pl_spool_complete(&spool, 0, 0, running.name, &one, &test_err));
  assert_string_equal(one.name, "");
  assert_string_equal(summary(), "receiving:1.2.1:2 work:1.2.1:3 ");
  finish(PL_SPOOL_QUARANTINE, "quarantined");
  assert_int_equal(complete(&one), 1);
  assert_string_equal(summary(), "work:1.2.1:5 ");
  finish(PL_SPOOL_DONE, "done");
  /* The same once more: nothing is doubled, and it is processed again. */
  assert_true(put_all(1, 1, 5));
  assert_string_equal(summary(), "receiving:1.2.1:0 done:1.2.1:5 ");
  assert_int_equal(complete(&one), 1);
  assert_string_equal(summary(), "work:1.2.1:5 ");
}

/* The contents of an object in its series. */
static const char *contents_of(const char *name, bool receiving) {
  static char contents[64];
  char path[LC_PATH_SIZE];
  pl_spool_folder(&spool, receiving, name, path);
  DIR *stream = opendir(path);
  contents[0] = '\0';
  for (struct dirent *entry = stream ? readdir(stream) : NULL; entry; entry = readdir(stream)) {
    char file[LC_PATH_SIZE], *bytes;
    size_t n;
    if (entry->d_name[0] == '.') continue;
    assert_ok(lc_path_join(file, path, entry->d_name, &test_err));
    assert_ok(lc_file_read(file, 64, &bytes, &n, &test_err));
    snprintf(contents, sizeof contents, "%s", bytes);
    free(bytes);
  }
  if (stream) closedir(stream);
  return contents;
}

/* An object that comes again with other contents replaces the one that is here, growing or done,
 * and its series waits again; or it is refused, and nothing changes. */
static void corrected_objects(void **state) {
  (void)state;
  struct pl_spool_put done;
  struct pl_spool_series one;
  assert_ok(put_contents(&spool, 1, 1, "wrong", true, &done));
  assert_false(done.differs);
  assert_ok(put_contents(&spool, 1, 1, "wrong", true, &done));
  assert_false(done.differs);
  assert_ok(put_contents(&spool, 1, 1, "other", true, &done));
  assert_true(done.differs && !done.is_new);
  assert_string_equal(contents_of(done.name, true), "other");
  assert_int_equal(complete(&one), 1);
  finish(PL_SPOOL_DONE, "done");
  assert_ok(put_contents(&spool, 1, 1, "right", false, &done)); /* refused: all stays */
  assert_true(done.differs);
  assert_int_equal(complete(&one), 0);
  assert_string_equal(contents_of(done.name, false), "other");
  assert_ok(put_contents(&spool, 1, 1, "right", true, &done));
  assert_true(done.differs && done.is_new);
  assert_int_equal(complete(&one), 1);
  assert_string_equal(contents_of(done.name, false), "right");
  assert_ok(pl_spool_next(&spool, &one, &test_err));
  assert_string_equal(one.name, done.name);
  assert_int_equal(one.objects, 1);
}

static void a_rest_of_what_is_no_longer_kept(void **state) {
  (void)state;
  struct pl_spool_series one;
  put_all(1, 1, 3);
  (void)complete(&one);
  finish(PL_SPOOL_DONE, "done");
  spool.limits.keep_s = -1;
  assert_ok(pl_spool_expire(&spool, &test_err));
  assert_string_equal(summary(), "");
  put_all(1, 4, 2);
  assert_fails(pl_spool_complete(&spool, 0, 0, "", &one, &test_err), LC_ERR_MISMATCH,
               "2 objects came late for a series whose earlier 3 are no longer kept");
  assert_ok(pl_spool_finish(&spool, &one, PL_SPOOL_QUARANTINE, &test_err));
  assert_string_equal(summary(), "quarantine:1.2.1:2 ");
  put_all(1, 1, 1); /* as many as there were */
  assert_int_equal(complete(&one), 1);
  assert_string_equal(summary(), "work:1.2.1:3 ");
}

static void room_is_made_of_what_is_done(void **state) {
  (void)state;
  struct pl_spool_series one;
  bool fits = false;
  for (int i = 1; i <= 3; i++) {
    put_all(i, 1, 2);
    (void)complete(&one);
    if (i < 3) finish(PL_SPOOL_DONE, "done");
    usleep(2000);
  }
  put_all(2, 3, 1); /* grows again: is kept */
  spool.limits.max_bytes = 6 * 4096;
  assert_ok(pl_spool_make_room(&spool, &fits, &test_err));
  assert_true(fits);
  assert_string_equal(summary(), "receiving:1.2.2:1 work:1.2.3:2 done:1.2.2:2 ");
  atomic_store(&spool.reserved[1], 3 * 4096);
  assert_ok(pl_spool_make_room(&spool, &fits, &test_err));
  assert_false(fits);
  pl_spool_clear_slot(&spool, 1);
  assert_ok(pl_spool_make_room(&spool, &fits, &test_err));
  assert_true(fits);
}

static void the_queue_has_an_end(void **state) {
  (void)state;
  char name[PL_SPOOL_NAME];
  bool is_new;
  for (int i = 1; i <= 3; i++) put_all(i, 1, 1);
  assert_int_equal(put(&spool, 4, 1, name, &is_new), LC_ERR_NO_SPACE);
  assert_non_null(strstr(test_err.message, "3 series wait already"));
  put_all(3, 2, 1); /* one that is open may grow */
  assert_string_equal(summary(), "receiving:1.2.1:1 receiving:1.2.2:1 receiving:1.2.3:2 ");
}

static void commitment_completes_a_series(void **state) {
  (void)state;
  struct pl_spool_series one;
  bool held = true;
  put_all(1, 1, 2);
  assert_ok(pl_spool_holds(&spool, "1.2.1.9", &held, &test_err));
  assert_false(held);
  assert_ok(pl_spool_complete(&spool, 3600, 0, "", &one, &test_err));
  assert_string_equal(one.name, "");
  assert_ok(pl_spool_holds(&spool, "1.2.1.2", &held, &test_err));
  assert_true(held);
  assert_ok(pl_spool_complete(&spool, 3600, 0, "", &one, &test_err));
  assert_string_equal(one.series_instance_uid, "1.2.1");
  finish(PL_SPOOL_QUARANTINE, "quarantined");
  assert_ok(pl_spool_holds(&spool, "1.2.1.2", &held, &test_err));
  assert_false(held);
}

static void one_server_has_it(void **state) {
  (void)state;
  struct pl_spool other;
  assert_fails(pl_spool_open(&other, spool_folder, &limits, 2, &test_err), LC_ERR_EXISTS,
               "another server uses this spool");
}

/* In a child: puts 40 objects into two series; a byte for each that is confirmed. */
static void put_in_child(int first, int report) {
  struct pl_spool own = spool;
  for (int i = first; i < first + 40; i++) {
    char name[PL_SPOOL_NAME];
    bool is_new;
    if (put(&own, 1 + i % 2, i, name, &is_new) != LC_OK) _exit(1);
    if (write(report, "x", 1) != 1) _exit(2);
  }
  _exit(0);
}

/* A receiver and the server die at any moment: what was confirmed is there, and at most one more.
 */
static void killed_while_receiving(void **state) {
  (void)state;
  long long before = 0;
  for (int kills = 0; kills < 15; kills++) {
    int ends[2];
    char confirmed[64];
    long long objects = 0;
    assert_int_equal(pipe(ends), 0);
    pl_spool_rest(&spool);
    pid_t child = fork();
    if (child == 0) put_in_child(100 * kills, ends[1]);
    close(ends[1]);
    usleep((useconds_t)(3000 + 1777 * kills % 20000));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    ssize_t n = read(ends[0], confirmed, sizeof confirmed);
    close(ends[0]);
    pl_spool_close(&spool);
    open_spool();
    (void)summary(); /* compares spool.db with the files */
    struct pl_spool_list list;
    assert_ok(pl_spool_list(&spool, &list, &test_err));
    for (size_t i = 0; i < list.n; i++) objects += list.items[i].objects;
    free(list.items);
    if (n < 0) n = 0;
    assert_true(objects >= before + n && objects <= before + n + 1);
    before = objects;
  }
}

/* Three series: one grows, one is done and grows again, one is in quarantine. */
static void fill(void) {
  struct pl_spool_series one;
  put_all(2, 1, 2);
  (void)complete(&one);
  finish(PL_SPOOL_DONE, "done");
  put_all(3, 1, 3);
  (void)complete(&one);
  finish(PL_SPOOL_QUARANTINE, "quarantined");
  put_all(1, 1, 1);
  put_all(2, 3, 1);
}
#define FILLED "receiving:1.2.1:1 receiving:1.2.2:1 done:1.2.2:2 quarantine:1.2.3:3 "

static void files_are_the_truth(void **state) {
  (void)state;
  char path[LC_PATH_SIZE], command[LC_PATH_SIZE + 32];
  fill();
  assert_string_equal(summary(), FILLED);
  struct pl_spool_list list;
  assert_ok(pl_spool_list(&spool, &list, &test_err));
  pl_spool_folder(&spool, false, list.items[3].name, path); /* somebody cleared quarantine */
  free(list.items);
  assert_ok(lc_folder_remove(path, &test_err));
  assert_ok(pl_spool_expire(&spool, &test_err));
  assert_string_equal(summary(), "receiving:1.2.1:1 receiving:1.2.2:1 done:1.2.2:2 ");
  /* Without spool.db, or with a damaged one, what is complete is processed once more. */
  for (int damage = 0; damage < 2; damage++) {
    pl_spool_close(&spool);
    snprintf(command, sizeof command, damage ? "echo damaged >%s/spool.db" : "rm %s/spool.db",
             spool_folder);
    assert_int_equal(system(command), 0);
    open_spool();
    assert_string_equal(summary(), "receiving::1 receiving::1 work::2 ");
  }
  DIR *stream = opendir(spool_folder);
  size_t n = 0;
  for (struct dirent *file = stream ? readdir(stream) : NULL; file; file = readdir(stream))
    n += strcmp(file->d_name, "damaged") == 0;
  if (stream) closedir(stream);
  assert_int_equal(n, 1);
}

static void write_text(const char *below, const char *name, const char *file, const char *text) {
  char path[LC_PATH_SIZE];
  snprintf(path, sizeof path, "%s/%s/%s", spool_folder, below, name);
  assert_ok(lc_folder_make(path, &test_err));
  snprintf(path, sizeof path, "%s/%s/%s/%s", spool_folder, below, name, file);
  assert_ok(lc_file_write(path, text, strlen(text), &test_err));
}

#define NAME(digit) #digit "0000000000000000000000000000000"

/* A spool of earlier versions: NAME(1) grows and was done, (2) waits, (3) is in quarantine, (4) is
 * no longer kept, (5) grows and is complete. */
static void make_old(void) {
  pl_spool_close(&spool);
  assert_ok(lc_folder_remove(spool_folder, &test_err));
  write_text("receiving", NAME(1), "c.dcm", "late");
  write_text("receiving", NAME(1), "a.dcm", "again");
  write_text("done", NAME(1), "a.dcm", "1");
  write_text("done", NAME(1), "b.dcm", "2");
  write_text("done", NAME(1), "outcome.json",
             "{\"outcome\": \"kept\", \"status\": \"ok\", \"reason\": \"\", "
             "\"SeriesInstanceUID\": \"1.2.1\", \"StudyInstanceUID\": \"1.2\", "
             "\"modality\": \"CT\", \"objects\": 2, \"time\": \"2024-01-01T00:00:00Z\", "
             "\"results\": \"/results/1.2.1\"}");
  write_text("work", NAME(2), "a.dcm", "1");
  write_text("quarantine", NAME(3), "a.dcm", "1");
  write_text("quarantine", NAME(3), "reason.json",
             "{\"outcome\": \"quarantined\", \"status\": \"geometry\", \"reason\": \"slices are "
             "missing\", \"SeriesInstanceUID\": \"1.2.3\", \"StudyInstanceUID\": \"1.2\", "
             "\"modality\": \"CT\", \"objects\": 1, \"time\": \"2024-01-01T00:00:00Z\"}");
  write_text("past", "", NAME(4), "7\n");
  write_text("receiving", NAME(5), "a.dcm", "1");
  write_text("receiving", NAME(5), ".complete", "");
  write_text("", "", "moving.lock", "");
}

static void is_taken_over(void) {
  static const struct {
    const char *name;
    enum pl_spool_place place;
    long long objects;
    const char *uid, *outcome, *status, *reason, *results;
  } expected[] = {
      {NAME(1), PL_SPOOL_RECEIVING, 2, "", "", "", "", ""},
      {NAME(5), PL_SPOOL_RECEIVING, 1, "", "", "", "", ""},
      {NAME(2), PL_SPOOL_WORK, 1, "", "", "", "", ""},
      {NAME(1), PL_SPOOL_DONE, 2, "1.2.1", "kept", "ok", "", "/results/1.2.1"},
      {NAME(3), PL_SPOOL_QUARANTINE, 1, "1.2.3", "quarantined", "geometry", "slices are missing",
       ""},
  };
  struct pl_spool_list list;
  struct stat info;
  char path[LC_PATH_SIZE];
  assert_ok(pl_spool_list(&spool, &list, &test_err));
  assert_int_equal(list.n, 5);
  for (size_t i = 0; i < list.n; i++) {
    const struct pl_spool_series *one = &list.items[i];
    assert_string_equal(one->name, expected[i].name);
    assert_int_equal(one->place, expected[i].place);
    assert_int_equal(one->objects, expected[i].objects);
    assert_string_equal(one->series_instance_uid, expected[i].uid);
    assert_string_equal(one->outcome, expected[i].outcome);
    assert_string_equal(one->status, expected[i].status);
    assert_string_equal(one->reason, expected[i].reason);
    assert_string_equal(one->results, expected[i].results);
  }
  free(list.items);
  (void)summary();
  static const char *const gone[] = {"work", "done", "quarantine", "past", "moving.lock"};
  for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
    snprintf(path, sizeof path, "%s/%s", spool_folder, gone[i]);
    assert_int_equal(stat(path, &info), -1);
  }
}

static void earlier_versions(void **state) {
  (void)state;
  struct pl_spool_series one;
  make_old();
  open_spool();
  is_taken_over();
  /* Complete is what was marked so; the past is known. */
  assert_ok(pl_spool_complete(&spool, 1e9, 0, "", &one, &test_err));
  assert_string_equal(one.name, NAME(5));
  long long before = 0;
  assert_ok(pl_db_number(&spool.db, "SELECT before FROM series WHERE name = ?1 AND place = 4",
                         PL_VALUES(PL_T(NAME(4))), &before, &test_err));
  assert_int_equal(before, 7);
  /* What came again is not counted twice. */
  assert_ok(pl_spool_complete(&spool, 0, 0, "", &one, &test_err));
  assert_string_equal(one.name, NAME(1));
  assert_int_equal(strncmp(summary(), "work::3 ", 8), 0);
}

static void earlier_versions_and_a_kill(void **state) {
  (void)state;
  for (int kills = 0; kills < 30; kills++) {
    make_old();
    pid_t child = fork();
    if (child == 0) _exit(pl_spool_open(&spool, spool_folder, &limits, 2, NULL) != LC_OK);
    usleep((useconds_t)(700 * kills));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    open_spool();
    is_taken_over();
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, discard)
  const struct CMUnitTest tests[] = {TEST(a_series_from_slice_to_result),
                                     TEST(late_slices_join),
                                     TEST(corrected_objects),
                                     TEST(a_rest_of_what_is_no_longer_kept),
                                     TEST(room_is_made_of_what_is_done),
                                     TEST(the_queue_has_an_end),
                                     TEST(commitment_completes_a_series),
                                     TEST(one_server_has_it),
                                     TEST(killed_while_receiving),
                                     TEST(files_are_the_truth),
                                     TEST(earlier_versions),
                                     TEST(earlier_versions_and_a_kill)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
