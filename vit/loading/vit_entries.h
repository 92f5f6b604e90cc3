/* The tensors of a weight file under their canonical names, what becomes of each, and tensors that
 * are made of them. Used by the loader only.
 *
 * In order: vit_entries_init names the tensors and sets aside those that are known to be no part of
 * the model (vit_select.h); vit_fold.h and vit_heads.h make parameters of tensors that are not one
 * to one; vit_shape.h finds the model's shape; the parameters take their tensors; and what nobody
 * took is an error.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#pragma once

#include "common/lc_text.h"
#include "vit/loading/vit_facts.h"
#include "vit/naming/vit_names.h"
#include "vit/weights/vit_parameter.h"

struct vit_entry {
  char name[VIT_PARAMETER_NAME]; /* canonical */
  const struct vit_tensor *tensor;
  const struct vit_naming *scheme; /* that knew the name, or NULL */
  int rank;                        /* of its network: struct vit_name */
  bool used;
  bool left_out; /* known to be no part of the model, or the user's choice; not found by name */
};

struct vit_entries {
  struct vit_entry *list; /* sorted by name, but for the last n_new */
  size_t n, n_new, capacity;
  const struct vit_tensor_file *file;
  struct vit_facts facts;
  struct vit_tensor **made; /* owned, with names and data */
  size_t n_made;
  const struct vit_naming *scheme; /* of most tensors of the backbone; NULL: canonical names */
  struct lc_text assumed;          /* what the file does not say, "; " between */
};

/* Names all tensors and reads what is said beside them. The file must stay. */
LC_MUST_CHECK lc_status vit_entries_init(struct vit_entries *entries,
                                         const struct vit_tensor_file *file, struct lc_error *err);
void vit_entries_free(struct vit_entries *entries);
/* NULL when absent. */
struct vit_entry *vit_entries_find(const struct vit_entries *entries, const char *name);
/* Sorts again, after names were changed or tensors added. */
void vit_entries_sort(struct vit_entries *entries);
/* Adds a float32 tensor, to be found after vit_entries_sort; *values is its memory, zeroed. The
 * entries' addresses change. */
LC_MUST_CHECK lc_status vit_entries_make(struct vit_entries *entries, const char *name, size_t rank,
                                         const size_t *shape, float **values, struct lc_error *err);
/* The values of an entry as float32; free() them. LC_ERR_TENSOR when they are no numbers. */
LC_MUST_CHECK lc_status vit_entry_values(const struct vit_entry *entry, float **values,
                                         struct lc_error *err);
/* Notes what was assumed. */
LC_PRINTF(2, 3) void vit_entries_assume(struct vit_entries *entries, const char *fmt, ...);

/* LC_ERR_TENSOR, without the file's name, when the tensor cannot be that parameter: another shape
 * (but for axes of size 1), or no floating point numbers. */
LC_MUST_CHECK lc_status vit_entry_fits(const struct vit_entry *entry,
                                       const struct vit_parameter *parameter, struct lc_error *err);
