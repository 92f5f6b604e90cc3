/* Weights in several files that an index lists (model.safetensors.index.json, as transformers
 * writes it). Called by vit_tensor_file_open. */
#pragma once

#include "vit/weights/vit_tensor_file.h"

/* "model.safetensors.index.json" */
bool vit_tensor_is_index(const char *path);
/* file->path is set; what it holds is freed by the caller, also after an error. The tensors of all
 * parts are copied to memory. LC_ERR_FORMAT for an index that is none, or whose parts lie in other
 * folders or lack a tensor. */
LC_MUST_CHECK lc_status vit_tensor_index_open(struct vit_tensor_file *file, struct lc_error *err);
