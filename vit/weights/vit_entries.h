/* The tensors of a weight file under their canonical names, and the shape of the model they make.
 * Used by the loader only. Thread-safety: distinct objects may be used from distinct threads. */
#pragma once

#include "vit/weights/vit_names.h"

struct vit_entry {
  char name[VIT_PARAMETER_NAME]; /* canonical */
  const struct vit_tensor *tensor;
  int rank; /* vit_name_canonical */
  bool used;
};

struct vit_entries {
  struct vit_entry *list; /* sorted by name, best rank first */
  size_t n;
};

LC_MUST_CHECK lc_status vit_entries_init(struct vit_entries *entries,
                                         const struct vit_tensor_file *file, struct lc_error *err);
void vit_entries_free(struct vit_entries *entries);
/* NULL when absent. */
struct vit_entry *vit_entries_find(const struct vit_entries *entries, const char *name);

/* LC_ERR_TENSOR, without the file's name, when the tensor cannot be that parameter: another shape
 * (but for axes of size 1), or no floating point numbers. */
LC_MUST_CHECK lc_status vit_entry_fits(const struct vit_entry *entry,
                                       const struct vit_parameter *parameter, struct lc_error *err);

/* The model's shape from the tensors, then from metadata where that says more. Renames heads to
 * "heads.NAME.*". */
LC_MUST_CHECK lc_status vit_entries_arch(struct vit_entries *entries,
                                         const struct vit_tensor_file *file, struct vit_arch *arch,
                                         struct lc_error *err);
/* Gives the one head of a file the name of the one head of `arch`, so that "mlp_head" or "head"
 * serves the head that is asked for. */
void vit_entries_rename_heads(struct vit_entries *entries, const struct vit_arch *arch);
