/* Training: one step (load, forward, loss, backward, optimiser), and the run of epochs around it
 * with checkpoints, early stopping and exact resume.
 *
 * A step is a function of the weights, the optimiser's state and the step's number, so that a run
 * that goes on from a checkpoint ends in the same bits as one that was never stopped, whatever the
 * number of threads. Thread-safety: one object, one caller; inside it uses lc_threads(). */
#pragma once

#include "common/lc_api.h"
#include "vit/pass/vit_backward.h"
#include "vit/train/vit_loss.h"
#include "vit/train/vit_optim.h"
#include "vit/train/vit_samples.h"
#include "vit/train/vit_schedule.h"
#include "vit/weights/vit_parameter.h"

LC_C_BEGIN

struct vit_train_settings {
  size_t batch;       /* samples a step */
  bool whole_batches; /* leave out the last samples of an epoch when they do not fill a batch */
  uint64_t epochs;    /* of the whole run */
  uint64_t seed;      /* order of the samples */
  size_t part;    /* images that go through the network at once; 0: the whole batch. Less memory,
                     other rounding */
  bool recompute; /* see vit_backward_request: less memory, same bits */
  struct vit_dropout dropout; /* drawn from seed, step and sample */
  struct vit_optim_settings optim;
  struct vit_schedule schedule; /* steps_per_epoch and total_steps are filled in when they are 0 */
  const char *const *frozen; /* patterns, see vit_trainable_freeze; read by vit_train_init only */
  size_t n_frozen;
};

/* One training; `step` and the best score are what a checkpoint adds to weights and optimiser. */
struct vit_train {
  struct vit_train_settings settings;
  struct vit_model *model;           /* borrowed; its parameters change */
  const struct vit_samples *samples; /* borrowed */
  struct vit_loss loss;              /* tasks and weights may be changed before the first step */
  uint64_t steps_per_epoch;
  uint64_t step; /* steps done */

  bool has_best; /* of vit_train_run's evaluations; higher is better */
  double best_score;
  uint64_t best_epoch;

  struct vit_parameters parameters;
  struct vit_trainable *trainables;
  struct vit_optim optim;
  struct vit_tape tape;   /* d_parameters: gradient of the last step */
  float *output_gradient; /* [part, outputs] */
  struct vit_batch batch; /* of the last step */
  uint32_t *order;        /* of the present epoch */
  uint64_t order_epoch;   /* plus one; 0: none yet */
};

/* What one step did. */
struct vit_train_report {
  uint64_t step, epoch; /* from 0 */
  size_t samples;
  double rate;
  double gradient_norm; /* before clipping */
  struct vit_loss_result loss;
};

/* Prepares training of `model`, whose parameters become its own (vit_model_own). LC_ERR_CONFIG
 * names a setting that cannot be; LC_ERR_USAGE when samples and model do not fit. */
LC_MUST_CHECK lc_status vit_train_init(struct vit_train *train, struct vit_model *model,
                                       const struct vit_samples *samples,
                                       const struct vit_train_settings *settings,
                                       struct lc_error *err);
void vit_train_free(struct vit_train *train);

/* Steps of the whole run. */
uint64_t vit_train_steps(const struct vit_train *train);

/* One step with the samples whose turn it is. LC_ERR_NUMERIC when output, loss or gradient is not
 * finite: the weights are those before the step, and the message (and the log, in full) names the
 * samples of the batch. */
LC_MUST_CHECK lc_status vit_train_step(struct vit_train *train, struct vit_train_report *report,
                                       struct lc_error *err);

/* The model to evaluate and keep: a copy with the averaged weights, or with the present ones when
 * no average is kept. vit_model_free(copy). */
LC_MUST_CHECK lc_status vit_train_result(const struct vit_train *train, struct vit_model *copy,
                                         struct lc_error *err);

/* How a run is watched and kept. All calls come from the thread of vit_train_run. */
struct vit_train_run {
  const char *folder;        /* NULL: nothing is written */
  uint64_t checkpoint_steps; /* steps between checkpoints; 0: one after each epoch */
  size_t keep;               /* last checkpoints that stay; at least 1 */
  uint64_t patience;         /* epochs without a better score before it stops; 0: never */
  void *context;
  /* Asked before each step: true ends the run there. May be NULL. */
  bool (*should_stop)(void *context);
  /* After each step. May be NULL. */
  lc_status (*on_step)(void *context, const struct vit_train_report *report, struct lc_error *err);
  /* After each epoch: how good vit_train_result is; higher is better, NaN counts as no better. May
   * be NULL. */
  lc_status (*evaluate)(void *context, const struct vit_train *train, uint64_t epoch, double *score,
                        struct lc_error *err);
};

/* Steps until the epochs are done or patience ends. With a folder: checkpoints in
 * FOLDER/checkpoints (vit_checkpoint.h), and FOLDER/best.safetensors after each epoch that is the
 * best so far. LC_ERR_INTERRUPTED when should_stop said so, after a checkpoint at that step. Goes
 * on where `train` is: call vit_checkpoint_resume before it to continue. */
LC_MUST_CHECK lc_status vit_train_run(struct vit_train *train, const struct vit_train_run *run,
                                      struct lc_error *err);

LC_C_END
