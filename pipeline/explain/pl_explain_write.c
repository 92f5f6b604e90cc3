/* Writes maps as safetensors and HDF5, and figures by estimator and by target. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_file.h"
#include "common/lc_math.h"
#include "common/lc_scope.h"
#include "pipeline/explain/pl_explain.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/report/pl_version.h"
#include "pipeline/run/pl_figure.h"
#include "pipeline/run/pl_summary.h"
#include "pipeline/store/pl_crops.h"
#include "pipeline/store/pl_h5.h"

#define MOST_TENSORS (2 * CDAM_ESTIMATORS_MOST + 6)

/* Tensors on their way to a safetensors file; those with `owned` data are freed. */
struct bundle {
  struct vit_tensor tensors[MOST_TENSORS];
  float *owned[MOST_TENSORS];
  char names[MOST_TENSORS][VIT_NAME_SIZE];
  size_t n;
};

static void add(struct bundle *bundle, const char *prefix, const char *name, const float *data,
                size_t rank, const size_t *shape) {
  struct vit_tensor *tensor = &bundle->tensors[bundle->n];
  snprintf(bundle->names[bundle->n], VIT_NAME_SIZE, "%s%s", prefix, name);
  *tensor = (struct vit_tensor){
      .name = bundle->names[bundle->n], .dtype = VIT_F32, .rank = rank, .count = 1, .data = data};
  for (size_t i = 0; i < rank; i++) tensor->count *= tensor->shape[i] = shape[i];
  bundle->n++;
}

static void bundle_free(struct bundle *bundle) {
  for (size_t i = 0; i < bundle->n; i++) free(bundle->owned[i]);
}

/* Targets [first, first + n) of all images, next to each other: from [images, all, size] numbers.
 */
static lc_status take(struct bundle *bundle, const float *from, size_t images, size_t all,
                      size_t first, size_t n, size_t size, const float **out,
                      struct lc_error *err) {
  float *data = NULL;
  LC_TRY(lc_alloc(&data, images * n * size, sizeof *data, err));
  for (size_t i = 0; i < images; i++)
    memcpy(data + i * n * size, from + (i * all + first) * size, n * size * sizeof *data);
  bundle->owned[bundle->n] = data;
  *out = data;
  return LC_OK;
}

/* n: targets; 0: one, without a dimension of its own. */
static void add_scores(struct bundle *bundle, const char *prefix,
                       const struct cdam_estimator *estimator, const struct cdam_maps *maps,
                       const float *data, size_t n) {
  size_t shape[4] = {maps->images}, rank = 1;
  if (n > 0) shape[rank++] = n;
  if (estimator->on_pixels) shape[rank++] = maps->grid_height;
  shape[rank++] = estimator->on_pixels ? maps->grid_width : maps->grid_height * maps->grid_width;
  add(bundle, prefix, estimator->name, data, rank, shape);
}

static lc_status add_maps(const struct pl_explain *explain, size_t index, struct bundle *bundle,
                          struct lc_error *err) {
  const struct cdam_estimator *estimator = explain->estimators[index];
  const struct cdam_maps *maps = &explain->maps[index];
  size_t size = maps->grid_height * maps->grid_width, all = maps->targets;
  size_t n = all - (explain->has_concept && estimator->target_dependent);
  const float *data = maps->scores;
  if (!estimator->target_dependent) {
    add_scores(bundle, "", estimator, maps, data, 0);
    return LC_OK;
  }
  if (n > 0) {
    LC_TRY(take(bundle, maps->scores, maps->images, all, 0, n, size, &data, err));
    add_scores(bundle, "", estimator, maps, data, n);
  }
  if (!explain->has_concept) return LC_OK;
  LC_TRY(take(bundle, maps->scores, maps->images, all, n, 1, size, &data, err));
  add_scores(bundle, "concept_", estimator, maps, data, 0);
  return LC_OK;
}

/* What the targets' own gradients and the concept are. */
static lc_status add_rest(const struct pl_explain *explain, struct bundle *bundle,
                          struct lc_error *err) {
  const struct pl_explain_input *input = &explain->input;
  size_t dim = explain->model.arch.embed_dim, all = explain->n_targets;
  size_t size = VIT_CHANNELS * input->height * input->width, n = all - explain->has_concept;
  if (explain->pixel_gradient && n > 0) {
    const float *data;
    LC_TRY(take(bundle, explain->pixel_gradient, input->n, all, 0, n, size, &data, err));
    add(bundle, "", "pixel_gradient", data, 5,
        (size_t[]){input->n, n, VIT_CHANNELS, input->height, input->width});
  }
  if (!explain->has_concept) return LC_OK;
  float *scores = NULL;
  LC_TRY(lc_alloc(&scores, input->n, sizeof *scores, err));
  for (size_t i = 0; i < input->n; i++)
    scores[i] = (float)cdam_target_value(&explain->targets[all - 1], &explain->model,
                                         explain->logits + i * explain->n_outputs,
                                         explain->cls_embedding + i * dim);
  bundle->owned[bundle->n] = scores;
  add(bundle, "", "concept_score", scores, 1, (size_t[]){input->n});
  add(bundle, "", "concept_vector", input->concept_vector, 1, (size_t[]){dim});
  return LC_OK;
}

lc_status pl_explain_write_tensors(const struct pl_explain *explain, const char *path,
                                   struct lc_error *err) {
  LC_SCOPED(bundle_free) struct bundle bundle = {0};
  LC_SCOPED(lc_text_free) struct lc_text targets = {0};
  size_t n = explain->input.n;
  if (explain->n_outputs)
    add(&bundle, "", "logits", explain->logits, 2, (size_t[]){n, explain->n_outputs});
  add(&bundle, "", "cls_embedding", explain->cls_embedding, 2,
      (size_t[]){n, explain->model.arch.embed_dim});
  for (size_t i = 0; i < explain->n_estimators; i++) LC_TRY(add_maps(explain, i, &bundle, err));
  LC_TRY(add_rest(explain, &bundle, err));
  for (size_t t = 0; t + explain->has_concept < explain->n_targets; t++)
    lc_text_add(&targets, "%s%s", t ? "," : "", explain->targets[t].name);
  char grid[64];
  snprintf(grid, sizeof grid, "%zu,%zu", explain->grid_height, explain->grid_width);
  char shifts[32];
  snprintf(shifts, sizeof shifts, "%zu", cdam_shifts_count(&explain->variants.shifts));
  const char *const notice =
      explain->model.trained ? "research use only" : "UNTRAINED WEIGHTS, research use only";
  const char *const metadata[][2] = {{"program", "lungcdam"},
                                     {"program_version", pl_version()},
                                     {"weights_sha256", explain->model.weights_sha256},
                                     {"targets", lc_text_get(&targets)},
                                     {"grid", grid},
                                     {"shifts", shifts},
                                     {"notice", notice}};
  return vit_tensor_file_write(path, bundle.tensors, bundle.n, metadata[0],
                               sizeof metadata / sizeof *metadata, err);
}

static void h5_parameter(struct pl_h5 *h5, const char *path, const struct cdam_parameter *parameter,
                         double value) {
  if (parameter->kind == CDAM_CHOICE)
    pl_h5_attribute_text(h5, path, parameter->name, parameter->choices[(size_t)value]);
  else if (parameter->kind == CDAM_WHOLE)
    pl_h5_attribute_integer(h5, path, parameter->name, (int64_t)value);
  else
    pl_h5_attribute_real(h5, path, parameter->name, value);
}

/* A parameter of this name of any estimator: what type its attribute has. */
static const struct cdam_parameter *any_parameter(const char *name) {
  size_t n;
  const struct cdam_estimator *const *all = cdam_estimators(&n);
  for (size_t e = 0; e < n; e++) {
    size_t i = cdam_parameter_find(all[e], name);
    if (i < all[e]->n_parameters) return &all[e]->parameters[i];
  }
  return NULL;
}

/* Readers of earlier files find these at every map: 0 where its estimator has no such parameter. */
static const char *const everywhere[] = {"samples", "level",  "baseline", "place", "head",
                                         "box",     "stride", "cells",    "keep"};
enum { N_EVERYWHERE = sizeof everywhere / sizeof *everywhere, BEFORE_SEED = 3 };

/* What an estimator ran with: those, then its other parameters. */
static void h5_settings(struct pl_h5 *h5, const char *path, const struct cdam_estimator *estimator,
                        const struct cdam_settings *s) {
  bool done[CDAM_PARAMETERS_MOST] = {false};
  for (size_t i = 0; i < N_EVERYWHERE; i++) {
    size_t at = cdam_parameter_find(estimator, everywhere[i]);
    bool has = at < estimator->n_parameters;
    double value = has ? s->values[at] : 0;
    if (has) done[at] = true;
    if (i == BEFORE_SEED) {
      pl_h5_attribute_integer(h5, path, "seed", (int64_t)s->seed);
      pl_h5_attribute_integer(h5, path, "noise_given", s->noise != NULL);
    }
    if (i == 0 && s->noise) value = (double)s->noise_samples;
    h5_parameter(h5, path, any_parameter(everywhere[i]), value);
  }
  for (size_t i = 0; i < estimator->n_parameters; i++)
    if (!done[i]) h5_parameter(h5, path, &estimator->parameters[i], s->values[i]);
}

static void h5_map(struct pl_h5 *h5, const struct pl_explain *explain, size_t index) {
  const struct cdam_estimator *estimator = explain->estimators[index];
  const struct cdam_maps *maps = &explain->maps[index];
  char path[96];
  snprintf(path, sizeof path, "maps/%s", estimator->name);
  struct pl_h5_array array = {
      .path = path,
      .type = PL_H5_F32,
      .rank = 4,
      .dims = {maps->images, maps->targets, maps->grid_height, maps->grid_width},
      .data = maps->scores,
      .unit = "1",
      .doc = estimator->on_pixels ? "scores [image, target, pixel row, pixel column]"
                                  : "scores [image, target, row of cells, column of cells]"};
  pl_h5_array(h5, &array);
  pl_h5_attach(h5, path, 0, "images");
  if (estimator->target_dependent) pl_h5_attach(h5, path, 1, "targets");
  pl_h5_attribute_text(h5, path, "title", estimator->title);
  pl_h5_attribute_text(h5, path, "source", estimator->source);
  pl_h5_attribute_integer(h5, path, "signed", estimator->is_signed);
  pl_h5_attribute_integer(h5, path, "target_dependent", estimator->target_dependent);
  pl_h5_attribute_integer(h5, path, "shifts",
                          (int64_t)cdam_shifts_count(&explain->variants.shifts));
  h5_settings(h5, path, estimator, &explain->effective[index]);
  if (!maps->gaps) return;
  snprintf(path, sizeof path, "completeness/%s", estimator->name);
  pl_h5_array(h5, &(struct pl_h5_array){
                      .path = path,
                      .type = PL_H5_F32,
                      .rank = 2,
                      .dims = {maps->images, maps->targets},
                      .data = maps->gaps,
                      .unit = "1",
                      .doc = "|sum of the scores - change| / |change| of the output from the "
                             "baseline to the image [image, target]"});
}

lc_status pl_explain_write_h5(const struct pl_explain *explain, const char *path,
                              struct lc_error *err) {
  LC_FREED const char **targets = NULL;
  struct pl_h5 h5;
  LC_TRY(lc_alloc(&targets, explain->n_targets, sizeof *targets, err));
  for (size_t t = 0; t < explain->n_targets; t++) targets[t] = explain->targets[t].name;
  pl_h5_start(&h5);
  pl_h5_about(&h5, "lungcdam explanations of prepared images", 1,
              explain->model.trained
                  ? "research use only"
                  : "UNTRAINED WEIGHTS: the numbers mean nothing; research use only");
  pl_h5_attribute_text(&h5, "/", "weights_sha256", explain->model.weights_sha256);
  if (explain->model.assumed)
    pl_h5_attribute_text(&h5, "/", "weights_assumed", explain->model.assumed);
  pl_h5_texts(&h5, "images", 1, &explain->input.n, sizeof *explain->input.names,
              (const char *)explain->input.names, "name of each image");
  pl_h5_scale(&h5, "images");
  pl_h5_names(&h5, "targets", targets, explain->n_targets, VIT_NAME_SIZE, "what each map explains");
  pl_h5_scale(&h5, "targets");
  if (explain->n_outputs)
    pl_h5_array(&h5, &(struct pl_h5_array){.path = "logits",
                                           .type = PL_H5_F32,
                                           .rank = 2,
                                           .dims = {explain->input.n, explain->n_outputs},
                                           .data = explain->logits,
                                           .unit = "1",
                                           .doc = "outputs of the model [image, output]"});
  for (size_t i = 0; i < explain->n_estimators; i++) h5_map(&h5, explain, i);
  return pl_h5_finish(&h5, path, err);
}

#define MOST_PANELS (2 + VIT_MAX_OUTPUTS + 1)

/* A figure on its way, and what it points to. */
struct sheet {
  const struct pl_explain *explain;
  const struct pl_explain_figures *wishes;
  const char *folder;
  size_t image;
  struct cdam_figure figure;
  struct cdam_panel panels[MOST_PANELS];
  char captions[MOST_PANELS][96], heading[256], footer[256];
  float *scaled; /* maps brought to a largest score of 1, one behind another */
  size_t used;   /* of them */
  size_t n;      /* panels */
};

static void value_caption(const struct sheet *sheet, size_t target, char out[96]) {
  const struct pl_explain *explain = sheet->explain;
  const struct cdam_target *t = &explain->targets[target];
  size_t dim = explain->model.arch.embed_dim;
  double value =
      cdam_target_value(t, &explain->model, explain->logits + sheet->image * explain->n_outputs,
                        explain->cls_embedding + sheet->image * dim);
  const char *unit = t->kind == CDAM_OUTPUT ? pl_output_unit(t->name) : "";
  if (t->kind == CDAM_OUTPUT && vit_arch_output_is_logit(&explain->model.arch, t->a))
    snprintf(out, 96, "probability %.3f", lc_sigmoid(value));
  else
    snprintf(out, 96, "%s %.3f%s%s", t->kind == CDAM_CONCEPT ? "similarity" : "output", value,
             *unit ? " " : "", unit);
}

/* The grey image alone, as the model sees it. relative: maps are brought to a largest score of 1.
 */
static void start_sheet(struct sheet *sheet, bool relative, bool unsigned_maps) {
  const struct pl_explain_input *input = &sheet->explain->input;
  size_t plane = input->height * input->width;
  const float *grey = input->images + sheet->image * input->turns * VIT_CHANNELS * plane;
  double low = INFINITY, high = -INFINITY;
  for (size_t i = 0; i < plane; i++) {
    low = fmin(low, (double)grey[i]);
    high = fmax(high, (double)grey[i]);
  }
  sheet->figure =
      (struct cdam_figure){.panels = sheet->panels,
                           .window_low_hu = low,
                           .window_high_hu = high > low ? high : low + 1,
                           .scale = relative ? 1 : 0,
                           .colours = sheet->wishes->colours,
                           .enlarge = sheet->wishes->enlarge,
                           .heading = sheet->heading,
                           .footer = sheet->footer,
                           .scale_label = relative ? "score / largest score of the map" : "score",
                           .unsigned_maps = unsigned_maps,
                           .theme = sheet->wishes->theme};
  sheet->used = 0;
  sheet->n = 1;
  sheet->panels[0] = (struct cdam_panel){
      .hu = grey, .rows = input->height, .columns = input->width, .title = "image"};
}

/* A map under a caption, to whose end its largest score goes when it is divided by it. */
static void add_panel(struct sheet *sheet, const struct cdam_maps *maps, size_t target,
                      const char *title, bool relative) {
  size_t size = maps->grid_height * maps->grid_width;
  const float *map = cdam_maps_get(maps, sheet->image, target);
  char *caption = sheet->captions[sheet->n];
  struct cdam_panel *panel = &sheet->panels[sheet->n++];
  *panel = sheet->panels[0];
  panel->map = map;
  panel->grid_height = maps->grid_height;
  panel->grid_width = maps->grid_width;
  panel->title = title;
  panel->caption = caption;
  if (!relative) return;
  size_t length = strlen(caption);
  float *scaled = sheet->scaled + sheet->used;
  double top = 0;
  for (size_t k = 0; k < size; k++) top = fmax(top, fabs((double)map[k]));
  for (size_t k = 0; k < size; k++) scaled[k] = top > 0 ? (float)((double)map[k] / top) : 0;
  snprintf(caption + length, sizeof *sheet->captions - length, "%slargest score %.3g",
           length ? "\n" : "", top);
  sheet->used += size;
  panel->map = scaled;
}

static lc_status write_sheet(struct sheet *sheet, const char *what, struct lc_error *err) {
  char name[256], path[LC_PATH_SIZE];
  snprintf(name, sizeof name, "%s-%s.%s", sheet->explain->input.names[sheet->image], what,
           sheet->wishes->format);
  for (char *c = name; *c; c++)
    if (*c == '/' || *c == ' ') *c = '_';
  LC_TRY(lc_path_join(path, sheet->folder, name, err));
  sheet->figure.n_panels = sheet->n;
  sheet->figure.n_columns = sheet->n < 5 ? sheet->n : 5;
  sheet->figure.panel_pixels = sheet->n > 3 ? 288 : 448;
  return cdam_figure_write(&sheet->figure, path, err);
}

/* Beside the image the attention, where it was asked for too and room is left in two rows of five:
 * with eight biomarkers the grid of Brocki, Binda and Chung. */
static void add_attention(struct sheet *sheet, size_t index) {
  const struct pl_explain *explain = sheet->explain;
  const struct cdam_maps *attention = NULL;
  for (size_t i = 0; i < explain->n_estimators; i++)
    if (strcmp(explain->estimators[i]->name, "attention_map") == 0) attention = &explain->maps[i];
  if (!attention || !explain->estimators[index]->target_dependent ||
      explain->maps[index].targets + 2 > 10)
    return;
  sheet->captions[sheet->n][0] = '\0';
  add_panel(sheet, attention, 0, "attention", true);
}

/* The image and one estimator's maps for all targets. Targets differ in unit, so that several are
 * each brought to a largest score of 1. */
static lc_status write_estimator(struct sheet *sheet, size_t index, struct lc_error *err) {
  const struct pl_explain *explain = sheet->explain;
  const struct cdam_estimator *estimator = explain->estimators[index];
  const struct cdam_maps *maps = &explain->maps[index];
  bool named = estimator->target_dependent, several = maps->targets > 1;
  snprintf(sheet->heading, sizeof sheet->heading, "%s: %s", explain->input.names[sheet->image],
           estimator->title);
  start_sheet(sheet, several, !estimator->is_signed);
  if (several) add_attention(sheet, index);
  for (size_t t = 0; t < maps->targets; t++) {
    const struct cdam_target *target = named ? &explain->targets[t] : NULL;
    /* "spiculation" for "biomarkers.spiculation"; a difference keeps both names whole. */
    const char *title = !target                           ? estimator->title
                        : target->kind == CDAM_DIFFERENCE ? target->name
                                                          : pl_short_name(target->name);
    sheet->captions[sheet->n][0] = '\0';
    if (target) value_caption(sheet, t, sheet->captions[sheet->n]);
    add_panel(sheet, maps, t, title, several);
  }
  return write_sheet(sheet, estimator->name, err);
}

/* The image and all estimators' maps for one target, each brought to a largest score of 1. */
static lc_status write_target(struct sheet *sheet, size_t target, struct lc_error *err) {
  const struct pl_explain *explain = sheet->explain;
  char value[96];
  value_caption(sheet, target, value);
  snprintf(sheet->heading, sizeof sheet->heading, "%s: %s, %s", explain->input.names[sheet->image],
           explain->targets[target].name, value);
  start_sheet(sheet, true, false);
  for (size_t i = 0; i < explain->n_estimators; i++) {
    sheet->captions[sheet->n][0] = '\0';
    add_panel(sheet, &explain->maps[i], explain->estimators[i]->target_dependent ? target : 0,
              explain->estimators[i]->title, true);
  }
  return write_sheet(sheet, explain->targets[target].name, err);
}

lc_status pl_explain_write_figures(const struct pl_explain *explain,
                                   const struct pl_explain_figures *figures, const char *folder,
                                   struct lc_error *err) {
  struct sheet sheet = {.explain = explain, .wishes = figures, .folder = folder};
  LC_FREED float *scaled = NULL;
  size_t total = 0;
  pl_figure_footer(explain->model.trained, explain->model.weights_sha256, sheet.footer,
                   sizeof sheet.footer);
  for (size_t i = 0; i < explain->n_estimators; i++)
    total += explain->maps[i].grid_height * explain->maps[i].grid_width *
             (explain->maps[i].targets + 1); /* enough for any sheet */
  LC_TRY(lc_alloc(&scaled, total, sizeof *scaled, err));
  sheet.scaled = scaled;
  for (; sheet.image < explain->input.n; sheet.image++) {
    LC_TRY(pl_signal_check(err));
    for (size_t i = 0; i < explain->n_estimators; i++) LC_TRY(write_estimator(&sheet, i, err));
    for (size_t t = 0; t < explain->n_targets && explain->n_estimators > 1; t++)
      LC_TRY(write_target(&sheet, t, err));
  }
  return LC_OK;
}
