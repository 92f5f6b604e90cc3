/* What training minimises: binary cross-entropy on logits, the Huber loss on regression values, and
 * both in one sum on one backbone.
 *
 * Each task is a run of neighbouring outputs. Its loss is
 *
 *     weight * sum over the entries that are present of (w_sample * w_output * l) / count,
 *
 * count being the number of entries present (as PyTorch's reduction "mean" counts, weights not
 * included), so that a sample without a label neither helps nor dilutes the others. The total is
 * the sum over the tasks.
 *
 * Computed in double in the order of the samples: same bits for any number of threads.
 * Thread-safety: no state. */
#pragma once

#include <stdint.h>

#include "common/lc_api.h"
#include "vit/weights/vit_arch.h"

LC_C_BEGIN

typedef enum vit_loss_kind {
  VIT_LOSS_BCE = 0, /* on a logit; target in [0, 1] */
  VIT_LOSS_HUBER    /* Huber 1964: d^2/2 inside delta, delta (|d| - delta/2) outside */
} vit_loss_kind;

struct vit_loss_task {
  char name[VIT_NAME_SIZE];
  vit_loss_kind kind;
  size_t first, outputs;         /* the task's columns in a row of logits */
  double weight;                 /* of the task in the total */
  double delta;                  /* Huber only */
  const float *output_weights;   /* [outputs], borrowed, or NULL for ones */
  const float *positive_weights; /* [outputs], BCE only: factor of the target's part; or NULL */
};

struct vit_loss {
  size_t outputs; /* length of a row of logits */
  size_t n_tasks;
  struct vit_loss_task tasks[VIT_MAX_HEADS];
};

/* One batch; all arrays are borrowed. */
struct vit_loss_batch {
  size_t n;
  const float *outputs;        /* [n, outputs] what the model said */
  const float *targets;        /* [n, outputs]; not looked at where absent */
  const uint8_t *present;      /* [n, outputs], 1 where there is a label; NULL: everywhere */
  const float *sample_weights; /* [n], not negative; NULL: ones */
};

struct vit_loss_result {
  double total;
  double tasks[VIT_MAX_HEADS]; /* before the task's weight; 0 for a task without labels */
  size_t counts[VIT_MAX_HEADS];
};

/* One task a head: cross-entropy for sigmoid heads, Huber with delta 1 for the others, weights 1.
 */
LC_MUST_CHECK lc_status vit_loss_init(struct vit_loss *loss, const struct vit_arch *arch,
                                      struct lc_error *err);

/* Counts the labels of each task: counts[n_tasks]. */
void vit_loss_count(const struct vit_loss *loss, const struct vit_loss_batch *batch,
                    size_t counts[VIT_MAX_HEADS]);

/* The loss, and its gradient with respect to the outputs when gradient [n, outputs] is not NULL
 * (zero where no task or no label is).
 *
 * counts: what to divide by, or NULL for the batch's own. A process that holds a part of a batch
 * gives the counts of the whole one; losses and gradients then add up over the parts.
 *
 * LC_ERR_NUMERIC when an output that has a label, or the loss, is not finite, naming sample and
 * output; *bad_sample (may be NULL) is its row. LC_ERR_USAGE for a label that is not finite, a
 * cross-entropy target outside [0, 1], or tasks that leave the row. */
LC_MUST_CHECK lc_status vit_loss_evaluate(const struct vit_loss *loss,
                                          const struct vit_loss_batch *batch, const size_t *counts,
                                          float *gradient, struct vit_loss_result *result,
                                          size_t *bad_sample, struct lc_error *err);

LC_C_END
