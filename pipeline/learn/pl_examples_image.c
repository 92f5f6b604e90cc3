/* The images that a network learns from and is measured on. */
#include "common/lc_random.h"
#include "pipeline/config/pl_prepared.h"
#include "pipeline/learn/pl_examples.h"

size_t pl_examples_places(const struct pl_examples *examples) {
  return examples->crops->cubes ? examples->recipe->data_views.n : 1;
}

struct ct_image_place pl_examples_place(const struct pl_examples *examples, size_t k) {
  struct ct_preparation how;
  pl_recipe_preparation(examples->recipe, &how);
  return (struct ct_image_place){how.views[k], examples->crops->size / 2};
}

struct ct_image_place pl_examples_draw_place(const struct pl_examples *examples, uint64_t epoch,
                                             size_t i) {
  struct lc_random random;
  uint32_t spread = (uint32_t)examples->recipe->augment_slices;
  /* The word names the random stream: with another one a recipe would draw other images. */
  lc_random_init(&random, (uint64_t)examples->recipe->train_seed, "sight",
                 epoch << 32 | (i & 0xFFFFFFFFU));
  uint32_t view = lc_random_below(&random, (uint32_t)pl_examples_places(examples));
  struct ct_image_place place = pl_examples_place(examples, view);
  place.slice = place.slice - spread + lc_random_below(&random, 2 * spread + 1);
  return place;
}

struct ct_image_source pl_examples_source(const struct pl_examples *examples, size_t i,
                                          struct ct_image_place place) {
  const struct pl_crops *crops = examples->crops;
  size_t row = examples->rows[i], area = crops->size * crops->size;
  struct ct_image_source source = {.size = crops->size, .spacing_mm = crops->crops[row].spacing_mm};
  bool middle = place.view == CT_AXIAL && place.slice == crops->size / 2;
  if (crops->cubes && (examples->recipe->data_images == CT_IMAGES_CUBE || !middle))
    source.cube_hu = crops->cubes + row * area * crops->size;
  else
    source.crop = crops->hu + row * area;
  return source;
}

lc_status pl_examples_image(const struct pl_examples *examples, size_t i,
                            struct ct_image_place place, const struct ct_augment_draw *draw,
                            float *image, struct lc_error *err) {
  struct ct_preparation how;
  if (i >= examples->n)
    LC_FAIL(err, LC_ERR_USAGE, "example %zu of %zu does not exist", i, examples->n);
  pl_recipe_preparation(examples->recipe, &how);
  const struct ct_image_source source = pl_examples_source(examples, i, place);
  return ct_image_make(&how, &source, place, draw, image, err);
}
