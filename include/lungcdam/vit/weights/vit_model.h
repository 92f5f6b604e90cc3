/* A vision transformer: its shape and its parameters, float32, in one aligned block or mapped from
 * a file.
 *
 * Linear weights are [out, in] as PyTorch stores them. Thread-safety: a model may be used by many
 * threads for inference. */
#ifndef VIT_MODEL_H
#define VIT_MODEL_H

#include "common/lc_api.h"
#include "vit/kernels/vit_real.h"
#include "vit/weights/vit_arch.h"
#include "vit/weights/vit_tensor_file.h"

LC_API_BEGIN

struct vit_linear {
  const vit_real *weight; /* [out, in] */
  const vit_real *bias;   /* [out], or NULL */
};

struct vit_norm {
  const vit_real *weight, *bias; /* [dim] */
};

struct vit_block {
  struct vit_norm norm1, norm2;
  struct vit_linear qkv;           /* [3 * dim, dim]: query, key, value; each head by head */
  struct vit_linear proj;          /* [dim, dim] */
  struct vit_linear fc1, fc2;      /* [mlp_dim, dim], [dim, mlp_dim] */
  const vit_real *scale1, *scale2; /* LayerScale gammas [dim], or NULL */
};

struct vit_head {
  struct vit_linear hidden; /* weight NULL when the head is one Linear */
  struct vit_linear output; /* [outputs, hidden or dim] */
};

struct vit_model {
  struct vit_arch arch;
  const vit_real *cls_token;         /* [dim] */
  const vit_real *register_tokens;   /* [num_registers, dim], or NULL */
  const vit_real *position_encoding; /* [position_on_cls + grid_height * grid_width, dim] */
  struct vit_linear patch_embed;     /* [dim, 3 * patch * patch] */
  struct vit_block *blocks;          /* [depth] */
  struct vit_norm norm;              /* final */
  struct vit_head heads[VIT_MAX_HEADS];

  vit_real *owned;             /* the parameter block when not mapped; NULL otherwise */
  struct vit_tensor_file file; /* the mapping when read from a file */
  char weights_sha256[65];     /* of the file's bytes; filled by vit_model_hash */
  bool trained;                /* false for seeded weights: outputs must say "untrained" */
  char *assumed; /* what the loader took that is not in the file, "; " between; NULL: nothing */
};

/* What a user says of a weight file; zeros say nothing. Borrowed. */
struct vit_load {
  const struct vit_arch *arch; /* the shape; one without heads leaves the heads to the file */
  const char *which;           /* only tensors below this part of their names: "teacher" */
  const char *const *ignore;   /* patterns (fnmatch) of tensors that are left out */
  size_t n_ignore;
};

/* Reads a weight file (docs/weights.md lists names and metadata). The shape comes from the file's
 * metadata (img_size or image_height and image_width, patch_size, embed_dim, depth, num_heads, ...)
 * or config.json beside it, completed by the tensors' own shapes, or from how->arch. Every tensor
 * must be used, but for a list of harmless ones and what `how` (may be NULL) leaves out.
 * LC_ERR_TENSOR names the tensor that is missing, of another shape or not used; LC_ERR_UNSUPPORTED
 * what the forward pass does not compute; LC_ERR_TRUNCATED, LC_ERR_FORMAT as vit_tensor_file_open;
 * LC_ERR_NUMERIC for NaN or infinity. */
LC_MUST_CHECK lc_status vit_model_load_with(struct vit_model *model, const char *path,
                                            const struct vit_load *how, struct lc_error *err);
/* The same with nothing said but the shape; arch may be NULL. */
LC_MUST_CHECK lc_status vit_model_load(struct vit_model *model, const char *path,
                                       const struct vit_arch *arch, struct lc_error *err);

/* Seeded weights as the published code initialises them: truncated normal 0.02, zero biases, unit
 * norms. Marked untrained. */
LC_MUST_CHECK lc_status vit_model_init(struct vit_model *model, const struct vit_arch *arch,
                                       uint64_t seed, struct lc_error *err);
void vit_model_free(struct vit_model *model);

/* Writes all parameters and the shape as metadata; `note` (may be NULL) goes to metadata "note". */
LC_MUST_CHECK lc_status vit_model_save(const struct vit_model *model, const char *path,
                                       const char *note, struct lc_error *err);
/* The same with n more pairs of key and value in the metadata (at most 32, values below 1 KiB). */
LC_MUST_CHECK lc_status vit_model_save_with(const struct vit_model *model, const char *path,
                                            const char *note, const char *const *metadata, size_t n,
                                            struct lc_error *err);

/* Fills weights_sha256: of the file, or of the parameter block for weights that have none or
 * several. */
LC_MUST_CHECK lc_status vit_model_hash(struct vit_model *model, struct lc_error *err);

LC_API_END
#endif
