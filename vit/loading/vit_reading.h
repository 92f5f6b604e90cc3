/* A weight file on its way to a model: its tensors under canonical names, and the shape that they
 * have. For the loader and the report.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#pragma once

#include "vit/loading/vit_entries.h"

struct vit_reading {
  struct vit_entries entries;
  struct vit_arch arch;
  struct vit_parameters parameters; /* of arch */
};

/* The file must stay. Errors as vit_model_load_with, but for tensors of parameters that are missing
 * or do not fit, and for unused ones. Free it in any case. */
LC_MUST_CHECK lc_status vit_reading_init(struct vit_reading *reading,
                                         const struct vit_tensor_file *file,
                                         const struct vit_load *how, struct lc_error *err);
void vit_reading_free(struct vit_reading *reading);
/* A copy of what was assumed, of this reading and of the one that the file was converted by; NULL
 * when nothing was. */
LC_MUST_CHECK lc_status vit_reading_assumed(const struct vit_reading *reading, char **assumed,
                                            struct lc_error *err);
