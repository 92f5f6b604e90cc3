/* Forward pass that keeps what is needed, and the backward pass: gradients of any scalar function
 * of the outputs with respect to parameters, tokens, attention probabilities and pixels.
 *
 * One forward pass may be followed by several backward passes (one for each target). Parameter
 * gradients accumulate, so that a batch may be run in parts. Training: ask for `parameters`, run
 * forward, turn the logits into d_logits by the loss, run backward, let the optimiser read
 * vit_tape.d_parameters. Explanations: ask for tokens, attention or pixels, give d_logits a one at
 * the target.
 *
 * What nobody asks for is not computed: blocks below the lowest one with a trainable parameter or a
 * wanted gradient are neither kept nor gone through, and frozen parameters get no gradient.
 *
 * Determinism: same bits for any number of threads. Thread-safety: one tape, one caller. */
#pragma once

#include "common/lc_api.h"
#include "vit/pass/vit_dropout.h"
#include "vit/pass/vit_forward.h"
#include "vit/weights/vit_parameter.h"

LC_C_BEGIN

/* A part of one block's attention and its gradient: `keys` keys from `first` on, for queries 0 to
 * queries - 1 (1 for the last block, of which only CLS counts). */
struct vit_attention_part {
  size_t block, image, head, first, keys, queries, ld;
  const vit_real *probability, *gradient; /* [queries, ld] */
};

/* Sees attention and its gradient as the backward pass comes by, so that neither need be kept.
 * Blocks come one after another from the last down. */
struct vit_attention_visitor {
  void *context;
  /* From many threads at once, once for each image, head and panel of keys. */
  void (*see)(void *context, const struct vit_attention_part *part);
  void (*block_done)(void *context, size_t block); /* after all parts of a block */
};

/* What a caller wants the gradient of. */
struct vit_backward_request {
  bool parameters;       /* all of them, or the trainable ones */
  const bool *trainable; /* [parameters.n] in the order of vit_parameters; NULL: all. Copied. */
  bool pixels;
  bool all_inputs;    /* input of every block */
  bool last_input;    /* input of the last block */
  bool last_normed;   /* what enters the last block's attention: its norm1's output, the residual
                         branch not included (the tensor of CDAM) */
  bool all_attention; /* attention probabilities of every block */
  const struct vit_attention_visitor *visitor; /* shown the attention of every block; must stay */
  bool recompute; /* keep only the blocks' inputs and run each block again: a third more time, about
                     a tenth of the memory */
  struct vit_dropout dropout; /* rates; nothing is dropped before vit_tape_draw */
};

/* Gradients of the last backward pass. Pointers go into the tape; NULL when not asked for. */
struct vit_gradients {
  vit_real *pixels;      /* [batch, 3, height, width] */
  vit_real *last_input;  /* [batch, tokens, dim] */
  vit_real *last_normed; /* [batch, tokens, dim] */
  vit_real **inputs;     /* [depth] of [batch, tokens, dim] */
  vit_real **attention;  /* [depth] of [batch, heads, tokens, tokens] */
};

struct vit_tape_block; /* what is kept of one block */
struct vit_tape_work;  /* scratch of the backward pass */

struct vit_tape {
  struct vit_workspace workspace; /* shapes, and the trace of the forward pass */
  struct vit_backward_request request;
  struct vit_parameters parameters;
  bool *trainable;        /* [parameters.n] */
  vit_real *d_parameters; /* gradient block, parallel to the parameter block (vit_parameter.h);
                             accumulates until vit_tape_clear; NULL unless asked for */
  struct vit_gradients gradients;

  struct vit_model d_model; /* the gradient block by field */
  struct vit_tape_block *blocks;
  struct vit_tape_work *work;
  struct lc_arena arena;
  size_t first_block; /* the lowest block that is gone through backward; depth when none */
  size_t images;      /* of the last forward pass */
  size_t start;       /* block at which it began */
  const vit_real
      *pixels; /* its images, borrowed until the backward passes are done; NULL: tokens */
  struct vit_drops drops;
  bool embedding; /* patch embedding, tokens or positions have a wanted gradient */
};

/* forward: what the trace shall hold; NULL for logits and CLS embedding only. `model` must stay;
 * its parameters may change between passes. */
LC_MUST_CHECK lc_status vit_tape_init(struct vit_tape *tape, const struct vit_model *model,
                                      size_t batch, size_t height, size_t width,
                                      const struct vit_request *forward,
                                      const struct vit_backward_request *backward,
                                      struct lc_error *err);
void vit_tape_free(struct vit_tape *tape);

/* Chooses what the passes that follow drop, for training: image i of a pass is sample samples[i] of
 * step `step`. Stays until the next call; n 0 ends dropping. n is at most the batch. */
void vit_tape_draw(struct vit_tape *tape, uint64_t seed, uint64_t step, const uint32_t *samples,
                   size_t n);

/* As vit_forward. The images must stay until the backward passes are done. */
LC_MUST_CHECK lc_status vit_tape_forward(struct vit_tape *tape, const vit_real *images, size_t n,
                                         struct vit_trace *trace, struct lc_error *err);

/* From given tokens [n, tokens, dim] that enter block `block`, instead of from images. A backward
 * pass then reaches down to that block's input; gradients of what lies below are zero. */
LC_MUST_CHECK lc_status vit_tape_forward_from(struct vit_tape *tape, size_t block,
                                              const vit_real *tokens, size_t n,
                                              struct vit_trace *trace, struct lc_error *err);

/* Gradients of sum over images of d_logits . logits + d_cls . cls_embedding. d_logits: [n,
 * outputs]; d_cls: [n, dim]; either may be NULL. gradients may be NULL. */
LC_MUST_CHECK lc_status vit_tape_backward(struct vit_tape *tape, const vit_real *d_logits,
                                          const vit_real *d_cls, struct vit_gradients *gradients,
                                          struct lc_error *err);

/* Sets the accumulated parameter gradients to zero. */
void vit_tape_clear(struct vit_tape *tape);

LC_C_END
