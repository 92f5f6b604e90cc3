/* Writes the preparation of images as metadata for a weight file, applies such metadata to a
 * configuration or recipe, and translates the keys of both into the one description of images. */
#include "pipeline/config/pl_prepared.h"

#include <stdio.h>
#include <string.h>

#include "common/lc_scope.h"
#include "vit/weights/vit_tensor_file.h"

/* What says how images are made, in a recipe and in the configuration of a run. */
static const char *const recipe_keys[] = {
    "data.spacing_mm", "data.pixels", "data.repeat_edge", "data.hu_low",     "data.hu_high",
    "data.zscore",     "data.mean",   "data.deviation",   "test.symmetries", NULL};
/* ... and where other than the middle axial slice is seen. */
static const char *const cube_keys[] = {"data.images", "data.views", NULL};

static bool is_listed(const char *const *list, const char *key) {
  for (; *list; list++)
    if (strcmp(*list, key) == 0) return true;
  return false;
}

static bool is_safetensors(const char *path) {
  static const char ending[] = ".safetensors";
  size_t length = strlen(path), end = sizeof ending - 1;
  return length > end && strcmp(path + length - end, ending) == 0;
}

static lc_status apply(const struct pl_schema *schema, void *object, const char *prefix,
                       const char *path, const struct vit_tensor_file *file, struct lc_error *err) {
  size_t length = strlen(prefix);
  for (size_t i = 0; i < file->n_metadata; i++) {
    const char *key = file->metadata[2 * i], *value = file->metadata[2 * i + 1];
    /* Test symmetries are said once, in the recipe. */
    if (strcmp(prefix, "run.") == 0 && strcmp(key, "recipe.test.symmetries") == 0)
      LC_TRY(pl_schema_set(schema, object, path, "preprocess.symmetries", value, err));
    if (strncmp(key, prefix, length) != 0) continue;
    if (!is_listed(recipe_keys, key + length) && !is_listed(cube_keys, key + length) &&
        strncmp(key + length, "cube.", 5) != 0 && strncmp(key + length, "preprocess.", 11) != 0)
      LC_FAIL(err, LC_ERR_CONFIG, "%s: metadata \"%s\" does not say how images are prepared", path,
              key);
    LC_TRY(pl_schema_set(schema, object, path, key + length, value, err));
  }
  return LC_OK;
}

lc_status pl_prepared_apply(const struct pl_schema *schema, void *object, const char *prefix,
                            const char *path, const struct vit_tensor_file *opened,
                            struct lc_error *err) {
  LC_SCOPED(vit_tensor_file_close) struct vit_tensor_file file = {0};
  if (!path || !is_safetensors(path)) return LC_OK;
  if (opened) return apply(schema, object, prefix, path, opened, err);
  LC_TRY(vit_tensor_file_open(&file, path, err));
  return apply(schema, object, prefix, path, &file, err);
}

static void add(struct pl_prepared *prepared, const char *prefix, const char *key,
                const char *value) {
  if (2 * prepared->n + 2 > sizeof prepared->texts / sizeof prepared->texts[0]) return;
  struct lc_text *texts = &prepared->texts[2 * prepared->n++];
  lc_text_add(&texts[0], "%s%s", prefix, key);
  lc_text_add(&texts[1], "%s", value);
}

/* A key of the recipe under a name of the run's configuration. */
static void add_as(struct pl_prepared *prepared, const struct pl_recipe *recipe, const char *key,
                   const char *run_key) {
  LC_SCOPED(lc_text_free) struct lc_text value = {0};
  pl_schema_print_value(&pl_recipe_schema, recipe, key, &value);
  add(prepared, run_key ? "run." : "recipe.", run_key ? run_key : key, lc_text_get(&value));
}

/* The whole slice of a cube, in which a pixel is so wide: for masks over the images. */
static void add_cube(struct pl_prepared *prepared, size_t edge, double spacing_mm, size_t pixels) {
  char text[40];
  snprintf(text, sizeof text, "%.17g", (double)edge * spacing_mm / (double)pixels);
  add(prepared, "recipe.", "data.spacing_mm", text);
  snprintf(text, sizeof text, "%zu", edge);
  add(prepared, "run.", "cube.edge", text);
  snprintf(text, sizeof text, "%.17g", spacing_mm);
  add(prepared, "run.", "cube.spacing_mm", text);
}

/* The middle axial slice is what files without a word on it mean. */
static void add_views(struct pl_prepared *prepared, const struct pl_recipe *recipe) {
  const struct pl_list *views = &recipe->data_views;
  bool axial = views->n == 1 && strcmp(views->items[0], "axial") == 0;
  if (axial)
    add(prepared, "run.", "preprocess.views", "[axial]");
  else
    add_as(prepared, recipe, "data.views", "preprocess.views");
  if (axial && recipe->data_images == CT_IMAGES_CROP) return;
  for (size_t i = 0; cube_keys[i]; i++) add_as(prepared, recipe, cube_keys[i], NULL);
}

lc_status pl_prepared_describe(struct pl_prepared *prepared, const struct pl_recipe *recipe,
                               size_t edge, double spacing_mm, struct lc_error *err) {
  bool cube = recipe->data_images == CT_IMAGES_CUBE;
  memset(prepared, 0, sizeof *prepared);
  for (size_t i = cube ? 1 : 0; recipe_keys[i]; i++) add_as(prepared, recipe, recipe_keys[i], NULL);
  static const char *const both[][2] = {{"data.pixels", "cube.edge"},
                                        {"data.spacing_mm", "cube.spacing_mm"},
                                        {"data.hu_low", "preprocess.hu_low"},
                                        {"data.hu_high", "preprocess.hu_high"},
                                        {"data.zscore", "preprocess.zscore"},
                                        {"data.mean", "preprocess.mean"},
                                        {"data.deviation", "preprocess.deviation"}};
  if (cube) add_cube(prepared, edge, spacing_mm, (size_t)recipe->data_pixels);
  for (size_t i = cube ? 2 : 0; i < sizeof both / sizeof *both; i++)
    add_as(prepared, recipe, both[i][0], both[i][1]);
  add_views(prepared, recipe);
  for (size_t i = 0; i < 2 * prepared->n; i++) {
    if (prepared->texts[i].failed) LC_FAIL(err, LC_ERR_MEMORY, "no memory for metadata");
    prepared->pairs[i] = lc_text_get(&prepared->texts[i]);
  }
  return LC_OK;
}

void pl_prepared_free(struct pl_prepared *prepared) {
  for (size_t i = 0; i < 2 * prepared->n; i++) lc_text_free(&prepared->texts[i]);
  memset(prepared, 0, sizeof *prepared);
}

lc_status pl_views_check(const struct pl_list *views, const char *key, struct lc_error *err) {
  if (views->n == 0)
    LC_FAIL(err, LC_ERR_CONFIG, "%s is empty, expected at least one of axial, coronal, sagittal",
            key);
  for (size_t i = 0; i < views->n; i++)
    for (size_t j = 0; j < i; j++)
      if (strcmp(views->items[i], views->items[j]) == 0)
        LC_FAIL(err, LC_ERR_CONFIG, "%s names %s twice", key, views->items[i]);
  return LC_OK;
}

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
