/* The program `lungcdam`: hands its arguments to pl_cli_main, and ends with its own exit code where
 * a library asks for memory that is not there.
 *
 * The libraries beneath do not all look at what malloc returns: DCMTK reads its dictionary into
 * NULL, others report a damaged file. So the program's malloc does not return NULL. What the
 * program itself asks for in large pieces goes another way (lc_alloc), and its failure is an error
 * that names the file. Results are whole or absent at any moment, so nothing is lost. */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/lc_status.h"
#include "pipeline/cli/pl_cli.h"

#if defined(__has_feature)
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif

/* Sanitizers bring a malloc of their own. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&                             \
    !HAS_FEATURE(address_sanitizer) && !HAS_FEATURE(thread_sanitizer) &&                           \
    !HAS_FEATURE(memory_sanitizer)

/* The libraries call these. */
#define PUBLIC __attribute__((visibility("default")))

static void *or_end(void *memory, size_t size) {
  static const char words[] = "lungcdam: out of memory\n";
  if (memory || size == 0) return memory;
  if (write(STDERR_FILENO, words, sizeof words - 1) < 0) _exit(LC_ERR_MEMORY);
  _exit(LC_ERR_MEMORY);
}

/* The next definition of a name, found at its first use; finding it may itself ask for memory. */
static void *next_of(_Atomic(void *) *known, const char *name) {
  void *found = atomic_load_explicit(known, memory_order_relaxed);
  if (!found) {
    found = dlsym(RTLD_NEXT, name);
    atomic_store_explicit(known, found, memory_order_relaxed);
  }
  return found;
}

PUBLIC void *malloc(size_t size) {
  static _Atomic(void *) known;
  __typeof__(&malloc) next = (__typeof__(&malloc))next_of(&known, "malloc");
  return or_end(next(size), size);
}

PUBLIC void *calloc(size_t count, size_t size) {
  static _Atomic(void *) known;
  __typeof__(&calloc) next = (__typeof__(&calloc))next_of(&known, "calloc");
  return or_end(next(count, size), count && size);
}

PUBLIC void *realloc(void *old, size_t size) {
  static _Atomic(void *) known;
  __typeof__(&realloc) next = (__typeof__(&realloc))next_of(&known, "realloc");
  return or_end(next(old, size), size);
}
#endif

int main(int argc, char **argv) {
  return pl_cli_main(argc, argv);
}
