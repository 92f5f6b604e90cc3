/* What a training writes down while it runs, in its folder:
 *
 *   steps.csv, epochs.csv   grow by a line a step and an epoch
 *   speed.csv               nodules a second by epoch; the only one that differs from run to run
 *   log.h5                  steps.csv and epochs.csv as HDF5, written whole after each epoch
 *   learning.png            the curves, after training
 *
 * A run that goes on from a checkpoint drops the lines of what it will do again, so that all but
 * speed.csv end in the same bytes as those of a run that was never stopped. Thread-safety: one log,
 * one thread. */
#pragma once

#include "pipeline/learn/pl_evaluate.h"
#include "pipeline/store/pl_runlog.h"
#include "vit/train/vit_train.h"

struct pl_training_log {
  const struct pl_recipe *recipe; /* borrowed */
  struct pl_runlog steps, epochs, speed;
};

/* Opens the logs of `train` in the recipe's folder; lines of steps that it has not done are
 * dropped, and lines that are missing are reported in a warning. */
LC_MUST_CHECK lc_status pl_training_log_open(struct pl_training_log *log,
                                             const struct pl_recipe *recipe,
                                             const struct vit_train *train, struct lc_error *err);
/* Adds a step. `last`: a checkpoint may follow, before which the line is on the disk. */
LC_MUST_CHECK lc_status pl_training_log_step(struct pl_training_log *log,
                                             const struct vit_train *train,
                                             const struct vit_train_report *report, bool last,
                                             struct lc_error *err);
/* Adds an epoch: its mean loss from the steps, the measures, and how fast it was. seconds: spent on
 * `nodules` without measuring. */
LC_MUST_CHECK lc_status pl_training_log_epoch(struct pl_training_log *log, uint64_t epoch,
                                              const struct pl_evaluation *evaluation,
                                              size_t nodules, double seconds, struct lc_error *err);
/* Writes log.h5 from what the two CSV files hold. */
LC_MUST_CHECK lc_status pl_training_log_h5(const struct pl_training_log *log, struct lc_error *err);
/* Draws the learning curves, if the recipe wants pictures. */
LC_MUST_CHECK lc_status pl_training_log_picture(const struct pl_training_log *log,
                                                struct lc_error *err);
void pl_training_log_close(struct pl_training_log *log);
