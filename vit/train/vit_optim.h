/* Adam and AdamW over named parameters, with frozen ones, clipping by global norm, and a moving
 * average of the weights.
 *
 * Sources: Adam (Kingma, Ba, arXiv 1412.6980) and AdamW (Loshchilov, Hutter, arXiv 1711.05101) in
 * PyTorch's order of operations, without amsgrad.
 *
 * Same bits for any number of threads: every element on its own, the norm in double over chunks of
 * fixed size, added in order. Thread-safety: one optimiser, one caller; inside it uses
 * lc_threads(). */
#pragma once

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_C_BEGIN

/* One tensor that training changes. name, value and gradient are borrowed and must outlive the
 * optimiser. Names are the published ones without "backbone.": "cls_token", "pos_embed",
 * "blocks.3.attn.qkv.weight", "heads.malignancy.0.weight". */
struct vit_trainable {
  const char *name;
  float *value;
  const float *gradient; /* filled again before each step */
  size_t count;
  bool decays; /* weight decay applies */
  bool frozen; /* never changes; its gradient is not looked at and may be NULL */
};

/* False for norms, biases, LayerScale, tokens and the position encoding: what weight decay leaves
 * out by default. Judged by the name. */
bool vit_trainable_decays(const char *name);

/* Freezes parameters by name. A pattern is "embedding" (patch embedding, CLS, register tokens and
 * position encoding), "blocks.3", "blocks.0-5" (both ends included), "heads" (all of them), or the
 * leading words of a name up to a dot ("norm", "heads.malignancy", "blocks.3.attn"). LC_ERR_CONFIG
 * when nothing has that name. */
LC_MUST_CHECK lc_status vit_trainable_freeze(struct vit_trainable *parameters, size_t n,
                                             const char *pattern, struct lc_error *err);

typedef enum vit_optim_kind {
  VIT_ADAM = 0, /* weight decay, if any, is added to the gradient */
  VIT_ADAMW     /* weight decay shrinks the parameter, times the rate */
} vit_optim_kind;

struct vit_optim_settings {
  vit_optim_kind kind;
  double beta1, beta2; /* 0.9, 0.999 */
  double epsilon;      /* 1e-8 */
  double weight_decay; /* 0 for none; only parameters that decay */
  double clip_norm;    /* gradients are scaled down to this global norm; 0: no clipping */
  double ema_decay;    /* average = d * average + (1 - d) * weight after each step; 0: no average */
  bool ema_warmup;     /* d = min(ema_decay, (1 + step) / (10 + step)), step = 1, 2, ... */
};

/* Adam with beta 0.9 and 0.999, epsilon 1e-8, nothing else. */
void vit_optim_defaults(struct vit_optim_settings *settings);

struct vit_optim {
  struct vit_optim_settings settings;
  struct vit_trainable *parameters; /* a copy of the caller's list */
  size_t n_parameters;
  size_t *offsets; /* [n_parameters + 1] into the arrays below */
  float *first;    /* mean of the gradient */
  float *second;   /* mean of its square */
  float *average;  /* moving average of the values, or NULL */
  double *norms;   /* scratch: one sum a chunk */
  size_t n_chunks;
  struct vit_optim_chunk *chunks;
  uint64_t steps;
};

/* Copies the list; moments are zero, the average starts at the values. LC_ERR_CONFIG names a
 * setting out of range. */
LC_MUST_CHECK lc_status vit_optim_init(struct vit_optim *optim,
                                       const struct vit_optim_settings *settings,
                                       const struct vit_trainable *parameters, size_t n,
                                       struct lc_error *err);
void vit_optim_free(struct vit_optim *optim);

/* One step with the gradients that the parameters point to. *norm (may be NULL) gets the global
 * norm before clipping, over what is not frozen. LC_ERR_NUMERIC, nothing changed, when a gradient
 * is not finite; the message names the parameter. */
LC_MUST_CHECK lc_status vit_optim_step(struct vit_optim *optim, double rate, double *norm,
                                       struct lc_error *err);

/* Averaged values of one parameter, [count]; its present values when no average is kept. */
const float *vit_optim_average(const struct vit_optim *optim, size_t parameter);

/* Moments, average and step count as safetensors ("first/NAME", "second/NAME", "average/NAME"; a
 * frozen parameter has only its average), whole or not at all. metadata: n more pairs of key and
 * value of the caller. */
LC_MUST_CHECK lc_status vit_optim_save(const struct vit_optim *optim, const char *path,
                                       const char *const *metadata, size_t n_metadata,
                                       struct lc_error *err);
/* Restores what vit_optim_save wrote into an optimiser that was made with the same list and the
 * same kind; on failure the optimiser is unchanged. LC_ERR_TENSOR names a tensor that is missing or
 * of another size; LC_ERR_MISMATCH a setting (kind, betas, epsilon, average kept or not) that
 * differs. */
LC_MUST_CHECK lc_status vit_optim_load(struct vit_optim *optim, const char *path,
                                       struct lc_error *err);

LC_C_END
