/* Chooses the kernel set: the fastest that this CPU runs, or the one that the caller or
 * LUNGCDAM_KERNELS names. */
#include "vit/kernels/vit_kernels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_log.h"
#include "common/lc_text.h"
#include "vit/kernels/vit_kernels_sets.h"

static _Atomic(const struct vit_kernels *) chosen;

#define MAX_SETS 4

/* Sets that this CPU runs, fastest first. OpenBLAS precedes plain, but follows the hand-written
 * sets: it does not recognise CPUs that are younger than it is and then runs at half speed. */
static size_t available(const struct vit_kernels *sets[MAX_SETS]) {
  size_t n = 0;
#ifndef VIT_REAL_DOUBLE
#ifdef VIT_HAVE_X86
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
    sets[n++] = &vit_kernels_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    sets[n++] = &vit_kernels_avx2;
#endif
  sets[n++] = &vit_kernels_openblas;
#endif
  sets[n++] = &vit_kernels_plain;
  return n;
}

const char *const *vit_kernels_names(void) {
  static const char *names[MAX_SETS + 1];
  const struct vit_kernels *sets[MAX_SETS];
  size_t n = available(sets);
  for (size_t i = 0; i < n; i++) names[i] = sets[i]->name;
  return names;
}

lc_status vit_kernels_select(const char *name, struct lc_error *err) {
  const struct vit_kernels *sets[MAX_SETS];
  size_t n = available(sets);
  struct lc_text list = {0};
  for (size_t i = 0; i < n; i++) {
    if (strcmp(name, sets[i]->name) == 0 || strcmp(name, "auto") == 0) {
#ifndef VIT_REAL_DOUBLE
      if (sets[i] == &vit_kernels_openblas) vit_kernels_openblas_start();
#endif
      atomic_store(&chosen, sets[i]);
      lc_text_free(&list);
      return LC_OK;
    }
    lc_text_add(&list, "%s%s", i ? ", " : "", sets[i]->name);
  }
  lc_status status = lc_fail(err, LC_ERR_NOT_FOUND, __FILE__, __LINE__,
                             "kernels \"%s\": expected auto or one that this CPU runs: %s", name,
                             lc_text_get(&list));
  lc_text_free(&list);
  return status;
}

void vit_kernels_install(const struct vit_kernels *set) {
  atomic_store(&chosen, set);
}

const struct vit_kernels *vit_kernels(void) {
  const struct vit_kernels *set = atomic_load(&chosen);
  if (set) return set;
  const char *wish = getenv("LUNGCDAM_KERNELS");
  struct lc_error err;
  if (vit_kernels_select(wish && wish[0] ? wish : "auto", &err) != LC_OK) {
    lc_log(LC_LOG_WARNING, "LUNGCDAM_KERNELS: %s; using the fastest", err.message);
    if (vit_kernels_select("auto", NULL) != LC_OK) return &vit_kernels_plain;
  }
  return atomic_load(&chosen);
}
