/* Sets up a judging run: opens model and data, chooses items, targets, contestants and measures,
 * and makes the key of an item's numbers; renders the HU and the nodule mask of an example. */
#include "pipeline/judge/pl_judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_hash.h"
#include "common/lc_random.h"
#include "common/lc_scope.h"
#include "pipeline/config/pl_model_file.h"
#include "pipeline/config/pl_model_find.h"
#include "pipeline/config/pl_prepared.h"

#define KEY_VERSION "judge 6"
#define DIAMETER 5 /* of pl_biomarker_names */

static lc_status open_data(struct pl_judge *judge, struct lc_error *err) {
  const struct pl_judge_config *config = judge->config;
  struct pl_model_found found;
  if (!*config->data_crops)
    LC_FAIL(err, LC_ERR_CONFIG, "data.crops is empty, expected an HDF5 file (or --crops FILE)");
  LC_TRY(pl_model_take(&found, config->model_weights, err));
  struct pl_overrides overrides = {.weights = found.path,
                                   .file = *config->data_recipe ? config->data_recipe : NULL};
  LC_TRY(pl_recipe_make(&judge->recipe, &overrides, err));
  LC_TRY(pl_model_load(&judge->model, found.path, &config->load, err));
  LC_TRY(pl_model_check_finished(&judge->model, found.path, err));
  LC_TRY(vit_model_hash(&judge->model, err));
  LC_TRY(cdam_prepared_init(&judge->prepared, &judge->model, err));
  size_t pixels = (size_t)judge->recipe.data_pixels, patch = judge->model.arch.patch_size;
  if (pixels % patch != 0)
    LC_FAIL(err, LC_ERR_CONFIG,
            "data.pixels of the recipe is %zu, expected a multiple of the model's patch (%zu)",
            pixels, patch);
  judge->pixels = pixels;
  judge->grid = pixels / patch;
  judge->patches = judge->grid * judge->grid;
  LC_TRY(cdam_shifts_init(&judge->shifts, (size_t)config->estimators_shifts, patch, err));
  judge->cells = judge->grid * judge->shifts.along;
  LC_TRY(pl_crops_read(&judge->crops, config->data_crops, err));
  const struct pl_label_scale scale = pl_label_scale_none();
  LC_TRY(pl_examples_init(&judge->examples, &judge->crops, &judge->recipe, &judge->model.arch,
                          config->data_split, &scale, err));
  pl_examples_note_cubes(&judge->examples);
  return LC_OK;
}

static int compare_u32(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static lc_status choose_items(struct pl_judge *judge, struct lc_error *err) {
  size_t all = judge->examples.n, wanted = (size_t)judge->config->data_items;
  struct lc_random random;
  LC_TRY(lc_alloc(&judge->items, all, sizeof *judge->items, err));
  lc_random_init(&random, (uint64_t)judge->config->seed, "judge-items", 0);
  lc_random_permutation(&random, judge->items, (uint32_t)all);
  judge->n_items = wanted > 0 && wanted < all ? wanted : all;
  qsort(judge->items, judge->n_items, sizeof *judge->items, compare_u32);
  return LC_OK;
}

/* The judged one, then those it is compared with. */
static lc_status choose_targets(struct pl_judge *judge, struct lc_error *err) {
  const struct pl_list *compared = &judge->config->target_compared;
  size_t outputs = vit_arch_outputs(&judge->model.arch);
  LC_TRY(lc_alloc(&judge->targets, 1 + outputs + compared->n, sizeof *judge->targets, err));
  LC_TRY(cdam_target_parse(&judge->targets[0], &judge->model, judge->config->target_judged, err));
  judge->n_targets = 1;
  for (size_t i = 0; i < compared->n; i++)
    LC_TRY(cdam_target_parse(&judge->targets[judge->n_targets++], &judge->model, compared->items[i],
                             err));
  if (compared->n > 0) return LC_OK;
  const struct cdam_target *judged = &judge->targets[0];
  for (size_t o = 0; o < outputs; o++) {
    char name[VIT_NAME_SIZE];
    vit_arch_output_name(&judge->model.arch, o, name);
    if (judged->kind == CDAM_OUTPUT && judged->a == o) continue;
    LC_TRY(cdam_target_parse(&judge->targets[judge->n_targets++], &judge->model, name, err));
  }
  return LC_OK;
}

static lc_status add_contestant(struct pl_judge *judge, const struct cdam_estimator *estimator,
                                struct lc_error *err) {
  const struct pl_judge_config *config = judge->config;
  size_t samples = cdam_parameter_find(estimator, "samples");
  struct pl_judge_contestant *c = &judge->contestants[judge->n_contestants++];
  *c = (struct pl_judge_contestant){
      .name = estimator->name, .title = estimator->title, .estimator = estimator};
  cdam_settings_init(estimator, &c->settings);
  if (samples < estimator->n_parameters && config->estimators_samples > 0)
    c->settings.values[samples] = (double)config->estimators_samples;
  pl_parameters_apply(&config->estimators_parameters, estimator, &c->settings);
  return cdam_settings_check(estimator, &c->settings, err);
}

static lc_status choose_contestants(struct pl_judge *judge, struct lc_error *err) {
  const struct pl_list *names = &judge->config->estimators_names;
  size_t all;
  const struct cdam_estimator *const *table = cdam_estimators(&all);
  LC_TRY(lc_alloc(&judge->contestants, all + names->n + 2, sizeof *judge->contestants, err));
  for (size_t i = 0; i < names->n; i++) {
    const struct cdam_estimator *estimator;
    LC_TRY(cdam_estimator_find(names->items[i], &estimator, err));
    LC_TRY(add_contestant(judge, estimator, err));
  }
  for (size_t i = 0; i < all && names->n == 0; i++) LC_TRY(add_contestant(judge, table[i], err));
  if (judge->config->estimators_random)
    judge->contestants[judge->n_contestants++] =
        (struct pl_judge_contestant){.name = "random", .title = "Random (control)"};
  if (judge->config->estimators_centre)
    judge->contestants[judge->n_contestants++] =
        (struct pl_judge_contestant){.name = "centre", .title = "Centre (control)", .centre = true};
  return LC_OK;
}

static unsigned what_there_is(const struct pl_judge *judge) {
  const struct pl_judge_config *config = judge->config;
  const struct {
    bool there;
    unsigned flag;
  } parts[] = {{config->sets_tokens, CDAM_HAVE_SINGLE_PATCHES},
               {config->road_measure, CDAM_HAVE_IMPUTATION},
               {judge->n_targets > 1, CDAM_HAVE_TARGETS},
               {judge->features != NULL, CDAM_HAVE_FEATURES},
               {config->pairs_measure && pl_judge_rated(judge), CDAM_HAVE_RATED_PAIRS},
               {config->pairs_measure && judge->features, CDAM_HAVE_TRUTH_PAIRS},
               {config->robustness_samples > 0, CDAM_HAVE_NEIGHBOURS},
               {config->randomise_measure, CDAM_HAVE_RANDOM_WEIGHTS},
               {config->repeat_runs > 1, CDAM_HAVE_RUNS}};
  unsigned have = 0;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (parts[i].there) have |= parts[i].flag;
  return have;
}

lc_status pl_judge_list_measures(struct pl_judge *judge, struct lc_error *err) {
  const struct pl_judge_config *config = judge->config;
  const struct pl_list *shares = &config->sets_shares, *boxes = &config->sets_boxes;
  if (shares->n > PL_JUDGE_SIZES || boxes->n > PL_JUDGE_SIZES)
    LC_FAIL(err, LC_ERR_CONFIG, "sets.shares and sets.boxes: expected at most %d numbers",
            PL_JUDGE_SIZES);
  LC_TRY(pl_judge_numbers(shares, "sets.shares", 1, 99, judge->shares, err));
  LC_TRY(pl_judge_numbers(boxes, "sets.boxes", 1, (long long)judge->grid, judge->boxes, err));
  judge->measuring = (struct cdam_measure_settings){
      .missing = {.kind = (cdam_removal_kind)config->missing_kind,
                  .value = (float)config->missing_value,
                  .blur_sigma = config->missing_blur_sigma,
                  .noise = config->road_noise,
                  .seed = (uint64_t)config->seed},
      .curves = {.steps = (size_t)config->curves_steps,
                 .random_orders = (size_t)config->curves_random_orders},
      .sets = (size_t)config->sets_count,
      .shares = judge->shares,
      .boxes = judge->boxes,
      .n_shares = shares->n,
      .n_boxes = boxes->n,
      .neighbours = {.radius = config->robustness_radius,
                     .samples = (size_t)config->robustness_samples},
      .runs = (size_t)config->repeat_runs};
  return cdam_measures_list(what_there_is(judge), &judge->measuring,
                            (const char *const *)config->measures_names.items,
                            config->measures_names.n, &judge->measures, &judge->n_measures, err);
}

bool pl_judge_measures(const struct pl_judge *judge, const char *name) {
  for (size_t m = 0; m < judge->n_measures; m++)
    for (size_t v = 0; v < judge->measures[m].measure->n_values; v++)
      if (strcmp(judge->measures[m].measure->values[v].name, name) == 0) return true;
  return false;
}

/* All that decides the numbers of an item: settings, recipe, weights, crops. */
static lc_status make_key(struct pl_judge *judge, struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  char crops[LC_SHA256_HEX];
  char truth[LC_SHA256_HEX] = "none";
  LC_TRY(lc_hash_file_hex(judge->config->data_crops, crops, err));
  if (judge->features)
    LC_TRY(lc_hash_bytes_hex((const char *)judge->features,
                             judge->n_items * judge->pixels * judge->pixels, truth, err));
  lc_text_add(&text, "%s\nweights %s\ncrops %s\ntruth %s\n", KEY_VERSION,
              judge->model.weights_sha256, crops, truth);
  pl_schema_print(&pl_judge_schema, judge->config, PL_PRINT_CANONICAL, &text);
  pl_schema_print(&pl_recipe_schema, &judge->recipe, PL_PRINT_CANONICAL, &text);
  if (text.failed) LC_FAIL(err, LC_ERR_MEMORY, "out of memory");
  return lc_hash_bytes_hex(lc_text_get(&text), text.length, judge->key, err);
}

lc_status pl_judge_init(struct pl_judge *judge, const struct pl_judge_config *config,
                        struct lc_error *err) {
  *judge = (struct pl_judge){.config = config};
  LC_TRY(open_data(judge, err));
  LC_TRY(choose_items(judge, err));
  LC_TRY(pl_judge_read_truth(judge, err));
  LC_TRY(choose_targets(judge, err));
  LC_TRY(choose_contestants(judge, err));
  LC_TRY(pl_judge_list_measures(judge, err));
  judge->points = (size_t)config->curves_steps + 1;
  if (pl_judge_measures(judge, "randomised_heads")) {
    LC_TRY(lc_alloc(&judge->randomised, 1, sizeof *judge->randomised, err));
    LC_TRY(cdam_randomised_init(judge->randomised, &judge->model, (uint64_t)config->seed, err));
    judge->stages = judge->randomised->stages;
  }
  return make_key(judge, err);
}

void pl_judge_free(struct pl_judge *judge) {
  if (judge->randomised) cdam_randomised_free(judge->randomised);
  free(judge->randomised);
  free(judge->measures);
  free(judge->contestants);
  free(judge->targets);
  free(judge->items);
  free(judge->features);
  pl_examples_free(&judge->examples);
  pl_crops_free(&judge->crops);
  cdam_prepared_free(judge->prepared);
  vit_model_free(&judge->model);
  pl_recipe_free(&judge->recipe);
  *judge = (struct pl_judge){0};
}

lc_status pl_judge_hu(const struct pl_judge *judge, size_t example, float *hu,
                      struct lc_error *err) {
  struct ct_preparation how;
  struct ct_image_place place = pl_examples_place(&judge->examples, 0);
  const struct ct_image_source source = pl_examples_source(&judge->examples, example, place);
  pl_recipe_preparation(&judge->recipe, &how);
  return ct_image_hu(&how, &source, place, hu, err);
}

/* A mask of the data on the network's pixels, between 0 and 1. */
static void resample_mask(const struct pl_judge *judge, size_t row, const float *values,
                          float *out) {
  struct ct_augment_draw none;
  ct_augment_none(&none);
  const struct ct_augment_source source = {.hu = values,
                                           .size = judge->crops.size,
                                           .step = judge->recipe.data_spacing_mm /
                                                   judge->crops.crops[row].spacing_mm};
  ct_augment_apply(&none, &source, out, judge->pixels);
}

/* The disc of the nodule's diameter around the middle. */
static void fill_disc(const struct pl_judge *judge, size_t row, uint8_t *mask) {
  size_t n = judge->pixels;
  double radius = judge->crops.crops[row].biomarkers[DIAMETER] / 2 / judge->recipe.data_spacing_mm;
  double middle = 0.5 * (double)(n - 1);
  for (size_t y = 0; y < n; y++)
    for (size_t x = 0; x < n; x++)
      mask[y * n + x] = hypot((double)y - middle, (double)x - middle) <= radius; /* NaN: nowhere */
}

lc_status pl_judge_mask(const struct pl_judge *judge, size_t example, uint8_t *mask,
                        struct lc_error *err) {
  size_t row = judge->examples.rows[example], area = judge->crops.size * judge->crops.size;
  size_t pixels = judge->pixels * judge->pixels, inside = 0;
  const uint8_t *outlined = judge->crops.mask ? judge->crops.mask + row * area : NULL;
  for (size_t i = 0; outlined && i < area; i++) inside += outlined[i];
  if (inside == 0) {
    fill_disc(judge, row, mask);
    return LC_OK;
  }
  LC_FREED float *values = NULL;
  LC_TRY(lc_alloc(&values, area + pixels, sizeof *values, err));
  for (size_t i = 0; i < area; i++) values[i] = outlined[i] ? 1 : 0;
  resample_mask(judge, row, values, values + area);
  for (size_t i = 0; i < pixels; i++) mask[i] = values[area + i] >= 0.5F;
  return LC_OK;
}
