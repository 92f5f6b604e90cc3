/* Keeps helper processes between jobs, one a thread that needs one, and says what became of a file
 * whose helper did not come back. */
#include "common/lc_helper.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/lc_file.h"
#include "common/lc_helper_start.h"
#include "common/lc_log.h"

static struct {
  pthread_mutex_t lock;
  pid_t owner; /* the process that the helpers are of */
  struct lc_helper_program program;
  struct lc_helper *idle;
  bool known, absent; /* whether the reader was looked for, and is not there or does not start */
  bool started;       /* one of them did start */
  char path[LC_PATH_SIZE];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool is_there(const char *folder, const char *from_it) {
  struct lc_error err;
  return lc_path_join(pool.path, folder, from_it, &err) == LC_OK && access(pool.path, X_OK) == 0;
}

/* Under the lock. */
static bool find_reader(void) {
  char folder[LC_PATH_SIZE];
  const char *given = getenv("LUNGCDAM_READER");
  if (pool.known) return !pool.absent;
  pool.known = true;
  if (given && *given)
    pool.absent = strcmp(given, "none") == 0 ||
                  snprintf(pool.path, sizeof pool.path, "%s", given) >= (int)sizeof pool.path;
  else
    pool.absent =
        !(lc_program_folder(folder) && is_there(folder, LUNGCDAM_READER_FROM_BIN)) &&
        !(lc_library_folder(folder) && (is_there(folder, LUNGCDAM_READER_FROM_LIB) ||
                                        is_there(folder, "libexec/lungcdam/lungcdam-reader")));
  if (pool.absent)
    lc_log(LC_LOG_DEBUG, "files are parsed in this process: %s",
           given ? "LUNGCDAM_READER says so" : "lungcdam-reader is not installed");
  return !pool.absent;
}

/* Under the lock: helpers of a process that this one was forked from are not its own. */
static void own_helpers(void) {
  pid_t self = getpid();
  if (pool.owner == self) return;
  while (pool.idle) {
    struct lc_helper *helper = pool.idle;
    pool.idle = helper->next;
    lc_helper_forget(helper);
  }
  if (pool.program.pid) close(pool.program.socket);
  pool.program.pid = 0;
  pool.owner = self;
}

/* An idle one, the one that had this number first. */
static struct lc_helper *take_idle(uint64_t affinity) {
  struct lc_helper **from = &pool.idle;
  for (struct lc_helper **at = from; affinity && *at; at = &(*at)->next)
    if ((*at)->affinity == affinity) from = at;
  struct lc_helper *helper = *from;
  if (helper) *from = helper->next;
  return helper;
}

/* A socket for a new helper, whose program is started where it does not run; -1 with the reason, ""
 * when memory ran out. */
static int ask_for_new(pid_t *pid, char *why, size_t size) {
  int socket = -1;
  why[0] = '\0';
  pthread_mutex_lock(&pool.lock);
  for (int again = 0; again < 2 && socket < 0; again++) {
    if (!pool.program.pid && !lc_helper_program_start(&pool.program, pool.path, why, size)) break;
    socket = lc_helper_ask_for(&pool.program, pid);
    if (socket >= 0) break;
    bool memory = lc_helper_lacked_memory(lc_helper_program_stop(&pool.program));
    snprintf(why, size, "%s%s", memory ? "" : pool.path, memory ? "" : ": does not start");
    if (memory) break;
  }
  pthread_mutex_unlock(&pool.lock);
  return socket;
}

/* A new helper; NULL where there is none, or with LC_ERR_MEMORY. */
static lc_status start_new(struct lc_helper **helper, const char *path, struct lc_error *err) {
  char why[LC_PATH_SIZE + 64];
  pid_t pid;
  int ended = -1, socket = ask_for_new(&pid, why, sizeof why);
  if (socket >= 0) *helper = lc_helper_meet(socket, pid, &ended);
  bool memory = !*helper && (socket >= 0 ? lc_helper_lacked_memory(ended) : !why[0]);
  if (memory) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  if (socket >= 0 && !*helper)
    snprintf(why, sizeof why, "%s: does not start as a reader of this version", pool.path);
  pthread_mutex_lock(&pool.lock);
  bool before = pool.started;
  pool.started = before || *helper;
  pool.absent = !pool.started;
  pthread_mutex_unlock(&pool.lock);
  if (!*helper && before)
    LC_FAIL(err, LC_ERR_MEMORY, "%s: no reader can be started: %s", path, why);
  if (!*helper)
    lc_log(LC_LOG_DEBUG, "files are parsed in this process: %s", why);
  else if (!before)
    lc_log(LC_LOG_DEBUG, "files are parsed by %s: system calls %s, file system %s", pool.path,
           (*helper)->hello.filtered ? "filtered" : "not filtered",
           (*helper)->hello.landlocked ? "closed" : "not closed by Landlock");
  return LC_OK;
}

/* A helper; NULL where there is none, or with LC_ERR_MEMORY. */
static lc_status take(struct lc_helper **helper, bool fresh, uint64_t affinity, const char *path,
                      struct lc_error *err) {
  *helper = NULL;
  pthread_mutex_lock(&pool.lock);
  own_helpers();
  bool there = find_reader();
  if (there && !fresh) *helper = take_idle(affinity);
  pthread_mutex_unlock(&pool.lock);
  return there && !*helper ? start_new(helper, path, err) : LC_OK;
}

static void give_back(struct lc_helper *helper) {
  helper->used = true;
  pthread_mutex_lock(&pool.lock);
  helper->next = pool.idle;
  pool.idle = helper;
  pthread_mutex_unlock(&pool.lock);
}

lc_status lc_helper_nonsense(const char *path, struct lc_error *err) {
  LC_FAIL(err, LC_ERR_FORMAT, "%s: the reader of it gave an answer that makes no sense", path);
}

/* What is said of a file whose helper came to this end. */
static lc_status report(const struct lc_helper_job *job, enum lc_helper_end end, int ended,
                        struct lc_error *err) {
  if (end == LC_HELPER_NO_MEMORY || lc_helper_lacked_memory(ended))
    LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", job->path);
  if (end == LC_HELPER_SLOW)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: reading it takes more than %.3g s", job->path, job->seconds);
  if (end == LC_HELPER_NONSENSE) return lc_helper_nonsense(job->path, err);
  if (ended >= 0 && WIFEXITED(ended) && WEXITSTATUS(ended) == LC_HELPER_OVER_LIMIT)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: reading it needs more than %zu MiB", job->path,
            job->memory >> 20);
  if (ended >= 0 && WIFSIGNALED(ended))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: the reader of it died (signal %d)", job->path,
            WTERMSIG(ended));
  LC_FAIL(err, LC_ERR_FORMAT, "%s: the reader of it ended early (code %d)", job->path,
          ended >= 0 ? WEXITSTATUS(ended) : ended);
}

/* Says again what the helper logged, and takes its error; leaves the answer at what the task put.
 */
static lc_status unpack(const struct lc_helper_job *job, lc_status status, struct lc_wire *answer,
                        struct lc_error *err) {
  char line[2048];
  struct lc_error own = {""};
  uint64_t n = lc_wire_get_number(answer, 1 << 20);
  for (uint64_t i = 0; i < n && !answer->bad; i++) {
    uint64_t level = lc_wire_get_number(answer, LC_LOG_ERROR);
    lc_wire_get_text(answer, line, sizeof line);
    if (!answer->bad) lc_log((lc_log_level)level, "%s", line);
  }
  lc_wire_get_text(answer, own.message, sizeof own.message);
  if (answer->bad) return lc_helper_nonsense(job->path, err);
  if (status != LC_OK && err) *err = own;
  return status;
}

lc_status lc_helper_call(const struct lc_helper_job *job, struct lc_wire *answer, bool *served,
                         struct lc_error *err) {
  *served = true;
  LC_TRY(lc_wire_check(job->request, job->path, err));
  enum lc_helper_end end = LC_HELPER_DONE;
  int ended = -1;
  for (bool fresh = false;; fresh = true) {
    struct lc_helper *helper;
    lc_status status = LC_OK;
    LC_TRY(take(&helper, fresh, job->affinity, job->path, err));
    *served = helper || fresh;
    if (!helper) return fresh ? report(job, end, ended, err) : LC_OK;
    bool used = helper->used;
    helper->affinity = job->affinity;
    end = lc_helper_exchange(helper, job, &status, answer);
    if (end == LC_HELPER_DONE) {
      give_back(helper);
      return unpack(job, status, answer, err);
    }
    ended = lc_helper_stop(helper);
    /* What a file before it left behind must not count against this one. */
    if (!used || lc_helper_lacked_memory(ended) || end == LC_HELPER_SLOW ||
        end == LC_HELPER_NO_MEMORY)
      return report(job, end, ended, err);
  }
}
