/* Chooses the examples of a split, turns ratings into labels, and serves images and labels, with
 * mixup when the recipe asks for it. */
#include "pipeline/learn/pl_examples.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_identity.h"
#include "common/lc_log.h"
#include "common/lc_math.h"
#include "common/lc_random.h"
#include "common/lc_scope.h"
#include "pipeline/config/pl_prepared.h"

struct pl_label_scale pl_label_scale_none(void) {
  struct pl_label_scale scale;
  for (size_t b = 0; b < PL_BIOMARKERS; b++) {
    scale.mean[b] = 0;
    scale.deviation[b] = 1;
  }
  return scale;
}

lc_status pl_recipe_crops(const struct pl_recipe *r, struct pl_crops *crops, struct lc_error *err) {
  LC_TRY(pl_crops_read(crops, r->data_crops, err));
  bool patients = r->data_split == PL_SPLIT_PATIENT || r->data_split == PL_SPLIT_STORED_PATIENT;
  enum pl_fold_unit unit = patients ? PL_FOLD_PATIENT : PL_FOLD_NODULE;
  uint32_t fold = (uint32_t)r->data_fold;
  lc_status status = LC_OK;
  if (r->data_split == PL_SPLIT_PATIENT || r->data_split == PL_SPLIT_NODULE)
    status =
        pl_crops_fold(crops, unit, (uint32_t)r->data_folds, fold, (uint64_t)r->data_fold_seed, err);
  else if (r->data_split != PL_SPLIT_FILE)
    status = pl_crops_stored_fold(crops, unit, fold, err);
  if (status != LC_OK) pl_crops_free(crops);
  return status;
}

/* What the malignancy output is taught for this nodule; NaN: nothing. */
static double taught(const struct pl_crop *crop, const struct pl_recipe *recipe) {
  ct_label label = ct_label_of(crop->malignancy);
  if (!isfinite(crop->malignancy)) return NAN;
  if (recipe->tasks_grading == PL_GRADING_GRADED)
    return lc_sigmoid(recipe->tasks_steepness * (crop->malignancy - 3));
  if (label < 0) return recipe->tasks_grading == PL_GRADING_HALF ? 0.5 : NAN;
  return label;
}

static void find_tasks(struct pl_examples *examples, const struct vit_arch *arch) {
  examples->outputs = vit_arch_outputs(arch);
  examples->malignancy = examples->biomarkers = SIZE_MAX;
  for (size_t h = 0, first = 0; h < arch->n_heads; first += arch->heads[h++].outputs) {
    if (strcmp(arch->heads[h].name, "malignancy") == 0) examples->malignancy = first;
    if (strcmp(arch->heads[h].name, "biomarkers") == 0 && arch->heads[h].outputs == PL_BIOMARKERS)
      examples->biomarkers = first;
  }
}

static lc_status make_scale(struct pl_examples *examples, struct lc_error *err) {
  for (size_t b = 0; b < PL_BIOMARKERS; b++) {
    double sum = 0, squares = 0;
    size_t n = 0;
    for (size_t i = 0; i < examples->n; i++) {
      double value = examples->crops->crops[examples->rows[i]].biomarkers[b];
      if (!isfinite(value)) continue;
      sum += value;
      n++;
    }
    double mean = sum / (double)n;
    for (size_t i = 0; i < examples->n; i++) {
      double d = examples->crops->crops[examples->rows[i]].biomarkers[b] - mean;
      if (isfinite(d)) squares += d * d;
    }
    examples->scale.mean[b] = mean;
    examples->scale.deviation[b] = sqrt(squares / (double)n);
    if (!(examples->scale.deviation[b] > 0))
      LC_FAIL(err, LC_ERR_NUMERIC, "%s: %s does not vary in the split to learn from",
              examples->crops->path, pl_biomarker_names[b]);
  }
  return LC_OK;
}

/* Leaves out what too few readers rated. */
static lc_status keep_rated(struct pl_examples *examples, const char *split, struct lc_error *err) {
  const struct pl_crops *crops = examples->crops;
  int least = (int)examples->recipe->data_min_readers;
  size_t kept = 0;
  for (size_t i = 0; i < examples->n; i++)
    if (crops->crops[examples->rows[i]].readers >= least)
      examples->rows[kept++] = examples->rows[i];
  examples->n = kept;
  if (kept == 0)
    LC_FAIL(err, LC_ERR_CONFIG, "%s: no nodule of split \"%s\" is known to have %d readers",
            crops->path, split, least);
  return LC_OK;
}

static lc_status check_cubes(const struct pl_examples *examples, struct lc_error *err) {
  const struct pl_recipe *r = examples->recipe;
  const struct pl_crops *crops = examples->crops;
  bool axial = r->data_views.n == 1 && strcmp(r->data_views.items[0], "axial") == 0;
  const char *key = r->data_images == CT_IMAGES_CUBE ? "data.images: cube"
                    : !axial                         ? "data.views"
                                                     : "augment.slices";
  if (!crops->cubes && (r->data_images == CT_IMAGES_CUBE || !axial || r->augment_slices > 0))
    LC_FAIL(err, LC_ERR_CONFIG, "%s: holds crops, but %s needs cubes (`lungcdam prepare`)",
            crops->path, key);
  if (crops->cubes && (size_t)r->augment_slices >= crops->size / 2)
    LC_FAIL(err, LC_ERR_CONFIG, "augment.slices is %lld, expected less than half of a cube of %zu",
            r->augment_slices, crops->size);
  return LC_OK;
}

void pl_examples_note_cubes(const struct pl_examples *examples) {
  const struct pl_crops *crops = examples->crops;
  const struct pl_recipe *r = examples->recipe;
  if (!crops->cubes || r->data_images == CT_IMAGES_CUBE || examples->n == 0) return;
  double spacing_mm = crops->crops[examples->rows[0]].spacing_mm;
  if (crops->size == (size_t)r->data_pixels && spacing_mm == r->data_spacing_mm) return;
  lc_log(LC_LOG_WARNING,
         "%s: cubes of %zu samples of %g mm, the model sees %lld of %g mm: its numbers differ a "
         "little from those of lungcdam run (lungcdam prepare --weights MODEL cuts cubes for it)",
         crops->path, crops->size, spacing_mm, r->data_pixels, r->data_spacing_mm);
}

lc_status pl_examples_init(struct pl_examples *examples, const struct pl_crops *crops,
                           const struct pl_recipe *recipe, const struct vit_arch *arch,
                           const char *split, const struct pl_label_scale *scale,
                           struct lc_error *err) {
  memset(examples, 0, sizeof *examples);
  examples->crops = crops;
  examples->recipe = recipe;
  find_tasks(examples, arch);
  LC_TRY(check_cubes(examples, err));
  LC_TRY(pl_crops_split(crops, split, &examples->rows, &examples->n, err));
  lc_status status = keep_rated(examples, split, err);
  if (scale)
    examples->scale = *scale;
  else if (status == LC_OK && examples->biomarkers != SIZE_MAX)
    status = make_scale(examples, err);
  if (status != LC_OK) pl_examples_free(examples);
  return status;
}

void pl_examples_free(struct pl_examples *examples) {
  free(examples->rows);
  memset(examples, 0, sizeof *examples);
}

static lc_status load_one(const struct pl_examples *examples, uint64_t epoch, size_t index,
                          const struct vit_sample *sample, struct lc_error *err) {
  const struct pl_crop *crop = &examples->crops->crops[examples->rows[index]];
  struct ct_augment_draw draw;
  ct_augment_draw(&examples->augment, (uint64_t)examples->recipe->train_seed, epoch, index, &draw);
  struct ct_image_place place = pl_examples_draw_place(examples, epoch, index);
  LC_TRY(pl_examples_image(examples, index, place, &draw, sample->image, err));
  double label = taught(crop, examples->recipe);
  if (examples->malignancy != SIZE_MAX && isfinite(label)) {
    sample->targets[examples->malignancy] = (float)label;
    sample->present[examples->malignancy] = 1;
  }
  for (size_t b = 0; examples->biomarkers != SIZE_MAX && b < PL_BIOMARKERS; b++) {
    double value = (crop->biomarkers[b] - examples->scale.mean[b]) / examples->scale.deviation[b];
    if (!isfinite(value)) continue;
    sample->targets[examples->biomarkers + b] = (float)value;
    sample->present[examples->biomarkers + b] = 1;
  }
  return LC_OK;
}

/* Beta(a, a) by Joehnk's method (Metrika 8:5, 1964), for a up to about 1. */
static double draw_beta(struct lc_random *random, double a) {
  for (;;) {
    double u = pow(lc_random_uniform(random), 1 / a), v = pow(lc_random_uniform(random), 1 / a);
    if (u + v > 0 && u + v <= 1) return u / (u + v);
  }
}

/* Image and labels become share * theirs + (1 - share) * another's; a label that one of the two
 * lacks is missing. */
static lc_status mix(const struct pl_examples *examples, uint64_t epoch, size_t index,
                     const struct vit_sample *sample, struct lc_error *err) {
  const struct pl_recipe *recipe = examples->recipe;
  size_t pixels = 3 * (size_t)(recipe->data_pixels * recipe->data_pixels);
  LC_FREED float *image = NULL;
  float targets[VIT_MAX_OUTPUTS], weight = 1;
  uint8_t present[VIT_MAX_OUTPUTS] = {0};
  struct lc_random random;
  lc_random_init(&random, (uint64_t)recipe->train_seed, "mixup", epoch << 32 | index);
  size_t other = lc_random_below(&random, (uint32_t)examples->n);
  float share = (float)draw_beta(&random, recipe->augment_mixup);
  LC_TRY(lc_alloc(&image, pixels, sizeof *image, err));
  const struct vit_sample theirs = {
      .image = image, .targets = targets, .present = present, .weight = &weight};
  LC_TRY(load_one(examples, epoch, other, &theirs, err));
  for (size_t i = 0; i < pixels; i++)
    sample->image[i] = share * sample->image[i] + (1 - share) * image[i];
  for (size_t k = 0; k < examples->outputs; k++) {
    sample->present[k] = sample->present[k] && present[k];
    if (sample->present[k])
      sample->targets[k] = share * sample->targets[k] + (1 - share) * targets[k];
  }
  return LC_OK;
}

static lc_status load(void *context, uint64_t epoch, size_t index, const struct vit_sample *sample,
                      struct lc_error *err) {
  const struct pl_examples *examples = context;
  LC_TRY(load_one(examples, epoch, index, sample, err));
  return examples->recipe->augment_mixup > 0 ? mix(examples, epoch, index, sample, err) : LC_OK;
}

static void identify(void *context, size_t index, char name[VIT_SAMPLE_NAME]) {
  const struct pl_examples *examples = context;
  const struct pl_crop *crop = &examples->crops->crops[examples->rows[index]];
  char patient[LC_IDENTITY_SIZE];
  snprintf(name, VIT_SAMPLE_NAME, "%s nodule %d", lc_identity(patient, crop->patient),
           crop->nodule);
}

struct vit_samples pl_examples_samples(struct pl_examples *examples) {
  size_t pixels = (size_t)examples->recipe->data_pixels;
  return (struct vit_samples){.n = examples->n,
                              .height = pixels,
                              .width = pixels,
                              .outputs = examples->outputs,
                              .context = examples,
                              .load = load,
                              .identify = identify};
}

lc_status pl_examples_disjoint(const struct pl_examples *a, const struct pl_examples *b,
                               struct lc_error *err) {
  LC_FREED uint8_t *seen = NULL;
  LC_TRY(lc_alloc(&seen, a->crops->n_groups, 1, err));
  for (size_t i = 0; i < a->n; i++) seen[a->crops->crops[a->rows[i]].group] = 1;
  for (size_t i = 0; i < b->n; i++) {
    const struct pl_crop *crop = &b->crops->crops[b->rows[i]];
    char patient[LC_IDENTITY_SIZE];
    if (seen[crop->group])
      LC_FAIL(err, LC_ERR_MISMATCH,
              "%s: patient %s is both in the split to learn from and in the one to "
              "measure on",
              b->crops->path, lc_identity(patient, crop->patient));
  }
  return LC_OK;
}

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

lc_status pl_examples_groups(const struct pl_examples *examples, const uint32_t *which, size_t n,
                             uint32_t *groups, size_t *n_groups, struct lc_error *err) {
  const struct pl_crops *crops = examples->crops;
  LC_FREED uint32_t *numbers = NULL;
  LC_TRY(lc_alloc(&numbers, crops->n_groups, sizeof *numbers, err));
  *n_groups = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t *number = &numbers[crops->crops[examples->rows[which ? which[i] : i]].group];
    if (*number == 0) *number = (uint32_t)++ * n_groups;
    groups[i] = *number - 1;
  }
  return LC_OK;
}
