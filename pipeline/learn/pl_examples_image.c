/* Makes the image of an example: chooses view and slice, cuts it from crop or cube, turns or
 * augments it, and normalises it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_random.h"
#include "ct_io/ct/ct_volume.h"
#include "pipeline/learn/pl_examples.h"

static ct_view view_of(const struct pl_examples *examples, size_t k) {
  const char *word = examples->recipe->data_views.items[k];
  for (int v = 0; v < CT_VIEW_COUNT; v++)
    if (strcmp(word, ct_view_name((ct_view)v)) == 0) return (ct_view)v;
  return CT_AXIAL;
}

size_t pl_examples_places(const struct pl_examples *examples) {
  return examples->crops->cubes ? examples->recipe->data_views.n : 1;
}

struct pl_image_place pl_examples_place(const struct pl_examples *examples, size_t k) {
  return (struct pl_image_place){view_of(examples, k), examples->crops->size / 2};
}

struct pl_image_place pl_examples_draw_place(const struct pl_examples *examples, uint64_t epoch,
                                             size_t i) {
  struct lc_random random;
  uint32_t spread = (uint32_t)examples->recipe->augment_slices;
  /* The word names the random stream: with another one a recipe would draw other images. */
  lc_random_init(&random, (uint64_t)examples->recipe->train_seed, "sight",
                 epoch << 32 | (i & 0xFFFFFFFFU));
  uint32_t view = lc_random_below(&random, (uint32_t)pl_examples_places(examples));
  struct pl_image_place place = pl_examples_place(examples, view);
  place.slice = place.slice - spread + lc_random_below(&random, 2 * spread + 1);
  return place;
}

/* Clamps, and subtracts and divides by the statistics of the image or of the recipe. */
static void normalise(const struct pl_recipe *recipe, float *image, size_t n) {
  double sum = 0, squares = 0, mean = recipe->data_mean, deviation = recipe->data_deviation;
  for (size_t i = 0; i < n; i++) {
    double hu = fmin(fmax((double)image[i], recipe->data_hu_low), recipe->data_hu_high);
    image[i] = (float)hu;
    sum += hu;
  }
  if (recipe->data_zscore == PL_ZSCORE_SLICE) {
    mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
      double d = (double)image[i] - mean;
      squares += d * d;
    }
    deviation = sqrt(squares / (double)n);
  }
  double factor = deviation > 0 ? 1 / deviation : 0; /* a constant image becomes zeros */
  for (size_t i = 0; i < n; i++) image[i] = (float)(((double)image[i] - mean) * factor);
}

/* One slice through the draw, then clamped and normalised. */
static lc_status crop_image(const struct pl_examples *examples, size_t row,
                            struct pl_image_place place, const struct vit_augment_draw *draw,
                            float *image, struct lc_error *err) {
  const struct pl_crops *crops = examples->crops;
  const struct pl_recipe *recipe = examples->recipe;
  size_t pixels = (size_t)recipe->data_pixels, n = pixels * pixels,
         area = crops->size * crops->size;
  struct ct_cube cube = {.edge = crops->size};
  float *slice = NULL;
  bool other = crops->cubes && (place.view != CT_AXIAL || place.slice != crops->size / 2);
  struct vit_augment_source source = {.hu = crops->hu + row * area,
                                      .size = crops->size,
                                      .step =
                                          recipe->data_spacing_mm / crops->crops[row].spacing_mm,
                                      .repeat_edge = recipe->data_repeat_edge,
                                      .outside_hu = CT_AIR_HU};
  if (other) {
    size_t voxels = area * crops->size;
    LC_TRY(lc_alloc(&slice, area + voxels, sizeof *slice, err));
    cube.hu = slice + area;
    for (size_t v = 0; v < voxels; v++) cube.hu[v] = (float)crops->cubes[row * voxels + v];
    ct_cube_slice(&cube, place.view, place.slice, slice, NULL);
    source.hu = slice;
  }
  vit_augment_apply(draw, &source, image, pixels);
  free(slice);
  normalise(recipe, image, n);
  memcpy(image + n, image, n * sizeof *image);
  memcpy(image + 2 * n, image, n * sizeof *image);
  return LC_OK;
}

/* Quarter turns and the mirror of vit_augment_apply on finished pixels. */
static void turn(const struct vit_augment_draw *draw, float *image, size_t pixels) {
  static const long cosine[] = {1, 0, -1, 0}, sine[] = {0, 1, 0, -1};
  size_t n = pixels * pixels;
  long last = (long)pixels - 1, c = cosine[draw->quarter_turns & 3];
  long s = sine[draw->quarter_turns & 3], mirror = draw->flip ? -1 : 1;
  if (c == 1 && mirror == 1) return;
  for (long i = 0; i <= last; i++)
    for (long j = 0; j <= last; j++) {
      long y = 2 * i - last, x = 2 * j - last;
      long row = (c * y + s * x + last) / 2, column = (mirror * (c * x - s * y) + last) / 2;
      image[n + (size_t)(i * (last + 1) + j)] = image[row * (last + 1) + column];
    }
  memcpy(image, image + n, n * sizeof *image);
  memcpy(image + 2 * n, image + n, n * sizeof *image);
}

/* As `lungcdam run` makes it, then turned. */
static lc_status cube_image(const struct pl_examples *examples, size_t row,
                            struct pl_image_place place, const struct vit_augment_draw *draw,
                            float *image, struct lc_error *err) {
  static const ct_zscore zscores[] = {[PL_ZSCORE_SLICE] = CT_ZSCORE_SLICE,
                                      [PL_ZSCORE_FIXED] = CT_ZSCORE_FIXED,
                                      [PL_ZSCORE_CUBE] = CT_ZSCORE_CUBE};
  const struct pl_recipe *recipe = examples->recipe;
  const struct pl_crops *crops = examples->crops;
  size_t pixels = (size_t)recipe->data_pixels, voxels = crops->size * crops->size * crops->size;
  const struct ct_preparation how = {.hu_low = recipe->data_hu_low,
                                     .hu_high = recipe->data_hu_high,
                                     .zscore = zscores[recipe->data_zscore],
                                     .mean = recipe->data_mean,
                                     .deviation = recipe->data_deviation,
                                     .height = pixels,
                                     .width = pixels};
  struct ct_cube cube = {.edge = crops->size, .spacing_mm = crops->crops[row].spacing_mm};
  LC_TRY(lc_alloc(&cube.hu, voxels, sizeof *cube.hu, err));
  for (size_t v = 0; v < voxels; v++) cube.hu[v] = (float)crops->cubes[row * voxels + v];
  lc_status status = ct_cube_image(&cube, place.view, place.slice, &how, image, err);
  free(cube.hu);
  if (status == LC_OK) turn(draw, image, pixels);
  return status;
}

lc_status pl_examples_view(const struct pl_examples *examples, size_t i,
                           struct pl_image_place place, const struct vit_augment_draw *draw,
                           float *image, struct lc_error *err) {
  if (i >= examples->n)
    LC_FAIL(err, LC_ERR_USAGE, "example %zu of %zu does not exist", i, examples->n);
  size_t row = examples->rows[i];
  if (examples->recipe->data_images == PL_IMAGES_CUBE && examples->crops->cubes)
    return cube_image(examples, row, place, draw, image, err);
  return crop_image(examples, row, place, draw, image, err);
}

lc_status pl_examples_image(const struct pl_examples *examples, size_t i,
                            const struct vit_augment_draw *draw, float *image,
                            struct lc_error *err) {
  return pl_examples_view(examples, i, pl_examples_place(examples, 0), draw, image, err);
}
