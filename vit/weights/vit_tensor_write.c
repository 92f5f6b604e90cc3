/* Writes safetensors files: a JSON header, padded to a multiple of 8 bytes, then the raw data. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_file.h"
#include "vit/weights/vit_tensor_file.h"

static json_t *describe(const struct vit_tensor *tensor, size_t begin, size_t end) {
  json_t *shape = json_array();
  for (size_t i = 0; i < tensor->rank; i++)
    json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
  return json_pack("{s:s, s:o, s:[I, I]}", "dtype", vit_dtype_name(tensor->dtype), "shape", shape,
                   "data_offsets", (json_int_t)begin, (json_int_t)end);
}

/* The header as text, padded with blanks to a multiple of 8 as the reference writer does. free()
 * it. */
static lc_status make_header(const char *path, const struct vit_tensor *tensors, size_t n_tensors,
                             const char *const *metadata, size_t n_metadata, char **header,
                             size_t *length, struct lc_error *err) {
  json_t *root = json_object();
  if (n_metadata > 0) {
    json_t *object = json_object();
    for (size_t i = 0; i < n_metadata; i++)
      json_object_set_new(object, metadata[2 * i], json_string(metadata[2 * i + 1]));
    json_object_set_new(root, "__metadata__", object);
  }
  size_t offset = 0;
  bool fine = true;
  for (size_t i = 0; i < n_tensors; i++) {
    size_t bytes = tensors[i].count * vit_dtype_size(tensors[i].dtype);
    if (json_object_get(root, tensors[i].name) || offset % vit_dtype_size(tensors[i].dtype) != 0)
      fine = false;
    json_object_set_new(root, tensors[i].name, describe(&tensors[i], offset, offset + bytes));
    offset += bytes;
  }
  char *text = fine ? json_dumps(root, JSON_COMPACT) : NULL;
  json_decref(root);
  if (!fine)
    LC_FAIL(err, LC_ERR_USAGE, "%s: two tensors of one name, or wide elements after narrow ones",
            path);
  if (!text) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  size_t used = strlen(text), padded = (used + 7) / 8 * 8;
  char *grown = realloc(text, padded + 1);
  if (!grown) {
    free(text);
    LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  }
  memset(grown + used, ' ', padded - used);
  *header = grown;
  *length = padded;
  return LC_OK;
}

static bool write_all(FILE *stream, const char *header, size_t length,
                      const struct vit_tensor *tensors, size_t n_tensors) {
  unsigned char prefix[8];
  for (int i = 0; i < 8; i++) prefix[i] = (unsigned char)((uint64_t)length >> (8 * i));
  if (fwrite(prefix, 1, 8, stream) != 8) return false;
  if (fwrite(header, 1, length, stream) != length) return false;
  for (size_t i = 0; i < n_tensors; i++) {
    size_t bytes = tensors[i].count * vit_dtype_size(tensors[i].dtype);
    if (bytes > 0 && fwrite(tensors[i].data, 1, bytes, stream) != bytes) return false;
  }
  return true;
}

lc_status vit_tensor_file_write(const char *path, const struct vit_tensor *tensors,
                                size_t n_tensors, const char *const *metadata, size_t n_metadata,
                                struct lc_error *err) {
  struct lc_output output;
  char *header = NULL;
  size_t length = 0;
  LC_TRY(lc_output_begin(&output, path, err));
  LC_TRY(make_header(path, tensors, n_tensors, metadata, n_metadata, &header, &length, err));
  FILE *stream;
  lc_status opened = lc_output_open(&output, &stream, err);
  if (opened != LC_OK) {
    free(header);
    return opened;
  }
  bool fine = write_all(stream, header, length, tensors, n_tensors);
  int error_number = errno;
  if (fclose(stream) != 0 && fine) {
    fine = false;
    error_number = errno;
  }
  free(header);
  if (!fine) {
    lc_output_abort(&output);
    return lc_file_write_error(path, error_number, err);
  }
  return lc_output_commit(&output, err);
}
