/* Translates the keys of a run and of a recipe into the one description of images. */
#include "pipeline/config/pl_preparation.h"

#include <string.h>

static size_t name_views(const struct pl_list *words, ct_view views[CT_VIEW_COUNT]) {
  for (size_t i = 0; i < words->n; i++)
    for (int v = 0; v < CT_VIEW_COUNT; v++)
      if (strcmp(words->items[i], ct_view_name((ct_view)v)) == 0) views[i] = (ct_view)v;
  return words->n;
}

lc_status pl_config_preparation(const struct pl_config *config, const struct vit_arch *arch,
                                struct ct_preparation *how, struct lc_error *err) {
  size_t height = (size_t)config->preprocess_height, width = (size_t)config->preprocess_width;
  *how = (struct ct_preparation){.images = CT_IMAGES_CUBE,
                                 .hu_low = config->preprocess_hu_low,
                                 .hu_high = config->preprocess_hu_high,
                                 .zscore = (ct_zscore)config->preprocess_zscore,
                                 .mean = config->preprocess_mean,
                                 .deviation = config->preprocess_deviation,
                                 .height = height > 0 ? height : arch->image_height,
                                 .width = width > 0 ? width : arch->image_width,
                                 .symmetries = config->preprocess_symmetries};
  how->n_views = name_views(&config->preprocess_views, how->views);
  if (how->symmetries && how->height != how->width)
    LC_FAIL(err, LC_ERR_CONFIG,
            "preprocess.symmetries is true with images of %zu x %zu, expected squares", how->height,
            how->width);
  if (how->height % arch->patch_size || how->width % arch->patch_size)
    LC_FAIL(err, LC_ERR_CONFIG, "images of %zu x %zu, expected multiples of the patch size %zu",
            how->height, how->width, arch->patch_size);
  return LC_OK;
}

void pl_recipe_preparation(const struct pl_recipe *recipe, struct ct_preparation *how) {
  *how = (struct ct_preparation){.images = (ct_images)recipe->data_images,
                                 .spacing_mm = recipe->data_spacing_mm,
                                 .repeat_edge = recipe->data_repeat_edge,
                                 .hu_low = recipe->data_hu_low,
                                 .hu_high = recipe->data_hu_high,
                                 .zscore = (ct_zscore)recipe->data_zscore,
                                 .mean = recipe->data_mean,
                                 .deviation = recipe->data_deviation,
                                 .height = (size_t)recipe->data_pixels,
                                 .width = (size_t)recipe->data_pixels,
                                 .symmetries = recipe->test_symmetries};
  how->n_views = name_views(&recipe->data_views, how->views);
}
