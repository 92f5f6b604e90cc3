/* Starts helper processes and speaks with them over a socket; descriptors go along with the words.
 * What they answer is bounded and checked. */
#include "common/lc_helper_start.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/lc_log.h"

/* How often the processor time of a helper that does not answer is looked at. */
static const struct timeval look = {0, 50000};
static const double slowness = LC_SANITIZED ? 20 : 1;
enum { START_S = 60, WALL_LEAST_S = 60, WALL_TIMES = 20 };

/* It has a process group of its own, so that keys of the terminal do not end it before its work is
 * done: it ends when this process does, since its socket then does. */
static int spawn(pid_t *pid, const char *path, int socket) {
  char *const argv[] = {"lungcdam-reader", NULL};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none;
  sigemptyset(&none);
  int error = posix_spawn_file_actions_init(&actions);
  if (error) return error;
  error = posix_spawnattr_init(&attributes);
  if (!error) {
    for (int file = 0; file < 3 && !error; file++)
      error = posix_spawn_file_actions_addopen(&actions, file, "/dev/null", O_RDWR, 0);
    if (!error) error = posix_spawn_file_actions_adddup2(&actions, socket, LC_HELPER_SOCKET);
    if (!error)
      error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    if (!error) error = posix_spawnattr_setpgroup(&attributes, 0);
    if (!error) error = posix_spawnattr_setsigmask(&attributes, &none);
    if (!error) error = posix_spawn(pid, path, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

/* A pair of sockets out of the way of the descriptors that the helper has. */
static bool open_pair(int pair[2]) {
  int made[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, made) != 0) return false;
  for (int i = 0; i < 2; i++) {
    pair[i] = fcntl(made[i], F_DUPFD_CLOEXEC, LC_HELPER_SOCKET + 1);
    close(made[i]);
  }
  bool open = pair[0] >= 0 && pair[1] >= 0 &&
              setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &look, sizeof look) == 0;
  for (int i = 0; i < 2 && !open; i++)
    if (pair[i] >= 0) close(pair[i]);
  return open;
}

static double now(clockid_t clock) {
  struct timespec t;
  if (clock_gettime(clock, &t) != 0) return NAN;
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Until when a helper may take its time. */
struct deadline {
  clockid_t clock;
  double processor, wall; /* readings of the two clocks */
};

static bool passed(const struct deadline *deadline) {
  return now(CLOCK_MONOTONIC) > deadline->wall || now(deadline->clock) > deadline->processor;
}

/* Receives exactly what is asked for. */
static enum lc_helper_end receive(int socket, struct iovec *parts, size_t n_parts,
                                  const struct deadline *deadline) {
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = n_parts};
  while (message.msg_iovlen > 0) {
    ssize_t got = recvmsg(socket, &message, 0);
    if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK))
      return LC_HELPER_DIED;
    if (got < 0 && passed(deadline)) return LC_HELPER_SLOW;
    size_t left = got > 0 ? (size_t)got : 0;
    while (message.msg_iovlen > 0 && left >= message.msg_iov->iov_len) {
      left -= message.msg_iov->iov_len;
      message.msg_iov++;
      message.msg_iovlen--;
    }
    if (message.msg_iovlen > 0) {
      message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + left;
      message.msg_iov->iov_len -= left;
    }
  }
  return LC_HELPER_DONE;
}

static enum lc_helper_end send_all(int socket, struct msghdr *message) {
  size_t left = 0;
  for (size_t i = 0; i < message->msg_iovlen; i++) left += message->msg_iov[i].iov_len;
  while (left > 0) {
    ssize_t sent = sendmsg(socket, message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == ENOMEM ? LC_HELPER_NO_MEMORY : LC_HELPER_DIED;
    left -= (size_t)sent;
    message->msg_control = NULL; /* went with the first bytes */
    message->msg_controllen = 0;
    size_t done = (size_t)sent;
    while (message->msg_iovlen > 0 && done >= message->msg_iov->iov_len) {
      done -= message->msg_iov->iov_len;
      message->msg_iov++;
      message->msg_iovlen--;
    }
    if (message->msg_iovlen > 0) {
      message->msg_iov->iov_base = (char *)message->msg_iov->iov_base + done;
      message->msg_iov->iov_len -= done;
    }
  }
  return LC_HELPER_DONE;
}

union control {
  struct cmsghdr head;
  char room[CMSG_SPACE((LC_HELPER_FILES + 1) * sizeof(int))];
};

/* Descriptors that go with the first bytes of a message. */
static void attach(struct msghdr *message, union control *control, const int *files, size_t n) {
  memset(control, 0, sizeof *control);
  message->msg_control = control->room;
  message->msg_controllen = CMSG_SPACE(n * sizeof *files);
  struct cmsghdr *rights = CMSG_FIRSTHDR(message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(n * sizeof *files);
  memcpy(CMSG_DATA(rights), files, n * sizeof *files);
}

/* Ends a process, which may have ended by itself: then it is about to say of what. Its wait status,
 * or -1. */
static int end(pid_t pid, int socket) {
  const struct timespec a_moment = {0, 1000000};
  int status = -1;
  pid_t ended = 0;
  shutdown(socket, SHUT_RDWR);
  for (int i = 0; i < 200 && ended == 0; i++) {
    ended = waitpid(pid, &status, WNOHANG);
    if (ended == 0) nanosleep(&a_moment, NULL);
  }
  if (ended == 0) {
    kill(pid, SIGKILL);
    do ended = waitpid(pid, &status, 0);
    while (ended < 0 && errno == EINTR);
  }
  return ended > 0 ? status : -1;
}

bool lc_helper_program_start(struct lc_helper_program *program, const char *path, char *why,
                             size_t size) {
  int pair[2], error = 0;
  why[0] = '\0';
  if (open_pair(pair)) {
    error = spawn(&program->pid, path, pair[1]);
    close(pair[1]);
    program->socket = pair[0];
    if (!error) return true;
    close(pair[0]);
  } else {
    error = errno;
  }
  program->pid = 0;
  if (error != ENOMEM) snprintf(why, size, "%s: %s", path, strerror(error));
  return false;
}

int lc_helper_program_stop(struct lc_helper_program *program) {
  int status = end(program->pid, program->socket);
  close(program->socket);
  program->pid = 0;
  return status;
}

bool lc_helper_lacked_memory(int ended) {
  return ended >= 0 && WIFEXITED(ended) && WEXITSTATUS(ended) == LC_ERR_MEMORY;
}

int lc_helper_ask_for(const struct lc_helper_program *program, pid_t *helper) {
  int pair[2];
  int32_t pid = 0;
  if (!open_pair(pair)) return -1;
  char byte = 0;
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  union control control;
  attach(&message, &control, &pair[1], 1);
  enum lc_helper_end sent = send_all(program->socket, &message);
  close(pair[1]);
  struct iovec answer = {&pid, sizeof pid};
  struct deadline deadline = {CLOCK_MONOTONIC, INFINITY, now(CLOCK_MONOTONIC) + START_S};
  if (sent == LC_HELPER_DONE) sent = receive(program->socket, &answer, 1, &deadline);
  *helper = pid;
  if (sent == LC_HELPER_DONE && pid > 0) return pair[0];
  close(pair[0]);
  return -1;
}

struct lc_helper *lc_helper_meet(int socket, pid_t pid, int *ended) {
  struct lc_helper *helper = calloc(1, sizeof *helper);
  *ended = LC_ERR_MEMORY << 8;
  if (helper) {
    *helper = (struct lc_helper){.socket = socket, .pid = pid, .shared = -1};
    struct iovec part = {&helper->hello, sizeof helper->hello};
    struct deadline deadline = {CLOCK_MONOTONIC, INFINITY, now(CLOCK_MONOTONIC) + START_S};
    if (receive(socket, &part, 1, &deadline) == LC_HELPER_DONE &&
        helper->hello.magic == LC_HELPER_MAGIC && helper->hello.version == LC_HELPER_VERSION &&
        clock_getcpuclockid(pid, &helper->clock) == 0)
      return helper;
    *ended = end(pid, socket);
  }
  free(helper);
  close(socket);
  return NULL;
}

void lc_helper_forget(struct lc_helper *helper) {
  close(helper->socket);
  if (helper->shared >= 0) close(helper->shared);
  if (helper->map) munmap(helper->map, helper->map_size);
  free(helper);
}

int lc_helper_stop(struct lc_helper *helper) {
  int status = end(helper->pid, helper->socket);
  lc_helper_forget(helper);
  return status;
}

/* Memory that both sides see, of a size that the helper cannot change. */
static bool share(struct lc_helper *helper, size_t size) {
  if (helper->map) munmap(helper->map, helper->map_size);
  if (helper->shared >= 0) close(helper->shared);
  helper->map = NULL;
  helper->map_size = 0;
  helper->shared = memfd_create("lungcdam", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (helper->shared < 0 || ftruncate(helper->shared, (off_t)size) != 0 ||
      fcntl(helper->shared, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return false;
  void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, helper->shared, 0);
  if (map == MAP_FAILED) return false;
  helper->map = map;
  helper->map_size = size;
  return true;
}

static enum lc_helper_end ask(struct lc_helper *helper, const struct lc_helper_job *job,
                              bool new_share, unsigned wall_s) {
  struct lc_helper_head head = {.magic = LC_HELPER_MAGIC,
                                .word = (uint32_t)lc_log_get_level(),
                                .wall_s = wall_s,
                                .shared = new_share,
                                .size = job->request->size,
                                .out_size = job->out_size};
  snprintf(head.task, sizeof head.task, "%s", job->task);
  int files[LC_HELPER_FILES + 1];
  size_t n = job->n_files;
  if (n > 0) memcpy(files, job->files, n * sizeof *files);
  if (new_share) files[n++] = helper->shared;
  union control control;
  struct iovec parts[] = {{&head, sizeof head}, {job->request->bytes, job->request->size}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = job->request->size ? 2 : 1};
  if (n > 0) attach(&message, &control, files, n);
  return send_all(helper->socket, &message);
}

/* The limit is soft, so that it can be raised for a later job; the helper itself cannot. */
static void limit_memory(struct lc_helper *helper, size_t memory) {
  struct rlimit limit;
  if (!helper->hello.limited || helper->memory == memory ||
      prlimit(helper->pid, RLIMIT_AS, NULL, &limit) != 0)
    return;
  rlim_t wanted = helper->hello.memory + memory;
  limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
  if (prlimit(helper->pid, RLIMIT_AS, &limit, NULL) == 0) helper->memory = memory;
}

enum lc_helper_end lc_helper_exchange(struct lc_helper *helper, const struct lc_helper_job *job,
                                      lc_status *status, struct lc_wire *answer) {
  double seconds = slowness * job->seconds;
  double wall_s = slowness * WALL_LEAST_S + WALL_TIMES * seconds;
  bool new_share = job->out_size > helper->map_size;
  if (new_share && !share(helper, job->out_size)) return LC_HELPER_NO_MEMORY;
  limit_memory(helper, job->memory + helper->map_size);
  struct deadline deadline = {helper->clock, now(helper->clock) + seconds,
                              now(CLOCK_MONOTONIC) + wall_s};
  enum lc_helper_end end = ask(helper, job, new_share, (unsigned)wall_s);
  if (end != LC_HELPER_DONE) return end;
  struct lc_helper_head head;
  struct iovec first = {&head, sizeof head};
  end = receive(helper->socket, &first, 1, &deadline);
  if (end != LC_HELPER_DONE) return end;
  if (head.magic != LC_HELPER_MAGIC || head.word >= LC_STATUS_COUNT || head.size > job->longest)
    return LC_HELPER_NONSENSE;
  answer->at = answer->size = 0;
  answer->bad = false;
  if (head.size > answer->capacity) {
    unsigned char *grown = realloc(answer->bytes, head.size);
    if (!grown) return LC_HELPER_NO_MEMORY;
    answer->bytes = grown;
    answer->capacity = head.size;
  }
  struct iovec rest = {answer->bytes, head.size};
  if (head.size > 0) end = receive(helper->socket, &rest, 1, &deadline);
  if (end != LC_HELPER_DONE) return end;
  answer->size = head.size;
  *status = (lc_status)head.word;
  if (*status == LC_OK && job->out_size > 0) memcpy(job->out, helper->map, job->out_size);
  return LC_HELPER_DONE;
}
