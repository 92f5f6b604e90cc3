/* Dropout while training: which values of a forward pass are set to zero, and by what the others
 * grow in turn (inverted scaling, Srivastava et al., JMLR 15, 2014), where timm and DINO apply
 * `drop_rate`: after the position encoding, after the attention's projection, after GELU and after
 * the MLP's second layer; `heads` before the heads, as timm's `head_drop`; `path` is stochastic
 * depth (Huang et al., ECCV 2016): a whole branch of one image at a time, the rate rising linearly
 * from 0 at the first block to `path` at the last.
 *
 * A mask is a function of (seed, step, sample, place, token, feature) alone: it does not depend on
 * threads, on the parts a batch goes through the network in, on recomputation, nor on where a run
 * was interrupted. Thread-safety: no state. */
#pragma once

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"
#include "vit/kernels/vit_backend.h"

LC_C_BEGIN

/* Rates, 0 to below 1; all zero: nothing is dropped. Kept in steps of 1/65536 but for `path`. */
struct vit_dropout {
  double backbone, heads, path;
};

/* LC_ERR_CONFIG names a rate that cannot be. */
LC_MUST_CHECK lc_status vit_dropout_check(const struct vit_dropout *rates, struct lc_error *err);

/* Places of one block; the position encoding and the heads have a block number that is ignored. */
enum vit_drop_place {
  VIT_DROP_POSITION = 0,
  VIT_DROP_HEADS,
  VIT_DROP_PROJ,
  VIT_DROP_GELU,
  VIT_DROP_FC2
};

/* What the images of one forward pass drop. */
struct vit_drops {
  struct vit_dropout rates;
  size_t depth;        /* blocks of the model */
  uint32_t (*keys)[2]; /* [batch], one an image; owned by the caller */
  size_t drawn;        /* images that have a key; the others drop nothing */
};

/* keys[i] of sample samples[i], i < n. */
void vit_drops_draw(struct vit_drops *drops, uint64_t seed, uint64_t step, const uint32_t *samples,
                    size_t n);

/* Is anything dropped there? Then *how is what vit_backend.drop wants for the tokens of one image
 * from `first` on. */
bool vit_drops_at(const struct vit_drops *drops, enum vit_drop_place place, size_t block,
                  size_t image, size_t first, struct vit_drop *how);

/* Heads: drops from x [rows, ld] with a column an image. False when there is nothing to drop. */
bool vit_drops_columns(const struct vit_drops *drops, size_t images, size_t rows, vit_real *x,
                       size_t ld);

LC_C_END
