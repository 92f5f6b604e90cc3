/* The table of back ends, the choice among them, and what those on the host share. */
#include "vit/kernels/vit_backend.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_log.h"
#include "common/lc_text.h"

/* Fastest first. OpenBLAS precedes plain, but follows the hand-written ones: it does not recognise
 * CPUs that are younger than it is and then runs at half speed. */
#ifdef VIT_REAL_DOUBLE
#define BACKENDS(ENTRY) ENTRY(plain)
#elif defined(VIT_HAVE_X86)
#define BACKENDS(ENTRY)                                                                            \
  ENTRY(avx512)                                                                                    \
  ENTRY(avx2)                                                                                      \
  ENTRY(openblas)                                                                                  \
  ENTRY(plain)
#else
#define BACKENDS(ENTRY)                                                                            \
  ENTRY(openblas)                                                                                  \
  ENTRY(plain)
#endif

#define DECLARE(name) extern const struct vit_backend vit_backend_##name;
BACKENDS(DECLARE)
#define POINT(name) &vit_backend_##name,
static const struct vit_backend *const table[] = {BACKENDS(POINT)};
#define NUMBER(name) NUMBER_OF_##name,
enum { BACKENDS(NUMBER) MOST };

static _Atomic(const struct vit_backend *) chosen;

const struct vit_backend *const *vit_backends(void) {
  static const struct vit_backend *here[MOST + 1];
  for (size_t i = 0, n = 0; i < MOST; i++)
    if (table[i]->runs_here()) here[n++] = table[i];
  return here;
}

void vit_backend_install(const struct vit_backend *backend) {
  if (backend->start) backend->start();
  atomic_store(&chosen, backend);
}

lc_status vit_backend_select(const char *name, struct lc_error *err) {
  struct lc_text list = {0};
  for (size_t i = 0; i < MOST; i++) {
    if (!table[i]->runs_here()) continue;
    bool first = strcmp(name, "auto") == 0 && !table[i]->by_name_only;
    if (first || strcmp(name, table[i]->name) == 0) {
      vit_backend_install(table[i]);
      lc_text_free(&list);
      return LC_OK;
    }
    lc_text_add(&list, "%s%s", list.length ? ", " : "", table[i]->name);
  }
  lc_status status = lc_fail(err, LC_ERR_NOT_FOUND, __FILE__, __LINE__,
                             "kernels \"%s\": expected auto or one that this CPU runs: %s", name,
                             lc_text_get(&list));
  lc_text_free(&list);
  return status;
}

const struct vit_backend *vit_backend(void) {
  const struct vit_backend *backend = atomic_load(&chosen);
  if (backend) return backend;
  const char *wish = getenv("LUNGCDAM_KERNELS");
  struct lc_error err;
  if (vit_backend_select(wish && wish[0] ? wish : "auto", &err) != LC_OK) {
    lc_log(LC_LOG_WARNING, "LUNGCDAM_KERNELS: %s; using the fastest", err.message);
    if (vit_backend_select("auto", NULL) != LC_OK) vit_backend_install(&vit_backend_plain);
  }
  return atomic_load(&chosen);
}

lc_status vit_backend_need(unsigned abilities, const char *what, struct lc_error *err) {
  const struct vit_backend *backend = vit_backend();
  if ((backend->abilities & abilities) == abilities) return LC_OK;
  LC_FAIL(err, LC_ERR_UNSUPPORTED, "%s: the back end \"%s\" does not support it", what,
          backend->name);
}

size_t vit_host_packed_size(vit_way way, size_t out, size_t in) {
  return way == VIT_BACK ? out * in * sizeof(vit_real) : 0;
}

void vit_host_pack(vit_way way, size_t out, size_t in, const vit_real *weight, size_t first,
                   size_t rows, void *packed) {
  vit_real *to = packed;
  if (way == VIT_BACK) vit_backend()->transpose(rows, in, weight + first * in, in, to + first, out);
}

void vit_host_linear(vit_way way, const struct vit_matrix *w, size_t first, size_t rows, size_t n,
                     const vit_real *b, size_t ldb, vit_real *c, size_t ldc,
                     const struct vit_epilogue *epilogue) {
  const vit_real *data = w->data;
  if (way == VIT_FORTH)
    vit_backend()->gemm(rows, n, w->in, data + first * w->in, w->in, 1, b, ldb, c, ldc, epilogue);
  else
    vit_backend()->gemm(w->in, n, rows, data + first, w->out, 1, b, ldb, c, ldc, epilogue);
}
