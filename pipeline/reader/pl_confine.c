/* Confines the process by resource limits, Landlock and a filter of system calls. */
#include "pipeline/reader/pl_confine.h"

#include <errno.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/lc_helper.h"

enum { MOST_FILES = 64 };

static void limit(__rlimit_resource_t what, rlim_t most) {
  const struct rlimit value = {most, most};
  (void)setrlimit(what, &value);
}

/* Without a rule nothing below / may be opened. glibc has no functions for it. */
static bool landlock(void) {
  /* Rights by version of the interface, from the first. */
  static const int n_rights[] = {13, 14, 15, 15, 16};
  long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return false;
  size_t last = sizeof n_rights / sizeof *n_rights;
  size_t which = (size_t)version < last ? (size_t)version : last;
  const struct landlock_ruleset_attr rules = {.handled_access_fs =
                                                  ((uint64_t)1 << n_rights[which - 1]) - 1};
  int set = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules.handled_access_fs, 0);
  if (set < 0) return false;
  bool done = syscall(SYS_landlock_restrict_self, set, 0) == 0;
  close(set);
  return done;
}

/* What parsers and the C library do with memory, time and open descriptors. */
static const int allowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(pread64),
    SCMP_SYS(readv),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(lseek),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(close),
    SCMP_SYS(dup),
    SCMP_SYS(fcntl),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(setitimer),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* These with conditions: memory does not become code, signals go to oneself, limits are read. */
static int add_conditional(scmp_filter_ctx filter) {
  const int memory[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
  int error = 0;
  for (size_t i = 0; i < 2 && !error; i++)
    error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, memory[i], 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  if (!error)
    error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                             SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
  if (!error)
    error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
                             SCMP_A2(SCMP_CMP_EQ, 0, 0));
  return error;
}

/* Everything else fails with EPERM, which libraries take as any other error. */
static bool filter_calls(void) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (!filter) return false;
  int error = 0;
  for (size_t i = 0; i < sizeof allowed / sizeof *allowed && !error; i++)
    error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
  if (!error) error = add_conditional(filter);
  if (!error) error = seccomp_load(filter);
  seccomp_release(filter);
  return !error;
}

struct pl_confined pl_confine(void) {
  struct pl_confined done = {false, false};
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_NOFILE, MOST_FILES);
  limit(RLIMIT_NPROC, 0);
  if (LC_SANITIZED || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return done;
  done.landlocked = landlock();
  done.filtered = filter_calls();
  return done;
}
