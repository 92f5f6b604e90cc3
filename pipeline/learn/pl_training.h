/* A training from a recipe: data, model, the run with its logs and checkpoints, and its result.
 *
 * The run folder holds recipe.yaml, steps.csv, epochs.csv, checkpoints/, best.safetensors, and at
 * the end model.safetensors, evaluation.json and predictions.csv (docs/training.md).
 *
 * Thread-safety: one training at a time (it writes HDF5); inside, lc_threads(). */
#pragma once

#include "pipeline/config/pl_recipe.h"
#include "pipeline/learn/pl_evaluate.h"
#include "pipeline/store/pl_output.h"

/* Trains and measures. LC_ERR_INTERRUPTED after a signal: the run can be resumed. LC_ERR_EXISTS
 * when the folder holds a run and neither overwrite nor resume was asked for. */
LC_MUST_CHECK lc_status pl_training_run(const struct pl_recipe *recipe, enum pl_existing existing,
                                        struct pl_evaluation *evaluation, struct lc_error *err);
