/* Makes the images of a split of nodule crops ready to be explained. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "pipeline/explain/pl_explain_crops.h"
#include "pipeline/learn/pl_examples.h"

static lc_status fill(struct pl_explain *explain, const struct pl_examples *examples, size_t first,
                      size_t n, struct lc_error *err) {
  struct pl_explain_input *input = &explain->input;
  size_t pixels = (size_t)examples->recipe->data_pixels;
  if (pixels % explain->model.arch.patch_size)
    LC_FAIL(err, LC_ERR_CONFIG, "data.pixels is %zu, expected a multiple of the patch size %zu",
            pixels, explain->model.arch.patch_size);
  if (first >= examples->n)
    LC_FAIL(err, LC_ERR_USAGE, "--first %zu: the split has %zu nodules", first, examples->n);
  input->n = examples->n - first < n ? examples->n - first : n;
  input->height = input->width = pixels;
  LC_TRY(lc_alloc(&input->images, input->n * VIT_CHANNELS * pixels * pixels, sizeof(float), err));
  LC_TRY(lc_alloc(&input->names, input->n, sizeof *input->names, err));
  struct vit_augment_draw draw;
  vit_augment_symmetry(0, &draw);
  for (size_t i = 0; i < input->n; i++) {
    const struct pl_crop *crop = &examples->crops->crops[examples->rows[first + i]];
    snprintf(input->names[i], sizeof input->names[i], "%s-nodule-%d", crop->patient, crop->nodule);
    LC_TRY(pl_examples_image(examples, first + i, &draw,
                             input->images + i * VIT_CHANNELS * pixels * pixels, err));
  }
  return LC_OK;
}

lc_status pl_explain_read_crops(struct pl_explain *explain,
                                const struct pl_recipe_overrides *overrides, const char *split,
                                size_t first, size_t n, struct lc_error *err) {
  struct pl_recipe recipe;
  struct pl_crops crops = {0};
  struct pl_examples examples = {0};
  LC_TRY(pl_recipe_make(&recipe, overrides, err));
  lc_status status = pl_recipe_crops(&recipe, &crops, err);
  if (status == LC_OK)
    status = pl_examples_init(&examples, &crops, &recipe, &explain->model.arch,
                              split ? split : recipe.data_validate, NULL, err);
  if (status == LC_OK) status = fill(explain, &examples, first, n, err);
  pl_examples_free(&examples);
  pl_crops_free(&crops);
  pl_recipe_free(&recipe);
  return status;
}
