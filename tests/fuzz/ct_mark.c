/* LIDC XML: whatever the bytes, reading refuses or gives marks that can be written and read again
 * as the same. */
#include "tests/fuzz/lc_fuzz.h"

#include "ct_io/nodule/ct_mark.h"

static void same(const struct ct_annotation *a, const struct ct_annotation *b) {
  if (a->n_marks != b->n_marks || a->n_sessions != b->n_sessions) abort();
  size_t points_a = 0, points_b = 0;
  for (size_t m = 0; m < a->n_marks; m++) {
    for (size_t o = 0; o < a->marks[m].n_outlines; o++)
      points_a += a->marks[m].outlines[o].n_points;
    for (size_t o = 0; o < b->marks[m].n_outlines; o++)
      points_b += b->marks[m].outlines[o].n_points;
  }
  if (points_a != points_b) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct ct_annotation annotation, again;
  struct lc_error err;
  const char *path = fuzz_file(data, size, "");
  if (ct_annotation_read(&annotation, path, &err) != LC_OK) return 0;
  /* Marks outside a session have none to be written to: the writer refuses them. */
  if (ct_annotation_write(&annotation, path, &err) == LC_OK) {
    if (ct_annotation_read(&again, path, &err) != LC_OK) abort();
    same(&annotation, &again);
    ct_annotation_free(&again);
  }
  ct_annotation_free(&annotation);
  return 0;
}
