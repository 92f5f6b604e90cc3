/* The table of kinds of DICOM object. */
#include "pipeline/export/pl_object.h"

#define KINDS(ENTRY)                                                                               \
  ENTRY(slices)                                                                                    \
  ENTRY(maps)                                                                                      \
  ENTRY(segmentation)                                                                              \
  ENTRY(relevance)                                                                                 \
  ENTRY(report)                                                                                    \
  ENTRY(presentation)                                                                              \
  ENTRY(captures)
#define DECLARE(name) extern const struct pl_object_kind pl_object_##name;
KINDS(DECLARE)
#define POINT(name) &pl_object_##name,
static const struct pl_object_kind *const table[] = {KINDS(POINT)};
#define NUMBER(name) NUMBER_##name,
enum { KINDS(NUMBER) N_KINDS };
_Static_assert(N_KINDS <= PL_OBJECTS_MOST, "more kinds of object than an export can choose from");

#define NAME(name) #name,
const char *const pl_object_words[] = {KINDS(NAME) "all", NULL};

const struct pl_object_kind *const *pl_object_kinds(size_t *n) {
  *n = N_KINDS;
  return table;
}
