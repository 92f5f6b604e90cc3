/* Both ends of reading a pickle in a helper process: its bytes go there, and its list of tensors
 * comes back. */
#include "vit/weights/vit_pickle_remote.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_scope.h"

/* Of the objects of a pickle, at most 2^21, and of its bytes on their way. */
static const size_t least_memory = (size_t)384 << 20, longest_answer = (size_t)64 << 20;
static const double least_seconds = 1.2, bytes_a_second = 8e6;
enum { TEXT_SIZE = 4096, LEAST_TENSOR = 5 * sizeof(uint64_t) };

static lc_status run_pickle(struct lc_wire *request, struct lc_helper_given *given,
                            struct lc_wire *answer, struct lc_error *err) {
  char path[LC_ERROR_SIZE];
  LC_SCOPED(vit_pickle_free) struct vit_pickle pickle = {0};
  (void)given;
  lc_wire_get_text(request, path, sizeof path);
  LC_TRY(vit_pickle_read(&pickle, path, request->bytes + request->at, request->size - request->at,
                         err));
  lc_wire_put_number(answer, pickle.n);
  for (size_t i = 0; i < pickle.n; i++) {
    const struct vit_pickle_tensor *t = &pickle.tensors[i];
    lc_wire_put_text(answer, t->name);
    lc_wire_put_text(answer, t->storage);
    lc_wire_put_number(answer, t->dtype);
    lc_wire_put_number(answer, t->offset);
    lc_wire_put_number(answer, t->rank);
    lc_wire_put(answer, t->shape, t->rank * sizeof *t->shape);
    lc_wire_put(answer, t->stride, t->rank * sizeof *t->stride);
  }
  return LC_OK;
}
const struct lc_helper_task vit_task_pickle = {.name = "pickle", .run = run_pickle};

/* A text as the pickle has it: names of tensors and members are compared with others. */
static lc_status get_name(struct lc_wire *answer, char **name, const char *path,
                          struct lc_error *err) {
  char text[TEXT_SIZE];
  size_t length = (size_t)lc_wire_get_number(answer, sizeof text - 1);
  lc_wire_get(answer, text, length);
  text[length] = '\0';
  if (strlen(text) != length) answer->bad = true;
  *name = strdup(text);
  if (!*name) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  return LC_OK;
}

static lc_status get_tensors(struct lc_wire *answer, struct vit_pickle *pickle, const char *path,
                             struct lc_error *err) {
  size_t n = (size_t)lc_wire_get_number(answer, VIT_MAX_TENSORS);
  if (!lc_wire_holds(answer, n, LEAST_TENSOR)) answer->bad = true;
  if (answer->bad) return LC_OK;
  LC_TRY(lc_alloc(&pickle->tensors, n + 1, sizeof *pickle->tensors, err));
  while (pickle->n < n && !answer->bad) {
    struct vit_pickle_tensor *t = &pickle->tensors[pickle->n++];
    LC_TRY(get_name(answer, &t->name, path, err));
    LC_TRY(get_name(answer, &t->storage, path, err));
    t->dtype = (vit_dtype)lc_wire_get_number(answer, VIT_BOOL);
    t->offset = (size_t)lc_wire_get_number(answer, SIZE_MAX);
    t->rank = (size_t)lc_wire_get_number(answer, VIT_MAX_RANK);
    lc_wire_get(answer, t->shape, t->rank * sizeof *t->shape);
    lc_wire_get(answer, t->stride, t->rank * sizeof *t->stride);
  }
  return LC_OK;
}

lc_status vit_pickle_ask(struct vit_pickle *pickle, const char *path, const unsigned char *bytes,
                         size_t size, struct lc_error *err) {
  LC_SCOPED(lc_wire_free) struct lc_wire request = {0}, answer = {0};
  struct lc_helper_job job = {.task = "pickle",
                              .path = path,
                              .request = &request,
                              .memory = least_memory + 2 * size,
                              .seconds = least_seconds + (double)size / bytes_a_second,
                              .longest = longest_answer};
  bool served = false;
  *pickle = (struct vit_pickle){0};
  lc_wire_put_path(&request, path, LC_ERROR_SIZE);
  lc_wire_put(&request, bytes, size);
  LC_TRY(lc_helper_call(&job, &answer, &served, err));
  if (!served) return vit_pickle_read(pickle, path, bytes, size, err);
  lc_status status = get_tensors(&answer, pickle, path, err);
  if (status == LC_OK && answer.bad) status = lc_helper_nonsense(path, err);
  if (status != LC_OK) vit_pickle_free(pickle);
  return status;
}
