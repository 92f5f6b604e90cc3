/* Checkpoints of a training: folders FOLDER/checkpoints/step-0000000123 with model.safetensors
 * (the weights, usable like any other), average.safetensors (when an average is kept) and
 * optimizer.safetensors (moments, and in its metadata the step, the best score so far and what the
 * run is).
 *
 * A checkpoint is there whole or not at all, at whatever moment the program dies. */
#pragma once

#include "common/lc_api.h"
#include "vit/train/vit_train.h"

LC_C_BEGIN

/* Writes the checkpoint of the present step and then removes all but the last `keep` (at least 1).
 */
LC_MUST_CHECK lc_status vit_checkpoint_write(const struct vit_train *train, const char *folder,
                                             size_t keep, struct lc_error *err);

/* Brings `train` (made with the same model shape, samples and settings) to the last checkpoint in
 * the folder; *found is false, and nothing changed, when there is none. LC_ERR_MISMATCH names what
 * differs from the run that wrote it. */
LC_MUST_CHECK lc_status vit_checkpoint_resume(struct vit_train *train, const char *folder,
                                              bool *found, struct lc_error *err);

LC_C_END
