/* Shape of a vision transformer and the heads on its CLS token.
 *
 * Sources: Dosovitskiy et al., arXiv 2010.11929; DINO (Caron et al., arXiv 2104.14294); DINOv2
 * (Oquab et al., arXiv 2304.07193); registers (Darcet et al., arXiv 2309.16588).
 *
 * Plain data; copy freely. */
#ifndef VIT_ARCH_H
#define VIT_ARCH_H

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_API_BEGIN

#define VIT_NAME_SIZE 64
#define VIT_MAX_HEADS 8 /* prediction heads */
#define VIT_MAX_OUTPUTS 1000
#define VIT_CHANNELS 3

/* How a stored position encoding is brought to another patch grid: bicubic, with A = -0.75, or -0.5
 * where it antialiases (as PyTorch does). A grid of the stored size is taken as it is. */
typedef enum vit_position_rule {
  VIT_POSITION_DINO = 0, /* scale factor (n + 0.1) / n0, no antialias */
  VIT_POSITION_SIZE,     /* to the exact size, no antialias (timm, older DINOv2 with offset 0) */
  VIT_POSITION_ANTIALIAS /* to the exact size, with antialias (DINOv2 with registers) */
} vit_position_rule;

/* What lies between the two layers of a head. */
typedef enum vit_head_activation {
  VIT_HEAD_RELU = 0,
  VIT_HEAD_GELU, /* with the error function */
  VIT_HEAD_TANH
} vit_head_activation;

/* One prediction head on the CLS embedding: Linear, or Linear, activation, Linear when hidden > 0.
 */
struct vit_head_shape {
  char name[VIT_NAME_SIZE]; /* "head", "malignancy", "biomarkers", ... */
  size_t hidden;
  size_t outputs;
  bool sigmoid; /* each output is a logit whose sigmoid is a probability; else a regression value */
  vit_head_activation activation; /* where hidden > 0 */
};

struct vit_arch {
  char name[VIT_NAME_SIZE];         /* "vit_small_patch8", "custom" */
  size_t image_height, image_width; /* what the model runs at by default */
  size_t grid_height, grid_width;   /* patches of the stored position encoding */
  size_t patch_size;
  size_t embed_dim, depth, num_heads, mlp_dim;
  size_t num_registers;
  bool layer_scale;
  bool position_on_cls; /* the position encoding has a first row for CLS */
  float layer_norm_eps;
  vit_position_rule position_rule;
  size_t n_heads; /* 0: a backbone whose output is the CLS embedding */
  struct vit_head_shape heads[VIT_MAX_HEADS];
};

/* A named architecture without heads: "vit_tiny_patch8", "vit_tiny_patch16", "vit_small_patch8",
 * "vit_small_patch16", "vit_base_patch8", "vit_base_patch16", "dinov2_vits14", "dinov2_vits14_reg",
 * "dinov2_vitb14", "dinov2_vitb14_reg". LC_ERR_NOT_FOUND lists the names. */
LC_MUST_CHECK lc_status vit_arch_named(struct vit_arch *arch, const char *name,
                                       struct lc_error *err);
/* The names above, ended by NULL. */
const char *const *vit_arch_names(void);

/* Adds a head; LC_ERR_USAGE when there are too many or the name is taken. */
LC_MUST_CHECK lc_status vit_arch_add_head(struct vit_arch *arch, const char *name, size_t hidden,
                                          size_t outputs, bool sigmoid, struct lc_error *err);

/* "relu", "gelu", "tanh"; the other way round false for any other word. */
const char *vit_head_activation_name(vit_head_activation activation);
bool vit_head_activation_parse(const char *word, vit_head_activation *activation);
/* The activation at x, and its derivative (of ReLU 0 at 0). */
double vit_head_activate(vit_head_activation activation, double x);
double vit_head_slope(vit_head_activation activation, double x);

/* Divisibility, ranges, and totals that fit in memory. LC_ERR_CONFIG names the field. */
LC_MUST_CHECK lc_status vit_arch_check(const struct vit_arch *arch, struct lc_error *err);

/* Number of outputs of all heads together: the length of one row of logits. */
size_t vit_arch_outputs(const struct vit_arch *arch);
/* "malignancy", "biomarkers.spiculation", "head.3": stable name of one output. Known LIDC names are
 * used when a head called "biomarkers" has eight outputs (subtlety, calcification, margin,
 * lobulation, spiculation, diameter, texture, sphericity). */
void vit_arch_output_name(const struct vit_arch *arch, size_t output, char name[VIT_NAME_SIZE]);
/* The output with that name or index; LC_ERR_NOT_FOUND lists the names. */
LC_MUST_CHECK lc_status vit_arch_find_output(const struct vit_arch *arch, const char *name,
                                             size_t *output, struct lc_error *err);
/* True when the output is a logit (its sigmoid is a probability). */
bool vit_arch_output_is_logit(const struct vit_arch *arch, size_t output);

/* 1 + num_registers: tokens before the patches. */
static inline size_t vit_arch_prefix(const struct vit_arch *arch) {
  return 1 + arch->num_registers;
}
size_t vit_arch_parameters(const struct vit_arch *arch);

LC_API_END
#endif
