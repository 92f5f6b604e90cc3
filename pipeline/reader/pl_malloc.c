/* Puts malloc, calloc and realloc of the program before those of the C library. Sanitizers bring
 * their own. */
#include "pipeline/reader/pl_malloc.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/lc_helper.h"

#if !LC_SANITIZED

/* The libraries call these. */
#define PUBLIC __attribute__((visibility("default")))

static void *or_end(void *memory, size_t size) {
  if (!memory && size > 0) pl_malloc_failed(size);
  return memory;
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
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) bytes = SIZE_MAX;
  return or_end(next(count, size), bytes);
}

PUBLIC void *realloc(void *old, size_t size) {
  static _Atomic(void *) known;
  __typeof__(&realloc) next = (__typeof__(&realloc))next_of(&known, "realloc");
  return or_end(next(old, size), size);
}
#endif
