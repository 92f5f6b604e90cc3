/* Makes the images of struct ct_preparation: slice, interpolation, clamp, z-score, symmetry. */
#include "ct_io/ct/ct_image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "ct_io/ct/ct_volume.h"

size_t ct_preparation_turns(const struct ct_preparation *how) {
  return how->symmetries ? CT_SYMMETRIES : 1;
}

size_t ct_preparation_images(const struct ct_preparation *how) {
  return how->n_views * ct_preparation_turns(how);
}

/* In whole HU; a sum with zero has no negative zero, as integers have none. */
static double voxel(const struct ct_image_source *source, size_t sample) {
  return source->cube ? rint((double)source->cube[sample]) + 0 : (double)source->cube_hu[sample];
}

static void take_slice(const struct ct_image_source *source, struct ct_image_place place,
                       float *slice) {
  size_t size = source->size;
  if (source->crop) {
    memcpy(slice, source->crop, size * size * sizeof *slice);
    return;
  }
  for (size_t row = 0; row < size; row++)
    for (size_t column = 0; column < size; column++)
      slice[row * size + column] =
          (float)voxel(source, ct_cube_sample(size, place.view, place.slice, row, column));
}

static double clamp(double value, const struct ct_preparation *how) {
  return fmin(fmax(value, how->hu_low), how->hu_high);
}

/* Statistics over n, in double so that order hardly matters. */
struct statistics {
  double mean, deviation;
};

static struct statistics of_cube(const struct ct_preparation *how,
                                 const struct ct_image_source *source) {
  size_t n = source->size * source->size * source->size;
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) sum += clamp(voxel(source, i), how);
  double mean = sum / (double)n;
  for (size_t i = 0; i < n; i++) {
    double d = clamp(voxel(source, i), how) - mean;
    squares += d * d;
  }
  return (struct statistics){mean, sqrt(squares / (double)n)};
}

static struct statistics of_image(const float *clamped, size_t n) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) sum += (double)clamped[i];
  double mean = sum / (double)n;
  for (size_t i = 0; i < n; i++) {
    double d = (double)clamped[i] - mean;
    squares += d * d;
  }
  return (struct statistics){mean, sqrt(squares / (double)n)};
}

/* Clamps image[n], then subtracts the mean and divides by the deviation. */
static void normalise(const struct ct_preparation *how, const struct ct_image_source *source,
                      float *image, size_t n) {
  struct statistics s = {how->mean, how->deviation};
  for (size_t i = 0; i < n; i++) image[i] = (float)clamp((double)image[i], how);
  if (how->zscore == CT_ZSCORE_CUBE) s = of_cube(how, source);
  if (how->zscore == CT_ZSCORE_SLICE) s = of_image(image, n);
  double factor = s.deviation > 1e-6 ? 1 / s.deviation : 0;
  for (size_t i = 0; i < n; i++) image[i] = (float)(((double)image[i] - s.mean) * factor);
}

static bool is_symmetry(const struct ct_augment_draw *draw) {
  return draw->rotation_deg == 0 && draw->shift_rows == 0 && draw->shift_columns == 0 &&
         draw->magnification == 1 && draw->offset_hu == 0 && draw->gain == 1 && draw->noise_hu == 0;
}

static lc_status check(const struct ct_preparation *how, const struct ct_image_source *source,
                       struct ct_image_place place, const struct ct_augment_draw *draw,
                       struct lc_error *err) {
  bool square = how->height == how->width, turned = draw && (draw->quarter_turns || draw->flip);
  if (source->size == 0 || how->height == 0 || how->width == 0 || !(how->hu_low < how->hu_high))
    LC_FAIL(err, LC_ERR_USAGE, "%zu samples to an image of %zu x %zu pixels, HU %g to %g",
            source->size, how->height, how->width, how->hu_low, how->hu_high);
  if (!source->crop && place.slice >= source->size)
    LC_FAIL(err, LC_ERR_USAGE, "slice %zu of a cube of %zu", place.slice, source->size);
  if (source->crop && how->zscore == CT_ZSCORE_CUBE)
    LC_FAIL(err, LC_ERR_USAGE, "the z-score of a cube needs a cube, not a crop");
  if (!square && (how->images == CT_IMAGES_CROP || turned))
    LC_FAIL(err, LC_ERR_USAGE, "an image of %zu x %zu pixels, expected a square", how->height,
            how->width);
  if (how->images == CT_IMAGES_CROP && !(how->spacing_mm > 0 && source->spacing_mm > 0))
    LC_FAIL(err, LC_ERR_USAGE, "pixels of %g mm from samples of %g mm", how->spacing_mm,
            source->spacing_mm);
  if (how->images == CT_IMAGES_CUBE && draw && !is_symmetry(draw))
    LC_FAIL(err, LC_ERR_USAGE, "an enlarged slice can be turned and flipped, not varied");
  return LC_OK;
}

/* HU at the image's pixels, through the draw. */
static void interpolate(const struct ct_preparation *how, const struct ct_image_source *source,
                        const float *slice, const struct ct_augment_draw *draw, float *image) {
  const struct ct_augment_source warped = {.hu = slice,
                                           .size = source->size,
                                           .step = how->spacing_mm / source->spacing_mm,
                                           .repeat_edge = how->repeat_edge,
                                           .outside_hu = CT_AIR_HU};
  ct_augment_apply(draw, &warped, image, how->width);
}

lc_status ct_image_make(const struct ct_preparation *how, const struct ct_image_source *source,
                        struct ct_image_place place, const struct ct_augment_draw *draw,
                        float *image, struct lc_error *err) {
  size_t size = source->size, pixels = how->height * how->width;
  float *slice = NULL;
  struct ct_augment_draw none;
  LC_TRY(check(how, source, place, draw, err));
  ct_augment_none(&none);
  bool turned = draw && is_symmetry(draw) && (draw->quarter_turns || draw->flip);
  LC_TRY(lc_alloc(&slice, size * size, sizeof *slice, err));
  take_slice(source, place, slice);
  float *upright = turned ? image + pixels : image;
  if (how->images == CT_IMAGES_CROP) {
    interpolate(how, source, slice, draw && !is_symmetry(draw) ? draw : &none, upright);
    normalise(how, source, upright, pixels);
  } else {
    normalise(how, source, slice, size * size);
    ct_resize_bilinear(slice, size, size, upright, how->height, how->width);
  }
  if (turned)
    ct_image_turn((unsigned)draw->quarter_turns | (draw->flip ? 4U : 0), upright, how->width,
                  image);
  memcpy(image + pixels, image, pixels * sizeof *image);
  memcpy(image + 2 * pixels, image, pixels * sizeof *image);
  free(slice);
  return LC_OK;
}

lc_status ct_image_hu(const struct ct_preparation *how, const struct ct_image_source *source,
                      struct ct_image_place place, float *hu, struct lc_error *err) {
  size_t size = source->size;
  float *slice = NULL;
  struct ct_augment_draw none;
  LC_TRY(check(how, source, place, NULL, err));
  LC_TRY(lc_alloc(&slice, size * size, sizeof *slice, err));
  take_slice(source, place, slice);
  ct_augment_none(&none);
  if (how->images == CT_IMAGES_CROP)
    interpolate(how, source, slice, &none, hu);
  else
    ct_resize_bilinear(slice, size, size, hu, how->height, how->width);
  free(slice);
  return LC_OK;
}

/* Pixel of the upright image behind pixel (i, j) of the turned one, as ct_augment_apply has it. */
static size_t behind(unsigned symmetry, size_t n, size_t i, size_t j) {
  static const long cosine[] = {1, 0, -1, 0}, sine[] = {0, 1, 0, -1};
  long last = (long)n - 1, y = 2 * (long)i - last, x = 2 * (long)j - last;
  long c = cosine[symmetry & 3], s = sine[symmetry & 3], mirror = symmetry & 4 ? -1 : 1;
  long row = (c * y + s * x + last) / 2, column = (mirror * (c * x - s * y) + last) / 2;
  return (size_t)(row * (last + 1) + column);
}

void ct_image_turn(unsigned symmetry, const float *in, size_t n, float *out) {
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++) out[i * n + j] = in[behind(symmetry, n, i, j)];
}

void ct_image_add_turned_back(unsigned symmetry, const float *turned, size_t n, float factor,
                              float *sum) {
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++) sum[behind(symmetry, n, i, j)] += factor * turned[i * n + j];
}

/* Source place of output index i: half-pixel centres, edges repeated. */
static void source_of(size_t i, size_t in, size_t out, size_t *low, size_t *high, float *t) {
  double at = fmax(((double)i + 0.5) * (double)in / (double)out - 0.5, 0);
  *low = (size_t)at < in ? (size_t)at : in - 1;
  *high = *low + 1 < in ? *low + 1 : *low;
  *t = (float)(at - (double)*low);
}

void ct_resize_bilinear(const float *in, size_t h, size_t w, float *out, size_t out_h,
                        size_t out_w) {
  for (size_t row = 0; row < out_h; row++) {
    size_t y0, y1, x0, x1;
    float ty, tx;
    source_of(row, h, out_h, &y0, &y1, &ty);
    const float *top = in + y0 * w, *bottom = in + y1 * w;
    for (size_t column = 0; column < out_w; column++) {
      source_of(column, w, out_w, &x0, &x1, &tx);
      float a = (1 - tx) * top[x0] + tx * top[x1], b = (1 - tx) * bottom[x0] + tx * bottom[x1];
      out[row * out_w + column] = (1 - ty) * a + ty * b;
    }
  }
}
