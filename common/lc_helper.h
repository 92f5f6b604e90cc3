/* Helper processes that parse the bytes of strangers. A file that is opened here goes to a process
 * that can read it and nothing else: no other file, no network, no program, bounded memory and time
 * (pipeline/reader/pl_confine.h). If it dies or goes beyond its limits, one file is refused, and a
 * new one takes its place.
 *
 * The program, started once, loads what parsers need and becomes a helper for each socket that it
 * is given. It is lungcdam-reader, looked for in libexec/lungcdam beside the program or the
 * library, or where LUNGCDAM_READER says; LUNGCDAM_READER=none does without. Where it cannot be
 * started the caller parses by itself; the debug log says so, once.
 *
 * Thread-safety: any thread; each call has a helper of its own, kept for later calls. A process
 * made by fork starts its own. */
#pragma once

#include "common/lc_api.h"
#include "common/lc_wire.h"

LC_C_BEGIN

#define LC_HELPER_FILES 16 /* most files of one job */
#define LC_HELPER_NAME 16  /* longest name of a task, with its zero */

/* One piece of work. */
struct lc_helper_job {
  const char *task;
  const char *path; /* of its file, for messages */
  const int *files; /* [n_files] open descriptors, still the caller's afterwards */
  size_t n_files;
  const struct lc_wire *request;
  uint64_t affinity; /* not 0: the helper that had this number before is preferred */
  size_t memory;     /* bytes that it may take beyond those it starts with */
  double seconds;    /* of processor time */
  size_t longest;    /* most bytes of its answer */
  void *out;         /* NULL, or [out_size] bytes that the task fills */
  size_t out_size;
};

/* Fills the answer, at what the task put. *served: false when there is no helper at all; then
 * nothing was done. LC_ERR_FORMAT, naming job->path, when the helper died, needed too much, or gave
 * an answer of no sense; LC_ERR_MEMORY; or what the task failed with, in its words. */
LC_MUST_CHECK lc_status lc_helper_call(const struct lc_helper_job *job, struct lc_wire *answer,
                                       bool *served, struct lc_error *err);
/* LC_ERR_FORMAT for an answer whose values make no sense. */
LC_MUST_CHECK lc_status lc_helper_nonsense(const char *path, struct lc_error *err);

/* What a task is given in the helper. Files that it closes itself it sets to -1. */
struct lc_helper_given {
  int files[LC_HELPER_FILES];
  size_t n_files;
  void *out; /* what goes to job->out */
  size_t out_size;
};

/* A task of the table of pipeline/reader. */
struct lc_helper_task {
  const char *name;
  lc_status (*run)(struct lc_wire *request, struct lc_helper_given *given, struct lc_wire *answer,
                   struct lc_error *err);
};

/* What both sides send before the rest. */
struct lc_helper_head {
  uint32_t magic;
  uint32_t word;   /* asked: the lowest level of log lines; answered: the status */
  uint32_t wall_s; /* asked: after that many seconds the helper ends itself */
  uint32_t shared; /* asked: a descriptor of shared memory comes last */
  uint64_t size;   /* bytes that follow */
  uint64_t out_size;
  char task[LC_HELPER_NAME];
};
/* What a helper says first. */
struct lc_helper_hello {
  uint32_t magic, version;
  uint64_t memory; /* bytes of address space it has taken */
  uint32_t filtered, landlocked, limited, unused;
};
#define LC_HELPER_MAGIC 0x6c63686cu
#define LC_HELPER_VERSION 1u
#define LC_HELPER_SOCKET 3      /* the program's descriptor, and then that of each helper */
#define LC_HELPER_OVER_LIMIT 99 /* its exit code when it reached its limit of memory */

/* Whether a sanitizer is compiled in: these reserve address space and make calls of their own, and
 * are slow. */
#if defined(__has_feature)
#define LC_HELPER_HAS(name) __has_feature(name)
#else
#define LC_HELPER_HAS(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    LC_HELPER_HAS(address_sanitizer) || LC_HELPER_HAS(thread_sanitizer) ||                         \
    LC_HELPER_HAS(memory_sanitizer)
#define LC_SANITIZED 1
#else
#define LC_SANITIZED 0
#endif

LC_C_END
