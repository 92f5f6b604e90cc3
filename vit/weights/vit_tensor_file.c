/* Maps a safetensors file and checks its header entry by entry; hands PyTorch's archives to
 * vit_tensor_pth.h. */
#include "vit/weights/vit_tensor_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/lc_arena.h"
#include "vit/weights/vit_tensor_index.h"
#include "vit/weights/vit_tensor_pth.h"

#define HEADER_LIMIT ((uint64_t)100 << 20)
/* Deeper than any header (object, tensor, list) and far from jansson's own stack limit of 2048. */
#define DEPTH_LIMIT 8

static uint64_t read_u64(const unsigned char *bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; i--) value = value << 8 | bytes[i];
  return value;
}

/* Brackets outside strings, so that hostile nesting never reaches the recursive parser. */
static bool too_deep(const char *text, size_t length) {
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < length; i++) {
    char c = text[i];
    if (quoted) {
      if (c == '\\')
        i++;
      else if (c == '"')
        quoted = false;
    } else if (c == '"')
      quoted = true;
    else if (c == '{' || c == '[') {
      if (++depth > DEPTH_LIMIT) return true;
    } else if ((c == '}' || c == ']') && depth > 0)
      depth--;
  }
  return false;
}

static lc_status map_file(struct vit_tensor_file *file, const char *path, struct lc_error *err) {
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
  struct stat info;
  if (fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(descriptor);
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: not a regular file", path);
  }
  if (info.st_size < 8) {
    close(descriptor);
    LC_FAIL(err, LC_ERR_TRUNCATED, "%s: %lld bytes, expected a safetensors file of at least 8",
            path, (long long)info.st_size);
  }
  void *mapping = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, descriptor, 0);
  close(descriptor);
  if (mapping == MAP_FAILED)
    LC_FAIL(err, LC_ERR_MEMORY, "%s: cannot be mapped: %s", path, strerror(errno));
  file->mapping = mapping;
  file->mapping_size = (size_t)info.st_size;
  return LC_OK;
}

static lc_status parse_shape(const char *path, struct vit_tensor *tensor, const json_t *shape,
                             struct lc_error *err) {
  if (!json_is_array(shape))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: tensor \"%s\": expected a list as shape", path, tensor->name);
  tensor->rank = json_array_size(shape);
  if (tensor->rank > VIT_MAX_RANK)
    LC_FAIL(err, LC_ERR_UNSUPPORTED, "%s: tensor \"%s\" has %zu dimensions, expected at most %d",
            path, tensor->name, tensor->rank, VIT_MAX_RANK);
  tensor->count = 1;
  for (size_t i = 0; i < tensor->rank; i++) {
    const json_t *size = json_array_get(shape, i);
    if (!json_is_integer(size) || json_integer_value(size) < 0)
      LC_FAIL(err, LC_ERR_FORMAT, "%s: tensor \"%s\": expected whole numbers as shape", path,
              tensor->name);
    tensor->shape[i] = (size_t)json_integer_value(size);
    if (__builtin_mul_overflow(tensor->count, tensor->shape[i], &tensor->count))
      LC_FAIL(err, LC_ERR_FORMAT, "%s: tensor \"%s\": the shape overflows", path, tensor->name);
  }
  return LC_OK;
}

static lc_status parse_dtype(const char *path, struct vit_tensor *tensor, const json_t *dtype,
                             struct lc_error *err) {
  const char *name = json_string_value(dtype);
  for (int i = VIT_F32; name && i <= VIT_BOOL; i++) {
    if (strcmp(name, vit_dtype_name((vit_dtype)i)) != 0) continue;
    tensor->dtype = (vit_dtype)i;
    return LC_OK;
  }
  LC_FAIL(err, LC_ERR_UNSUPPORTED, "%s: tensor \"%s\": type \"%.40s\" is not supported", path,
          tensor->name, name ? name : "(none)");
}

/* One entry of the header. data_size: bytes after the header. The offset within the data is put in
 * tensor->data as a number until the base is known. */
static lc_status parse_tensor(const char *path, struct vit_tensor *tensor, const char *name,
                              const json_t *entry, size_t data_size, struct lc_error *err) {
  tensor->name = strdup(name);
  if (!tensor->name) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  if (!json_is_object(entry))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: tensor \"%s\": expected an object", path, name);
  LC_TRY(parse_dtype(path, tensor, json_object_get(entry, "dtype"), err));
  LC_TRY(parse_shape(path, tensor, json_object_get(entry, "shape"), err));
  const json_t *offsets = json_object_get(entry, "data_offsets");
  const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
  if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last) ||
      json_integer_value(first) < 0 || json_integer_value(last) < json_integer_value(first))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: tensor \"%s\": expected data_offsets [begin, end]", path,
            name);
  size_t begin = (size_t)json_integer_value(first), end = (size_t)json_integer_value(last), bytes;
  if (__builtin_mul_overflow(tensor->count, vit_dtype_size(tensor->dtype), &bytes) ||
      bytes != end - begin)
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: tensor \"%s\": data_offsets span %zu bytes, which is not what its shape needs",
            path, name, end - begin);
  if (end > data_size)
    LC_FAIL(err, LC_ERR_TRUNCATED, "%s: tensor \"%s\" ends at byte %zu of %zu: the file is cut off",
            path, name, end, data_size);
  if (begin % vit_dtype_size(tensor->dtype) != 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: tensor \"%s\" is not aligned to its elements", path, name);
  tensor->data = (const void *)(uintptr_t)begin;
  return LC_OK;
}

static lc_status parse_metadata(struct vit_tensor_file *file, const json_t *object,
                                struct lc_error *err) {
  if (!json_is_object(object))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: expected an object as __metadata__", file->path);
  LC_TRY(lc_alloc(&file->metadata, 2 * json_object_size(object) + 1, sizeof(char *), err));
  const char *key;
  const json_t *value;
  json_object_foreach((json_t *)object, key, value) {
    if (!json_is_string(value))
      LC_FAIL(err, LC_ERR_FORMAT, "%s: __metadata__ \"%s\": expected text", file->path, key);
    size_t i = file->n_metadata++;
    file->metadata[2 * i] = strdup(key);
    file->metadata[2 * i + 1] = strdup(json_string_value(value));
    if (!file->metadata[2 * i] || !file->metadata[2 * i + 1])
      LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", file->path);
  }
  return LC_OK;
}

static int by_offset(const void *a, const void *b) {
  const struct vit_tensor *left = a, *right = b;
  uintptr_t x = (uintptr_t)left->data, y = (uintptr_t)right->data;
  if (x != y) return x < y ? -1 : 1;
  /* Empty tensors share their offset with the next one. */
  if (left->count != right->count) return left->count < right->count ? -1 : 1;
  return strcmp(left->name, right->name);
}

/* Sorts by offset, demands that the data has neither hole nor overlap, and turns offsets into
 * pointers. */
static lc_status place_tensors(struct vit_tensor_file *file, const unsigned char *data,
                               size_t data_size, struct lc_error *err) {
  if (file->n_tensors > 0) qsort(file->tensors, file->n_tensors, sizeof *file->tensors, by_offset);
  size_t expected = 0;
  for (size_t i = 0; i < file->n_tensors; i++) {
    struct vit_tensor *tensor = &file->tensors[i];
    size_t begin = (size_t)(uintptr_t)tensor->data;
    if (begin != expected)
      LC_FAIL(err, LC_ERR_FORMAT, "%s: tensor \"%s\" begins at byte %zu, expected %zu: %s",
              file->path, tensor->name, begin, expected,
              begin < expected ? "tensors overlap" : "a hole in the data");
    expected = begin + tensor->count * vit_dtype_size(tensor->dtype);
    tensor->data = data + begin;
  }
  if (expected != data_size)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %zu bytes after the last tensor", file->path,
            data_size - expected);
  return LC_OK;
}

static lc_status parse_header(struct vit_tensor_file *file, const json_t *root, size_t data_size,
                              struct lc_error *err) {
  if (!json_is_object(root))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: expected an object as header", file->path);
  if (json_object_size(root) > VIT_MAX_TENSORS + 1) /* and the metadata */
    LC_FAIL(err, LC_ERR_UNSUPPORTED, "%s: %zu tensors, expected at most %d", file->path,
            json_object_size(root), VIT_MAX_TENSORS);
  LC_TRY(lc_alloc(&file->tensors, json_object_size(root) + 1, sizeof *file->tensors, err));
  const char *name;
  const json_t *entry;
  json_object_foreach((json_t *)root, name, entry) {
    if (strcmp(name, "__metadata__") == 0) {
      LC_TRY(parse_metadata(file, entry, err));
      continue;
    }
    struct vit_tensor *tensor = &file->tensors[file->n_tensors++];
    LC_TRY(parse_tensor(file->path, tensor, name, entry, data_size, err));
  }
  return LC_OK;
}

/* Older writers did not pad the header, so that every tensor is misaligned. Such a file is copied
 * to aligned memory and the mapping is given up. */
static lc_status align_data(struct vit_tensor_file *file, const unsigned char **data,
                            size_t data_size, struct lc_error *err) {
  if ((uintptr_t)*data % 8 == 0) return LC_OK;
  void *copy =
      mmap(NULL, data_size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (copy == MAP_FAILED) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", file->path);
  memcpy(copy, *data, data_size);
  munmap(file->mapping, file->mapping_size);
  file->mapping = copy;
  file->mapping_size = data_size + 1;
  *data = copy;
  return LC_OK;
}

static lc_status open_file(struct vit_tensor_file *file, const char *path, struct lc_error *err) {
  file->path = strdup(path);
  if (!file->path) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  if (vit_tensor_is_index(path)) return vit_tensor_index_open(file, err);
  LC_TRY(map_file(file, path, err));
  const unsigned char *bytes = file->mapping;
  if (memcmp(bytes, "PK\003\004", 4) == 0) {
    munmap(file->mapping, file->mapping_size);
    file->mapping = NULL;
    return vit_tensor_pth_open(file, err);
  }
  if (bytes[0] == 0x80 && bytes[1] == 2 && bytes[2] == 0x8A)
    LC_FAIL(err, LC_ERR_UNSUPPORTED,
            "%s: written by torch.save in its format before PyTorch 1.6: load and save it again",
            path);
  uint64_t length = read_u64(bytes);
  if (length > HEADER_LIMIT)
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: header of %llu bytes, expected at most 100 MiB: not a safetensors file", path,
            (unsigned long long)length);
  if (length > file->mapping_size - 8)
    LC_FAIL(err, LC_ERR_TRUNCATED, "%s: header of %llu bytes in a file of %zu", path,
            (unsigned long long)length, file->mapping_size);
  const char *text = (const char *)bytes + 8;
  const unsigned char *data = bytes + 8 + length;
  size_t data_size = file->mapping_size - 8 - (size_t)length;
  if (too_deep(text, (size_t)length))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: header nested deeper than %d", path, DEPTH_LIMIT);
  json_error_t json_error;
  json_t *root = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &json_error);
  if (!root)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: header is not JSON at byte %d: %s", path, json_error.position,
            json_error.text);
  lc_status status = parse_header(file, root, data_size, err);
  json_decref(root);
  LC_TRY(status);
  LC_TRY(align_data(file, &data, data_size, err));
  return place_tensors(file, data, data_size, err);
}

lc_status vit_tensor_file_open(struct vit_tensor_file *file, const char *path,
                               struct lc_error *err) {
  *file = (struct vit_tensor_file){0};
  lc_status status = open_file(file, path, err);
  if (status != LC_OK) vit_tensor_file_close(file);
  return status;
}

void vit_tensor_file_close(struct vit_tensor_file *file) {
  for (size_t i = 0; i < file->n_tensors; i++) free(file->tensors[i].name);
  for (size_t i = 0; i < 2 * file->n_metadata; i++) free(file->metadata[i]);
  free(file->tensors);
  free((void *)file->metadata);
  free(file->path);
  if (file->mapping) munmap(file->mapping, file->mapping_size);
  *file = (struct vit_tensor_file){0};
}

const struct vit_tensor *vit_tensor_file_find(const struct vit_tensor_file *file,
                                              const char *name) {
  for (size_t i = 0; i < file->n_tensors; i++)
    if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
  return NULL;
}

const char *vit_tensor_file_metadata(const struct vit_tensor_file *file, const char *key) {
  for (size_t i = 0; i < file->n_metadata; i++)
    if (strcmp(file->metadata[2 * i], key) == 0) return file->metadata[2 * i + 1];
  return NULL;
}
