/* Which tensors of a weight file belong to the model: the network that is asked for, without what
 * is known to be no part of it and what the user ignores; and what nobody took in the end.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#pragma once

#include "vit/loading/vit_entries.h"

/* Sets left_out by `how` (NULL: no choice), by the list of harmless names, and of several networks
 * in one file for all but the best. LC_ERR_NOT_FOUND for a choice that no tensor answers to;
 * LC_ERR_TENSOR for two tensors of one name. */
LC_MUST_CHECK lc_status vit_select(struct vit_entries *entries, const struct vit_load *how,
                                   struct lc_error *err);
/* LC_ERR_TENSOR names a tensor that is neither used nor left out. */
LC_MUST_CHECK lc_status vit_select_check_used(const struct vit_entries *entries,
                                              struct lc_error *err);
/* Adds to a message about a missing tensor one that is there and that no model has. */
void vit_select_hint(const struct vit_entries *entries, struct lc_error *err);
