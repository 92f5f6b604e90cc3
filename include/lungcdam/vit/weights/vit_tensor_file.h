/* Files of named tensors. Written: safetensors. Read: safetensors and PyTorch's own.
 *
 * safetensors (an 8-byte little-endian header length, a JSON header, raw
 * data; https://github.com/huggingface/safetensors, format section of its README): reading maps the
 * file, so that processes share it, and copies nothing (but for files of old writers whose data
 * does not start on a multiple of 8). Everything in the header is checked before it is used: length
 * at most 100 MiB, depth, types, offsets in range, aligned to the element, no overlap, no hole,
 * counts that do not overflow.
 *
 * Thread-safety: an open file may be read by many threads. */
#ifndef VIT_TENSOR_FILE_H
#define VIT_TENSOR_FILE_H

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_API_BEGIN

typedef enum vit_dtype {
  VIT_F32 = 0,
  VIT_F16,
  VIT_BF16,
  VIT_F64,
  VIT_I64,
  VIT_I32,
  VIT_I16,
  VIT_I8,
  VIT_U8,
  VIT_BOOL
} vit_dtype;

#define VIT_MAX_RANK 8
#define VIT_MAX_TENSORS 10000 /* of a file that is read */

struct vit_tensor {
  char *name;
  vit_dtype dtype;
  size_t rank;
  size_t shape[VIT_MAX_RANK];
  size_t count;     /* elements */
  const void *data; /* in the mapped file, or the caller's when writing */
};

struct vit_tensor_file {
  char *path;
  struct vit_tensor *tensors; /* in the order of their data */
  size_t n_tensors;
  char **metadata;   /* key, value, key, value ... of "__metadata__" */
  size_t n_metadata; /* pairs */
  size_t n_parts;    /* files that an index lists, all in the mapping; 0: it is one file */
  void *mapping;
  size_t mapping_size;
};

size_t vit_dtype_size(vit_dtype dtype);
const char *vit_dtype_name(vit_dtype dtype); /* "F32" */

/* Opens a safetensors file, or a file that torch.save wrote (.pth, .pt, .ckpt: a zip archive with a
 * pickle), distinguished by their first bytes. The latter is copied to memory; its tensors are
 * those below dictionaries with text keys, whose keys joined by dots are the name
 * ("state_dict.head.bias"). What tensors show together is at most eight times what the archive
 * stores, and what it stores at most the size of the file. LC_ERR_TRUNCATED when data ends before
 * the header says; LC_ERR_UNSUPPORTED names what the pickle refers to beyond tensors and containers
 * (nothing is ever called); LC_ERR_FORMAT otherwise. A path that ends in .index.json is an index of
 * such files beside it, as transformers writes it, whose tensors are copied together. */
LC_MUST_CHECK lc_status vit_tensor_file_open(struct vit_tensor_file *file, const char *path,
                                             struct lc_error *err);
void vit_tensor_file_close(struct vit_tensor_file *file);

/* NULL when absent. */
const struct vit_tensor *vit_tensor_file_find(const struct vit_tensor_file *file, const char *name);
const char *vit_tensor_file_metadata(const struct vit_tensor_file *file, const char *key);

/* Converts F32, F16, BF16 or F64 to float32. */
LC_MUST_CHECK lc_status vit_tensor_to_float(const struct vit_tensor *tensor, float *out,
                                            struct lc_error *err);

/* Writes tensors in the given order, whole or not at all. metadata: n pairs of key and value. */
LC_MUST_CHECK lc_status vit_tensor_file_write(const char *path, const struct vit_tensor *tensors,
                                              size_t n_tensors, const char *const *metadata,
                                              size_t n_metadata, struct lc_error *err);

LC_API_END
#endif
