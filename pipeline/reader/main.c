/* The program `lungcdam-reader`, which lungcdam and its library start to parse files in. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#include "ct_io/dicom_read/ct_remote.h"
#include "ct_io/nodule/ct_mark_wire.h"
#include "ct_io/nodule_object/ct_nodule_object.h"
#include "pipeline/reader/pl_h5_walk.h"
#include "pipeline/reader/pl_malloc.h"
#include "pipeline/reader/pl_reader.h"
#include "vit/weights/vit_pickle_remote.h"

#ifdef LUNGCDAM_WITH_PTH
#define PICKLE(ENTRY) ENTRY(vit_task_pickle)
#else
#define PICKLE(ENTRY)
#endif
#define TASKS(ENTRY)                                                                               \
  ENTRY(ct_task_header)                                                                            \
  ENTRY(ct_task_cells)                                                                             \
  ENTRY(ct_task_lidc_xml)                                                                          \
  ENTRY(ct_task_nodules)                                                                           \
  ENTRY(pl_task_hdf5)                                                                              \
  PICKLE(ENTRY)
#define POINT(task) &(task),
static const struct lc_helper_task *const table[] = {TASKS(POINT)};
#define NUMBER(task) NUMBER_OF_##task,
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
