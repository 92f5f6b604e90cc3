/* A reader of pickles that PyTorch writes, which builds tensors and containers and refuses
 * everything else: no name outside a short list is looked up, and nothing is ever called.
 *
 * Format: Python's pickle protocols 2 to 4 (Lib/pickletools.py describes the opcodes), as
 * torch.save uses it (torch/serialization.py: storages are persistent ids). Thread-safety: one
 * struct, one thread. */
#pragma once

#include "vit/weights/vit_tensor_file.h"

/* A view of a storage: elements offset + sum of index * stride. */
struct vit_pickle_tensor {
  char *name;    /* keys of the dictionaries on the way, joined by dots */
  char *storage; /* the storage's key: its file in the archive */
  vit_dtype dtype;
  size_t offset, rank;
  size_t shape[VIT_MAX_RANK], stride[VIT_MAX_RANK];
};

struct vit_pickle {
  struct vit_pickle_tensor *tensors;
  size_t n;
};

/* Memory: at most 2^21 objects of some 64 bytes. Tensors below dictionaries with text keys; others
 * (optimiser state by number) are left out. path: for messages. LC_ERR_FORMAT: malformed;
 * LC_ERR_UNSUPPORTED: names what is refused. */
LC_MUST_CHECK lc_status vit_pickle_read(struct vit_pickle *pickle, const char *path,
                                        const unsigned char *bytes, size_t size,
                                        struct lc_error *err);
void vit_pickle_free(struct vit_pickle *pickle);
