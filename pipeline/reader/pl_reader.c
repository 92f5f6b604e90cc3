/* The program that makes helpers, and their loop: a job comes in, with open files; a task does it;
 * its answer goes out. What is done in the job stays in the job: the caller ends this process where
 * it does not answer. */
#include "pipeline/reader/pl_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/lc_log.h"
#include "pipeline/reader/pl_confine.h"

/* How much address space the process has, for as long as it lives: the file that says it stays
 * open. */
static int memory_file = -1;

static uint64_t address_space(void) {
  char text[64] = "";
  if (memory_file < 0 || pread(memory_file, text, sizeof text - 1, 0) <= 0) return 0;
  return strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

noreturn void pl_reader_no_memory(size_t size) {
  struct rlimit limit;
  /* One that equals the hard limit was there before, and is the user's. */
  bool limited = getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < limit.rlim_max;
  /* The allocator asks the system for more than it is asked for. */
  const uint64_t steps = (uint64_t)1 << 20;
  bool over =
      limited && (size >= limit.rlim_cur || size + address_space() + steps > limit.rlim_cur);
  _exit(over ? LC_HELPER_OVER_LIMIT : LC_ERR_MEMORY);
}

struct job {
  struct lc_helper_head head;
  struct lc_wire request, answer, lines;
  uint64_t n_lines;
  struct lc_helper_given given;
  size_t map_size;
  int shared;
};

static void keep_line(void *context, lc_log_level level, const char *line) {
  struct job *job = context;
  lc_wire_put_number(&job->lines, (uint64_t)level);
  lc_wire_put_text(&job->lines, line);
  job->n_lines++;
}

/* The descriptors that came along: the files, then that of shared memory. */
static bool take_files(struct job *job, struct msghdr *message) {
  struct cmsghdr *rights = CMSG_FIRSTHDR(message);
  int files[LC_HELPER_FILES + 1];
  size_t n = 0;
  if (rights && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS)
    n = (rights->cmsg_len - CMSG_LEN(0)) / sizeof *files;
  if (n > LC_HELPER_FILES + 1 || message->msg_flags & MSG_CTRUNC) return false;
  if (n > 0) memcpy(files, CMSG_DATA(rights), n * sizeof *files);
  job->shared = job->head.shared && n > 0 ? files[--n] : -1;
  if (n > LC_HELPER_FILES) return false;
  job->given.n_files = n;
  memcpy(job->given.files, files, n * sizeof *files);
  return true;
}

/* False at the end of the jobs. */
static bool receive(struct job *job) {
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE((LC_HELPER_FILES + 1) * sizeof(int))];
  } control;
  struct iovec part = {&job->head, sizeof job->head};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.room,
                           .msg_controllen = sizeof control.room};
  ssize_t got;
  do got = recvmsg(LC_HELPER_SOCKET, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
  while (got < 0 && errno == EINTR);
  if (got != (ssize_t)sizeof job->head || job->head.magic != LC_HELPER_MAGIC ||
      !take_files(job, &message))
    return false;
  struct lc_wire *request = &job->request;
  if (job->head.size > request->capacity) {
    unsigned char *grown = realloc(request->bytes, job->head.size);
    if (!grown) return false;
    request->bytes = grown;
    request->capacity = job->head.size;
  }
  request->at = request->size = 0;
  request->bad = false;
  while (request->size < job->head.size) {
    got = read(LC_HELPER_SOCKET, request->bytes + request->size, job->head.size - request->size);
    if (got == 0 || (got < 0 && errno != EINTR)) return false;
    if (got > 0) request->size += (size_t)got;
  }
  return true;
}

static bool map_shared(struct job *job) {
  if (job->shared < 0) return true;
  if (job->given.out) munmap(job->given.out, job->map_size);
  job->given.out = NULL;
  job->map_size = job->head.out_size;
  void *map = mmap(NULL, job->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, job->shared, 0);
  close(job->shared);
  if (map == MAP_FAILED) pl_reader_no_memory(job->map_size);
  job->given.out = map;
  return true;
}

static bool answer(struct job *job, lc_status status, const struct lc_error *err) {
  struct lc_wire start = {0};
  lc_wire_put_number(&start, job->n_lines);
  lc_wire_put(&start, job->lines.bytes, job->lines.size);
  lc_wire_put_text(&start, status == LC_OK ? "" : err->message);
  struct lc_helper_head head = {
      .magic = LC_HELPER_MAGIC, .word = (uint32_t)status, .size = start.size + job->answer.size};
  struct iovec parts[] = {
      {&head, sizeof head}, {start.bytes, start.size}, {job->answer.bytes, job->answer.size}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
  size_t left = sizeof head + head.size;
  bool failed = start.failed || job->lines.failed || job->answer.failed;
  while (left > 0 && !failed) {
    ssize_t sent = sendmsg(LC_HELPER_SOCKET, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    failed = sent <= 0;
    for (size_t done = failed ? 0 : (size_t)sent; done > 0;) {
      size_t step = done < message.msg_iov->iov_len ? done : message.msg_iov->iov_len;
      message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + step;
      message.msg_iov->iov_len -= step;
      done -= step;
      left -= step;
      if (message.msg_iov->iov_len == 0 && message.msg_iovlen > 1) {
        message.msg_iov++;
        message.msg_iovlen--;
      }
    }
  }
  lc_wire_free(&start);
  return !failed;
}

static lc_status run(struct job *job, const struct lc_helper_task *const *tasks, size_t n_tasks,
                     struct lc_error *err) {
  job->head.task[LC_HELPER_NAME - 1] = '\0';
  for (size_t i = 0; i < n_tasks; i++)
    if (strcmp(tasks[i]->name, job->head.task) == 0) {
      job->given.out_size = job->head.out_size;
      lc_status status = tasks[i]->run(&job->request, &job->given, &job->answer, err);
      if (status == LC_OK && job->request.bad)
        LC_FAIL(err, LC_ERR_INTERNAL, "a request for %s that makes no sense", job->head.task);
      return status;
    }
  LC_FAIL(err, LC_ERR_INTERNAL, "no task %s", job->head.task);
}

static bool greet(struct pl_confined confined) {
  struct lc_helper_hello hello = {.magic = LC_HELPER_MAGIC,
                                  .version = LC_HELPER_VERSION,
                                  .memory = address_space(),
                                  .filtered = confined.filtered,
                                  .landlocked = confined.landlocked};
  hello.limited = hello.memory > 0 && !LC_SANITIZED;
  return write(LC_HELPER_SOCKET, &hello, sizeof hello) == (ssize_t)sizeof hello;
}

/* A helper's work, until its socket is closed. */
static noreturn void help(const struct lc_helper_task *const *tasks, size_t n_tasks) {
  static struct job job;
  memory_file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  lc_log_set_sink(keep_line, &job);
  bool open = greet(pl_confine());
  while (open && receive(&job) && map_shared(&job)) {
    struct lc_error err = {""};
    const struct itimerval until = {.it_value.tv_sec = job.head.wall_s}, never = {0};
    job.answer.size = job.lines.size = job.n_lines = 0;
    lc_log_set_level((lc_log_level)job.head.word);
    /* Where the caller is no longer there to end it. */
    (void)setitimer(ITIMER_REAL, &until, NULL);
    lc_status status = run(&job, tasks, n_tasks, &err);
    (void)setitimer(ITIMER_REAL, &never, NULL);
    for (size_t i = 0; i < job.given.n_files; i++)
      if (job.given.files[i] >= 0) close(job.given.files[i]);
    open = answer(&job, status, &err);
  }
  _exit(0);
}

/* The socket of the next helper; -1 when there is to be none. */
static int next_helper(void) {
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  char byte;
  int socket = -1;
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.room,
                           .msg_controllen = sizeof control.room};
  ssize_t got;
  do got = recvmsg(LC_HELPER_SOCKET, &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  struct cmsghdr *rights = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
  if (rights && rights->cmsg_type == SCM_RIGHTS && rights->cmsg_len == CMSG_LEN(sizeof socket))
    memcpy(&socket, CMSG_DATA(rights), sizeof socket);
  return socket;
}

int pl_reader_main(const struct lc_helper_task *const *tasks, size_t n_tasks,
                   void (*prepare)(void)) {
  int kind = 0, socket;
  socklen_t size = sizeof kind;
  if (getsockopt(LC_HELPER_SOCKET, SOL_SOCKET, SO_TYPE, &kind, &size) != 0) {
    fprintf(stderr, "lungcdam-reader: lungcdam starts this by itself, to parse files in\n");
    return LC_ERR_USAGE;
  }
  (void)close_range(LC_HELPER_SOCKET + 1, ~0u, 0);
  lc_log_set_level(LC_LOG_SILENT);
  prepare();
  while ((socket = next_helper()) >= 0) {
    /* A child of the caller, which learns of its end. fork() has no way to ask for that. */
    long child = syscall(SYS_clone, (unsigned long)(CLONE_PARENT | SIGCHLD), 0UL, 0UL, 0UL, 0UL);
    if (child == 0 && dup2(socket, LC_HELPER_SOCKET) == LC_HELPER_SOCKET) {
      close(socket);
      help(tasks, n_tasks);
    }
    if (child == 0) _exit(LC_ERR_INTERNAL);
    close(socket);
    int32_t pid = (int32_t)child;
    if (write(LC_HELPER_SOCKET, &pid, sizeof pid) != (ssize_t)sizeof pid) break;
  }
  _exit(0);
}
