/* Helper processes: what they are given and answer, and what becomes of a job whose helper dies,
 * talks nonsense, or wants more than it may have. Its tasks are those of tests/reader/main.c. */
#include "common/lc_helper.h"
#include "tests/lc_test.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "common/lc_parallel.h"

static char logged[4096];

static void keep(void *context, lc_log_level level, const char *line) {
  (void)context;
  size_t used = strlen(logged);
  if (level != LC_LOG_DEBUG || strstr(line, "parsed"))
    snprintf(logged + used, sizeof logged - used, "%d:%s\n", (int)level, line);
}

static lc_status ask(const char *task, struct lc_wire *answer) {
  struct lc_wire request = {0};
  const struct lc_helper_job job = {.task = task,
                                    .path = "file.dcm",
                                    .request = &request,
                                    .memory = (size_t)64 << 20,
                                    .seconds = 0.2,
                                    .longest = 1 << 16};
  bool served = false;
  lc_wire_put_text(&request, "a word");
  lc_status status = lc_helper_call(&job, answer, &served, &test_err);
  assert_true(served);
  lc_wire_free(&request);
  return status;
}

static void test_a_task_answers_and_its_log_comes_along(void **state) {
  (void)state;
  struct lc_wire answer = {0};
  char text[64];
  logged[0] = '\0';
  assert_ok(ask("say", &answer));
  lc_wire_get_text(&answer, text, sizeof text);
  assert_string_equal(text, "a word");
  assert_false(answer.bad);
  assert_non_null(strstr(logged, "2:heard a word\n"));
  assert_fails(ask("fail", &answer), LC_ERR_TRUNCATED, "the file ends early");
  lc_wire_free(&answer);
}

static void test_files_and_memory_go_along(void **state) {
  (void)state;
  struct lc_wire request = {0}, answer = {0};
  unsigned char out[10000];
  int files[] = {open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
                 open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
  bool served;
  for (int again = 0; again < 3; again++) {
    const struct lc_helper_job job = {.task = "read",
                                      .path = "file.dcm",
                                      .files = files,
                                      .n_files = 2,
                                      .request = &request,
                                      .memory = (size_t)64 << 20,
                                      .seconds = 1,
                                      .longest = 1 << 16,
                                      .out = out,
                                      .out_size = sizeof out / (again == 1 ? 2 : 1)};
    memset(out, 0, sizeof out);
    assert_ok(lc_helper_call(&job, &answer, &served, &test_err));
    assert_int_equal(lc_wire_get_number(&answer, 255), 0x7f);
    assert_int_equal(lc_wire_get_number(&answer, 255), 0x7f);
    for (size_t i = 0; i < sizeof out; i++) assert_int_equal(out[i], i < job.out_size ? 7 : 0);
  }
  lc_wire_free(&answer);
  close(files[0]);
  close(files[1]);
}

static void test_a_helper_that_dies_costs_its_file_alone(void **state) {
  (void)state;
  struct lc_wire answer = {0};
  for (int i = 0; i < 3; i++) {
    assert_fails(ask("die", &answer), LC_ERR_FORMAT, "file.dcm: the reader of it died (signal 9)");
    assert_ok(ask("say", &answer));
  }
  /* What files before it left behind does not count against a file. */
  for (int i = 0; i < 3; i++) assert_ok(ask("tired", &answer));
  lc_wire_free(&answer);
}

static void test_nonsense_is_refused(void **state) {
  (void)state;
  struct lc_wire answer = {0};
  assert_fails(ask("babble", &answer), LC_ERR_FORMAT, "file.dcm: the reader of it gave an answer");
  assert_fails(ask("flood", &answer), LC_ERR_FORMAT, "file.dcm: the reader of it gave an answer");
  assert_ok(ask("say", &answer));
  lc_wire_free(&answer);
}

static void test_memory_and_time_have_limits(void **state) {
  (void)state;
  struct lc_wire answer = {0};
  assert_fails(ask("spin", &answer), LC_ERR_FORMAT, "file.dcm: reading it takes more than 0.2 s");
  if (!LC_SANITIZED)
    assert_fails(ask("grow", &answer), LC_ERR_FORMAT,
                 "file.dcm: reading it needs more than 64 MiB");
  assert_ok(ask("say", &answer));
  lc_wire_free(&answer);
}

static void test_nothing_gets_out(void **state) {
  (void)state;
  struct lc_wire answer = {0};
  if (LC_SANITIZED) skip();
  assert_ok(ask("escape", &answer));
  for (int i = 0; i < 7; i++)
    if (lc_wire_get_number(&answer, 1) != 0) fail_msg("attempt %d was let through", i);
  assert_false(answer.bad);
  lc_wire_free(&answer);
}

static void in_parallel(void *context, size_t i, int worker) {
  struct lc_wire answer = {0};
  struct lc_error err;
  struct lc_wire request = {0};
  bool served;
  const struct lc_helper_job job = {.task = i % 7 ? "say" : "die",
                                    .path = "file.dcm",
                                    .request = &request,
                                    .memory = (size_t)64 << 20,
                                    .seconds = 5,
                                    .longest = 1 << 16};
  (void)worker;
  lc_wire_put_text(&request, "a word");
  ((lc_status *)context)[i] = lc_helper_call(&job, &answer, &served, &err);
  lc_wire_free(&request);
  lc_wire_free(&answer);
}

static void test_threads_have_helpers_of_their_own(void **state) {
  (void)state;
  lc_status status[100];
  lc_threads_set(4);
  lc_parallel_for(100, in_parallel, status);
  for (size_t i = 0; i < 100; i++) assert_int_equal(status[i], i % 7 ? LC_OK : LC_ERR_FORMAT);
}

static void test_a_forked_process_starts_its_own(void **state) {
  (void)state;
  struct lc_wire answer = {0};
  assert_ok(ask("say", &answer));
  pid_t child = fork();
  if (child == 0) _exit(ask("say", &answer) == LC_OK ? 0 : 1);
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_ok(ask("say", &answer));
  lc_wire_free(&answer);
}

/* A kernel, or a container, that does not let a process filter its calls. */
static bool forbid_filters(void) {
  const struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SECCOMP, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 22),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const struct sock_fprog program = {sizeof code / sizeof *code, (struct sock_filter *)code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static void test_without_filters_it_works_and_says_so(void **state) {
  (void)state;
  if (LC_SANITIZED) skip();
  pid_t child = fork();
  if (child == 0) {
    struct lc_wire answer = {0};
    logged[0] = '\0';
    if (!forbid_filters()) _exit(77);
    bool fine = ask("say", &answer) == LC_OK && ask("die", &answer) == LC_ERR_FORMAT;
    _exit(fine ? 0 : 1);
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) skip();
  assert_int_equal(status, 0);
}

static int start(void **state) {
  (void)state;
  lc_log_set_sink(keep, NULL);
  return getenv("LUNGCDAM_READER") ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_task_answers_and_its_log_comes_along),
      cmocka_unit_test(test_files_and_memory_go_along),
      cmocka_unit_test(test_a_helper_that_dies_costs_its_file_alone),
      cmocka_unit_test(test_nonsense_is_refused),
      cmocka_unit_test(test_memory_and_time_have_limits),
      cmocka_unit_test(test_nothing_gets_out),
      cmocka_unit_test(test_threads_have_helpers_of_their_own),
      cmocka_unit_test(test_a_forked_process_starts_its_own),
      cmocka_unit_test(test_without_filters_it_works_and_says_so),
  };
  return cmocka_run_group_tests(tests, start, NULL);
}
