/* torch.save's archives, for vit_tensor_file_open only. */
#pragma once

#include "vit/weights/vit_tensor_file.h"

/* Fills tensors and mapping from the archive at file->path, which has file->mapping_size bytes.
 * Memory: at most nine times the file, of which the ninth part when no tensor is transposed. */
LC_MUST_CHECK lc_status vit_tensor_pth_open(struct vit_tensor_file *file, struct lc_error *err);
