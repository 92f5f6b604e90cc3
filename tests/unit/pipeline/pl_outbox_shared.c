/* Several processes at one outbox, and processes that are killed: every entry is whole or absent,
 * and what needs an object finds it.
 * needs: net */
#include "tests/pl_outbox_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITERS = 4, OBJECTS = 25 };

/* Makes the objects UID 2.25.FIRST and following; paths as outbox_object names them. */
static void make_objects(int first, int n) {
  for (int i = first; i < first + n; i++) {
    char uid[32];
    snprintf(uid, sizeof uid, "2.25.%d", i);
    (void)outbox_object(uid, 0);
  }
}

/* In a child: queues objects for a and b, each with an outbox of its own. */
static void queue_objects(int first, int n) {
  struct pl_outbox outbox;
  if (pl_outbox_open(&outbox, outbox_path("outbox"), false, NULL) != LC_OK) _exit(1);
  for (int i = first; i < first + n; i++)
    for (int k = 0; k < 2; k++) {
      enum pl_added added;
      char path[LC_PATH_SIZE];
      snprintf(path, sizeof path, "%s/2.25.%d-0.dcm", outbox_folder, i);
      if (pl_outbox_add(&outbox, k ? "b" : "a", path, false, &added, NULL) != LC_OK) _exit(2);
    }
  pl_outbox_close(&outbox);
  _exit(0);
}

/* In a child: settles what is queued for a, until so many are. */
static void settle_objects(size_t n) {
  struct pl_outbox outbox;
  size_t settled = 0;
  if (pl_outbox_open(&outbox, outbox_path("outbox"), false, NULL) != LC_OK) _exit(1);
  while (settled < n) {
    struct pl_entries due;
    if (pl_outbox_due(&outbox, "a", PL_STATE_QUEUED, INT64_MAX, &due, NULL) != LC_OK) _exit(3);
    for (size_t i = 0; i < due.n; i++, settled++) {
      due.items[i].state = PL_STATE_SENT;
      if (pl_outbox_change(&outbox, &due.items[i], NULL) != LC_OK ||
          pl_outbox_release(&outbox, &due.items[i], &outbox_known, NULL) != LC_OK)
        _exit(4);
    }
    pl_entries_free(&due);
    usleep(1000);
  }
  pl_outbox_close(&outbox);
  _exit(0);
}

static size_t n_objects(void) {
  size_t n = 0;
  DIR *stream = opendir(outbox_path("outbox/objects"));
  assert_non_null(stream);
  for (struct dirent *file = readdir(stream); file; file = readdir(stream))
    n += file->d_name[0] != '.';
  closedir(stream);
  return n;
}

static void reopen(void) {
  assert_ok(pl_outbox_open(&outbox_test, outbox_path("outbox"), false, &test_err));
}

static void writers_side_by_side(void **state) {
  (void)state;
  pid_t children[WRITERS + 1];
  make_objects(1, WRITERS * OBJECTS);
  pl_outbox_close(&outbox_test);
  for (int i = 0; i <= WRITERS; i++) {
    children[i] = fork();
    if (children[i] != 0) continue;
    /* The last two queue the same. */
    if (i < WRITERS) queue_objects(i == WRITERS - 1 ? 1 : 1 + i * OBJECTS, OBJECTS);
    settle_objects((WRITERS - 1) * OBJECTS);
  }
  for (int i = 0; i <= WRITERS; i++) {
    int status;
    assert_int_equal(waitpid(children[i], &status, 0), children[i]);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
  }
  reopen();
  struct pl_entries entries = outbox_list("a");
  assert_int_equal(entries.n, (WRITERS - 1) * OBJECTS);
  for (size_t i = 0; i < entries.n; i++) assert_int_equal(entries.items[i].state, PL_STATE_SENT);
  pl_entries_free(&entries);
  entries = outbox_list("b");
  assert_int_equal(entries.n, (WRITERS - 1) * OBJECTS);
  for (size_t i = 0; i < entries.n; i++) {
    assert_int_equal(entries.items[i].state, PL_STATE_QUEUED);
    assert_ok(pl_outbox_verify(&outbox_test, &entries.items[i], &test_err));
  }
  pl_entries_free(&entries);
  assert_int_equal(n_objects(), (WRITERS - 1) * OBJECTS);
}

/* Whatever the moment, each entry has its object, and the next process goes on. */
static void killed_while_queueing(void **state) {
  (void)state;
  size_t before = 0;
  make_objects(1, 60);
  pl_outbox_close(&outbox_test);
  for (int kills = 0; kills < 25; kills++) {
    pid_t child = fork();
    if (child == 0) queue_objects(1, 60);
    usleep((useconds_t)(4000 + 977 * kills % 12000));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    reopen();
    struct pl_entries entries = outbox_list(NULL);
    assert_true(entries.n >= before); /* what was queued once stays */
    before = entries.n;
    for (size_t i = 0; i < entries.n; i++)
      assert_ok(pl_outbox_verify(&outbox_test, &entries.items[i], &test_err));
    pl_entries_free(&entries);
    outbox_tidy();
    assert_int_equal(n_objects(), (before + 1) / 2); /* nothing else is left */
    pl_outbox_close(&outbox_test);
  }
  pid_t child = fork();
  int status;
  if (child == 0) queue_objects(1, 60);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  reopen();
  struct pl_entries entries = outbox_list(NULL);
  assert_int_equal(entries.n, 120);
  pl_entries_free(&entries);
}

/* A place that cannot be written, and a file that another process holds. */
static void errors_name_the_file(void **state) {
  (void)state;
  pl_outbox_close(&outbox_test);
  assert_int_equal(chmod(outbox_path("outbox"), 0500), 0);
  if (geteuid() != 0)
    assert_fails(pl_outbox_open(&outbox_test, outbox_path("outbox"), false, &test_err),
                 LC_ERR_NOT_WRITABLE, "outbox.");
  assert_int_equal(chmod(outbox_path("outbox"), 0700), 0);
  /* Damage while another process has it open is said, and made good when that has ended. */
  reopen();
  pid_t child = fork();
  if (child == 0) {
    struct pl_outbox outbox;
    struct lc_error err = {{0}};
    int fd = open(outbox_path("outbox/outbox.db"), O_WRONLY);
    if (fd < 0 || pwrite(fd, "damaged damaged ", 16, 0) != 16) _exit(1);
    lc_status status = pl_outbox_open(&outbox, outbox_path("outbox"), false, &err);
    _exit(status == LC_ERR_FORMAT && strstr(err.message, "made anew when nobody else uses it") ? 0
                                                                                               : 2);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  pl_outbox_close(&outbox_test);
  reopen();
  assert_int_equal(outbox_add("a", outbox_object("2.25.1", 0), false), PL_ADDED_QUEUED);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, outbox_test_make, outbox_test_remove)
  const struct CMUnitTest tests[] = {TEST(writers_side_by_side), TEST(killed_while_queueing),
                                     TEST(errors_name_the_file)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
