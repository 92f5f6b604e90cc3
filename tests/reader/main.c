/* A helper's program whose tasks do what files of strangers may make a parser do:
 * tests/unit/common/lc_helper.c asks for them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "pipeline/reader/pl_malloc.h"
#include "pipeline/reader/pl_reader.h"

noreturn void pl_malloc_failed(size_t size) {
  pl_reader_no_memory(size);
}

#define TASK(name)                                                                                 \
  static lc_status run_##name(struct lc_wire *request, struct lc_helper_given *given,              \
                              struct lc_wire *answer, struct lc_error *err);                       \
  static const struct lc_helper_task task_##name = {#name, run_##name};                            \
  static lc_status run_##name(struct lc_wire *request, struct lc_helper_given *given,              \
                              struct lc_wire *answer, struct lc_error *err)
#define UNUSED (void)request, (void)given, (void)answer, (void)err

/* Answers what it was asked, and logs it. */
TASK(say) {
  char text[64];
  (void)given, (void)err;
  lc_wire_get_text(request, text, sizeof text);
  lc_log(LC_LOG_WARNING, "heard %s", text);
  lc_wire_put_text(answer, text);
  return LC_OK;
}

TASK(fail) {
  UNUSED;
  LC_FAIL(err, LC_ERR_TRUNCATED, "the file ends early");
}

/* The first byte of each file, and all of the memory that is shared. */
TASK(read) {
  UNUSED;
  for (size_t i = 0; i < given->n_files; i++) {
    unsigned char byte = 0;
    if (pread(given->files[i], &byte, 1, 0) != 1) LC_FAIL(err, LC_ERR_NOT_FOUND, "no byte");
    lc_wire_put_number(answer, byte);
  }
  if (given->out_size) memset(given->out, 7, given->out_size);
  return LC_OK;
}

TASK(die) {
  UNUSED;
  raise(SIGKILL);
  return LC_OK;
}

/* Does one job well. */
TASK(tired) {
  static int jobs;
  UNUSED;
  if (++jobs > 1) raise(SIGKILL);
  return LC_OK;
}

TASK(babble) {
  char nonsense[4096];
  UNUSED;
  memset(nonsense, 0xff, sizeof nonsense);
  if (write(LC_HELPER_SOCKET, nonsense, sizeof nonsense) < 0) return LC_ERR_INTERNAL;
  for (volatile int forever = 1; forever;) {
  }
  return LC_OK;
}

TASK(flood) {
  UNUSED;
  for (int i = 0; i < 1 << 16; i++) lc_wire_put_number(answer, 0);
  return LC_OK;
}

TASK(grow) {
  UNUSED;
  static char *volatile pieces[1024]; /* kept, and seen by the compiler to be */
  for (size_t i = 0; i < 1024; i++) {
    char *piece = malloc(1 << 20);
    if (piece) memset(piece, 1, 1 << 20);
    pieces[i] = piece;
  }
  return pieces[0] ? LC_OK : LC_ERR_MEMORY;
}

TASK(spin) {
  UNUSED;
  for (volatile int forever = 1; forever;) {
  }
  return LC_OK;
}

/* What a parser that was taken over would try: a 1 for each that is let through. */
TASK(escape) {
  UNUSED;
  char *const arguments[] = {"true", NULL};
  int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
  lc_wire_put_number(answer, file >= 0);
  lc_wire_put_number(answer, socket(AF_INET, SOCK_STREAM, 0) >= 0);
  lc_wire_put_number(answer, mkdir("/tmp/lungcdam-escaped", 0700) == 0);
  lc_wire_put_number(answer, kill(getppid(), 0) == 0);
  lc_wire_put_number(answer, mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                                  -1, 0) != MAP_FAILED);
  pid_t child = fork();
  if (child == 0) _exit(0);
  lc_wire_put_number(answer, child > 0);
  lc_wire_put_number(answer, execve("/bin/true", arguments, arguments) == 0);
  return LC_OK;
}

static void prepare(void) {}

int main(void) {
  static const struct lc_helper_task *const tasks[] = {
      &task_say,    &task_fail,  &task_read, &task_die,  &task_tired,
      &task_babble, &task_flood, &task_grow, &task_spin, &task_escape};
  return pl_reader_main(tasks, sizeof tasks / sizeof *tasks, prepare);
}
