/* How images are made, as a configuration of a run or a recipe of a training says it.
 *
 * Both describe the same struct ct_preparation: those of a run always see a slice of a cube that
 * was cut for it. Thread-safety: no state. */
#pragma once

#include "ct_io/ct/ct_image.h"
#include "pipeline/config/pl_config.h"
#include "pipeline/config/pl_recipe.h"

/* LC_ERR_CONFIG when the images are not squares and preprocess.symmetries turns them, or when their
 * edges are no multiples of the model's patch. */
LC_MUST_CHECK lc_status pl_config_preparation(const struct pl_config *config,
                                              const struct vit_arch *arch,
                                              struct ct_preparation *how, struct lc_error *err);

/* Symmetries as test.symmetries says; the caller who measures upright images clears them. */
void pl_recipe_preparation(const struct pl_recipe *recipe, struct ct_preparation *how);
