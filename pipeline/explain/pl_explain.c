/* Reads images, chooses estimators and targets, and runs the estimators batch by batch. */
#include "pipeline/explain/pl_explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_scope.h"
#include "pipeline/report/pl_signal.h"
#include "vit/pass/vit_forward.h"

#define BATCH 8

/* A tensor of the given rank as floats: free(*out). */
static lc_status read_one(const struct vit_tensor_file *file, const char *name, size_t rank,
                          const struct vit_tensor **tensor, float **out, struct lc_error *err) {
  *tensor = vit_tensor_file_find(file, name);
  if (!*tensor) LC_FAIL(err, LC_ERR_TENSOR, "%s: no tensor \"%s\"", file->path, name);
  if ((*tensor)->rank != rank)
    LC_FAIL(err, LC_ERR_TENSOR, "%s: tensor \"%s\" has %zu dimensions, expected %zu", file->path,
            name, (*tensor)->rank, rank);
  if ((*tensor)->count == 0)
    LC_FAIL(err, LC_ERR_TENSOR, "%s: tensor \"%s\" is empty", file->path, name);
  LC_TRY(lc_alloc(out, (*tensor)->count, sizeof **out, err));
  return vit_tensor_to_float(*tensor, *out, err);
}

static lc_status read_images(struct pl_explain *explain, const struct vit_tensor_file *file,
                             struct lc_error *err) {
  struct pl_explain_input *input = &explain->input;
  const struct vit_tensor *tensor;
  LC_TRY(read_one(file, "input", 4, &tensor, &input->images, err));
  size_t patch = explain->model.arch.patch_size;
  if (tensor->shape[1] != VIT_CHANNELS || tensor->shape[2] % patch || tensor->shape[3] % patch)
    LC_FAIL(err, LC_ERR_TENSOR,
            "%s: \"input\" is [%zu, %zu, %zu, %zu], expected [n, 3, height, width] in multiples "
            "of the patch size %zu",
            file->path, tensor->shape[0], tensor->shape[1], tensor->shape[2], tensor->shape[3],
            patch);
  input->n = tensor->shape[0];
  input->turns = 1;
  input->height = tensor->shape[2];
  input->width = tensor->shape[3];
  LC_TRY(lc_alloc(&input->names, input->n, sizeof *input->names, err));
  for (size_t i = 0; i < input->n; i++)
    snprintf(input->names[i], sizeof input->names[i], "image-%03zu", i);
  return LC_OK;
}

/* A tensor [n, 3, height, width] must be of the images' shape. */
static lc_status check_shape(const struct pl_explain_input *input,
                             const struct vit_tensor_file *file, const struct vit_tensor *tensor,
                             struct lc_error *err) {
  if (tensor->shape[1] == VIT_CHANNELS && tensor->shape[2] == input->height &&
      tensor->shape[3] == input->width)
    return LC_OK;
  LC_FAIL(err, LC_ERR_TENSOR, "%s: \"%s\" is not of the images' shape", file->path, tensor->name);
}

static lc_status read_noise(struct pl_explain *explain, const struct vit_tensor_file *file,
                            struct lc_error *err) {
  struct pl_explain_input *input = &explain->input;
  const struct vit_arch *arch = &explain->model.arch;
  size_t tokens =
      vit_arch_prefix(arch) + input->height / arch->patch_size * (input->width / arch->patch_size);
  const struct vit_tensor *tensor;
  if (vit_tensor_file_find(file, "smooth_noise")) {
    LC_TRY(read_one(file, "smooth_noise", 3, &tensor, &input->smooth_noise, err));
    input->n_smooth_noise = tensor->shape[0];
    if (tensor->shape[1] != tokens || tensor->shape[2] != arch->embed_dim)
      LC_FAIL(err, LC_ERR_TENSOR, "%s: \"smooth_noise\" is [n, %zu, %zu], expected [n, %zu, %zu]",
              file->path, tensor->shape[1], tensor->shape[2], tokens, arch->embed_dim);
  }
  if (vit_tensor_file_find(file, "smoothgrad_noise")) {
    LC_TRY(read_one(file, "smoothgrad_noise", 4, &tensor, &input->smoothgrad_noise, err));
    input->n_smoothgrad_noise = tensor->shape[0];
    LC_TRY(check_shape(input, file, tensor, err));
  }
  return LC_OK;
}

/* The mean CLS embedding of example images becomes the concept. */
static lc_status average_concept(struct pl_explain *explain, const struct vit_tensor_file *file,
                                 struct lc_error *err) {
  struct pl_explain_input *input = &explain->input;
  const struct vit_tensor *tensor;
  LC_SCOPED(vit_workspace_free) struct vit_workspace workspace = {0};
  struct vit_trace trace;
  size_t dim = explain->model.arch.embed_dim;
  LC_FREED float *images = NULL;
  LC_TRY(read_one(file, "concept_images", 4, &tensor, &images, err));
  LC_TRY(check_shape(input, file, tensor, err));
  LC_TRY(lc_alloc(&input->concept_vector, dim, sizeof(float), err));
  LC_TRY(vit_workspace_init(&workspace, &explain->model, tensor->shape[0], input->height,
                            input->width, NULL, err));
  LC_TRY(vit_forward(&workspace, images, tensor->shape[0], &trace, err));
  for (size_t k = 0; k < dim; k++) {
    double sum = 0;
    for (size_t i = 0; i < trace.batch; i++) sum += (double)trace.cls_embedding[i * dim + k];
    input->concept_vector[k] = (float)(sum / (double)trace.batch);
  }
  return LC_OK;
}

lc_status pl_explain_read_tensors(struct pl_explain *explain, const char *path,
                                  struct lc_error *err) {
  LC_SCOPED(vit_tensor_file_close) struct vit_tensor_file file = {0};
  const struct vit_tensor *tensor;
  LC_TRY(vit_tensor_file_open(&file, path, err));
  LC_TRY(read_images(explain, &file, err));
  LC_TRY(read_noise(explain, &file, err));
  if (vit_tensor_file_find(&file, "concept_vector")) {
    LC_TRY(read_one(&file, "concept_vector", 1, &tensor, &explain->input.concept_vector, err));
    if (tensor->count != explain->model.arch.embed_dim)
      LC_FAIL(err, LC_ERR_TENSOR, "%s: \"concept_vector\" has %zu values, expected %zu", path,
              tensor->count, explain->model.arch.embed_dim);
  } else if (vit_tensor_file_find(&file, "concept_images")) {
    LC_TRY(average_concept(explain, &file, err));
  }
  return LC_OK;
}

/* The next word of a list with commas, cut to size; false after the last. */
static bool next_word(const char **list, char *word, size_t size) {
  if (!*list) return false;
  size_t length = strcspn(*list, ",");
  snprintf(word, size, "%.*s", (int)length, *list);
  *list = (*list)[length] ? *list + length + 1 : NULL;
  return true;
}

static lc_status choose_targets(struct pl_explain *explain, const char *list,
                                struct lc_error *err) {
  size_t outputs = vit_arch_outputs(&explain->model.arch), n = 1;
  bool all = strcmp(list, "all") == 0;
  for (const char *c = list; *c; c++) n += *c == ',';
  if (all) n = outputs;
  explain->has_concept = explain->input.concept_vector != NULL;
  LC_TRY(lc_alloc(&explain->targets, n + 1, sizeof *explain->targets, err));
  if (all) {
    cdam_target_all(explain->targets, &explain->model);
    explain->n_targets = outputs;
  }
  for (char word[2 * VIT_NAME_SIZE]; !all && next_word(&list, word, sizeof word);)
    LC_TRY(cdam_target_parse(&explain->targets[explain->n_targets++], &explain->model, word, err));
  if (explain->has_concept)
    explain->targets[explain->n_targets++] = (struct cdam_target){
        .kind = CDAM_CONCEPT, .name = "concept", .concept_vector = explain->input.concept_vector};
  if (explain->n_targets == 0)
    LC_FAIL(err, LC_ERR_USAGE, "the model has no prediction head and no concept was given");
  return LC_OK;
}

/* Defaults, then what was given for all, then for this one. */
static lc_status settle(struct pl_explain *explain, size_t index, struct lc_error *err) {
  const struct cdam_estimator *estimator = explain->estimators[index];
  const struct pl_explain_settings *given = &explain->settings;
  const struct pl_explain_input *input = &explain->input;
  struct cdam_settings *s = &explain->effective[index];
  cdam_settings_init(estimator, s);
  for (size_t i = 0; i < given->n_general; i++) {
    size_t at = cdam_parameter_find(estimator, given->general[i].parameter);
    if (at < estimator->n_parameters) s->values[at] = given->general[i].value;
  }
  pl_parameters_apply(&given->parameters, estimator, s);
  s->seed = given->seed;
  if (strcmp(estimator->name, "smooth_cdam") == 0) {
    s->noise = input->smooth_noise;
    s->noise_samples = input->n_smooth_noise;
  }
  if (strcmp(estimator->name, "smoothgrad") == 0) {
    s->noise = input->smoothgrad_noise;
    s->noise_samples = input->n_smoothgrad_noise;
  }
  return cdam_settings_check(estimator, s, err);
}

static lc_status add_estimator(struct pl_explain *explain, const char *name, struct lc_error *err) {
  const struct cdam_estimator *estimator;
  LC_TRY(cdam_estimator_find(name, &estimator, err));
  for (size_t i = 0; i < explain->n_estimators; i++)
    if (explain->estimators[i] == estimator)
      LC_FAIL(err, LC_ERR_USAGE, "estimator \"%s\" is given twice", name);
  explain->estimators[explain->n_estimators++] = estimator;
  return LC_OK;
}

/* "samples=1000" of the estimator that was added last. */
static lc_status add_parameter(struct pl_explain *explain, const char *pair, struct lc_error *err) {
  const char *equals = strchr(pair, '=');
  char name[64], key[128], origin[160];
  if (!equals || explain->n_estimators == 0)
    LC_FAIL(err, LC_ERR_USAGE, "\"%s\": expected parameters as NAME:PARAMETER=VALUE", pair);
  const struct cdam_estimator *estimator = explain->estimators[explain->n_estimators - 1];
  struct cdam_settings defaults;
  cdam_settings_init(estimator, &defaults);
  snprintf(name, sizeof name, "%.*s", (int)(equals - pair), pair);
  if (cdam_parameter_find(estimator, name) == estimator->n_parameters)
    return cdam_settings_set(estimator, &defaults, name, 0, err); /* says what there is */
  snprintf(key, sizeof key, "estimators.%s.%s", estimator->name, name);
  snprintf(origin, sizeof origin, "%s:%s", estimator->name, pair);
  return pl_schema_set(&pl_parameters_schema, &explain->settings.parameters, origin, key,
                       equals + 1, err);
}

/* One word between commas: "cdam", "rise:samples=1000", or a further "keep=0.4". */
static lc_status add_word(struct pl_explain *explain, char *word, struct lc_error *err) {
  char *colon = strchr(word, ':');
  if (!colon && strchr(word, '=')) return add_parameter(explain, word, err);
  if (colon) *colon = '\0';
  LC_TRY(add_estimator(explain, word, err));
  return colon ? add_parameter(explain, colon + 1, err) : LC_OK;
}

lc_status pl_explain_choose(struct pl_explain *explain, const char *estimators, const char *targets,
                            struct lc_error *err) {
  size_t count, shifts = explain->settings.shifts;
  const struct cdam_estimator *const *table = cdam_estimators(&count);
  bool all = strcmp(estimators, "all") == 0;
  explain->variants.turns = explain->input.turns;
  LC_TRY(cdam_shifts_init(&explain->variants.shifts, shifts ? shifts : 1,
                          explain->model.arch.patch_size, err));
  explain->n_estimators = 0;
  for (size_t i = 0; all && i < count; i++) LC_TRY(add_estimator(explain, table[i]->name, err));
  for (char word[96]; !all && next_word(&estimators, word, sizeof word);)
    LC_TRY(add_word(explain, word, err));
  for (size_t i = 0; i < explain->n_estimators; i++) LC_TRY(settle(explain, i, err));
  return choose_targets(explain, targets, err);
}

lc_status pl_explain_grow(struct pl_explain_input *input, size_t more, struct lc_error *err) {
  size_t size = VIT_CHANNELS * input->height * input->width, n = input->n + more;
  float *images = realloc(input->images, n * input->turns * size * sizeof *images);
  if (images) input->images = images;
  char(*names)[128] = realloc(input->names, n * sizeof *names);
  if (names) input->names = names;
  if (!images || !names) LC_FAIL(err, LC_ERR_MEMORY, "no memory for %zu images", n);
  memset(input->names + input->n, 0, more * sizeof *names); /* they go to files whole */
  return LC_OK;
}

lc_status pl_explain_make(struct pl_explain_input *input, size_t index,
                          const struct ct_preparation *how, const struct ct_image_source *source,
                          struct ct_image_place place, struct lc_error *err) {
  size_t size = VIT_CHANNELS * input->height * input->width;
  for (size_t turn = 0; turn < input->turns; turn++) {
    struct ct_augment_draw draw;
    ct_augment_symmetry((unsigned)turn, &draw);
    LC_TRY(ct_image_make(how, source, place, &draw,
                         input->images + (index * input->turns + turn) * size, err));
  }
  return LC_OK;
}

/* Maps of network images first, first + 1, ... to their place among all. */
static lc_status keep(struct pl_explain *explain, size_t index, size_t first,
                      const struct cdam_maps *maps, struct lc_error *err) {
  size_t count = pl_variants_count(&explain->variants);
  struct cdam_maps *all = &explain->maps[index];
  bool pixels = explain->estimators[index]->on_pixels;
  size_t finer = pixels ? 1 : explain->variants.shifts.along, n = maps->targets;
  if (!all->scores)
    LC_TRY(cdam_maps_init(all, explain->input.n, n, maps->grid_height * finer,
                          maps->grid_width * finer, err));
  if (maps->gaps && !all->gaps)
    LC_TRY(lc_alloc(&all->gaps, all->images * n, sizeof *all->gaps, err));
  for (size_t k = 0; maps->gaps && k < maps->images * n; k++)
    all->gaps[(first + k / n) / count * n + k % n] += maps->gaps[k] / (float)count;
  for (size_t i = 0; i < maps->images; i++) {
    const struct pl_variant_maps of = {cdam_maps_get(maps, i, 0), maps->targets, maps->grid_height,
                                       maps->grid_width, pixels};
    LC_TRY(pl_variants_add_back(&explain->variants, (first + i) % count, &of,
                                cdam_maps_get(all, (first + i) / count, 0), err));
  }
  return LC_OK;
}

/* The gradient of all pixels is large: one network image at a time. */
static lc_status keep_gradient(struct pl_explain *explain, const struct cdam_task *batch,
                               size_t first, size_t n, struct lc_error *err) {
  const struct pl_explain_input *input = &explain->input;
  size_t size = VIT_CHANNELS * input->height * input->width, one = batch->n_targets * size;
  size_t count = pl_variants_count(&explain->variants);
  LC_FREED float *gradient = NULL;
  LC_TRY(lc_alloc(&gradient, n * one, sizeof *gradient, err));
  LC_TRY(cdam_pixel_gradient(batch, gradient, err));
  for (size_t i = 0; i < n; i++) {
    const struct pl_variant_maps of = {gradient + i * one, batch->n_targets * VIT_CHANNELS,
                                       input->height, input->width, true};
    LC_TRY(pl_variants_add_back(&explain->variants, (first + i) % count, &of,
                                explain->pixel_gradient + (first + i) / count * one, err));
  }
  return LC_OK;
}

/* What all batches add to: [n, outputs] and [n, dim]; and room for a batch of shifted images. */
struct sums {
  double *logits, *cls_embedding;
  float *shifted;
};

/* Network images [first, first + n): as they are, or shifted. */
static const float *take_images(const struct pl_explain *explain, const struct sums *sums,
                                size_t first, size_t n) {
  const struct pl_explain_input *input = &explain->input;
  const struct cdam_shifts *shifts = &explain->variants.shifts;
  size_t size = VIT_CHANNELS * input->height * input->width, count = cdam_shifts_count(shifts);
  if (count == 1) return input->images + first * size;
  for (size_t i = 0; i < n; i++)
    cdam_shift_image(shifts, (first + i) % count, input->images + (first + i) / count * size,
                     VIT_CHANNELS, input->height, input->width, sums->shifted + i * size);
  return sums->shifted;
}

static void add_outputs(const struct pl_explain *explain, const struct vit_trace *trace,
                        const struct sums *sums, size_t first) {
  size_t outputs = explain->n_outputs, dim = explain->model.arch.embed_dim;
  size_t turns = explain->variants.turns, count = pl_variants_count(&explain->variants);
  for (size_t i = 0; i < trace->batch; i++) {
    size_t image = (first + i) / count;
    if (!pl_variants_predicts(&explain->variants, first + i)) continue;
    for (size_t k = 0; k < outputs; k++)
      sums->logits[image * outputs + k] += (double)trace->logits[i * outputs + k] / (double)turns;
    for (size_t k = 0; k < dim; k++)
      sums->cls_embedding[image * dim + k] +=
          (double)trace->cls_embedding[i * dim + k] / (double)turns;
  }
}

/* Network images [first, first + n). */
static lc_status run_batch(struct pl_explain *explain, struct vit_workspace *workspace,
                           const struct sums *sums, size_t first, size_t n,
                           struct lc_progress *progress, struct lc_error *err) {
  const struct pl_explain_input *input = &explain->input;
  struct vit_trace trace;
  const float *images = take_images(explain, sums, first, n);
  LC_TRY(vit_forward(workspace, images, n, &trace, err));
  explain->grid_height = trace.grid_height * explain->variants.shifts.along;
  explain->grid_width = trace.grid_width * explain->variants.shifts.along;
  add_outputs(explain, &trace, sums, first);
  struct cdam_task task = {.model = &explain->model,
                           .images = images,
                           .height = input->height,
                           .width = input->width,
                           .trace = &trace,
                           .targets = explain->targets,
                           .n_targets = explain->n_targets,
                           .prepared = explain->prepared};
  for (size_t i = 0; i < explain->n_estimators; i++) {
    LC_SCOPED(cdam_maps_free) struct cdam_maps maps = {0};
    LC_TRY(pl_signal_check(err));
    task.settings = &explain->effective[i];
    LC_TRY(cdam_estimate(explain->estimators[i], &task, &maps, err));
    LC_TRY(keep(explain, i, first, &maps, err));
    lc_progress_step(progress, n);
  }
  return explain->pixel_gradient ? keep_gradient(explain, &task, first, n, err) : LC_OK;
}

static bool many_passes(const struct pl_explain *explain) {
  for (size_t i = 0; i < explain->n_estimators; i++)
    if (explain->estimators[i]->needs & CDAM_NEEDS_IMAGES) return true;
  return false;
}

static lc_status run_batches(struct pl_explain *explain, const struct vit_request *request,
                             struct lc_progress *progress, struct lc_error *err) {
  const struct pl_explain_input *input = &explain->input;
  size_t all = input->n * pl_variants_count(&explain->variants);
  size_t size = VIT_CHANNELS * input->height * input->width,
         n_logits = input->n * explain->n_outputs;
  size_t n_embedding = input->n * explain->model.arch.embed_dim;
  LC_SCOPED(vit_workspace_free) struct vit_workspace workspace = {0};
  LC_FREED double *logits = NULL, *embedding = NULL;
  LC_FREED float *shifted = NULL;
  /* The attention of all blocks is large, and many passes an image are slow to be stopped: then one
   * image at a time. */
  size_t batch = request->all_attention || many_passes(explain) ? 1 : BATCH;
  if (batch > all) batch = all;
  LC_TRY(lc_alloc(&logits, n_logits + 1, sizeof *logits, err));
  LC_TRY(lc_alloc(&embedding, n_embedding, sizeof *embedding, err));
  LC_TRY(vit_workspace_init(&workspace, &explain->model, batch, input->height, input->width,
                            request, err));
  if (explain->variants.shifts.along > 1)
    LC_TRY(lc_alloc(&shifted, batch * size, sizeof *shifted, err));
  const struct sums sums = {logits, embedding, shifted};
  for (size_t first = 0; first < all; first += batch)
    LC_TRY(run_batch(explain, &workspace, &sums, first, all - first < batch ? all - first : batch,
                     progress, err));
  for (size_t k = 0; k < n_logits; k++) explain->logits[k] = (float)logits[k];
  for (size_t k = 0; k < n_embedding; k++) explain->cls_embedding[k] = (float)embedding[k];
  return LC_OK;
}

lc_status pl_explain_run(struct pl_explain *explain, struct lc_progress *progress,
                         struct lc_error *err) {
  const struct pl_explain_input *input = &explain->input;
  struct vit_request request = {0};
  explain->n_outputs = vit_arch_outputs(&explain->model.arch);
  for (size_t i = 0; i < explain->n_estimators; i++)
    cdam_estimator_request(explain->estimators[i], &request);
  LC_TRY(cdam_prepared_init(&explain->prepared, &explain->model, err));
  LC_TRY(lc_alloc(&explain->logits, input->n * explain->n_outputs + 1, sizeof(float), err));
  LC_TRY(lc_alloc(&explain->cls_embedding, input->n * explain->model.arch.embed_dim, sizeof(float),
                  err));
  if (explain->keep_gradient)
    LC_TRY(lc_alloc(&explain->pixel_gradient,
                    input->n * explain->n_targets * VIT_CHANNELS * input->height * input->width,
                    sizeof(float), err));
  return run_batches(explain, &request, progress, err);
}

lc_status pl_explain_new(struct pl_explain **explain, struct lc_error *err) {
  LC_TRY(lc_alloc(explain, 1, sizeof **explain, err));
  return pl_schema_init(&pl_parameters_schema, &(*explain)->settings.parameters, err);
}

void pl_explain_free(struct pl_explain *explain) {
  if (!explain) return;
  cdam_prepared_free(explain->prepared);
  vit_model_free(&explain->model);
  free(explain->targets);
  free(explain->input.images);
  free(explain->input.names);
  free(explain->input.concept_vector);
  free(explain->input.smooth_noise);
  free(explain->input.smoothgrad_noise);
  free(explain->logits);
  free(explain->cls_embedding);
  free(explain->pixel_gradient);
  for (size_t i = 0; i < explain->n_estimators; i++) cdam_maps_free(&explain->maps[i]);
  free(explain);
}
