/* Has objects parsed in a helper process, and checks its answer. */
#include <string.h>

#include "ct_io/dicom_file/ct_source.h"
#include "ct_io/nodule/ct_mark_wire.h"
#include "ct_io/nodule_object/ct_nodule_object.h"

/* What an object of some size may need: an honest one needs a small part of it. */
static const size_t least_memory = (size_t)256 << 20, most_memory = (size_t)2 << 30;
static const double least_seconds = 2, bytes_a_second = 4e6, most_seconds = 60;
enum { MEMORY_A_BYTE = 32, MOST_ANNOTATIONS = 1024 };

static lc_status run_nodules(struct lc_wire *request, struct lc_helper_given *given,
                             struct lc_wire *answer, struct lc_error *err) {
  struct ct_annotations found = {0};
  char path[LC_ERROR_SIZE];
  lc_wire_get_text(request, path, sizeof path);
  if (request->bad || given->n_files != 1)
    LC_FAIL(err, LC_ERR_INTERNAL, "a request for nodules that makes no sense");
  int file = given->files[0];
  given->files[0] = -1;
  lc_status status = ct_nodule_object_parse(&found, file, path, err);
  lc_wire_put_number(answer, found.n);
  for (size_t i = 0; i < found.n; i++) ct_annotation_put(answer, &found.items[i]);
  ct_annotations_free(&found);
  return status;
}
const struct lc_helper_task ct_task_nodules = {.name = "nodules", .run = run_nodules};

static lc_status take_answer(struct ct_annotations *found, struct lc_wire *answer, const char *path,
                             struct lc_error *err) {
  uint64_t n = lc_wire_get_number(answer, MOST_ANNOTATIONS);
  for (uint64_t i = 0; i < n; i++) {
    struct ct_annotation *annotation;
    LC_TRY(ct_annotations_add(found, &annotation, err));
    LC_TRY(ct_annotation_get(answer, annotation, path, err));
  }
  return answer->bad ? lc_helper_nonsense(path, err) : LC_OK;
}

lc_status ct_nodule_object_read(struct ct_annotations *found, const char *path,
                                struct lc_error *err) {
  struct ct_source source;
  struct lc_wire request = {0}, answer = {0};
  bool served;
  LC_TRY(ct_source_open(&source, path, err));
  double memory = (double)least_memory + MEMORY_A_BYTE * (double)source.size;
  double seconds = least_seconds + (double)source.size / bytes_a_second;
  const struct lc_helper_job job = {.task = ct_task_nodules.name,
                                    .path = path,
                                    .files = &source.file,
                                    .n_files = 1,
                                    .request = &request,
                                    .memory =
                                        memory < (double)most_memory ? (size_t)memory : most_memory,
                                    .seconds = seconds < most_seconds ? seconds : most_seconds,
                                    .longest = CT_MOST_MASK_VOXELS + least_memory};
  lc_wire_put_path(&request, path, LC_ERROR_SIZE);
  lc_status status = lc_helper_call(&job, &answer, &served, err);
  if (status == LC_OK && served) status = take_answer(found, &answer, path, err);
  lc_wire_free(&request);
  lc_wire_free(&answer);
  if (status == LC_OK && !served) return ct_nodule_object_parse(found, source.file, path, err);
  ct_source_close(&source);
  return status;
}
