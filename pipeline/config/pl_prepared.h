/* How images are made, as a configuration of a run or a recipe of a training says it, and as a
 * model's weight file keeps it, so that no user of the weights has to state it.
 *
 * Both describe the same struct ct_preparation: those of a run always see a slice of a cube that
 * was cut for it. The metadata of the safetensors file holds keys of the run configuration as
 * "run.KEY" (for instance "run.cube.spacing_mm") and keys of the training recipe as "recipe.KEY";
 * the values are YAML. They stand between the defaults and what a user's file and options say.
 * Files without such keys, and files of other programs, change nothing. Thread-safety: no state. */
#pragma once

#include "ct_io/ct/ct_image.h"
#include "pipeline/config/pl_config.h"
#include "pipeline/config/pl_recipe.h"

/* Overrides the keys of `object` that the weight file gives under the prefix ("run." or "recipe.").
 * opened: the file, or NULL. Only keys that say how images are prepared are taken; LC_ERR_CONFIG
 * names another one, or a value that cannot be. LC_OK and no change when `path` is empty or no
 * safetensors file. */
LC_MUST_CHECK lc_status pl_prepared_apply(const struct pl_schema *schema, void *object,
                                          const char *prefix, const char *path,
                                          const struct vit_tensor_file *opened,
                                          struct lc_error *err);

/* The metadata of a model trained by this recipe on images of `edge` samples at spacing_mm: n pairs
 * of key and value, pointing into itself. */
struct pl_prepared {
  struct lc_text texts[48];
  const char *pairs[48];
  size_t n; /* pairs */
};

LC_MUST_CHECK lc_status pl_prepared_describe(struct pl_prepared *prepared,
                                             const struct pl_recipe *recipe, size_t edge,
                                             double spacing_mm, struct lc_error *err);
void pl_prepared_free(struct pl_prepared *prepared);

/* LC_ERR_CONFIG when the images are not squares and preprocess.symmetries turns them, or when their
 * edges are no multiples of the model's patch. */
LC_MUST_CHECK lc_status pl_config_preparation(const struct pl_config *config,
                                              const struct vit_arch *arch,
                                              struct ct_preparation *how, struct lc_error *err);
/* Symmetries as test.symmetries says; the caller who measures upright images clears them. */
void pl_recipe_preparation(const struct pl_recipe *recipe, struct ct_preparation *how);
/* LC_ERR_CONFIG when there is no view, or one twice. */
LC_MUST_CHECK lc_status pl_views_check(const struct pl_list *views, const char *key,
                                       struct lc_error *err);
