/* How the images of a model are prepared, kept in its weight file, so that no user of
 * the weights has to state it.
 *
 * The metadata of the safetensors file holds keys of the run configuration as "run.KEY" (for
 * instance "run.cube.spacing_mm") and keys of the training recipe as "recipe.KEY"; the values are
 * YAML. They stand between the defaults and what a user's file and options say. Files without such
 * keys, and files of other programs, change nothing. Thread-safety: no state. */
#pragma once

#include "ct_io/ct/ct_image.h"
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
