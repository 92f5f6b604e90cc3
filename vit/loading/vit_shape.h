/* The shape of the model in a weight file, from its tensors and from what is said beside them.
 *
 * Nothing is guessed that changes results: the number of heads comes from the metadata, from
 * config.json beside the file, or from the name of a published architecture (metadata, config.json,
 * or the file's own name) of this width and depth. Pooling and activation other than CLS and GELU
 * are refused where they are said. What is in no file is noted (vit_entries_assume).
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#pragma once

#include "vit/loading/vit_entries.h"

/* LC_ERR_UNSUPPORTED when the kind of model, pooling or activation that is said beside the tensors
 * is none that the forward pass computes; notes those that are not said. */
LC_MUST_CHECK lc_status vit_shape_check_said(struct vit_entries *entries, struct lc_error *err);
/* Fills all of arch but its heads, and folds the position encoding (vit_fold.h). LC_ERR_TENSOR
 * names what is missing, LC_ERR_UNSUPPORTED what this forward pass does not compute. */
LC_MUST_CHECK lc_status vit_shape_find(struct vit_entries *entries, struct vit_arch *arch,
                                       struct lc_error *err);
