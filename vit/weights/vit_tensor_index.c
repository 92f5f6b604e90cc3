/* Reads an index of weight files and joins their tensors in one block of memory. */
#include "vit/weights/vit_tensor_index.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"

#define INDEX_LIMIT ((size_t)64 << 20)
#define MAX_PARTS 512
#define ALIGN 64

bool vit_tensor_is_index(const char *path) {
  static const char ending[] = ".index.json";
  size_t length = strlen(path), end = sizeof ending - 1;
  return length > end && strcmp(path + length - end, ending) == 0;
}

struct parts {
  const char *names[MAX_PARTS]; /* borrowed of the index */
  struct vit_tensor_file files[MAX_PARTS];
  size_t n;
};

static lc_status open_part(const struct vit_tensor_file *file, struct parts *parts,
                           const char *name, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  const char *slash = strrchr(file->path, '/');
  int folder = slash ? (int)(slash - file->path) + 1 : 0;
  for (size_t i = 0; i < parts->n; i++)
    if (strcmp(parts->names[i], name) == 0) return LC_OK;
  if (parts->n == MAX_PARTS || strchr(name, '/') || vit_tensor_is_index(name))
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: part \"%.80s\", expected at most %d weight files in the folder of the index",
            file->path, name, MAX_PARTS);
  if (snprintf(path, sizeof path, "%.*s%s", folder, file->path, name) >= (int)sizeof path)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: part \"%.80s\": too long", file->path, name);
  LC_TRY(vit_tensor_file_open(&parts->files[parts->n], path, err));
  parts->names[parts->n++] = name;
  return LC_OK;
}

static lc_status open_parts(const struct vit_tensor_file *file, const json_t *map,
                            struct parts *parts, struct lc_error *err) {
  const char *tensor;
  const json_t *part;
  json_object_foreach((json_t *)map, tensor, part) {
    const char *name = json_string_value(part);
    if (!name) LC_FAIL(err, LC_ERR_FORMAT, "%s: \"%s\" has no file", file->path, tensor);
    LC_TRY(open_part(file, parts, name, err));
    size_t i = 0;
    while (strcmp(parts->names[i], name) != 0) i++;
    if (!vit_tensor_file_find(&parts->files[i], tensor))
      LC_FAIL(err, LC_ERR_FORMAT, "%s: has no tensor \"%s\", which %s says", parts->files[i].path,
              tensor, file->path);
  }
  return LC_OK;
}

static size_t bytes_of(const struct vit_tensor *tensor) {
  size_t bytes = tensor->count * vit_dtype_size(tensor->dtype);
  return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static lc_status join(struct vit_tensor_file *file, const struct parts *parts,
                      struct lc_error *err) {
  size_t n = 0, size = ALIGN;
  for (size_t i = 0; i < parts->n; i++) {
    n += parts->files[i].n_tensors;
    for (size_t k = 0; k < parts->files[i].n_tensors; k++)
      size += bytes_of(&parts->files[i].tensors[k]);
  }
  LC_TRY(lc_alloc(&file->tensors, n + 1, sizeof *file->tensors, err));
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", file->path);
  file->mapping = memory;
  file->mapping_size = size;
  unsigned char *at = memory;
  for (size_t i = 0; i < parts->n; i++)
    for (size_t k = 0; k < parts->files[i].n_tensors; k++) {
      const struct vit_tensor *from = &parts->files[i].tensors[k];
      struct vit_tensor *to = &file->tensors[file->n_tensors];
      *to = *from;
      to->name = strdup(from->name);
      if (!to->name) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", file->path);
      file->n_tensors++;
      memcpy(at, from->data, from->count * vit_dtype_size(from->dtype));
      to->data = at;
      at += bytes_of(from);
    }
  file->n_parts = parts->n;
  return LC_OK;
}

lc_status vit_tensor_index_open(struct vit_tensor_file *file, struct lc_error *err) {
  char *text = NULL;
  size_t count = 0;
  struct parts *parts = NULL;
  json_error_t why;
  lc_status status = LC_OK;
  LC_TRY(lc_file_read(file->path, INDEX_LIMIT, &text, &count, err));
  json_t *root = json_loadb(text, count, JSON_REJECT_DUPLICATES, &why);
  free(text);
  const json_t *map = json_object_get(root, "weight_map");
  if (json_object_size(map) == 0)
    LC_FAIL_GOTO(done, err, LC_ERR_FORMAT, "%s: expected an index of weights with a weight_map",
                 file->path);
  LC_TRY_GOTO(lc_alloc(&parts, 1, sizeof *parts, err), done);
  LC_TRY_GOTO(open_parts(file, map, parts, err), done);
  LC_TRY_GOTO(join(file, parts, err), done);
done:
  for (size_t i = 0; parts && i < parts->n; i++) vit_tensor_file_close(&parts->files[i]);
  free(parts);
  json_decref(root);
  return status;
}
