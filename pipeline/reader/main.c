/* The program `lungcdam-reader`, which lungcdam and its library start to parse files in. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#include "ct_io/dicom_read/ct_remote.h"
#include "ct_io/nodule/ct_mark_wire.h"
#include "ct_io/nodule/ct_nodule_object.h"
#include "pipeline/reader/pl_malloc.h"
#include "pipeline/reader/pl_reader.h"

#define TASKS(ENTRY) ENTRY(header) ENTRY(cells) ENTRY(lidc_xml) ENTRY(nodules)
#define POINT(name) &ct_task_##name,
static const struct lc_helper_task *const table[] = {TASKS(POINT)};
#define NUMBER(name) NUMBER_##name,
enum { TASKS(NUMBER) N_TASKS };

noreturn void pl_malloc_failed(size_t size) {
  pl_reader_no_memory(size);
}

#if !LC_SANITIZED
/* What the program's own sources ask for in large pieces (lc_alloc). */
__attribute__((visibility("default"))) int posix_memalign(void **memory, size_t alignment,
                                                          size_t size) {
  __typeof__(&posix_memalign) next =
      (__typeof__(&posix_memalign))dlsym(RTLD_NEXT, "posix_memalign");
  int error = next(memory, alignment, size);
  if (error == ENOMEM) pl_reader_no_memory(size);
  return error;
}
#endif

int main(void) {
  return pl_reader_main(table, N_TASKS, ct_remote_prepare);
}
