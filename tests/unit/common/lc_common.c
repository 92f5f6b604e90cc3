/* The common room: errors, arenas, random numbers against published vectors, hashing, files. */
#include "tests/lc_test.h"

#include <errno.h>
#include <math.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_hash.h"
#include "common/lc_parallel.h"
#include "common/lc_random.h"
#include "common/lc_text.h"

static lc_status raises(struct lc_error *err) {
  LC_FAIL(err, LC_ERR_FORMAT, "%s: slice %d", "file.dcm", 12);
}

static void test_error_text(void **state) {
  (void)state;
  assert_fails(raises(&test_err), LC_ERR_FORMAT, "file.dcm: slice 12");
  lc_error_prefix(&test_err, "series %s", "1.2.3");
  assert_string_equal(test_err.message, "series 1.2.3: file.dcm: slice 12");
  assert_int_equal(raises(NULL), LC_ERR_FORMAT);
  assert_string_equal(lc_status_name(LC_ERR_NETWORK), "network");
}

static void test_arena_counts_what_it_gives(void **state) {
  (void)state;
  struct lc_arena counting, arena;
  lc_arena_init_counting(&counting);
  assert_null(lc_arena_floats(&counting, 3));
  lc_arena_floats(&counting, 100);
  assert_ok(lc_arena_init(&arena, counting.peak, &test_err));
  float *a = lc_arena_floats(&arena, 3), *b = lc_arena_floats(&arena, 100);
  assert_non_null(a);
  assert_non_null(b);
  assert_int_equal((uintptr_t)b % LC_ARENA_ALIGN, 0);
  assert_null(lc_arena_floats(&arena, 1));
  lc_arena_free(&arena);
  void *p;
  assert_int_equal(lc_alloc(&p, SIZE_MAX / 2, 4, NULL), LC_ERR_MEMORY);
}

/* Known-answer vectors of the Random123 distribution (philox4x32, 10 rounds). */
static void test_philox_vectors(void **state) {
  (void)state;
  const uint32_t zero[4] = {0}, ones[4] = {~0u, ~0u, ~0u, ~0u};
  uint32_t out[4];
  lc_philox(zero, zero, out);
  const uint32_t expected_zero[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  assert_memory_equal(out, expected_zero, sizeof out);
  lc_philox(ones, ones, out);
  const uint32_t expected_ones[4] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  assert_memory_equal(out, expected_ones, sizeof out);
}

static void test_random_is_keyed_and_normal(void **state) {
  (void)state;
  struct lc_random a, b, other;
  lc_random_init(&a, 7, "noise", 3);
  lc_random_init(&b, 7, "noise", 3);
  lc_random_init(&other, 7, "order", 3);
  int same = 0;
  for (int i = 0; i < 100; i++) {
    uint32_t x = lc_random_u32(&a);
    assert_int_equal(x, lc_random_u32(&b));
    same += x == lc_random_u32(&other);
  }
  assert_true(same < 3);
  double sum = 0, squares = 0;
  enum { N = 100000 };
  for (int i = 0; i < N; i++) {
    double x = lc_random_normal(&a);
    sum += x;
    squares += x * x;
  }
  assert_true(fabs(sum / (double)N) < 0.02);
  assert_true(fabs(squares / (double)N - 1) < 0.02);
  uint32_t order[50], seen = 0;
  lc_random_permutation(&a, order, 50);
  for (int i = 0; i < 50; i++) seen += order[i];
  assert_int_equal(seen, 49 * 50 / 2);
}

static void test_sha256(void **state) {
  (void)state;
  char hex[LC_SHA256_HEX];
  assert_ok(lc_hash_bytes_hex("abc", 3, hex, &test_err)); /* FIPS 180-4 example */
  assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_files_are_whole(void **state) {
  (void)state;
  char folder[256], path[LC_PATH_SIZE], target[LC_PATH_SIZE];
  lc_test_folder(folder);
  assert_ok(lc_path_join(path, folder, "a.txt", &test_err));
  assert_ok(lc_file_write(path, "hello", 5, &test_err));
  char *bytes;
  size_t count;
  assert_ok(lc_file_read(path, 100, &bytes, &count, &test_err));
  assert_int_equal(count, 5);
  assert_string_equal(bytes, "hello");
  free(bytes);
  assert_fails(lc_file_read(path, 4, &bytes, &count, &test_err), LC_ERR_FORMAT, "at most 4");
  assert_fails(lc_file_write("/proc/none/x", "a", 1, &test_err), LC_ERR_NOT_WRITABLE, "/proc/none");

  char work[LC_PATH_SIZE];
  assert_ok(lc_path_join(work, folder, "work", &test_err));
  assert_ok(lc_path_join(target, folder, "done", &test_err));
  assert_ok(lc_folder_make(work, &test_err));
  assert_ok(lc_folder_publish(work, target, false, &test_err));
  assert_ok(lc_folder_make(work, &test_err));
  assert_fails(lc_folder_publish(work, target, false, &test_err), LC_ERR_EXISTS, "--overwrite");
  assert_ok(lc_folder_publish(work, target, true, &test_err));
  assert_false(lc_file_exists(work));
  assert_ok(lc_folder_remove(folder, &test_err));
  assert_false(lc_file_exists(folder));
}

/* Disk full and quota exceeded are one status: it ends a batch, as no other fault of a file does.
 */
static void test_a_full_disk_is_told_apart(void **state) {
  (void)state;
  const int full[] = {ENOSPC, EDQUOT};
  for (int i = 0; i < 2; i++)
    assert_fails(lc_file_write_error("a.h5", full[i], &test_err), LC_ERR_NO_SPACE,
                 "a.h5: the disk is full");
  assert_fails(lc_file_write_error("a.h5", EACCES, &test_err), LC_ERR_NOT_WRITABLE,
               "a.h5: cannot be written: Permission denied");
}

static void test_text(void **state) {
  (void)state;
  const char *const words[] = {"input", "output", "weights"};
  assert_string_equal(lc_text_nearest("wieghts", words, 3), "weights");
  assert_null(lc_text_nearest("zzzzzz", words, 3));
  double x;
  assert_true(lc_text_to_double("1e-3", &x));
  assert_false(lc_text_to_double("1e-3x", &x));
  assert_false(lc_text_to_double("nan", &x));
  struct lc_text text = {0};
  for (int i = 0; i < 100; i++) lc_text_add(&text, "%d,", i);
  assert_int_equal(text.length, 10 * 2 + 90 * 3);
  lc_text_free(&text);
}

static void count_one(void *context, size_t i, int worker) {
  (void)worker;
  ((int *)context)[i]++;
}

static void note_worker(void *context, size_t i, int worker) {
  ((int *)context)[i] = worker;
}

/* Callers make no more workers than there are calls. */
static void test_parallel_has_no_more_workers_than_calls(void **state) {
  (void)state;
  lc_threads_set(8);
  for (int turn = 0; turn < 300; turn++) {
    int workers[2] = {-1, -1};
    lc_parallel_for(2, note_worker, workers);
    for (int i = 0; i < 2; i++) assert_in_range(workers[i], 0, 1);
  }
}

static void test_parallel_visits_each_once(void **state) {
  (void)state;
  int visits[1000] = {0};
  lc_threads_set(2);
  lc_parallel_for(1000, count_one, visits);
  for (int i = 0; i < 1000; i++) assert_int_equal(visits[i], 1);
}

static void joining_paths(void **state) {
  (void)state;
  char path[LC_PATH_SIZE], longest[LC_PATH_SIZE];
  assert_ok(lc_path_join(path, "/a", "b", &test_err));
  assert_ok(lc_path_join(path, path, "c/", &test_err));
  assert_ok(lc_path_join(path, path, "d", &test_err));
  assert_string_equal(path, "/a/b/c/d");
  memset(longest, 'x', sizeof longest);
  longest[LC_PATH_SIZE - 1] = '\0';
  assert_fails(lc_path_join(path, longest, "d", &test_err), LC_ERR_USAGE, "path of more than");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(joining_paths),
      cmocka_unit_test(test_error_text),
      cmocka_unit_test(test_arena_counts_what_it_gives),
      cmocka_unit_test(test_philox_vectors),
      cmocka_unit_test(test_random_is_keyed_and_normal),
      cmocka_unit_test(test_sha256),
      cmocka_unit_test(test_files_are_whole),
      cmocka_unit_test(test_a_full_disk_is_told_apart),
      cmocka_unit_test(test_text),
      cmocka_unit_test(test_parallel_visits_each_once),
      cmocka_unit_test(test_parallel_has_no_more_workers_than_calls)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
