/* The parameters of a model as a list: names, shapes and places in one block.
 *
 * The block's layout follows from the architecture alone, so that gradients and optimiser state are
 * blocks of the same layout. Each parameter starts on a 64-byte boundary.
 *
 * Thread-safety: distinct objects may be used from distinct threads; a list that is made may be
 * read by many. */
#pragma once

#include "common/lc_api.h"
#include "vit/naming/vit_names.h"
#include "vit/weights/vit_model.h"

LC_C_BEGIN

struct vit_parameter {
  char name[VIT_PARAMETER_NAME]; /* canonical, as DINO and timm write it: "blocks.0.norm1.weight" */
  size_t rank;
  size_t shape[4]; /* as PyTorch stores it */
  size_t count;    /* elements */
  size_t offset;   /* elements from the start of the block */
};

struct vit_parameters {
  struct vit_parameter *list;
  size_t n;
  size_t block; /* elements of the whole block, padding included */
};

LC_MUST_CHECK lc_status vit_parameters_init(struct vit_parameters *parameters,
                                            const struct vit_arch *arch, struct lc_error *err);
void vit_parameters_free(struct vit_parameters *parameters);

/* The pointers of `model` to its parameters, in the list's order; slots[n]. model->blocks must be
 * allocated. Slots of parameters that the architecture lacks do not occur. */
void vit_model_slots(struct vit_model *model, const vit_real **slots[]);

/* Points every parameter of `model` into `block` (or into a gradient block, to read gradients by
 * field). model->arch must be set and model->blocks allocated. */
LC_MUST_CHECK lc_status vit_model_bind(struct vit_model *model, const vit_real *block,
                                       struct lc_error *err);

/* Copies all parameters into one owned block that may be changed, and gives up the file. */
LC_MUST_CHECK lc_status vit_model_own(struct vit_model *model, struct lc_error *err);

LC_C_END
