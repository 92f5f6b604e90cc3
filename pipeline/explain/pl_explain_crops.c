/* Makes the images of a split of nodule crops ready to be explained. */
#include <stdio.h>
#include <string.h>

#include "common/lc_scope.h"
#include "pipeline/config/pl_preparation.h"
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
  size_t count = examples->n - first < n ? examples->n - first : n;
  size_t places = pl_examples_places(examples);
  struct ct_preparation how;
  pl_recipe_preparation(examples->recipe, &how);
  input->height = input->width = pixels;
  input->turns = ct_preparation_turns(&how);
  LC_TRY(pl_explain_grow(input, count * places, err));
  for (size_t i = 0; i < count; i++) {
    const struct pl_crop *crop = &examples->crops->crops[examples->rows[first + i]];
    for (size_t p = 0; p < places; p++, input->n++) {
      struct ct_image_place place = pl_examples_place(examples, p);
      const struct ct_image_source source = pl_examples_source(examples, first + i, place);
      snprintf(input->names[input->n], sizeof *input->names, "%s-nodule-%d%s%s", crop->patient,
               crop->nodule, places > 1 ? "-" : "", places > 1 ? ct_view_name(place.view) : "");
      LC_TRY(pl_explain_make(input, input->n, &how, &source, place, err));
    }
  }
  return LC_OK;
}

lc_status pl_explain_read_crops(struct pl_explain *explain,
                                const struct pl_recipe_overrides *overrides, const char *split,
                                size_t first, size_t n, struct lc_error *err) {
  LC_SCOPED(pl_recipe_free) struct pl_recipe recipe = {0};
  LC_SCOPED(pl_crops_free) struct pl_crops crops = {0};
  LC_SCOPED(pl_examples_free) struct pl_examples examples = {0};
  const struct pl_label_scale scale = pl_label_scale_none();
  LC_TRY(pl_recipe_make(&recipe, overrides, err));
  LC_TRY(pl_recipe_crops(&recipe, &crops, err));
  LC_TRY(pl_examples_init(&examples, &crops, &recipe, &explain->model.arch,
                          split ? split : recipe.data_validate, &scale, err));
  pl_examples_note_cubes(&examples);
  return fill(explain, &examples, first, n, err);
}
