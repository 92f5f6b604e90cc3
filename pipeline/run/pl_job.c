/* Performs the main job on one series. */
#include "pipeline/run/pl_job.h"
#include "ct_io/dicom_read/ct_decode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_log.h"
#include "common/lc_math.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_cutter.h"
#include "pipeline/config/pl_model_file.h"
#include "pipeline/config/pl_prepared.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"
#include "vit/kernels/vit_backend.h"

#define CELL_MM 2 /* of maps at most, unless the configuration says how many shifts */

static lc_status load_model(struct pl_job *job, struct lc_error *err) {
  const struct pl_config *config = job->config;
  struct pl_model_found found = config->model;
  if (job->borrowed) return LC_OK;
  if (!*found.path) LC_TRY(pl_model_find(&found, NULL, err)); /* says how to get one */
  struct pl_load load = config->load;
  load.architecture = config->model_architecture;
  LC_TRY(pl_model_load(&job->model, found.path, &load, err));
  LC_TRY(pl_model_check_finished(&job->model, found.path, err));
  return vit_model_hash(&job->model, err);
}

static lc_status check_model(struct pl_job *job, struct lc_error *err) {
  const char *path = job->model.file.path;
  if (job->model.arch.n_heads == 0)
    LC_FAIL(err, LC_ERR_TENSOR, "%s: holds a backbone without a prediction head, expected one",
            path);
  if (!job->model.trained)
    lc_log(LC_LOG_WARNING, "%s: UNTRAINED WEIGHTS, predictions and maps mean nothing", path);
  return cdam_prepared_init(&job->prepared, &job->model, err);
}

static lc_status choose_targets(struct pl_job *job, struct lc_error *err) {
  const struct pl_list *names = &job->config->explain_targets;
  bool all = pl_list_has(names, "all");
  job->n_targets = all ? vit_arch_outputs(&job->model.arch) : names->n;
  LC_TRY(lc_alloc(&job->targets, job->n_targets, sizeof *job->targets, err));
  if (all) {
    cdam_target_all(job->targets, &job->model);
    return LC_OK;
  }
  for (size_t i = 0; i < names->n; i++)
    LC_TRY(cdam_target_parse(&job->targets[i], &job->model, names->items[i], err));
  return LC_OK;
}

/* As the configuration says, or as few as make cells of 2 mm or less. */
static lc_status choose_variants(struct pl_job *job, struct lc_error *err) {
  const struct pl_config *config = job->config;
  const struct ct_preparation *how = &job->preparation;
  struct cdam_shifts *shifts = &job->variants.shifts;
  size_t patch = job->model.arch.patch_size,
         larger = how->height < how->width ? how->height : how->width;
  double pixel_mm = (double)config->cube_edge * config->cube_spacing_mm / (double)larger;
  job->variants.turns = ct_preparation_turns(how);
  if (config->explain_shifts > 0)
    LC_TRY(cdam_shifts_init(shifts, (size_t)config->explain_shifts, patch, err));
  else
    cdam_shifts_fit(shifts, patch, pixel_mm, CELL_MM);
  if (shifts->along > 1)
    lc_log(LC_LOG_INFO,
           "patches of %.3g mm: maps are means over %zu shifted images, with cells of %.3g mm; the "
           "network works %zu times as long (explain.shifts)",
           (double)patch * pixel_mm, cdam_shifts_count(shifts), (double)shifts->step * pixel_mm,
           cdam_shifts_count(shifts));
  return LC_OK;
}

static lc_status size_workspace(struct pl_job *job, struct lc_error *err) {
  const struct pl_config *config = job->config;
  struct ct_preparation *how = &job->preparation;
  LC_TRY(pl_config_preparation(config, &job->model.arch, how, err));
  size_t batch = (size_t)config->model_batch;
  const struct vit_request request = {.last_input = true};
  LC_TRY(vit_workspace_init(&job->workspace, &job->model, batch, how->height, how->width, &request,
                            err));
  size_t patch = job->model.arch.patch_size, size = VIT_CHANNELS * how->height * how->width;
  LC_TRY(choose_variants(job, err));
  if (pl_variants_count(&job->variants) > 1)
    LC_TRY(cdam_maps_init(&job->variant, batch, job->n_targets, how->height / patch,
                          how->width / patch, err));
  LC_TRY(lc_alloc(&job->unshifted, size, sizeof(float), err));
  return lc_alloc(&job->images, batch * size, sizeof(float), err);
}

/* What the model is called: by its file's contents, since the same weights give the same bytes
 * under whatever name the file has. */
static void name_model(const struct vit_model *model, struct pl_provenance *provenance) {
  const struct vit_arch *arch = &model->arch;
  const char *name = vit_tensor_file_metadata(&model->file, "model_name");
  const char *version = vit_tensor_file_metadata(&model->file, "model_version");
  char shape[65];
  snprintf(shape, sizeof shape, "ViT of %zu blocks of %zu, patch %zu", arch->depth, arch->embed_dim,
           arch->patch_size);
  if (!name || !*name) name = strcmp(arch->name, "custom") == 0 ? shape : arch->name;
  lc_text_copy(provenance->model_name, sizeof provenance->model_name, name);
  lc_text_copy(provenance->model_version, sizeof provenance->model_version, version ? version : "");
  lc_text_printable(provenance->model_name);
  lc_text_printable(provenance->model_version);
}

static lc_status open_parts(struct pl_job *job, struct lc_error *err) {
  LC_TRY(load_model(job, err));
  LC_TRY(check_model(job, err));
  LC_TRY(choose_targets(job, err));
  LC_TRY(size_workspace(job, err));
  pl_schema_print(&pl_config_schema, job->config, PL_PRINT_CANONICAL, &job->configuration);
  pl_model_describe(&job->model.arch, &job->architecture);
  if (job->model.assumed) lc_text_add(&job->architecture, "; assumed: %s", job->model.assumed);
  if (job->configuration.failed || job->architecture.failed)
    LC_FAIL(err, LC_ERR_MEMORY, "no memory for the configuration's text");
  struct pl_provenance *provenance = &job->provenance;
  provenance->configuration = lc_text_get(&job->configuration);
  provenance->architecture = lc_text_get(&job->architecture);
  name_model(&job->model, provenance);
  provenance->trained = job->model.trained;
  provenance->kernels = vit_backend()->name;
  memcpy(provenance->weights_sha256, job->model.weights_sha256, LC_SHA256_HEX);
  return pl_config_hash(job->config, provenance->configuration_sha256, err);
}

lc_status pl_job_open(struct pl_job *job, const struct pl_config *config,
                      const struct vit_model *model, struct lc_error *err) {
  memset(job, 0, sizeof *job);
  job->config = config;
  if (model) job->model = *model;
  job->borrowed = model != NULL;
  lc_status status = open_parts(job, err);
  if (status != LC_OK) pl_job_close(job);
  return status;
}

void pl_job_close(struct pl_job *job) {
  vit_workspace_free(&job->workspace);
  cdam_prepared_free(job->prepared);
  if (!job->borrowed) vit_model_free(&job->model);
  free(job->targets);
  free(job->images);
  free(job->unshifted);
  cdam_maps_free(&job->variant);
  ct_nodule_finder_free(&job->finder);
  lc_text_free(&job->configuration);
  lc_text_free(&job->architecture);
  memset(job, 0, sizeof *job);
}

lc_status pl_job_find(struct pl_job *job, const struct ct_series *series, struct pl_result *result,
                      struct lc_error *err) {
  memset(result, 0, sizeof *result);
  result->series = series;
  result->model = &job->model;
  result->targets = job->targets;
  result->provenance = job->provenance;
  lc_text_copy(result->series_instance_uid, CT_UID_SIZE, series->series_instance_uid);
  LC_TRY(ct_series_manifest_hex(series, result->input_manifest_sha256, err));
  LC_TRY(ct_series_identity_hex(series, result->identity_sha256, err));
  LC_TRY(pl_nodules_find(&job->finder, job->config, job->at_hand, job->n_at_hand, result, err));
  return pl_result_key(&result->provenance, result->input_manifest_sha256, result->identity_sha256,
                       result->nodule_source_sha256, result->key, err);
}

static lc_status name_axes(const struct pl_job *job, struct pl_result *result,
                           struct lc_error *err) {
  const struct ct_cube cube = {.edge = (size_t)job->config->cube_edge,
                               .spacing_mm = job->config->cube_spacing_mm};
  result->step_mm = pl_result_offset(&cube, 1) - pl_result_offset(&cube, 0);
  LC_TRY(lc_alloc(&result->output_names, result->n_outputs, PL_NAME_SIZE, err));
  LC_TRY(lc_alloc(&result->target_names, job->n_targets, PL_NAME_SIZE, err));
  for (size_t i = 0; i < result->n_outputs; i++)
    vit_arch_output_name(&job->model.arch, i, result->output_names[i]);
  for (size_t t = 0; t < job->n_targets; t++)
    lc_text_copy(result->target_names[t], PL_NAME_SIZE, job->targets[t].name);
  return LC_OK;
}

static lc_status allocate(struct pl_job *job, struct pl_result *result, struct lc_error *err) {
  const struct pl_config *config = job->config;
  size_t n = result->nodules.n_nodules, images = n * job->preparation.n_views;
  result->n_views = job->preparation.n_views;
  memcpy(result->views, job->preparation.views, sizeof result->views);
  result->n_outputs = vit_arch_outputs(&job->model.arch);
  LC_TRY(name_axes(job, result, err));
  LC_TRY(lc_alloc(&result->cubes, n, sizeof *result->cubes, err));
  LC_TRY(lc_alloc(&result->logits, images * result->n_outputs, sizeof(float), err));
  LC_TRY(lc_alloc(&result->view_probability, images * result->n_outputs, sizeof(float), err));
  LC_TRY(lc_alloc(&result->mean_logit, n * result->n_outputs, sizeof(float), err));
  LC_TRY(lc_alloc(&result->probability, n * result->n_outputs, sizeof(float), err));
  size_t patch = job->model.arch.patch_size, finer = job->variants.shifts.along;
  LC_TRY(cdam_maps_init(&result->maps, images, job->n_targets,
                        job->preparation.height / patch * finer,
                        job->preparation.width / patch * finer, err));
  if (!config->figure_write && !config->capture_write) return LC_OK;
  result->shown_edge = (size_t)(config->cube_edge * config->figure_detail);
  size_t pixels = result->shown_edge * result->shown_edge;
  LC_TRY(lc_alloc(&result->shown_hu, images * pixels, sizeof(float), err));
  return lc_alloc(&result->shown_mask, images * pixels, 1, err);
}

static lc_status cut_shown(const struct pl_job *job, struct pl_result *result, size_t nodule,
                           const struct ct_volume *volume, struct lc_error *err) {
  const struct ct_nodule *found = &result->nodules.nodules[nodule];
  size_t detail = (size_t)job->config->figure_detail, edge = result->shown_edge;
  struct ct_cube where = {.edge = edge,
                          .spacing_mm = job->config->cube_spacing_mm / (double)detail};
  memcpy(where.centre_mm, found->centre_mm, sizeof where.centre_mm);
  /* The network's slice lies half a sample beyond the centre of a cube of even edge. With an odd
   * detail the finer cube has a slice in exactly that place. */
  size_t index = (size_t)job->config->cube_edge / 2 * detail + detail / 2;
  for (size_t v = 0; v < result->n_views; v++) {
    size_t at = pl_result_image(result, nodule, v) * edge * edge;
    ct_view view = result->views[v];
    LC_TRY(ct_cube_resample_slice(&where, volume, view, index, result->shown_hu + at, err));
    if (found->n_marks > 0)
      LC_TRY(ct_cube_slice_mask(&where, view, index, found, result->series,
                                job->config->nodules_consensus_level, result->shown_mask + at,
                                err));
  }
  return LC_OK;
}

static lc_status cut_cube(const struct pl_job *job, struct pl_result *result, size_t nodule,
                          const struct ct_volume *volume, struct lc_error *err) {
  const struct ct_nodule *found = &result->nodules.nodules[nodule];
  struct ct_cube *cube = &result->cubes[nodule];
  LC_TRY(ct_cube_resample(cube, volume, found->centre_mm, (size_t)job->config->cube_edge,
                          job->config->cube_spacing_mm, err));
  if (found->n_marks > 0)
    LC_TRY(
        ct_cube_add_mask(cube, found, result->series, job->config->nodules_consensus_level, err));
  if (cube->n_padded > 0)
    lc_log(LC_LOG_WARNING, "series %s, %s: the cube leaves the volume, %zu of %zu samples are air",
           result->series->series_instance_uid, found->id, cube->n_padded,
           cube->edge * cube->edge * cube->edge);
  return result->shown_hu ? cut_shown(job, result, nodule, volume, err) : LC_OK;
}

struct cutting {
  const struct pl_job *job;
  struct pl_result *result;
  bool *gone; /* [nodule] */
};

static lc_status take(void *context, size_t nodule, const struct ct_volume *volume,
                      struct lc_error *err) {
  const struct cutting *cutting = context;
  LC_TRY(pl_signal_check(err));
  return cut_cube(cutting->job, cutting->result, nodule, volume, err);
}

/* Keeps the reason; the nodule leaves the result when all are done. */
static lc_status refuse(void *context, size_t nodule, lc_status status, const struct lc_error *why,
                        struct lc_error *err) {
  const struct cutting *cutting = context;
  struct pl_result *result = cutting->result;
  struct pl_left_out *left_out = &result->left_out[result->n_left_out];
  const char *id = result->nodules.nodules[nodule].id;
  struct lc_error named = *why;
  (void)err;
  ct_nodule_name_source(&result->nodules.nodules[nodule], result->nodule_source_path, status,
                        &named);
  cutting->gone[nodule] = true;
  ct_cube_free(&result->cubes[nodule]);
  lc_text_copy(left_out->nodule, sizeof left_out->nodule, id);
  lc_text_copy(left_out->reason, sizeof left_out->reason, named.message);
  left_out->status = status;
  memcpy(left_out->centre_mm, result->nodules.nodules[nodule].centre_mm,
         sizeof left_out->centre_mm);
  result->n_left_out++;
  return LC_OK;
}

/* Moves what was cut over what was not. */
static void close_gaps(struct pl_result *result, const bool *gone) {
  size_t kept = 0, pixels = result->n_views * result->shown_edge * result->shown_edge;
  for (size_t i = 0; i < result->nodules.n_nodules; i++) {
    if (gone[i]) continue;
    if (kept != i) {
      result->cubes[kept] = result->cubes[i];
      result->cubes[i] = (struct ct_cube){0};
    }
    if (kept != i && result->shown_hu) {
      memcpy(result->shown_hu + kept * pixels, result->shown_hu + i * pixels,
             pixels * sizeof *result->shown_hu);
      memcpy(result->shown_mask + kept * pixels, result->shown_mask + i * pixels, pixels);
    }
    kept++;
  }
  ct_nodule_list_remove(&result->nodules, gone);
  result->maps.images = kept * result->n_views;
}

/* Marks on slices that the series lacks make no nodule, and are not forgotten. */
static void leave_out_unplaced(struct pl_result *result) {
  struct lc_error why;
  if (!ct_nodules_unplaced(&result->nodules, &why)) return;
  struct pl_left_out *left_out = &result->left_out[result->n_left_out++];
  lc_text_copy(left_out->nodule, sizeof left_out->nodule, "unplaced-marks");
  lc_text_copy(left_out->reason, sizeof left_out->reason, why.message);
  left_out->status = LC_ERR_GEOMETRY;
  for (int c = 0; c < 3; c++) left_out->centre_mm[c] = NAN;
}

/* Decodes what the nodules need, for `cut` and for the hash of its voxels. */
static lc_status decode_all(const struct pl_job *job, const struct pl_result *result,
                            struct ct_cut *cut, char hex[LC_SHA256_HEX], struct lc_error *err) {
  LC_SCOPED(ct_cut_plan_free) struct ct_cut_plan plan = {0};
  struct lc_hash hash;
  uint8_t digest[LC_SHA256_BYTES];
  LC_TRY(ct_nodules_plan(&plan, &result->nodules, result->series,
                         (double)job->config->cube_edge * job->config->cube_spacing_mm, err));
  LC_SCOPED(pl_progress_end) struct pl_progress progress;
  pl_progress_start(&progress, "decoding", "slices", plan.n_slices);
  LC_TRY(lc_hash_begin(&hash, err));
  cut->decode = ct_volume_decode;
  cut->progress = &progress.progress;
  cut->voxels = &hash;
  lc_status status = ct_cut_all(&plan, cut, err);
  lc_hash_end(&hash, digest);
  lc_hash_hex(digest, hex);
  return status;
}

static lc_status cut_all(struct pl_job *job, struct pl_result *result, bool *gone,
                         struct lc_error *err) {
  struct cutting cutting = {job, result, gone};
  struct ct_cut cut = {.take = take, .refuse = refuse, .context = &cutting};
  return decode_all(job, result, &cut, result->voxels_sha256, err);
}

static lc_status take_none(void *context, size_t nodule, const struct ct_volume *volume,
                           struct lc_error *err) {
  (void)context, (void)nodule, (void)volume;
  return pl_signal_check(err);
}

static lc_status refuse_none(void *context, size_t nodule, lc_status status,
                             const struct lc_error *why, struct lc_error *err) {
  (void)context, (void)nodule, (void)status, (void)why, (void)err;
  return LC_OK;
}

lc_status pl_job_hash(const struct pl_job *job, struct pl_result *result, struct lc_error *err) {
  struct ct_cut cut = {.take = take_none, .refuse = refuse_none};
  return decode_all(job, result, &cut, result->voxels_sha256, err);
}

static lc_status cut_cubes(struct pl_job *job, struct pl_result *result, struct lc_error *err) {
  size_t n = result->nodules.n_nodules;
  LC_FREED bool *gone = NULL;
  LC_TRY(lc_alloc(&gone, n, sizeof *gone, err));
  LC_TRY(lc_alloc(&result->left_out, n + 1, sizeof *result->left_out, err));
  LC_TRY(cut_all(job, result, gone, err));
  if (result->n_left_out == n) {
    if (err) lc_text_copy(err->message, sizeof err->message, result->left_out[0].reason);
    return result->left_out[0].status;
  }
  leave_out_unplaced(result);
  for (size_t i = 0; i < result->n_left_out; i++)
    lc_log(LC_LOG_ERROR, "series %s, %s is left out: %s", result->series->series_instance_uid,
           result->left_out[i].nodule, result->left_out[i].reason);
  close_gaps(result, gone);
  return LC_OK;
}

/* Sums over the images of a nodule and of a view, in the order of the images, divided as they are
 * added: the order and the bits of pl_predict. */
struct means {
  double *nodule, *view; /* [nodule, output], [nodule, view, output] */
};

static void add_logits(const struct pl_job *job, const struct pl_result *result, size_t index,
                       const float *logits, struct means *means) {
  size_t turns = job->variants.turns, image = index / pl_variants_count(&job->variants);
  if (!pl_variants_predicts(&job->variants, index)) return;
  double *nodule = means->nodule + image / result->n_views * result->n_outputs;
  double *view = means->view + image * result->n_outputs;
  for (size_t o = 0; o < result->n_outputs; o++) {
    nodule[o] += (double)logits[o] / (double)(turns * result->n_views);
    view[o] += (double)logits[o] / (double)turns;
  }
}

/* Maps of network images [first, first + n): as they are, or the mean over the variants. */
static lc_status explain(struct pl_job *job, struct pl_result *result,
                         const struct vit_trace *trace, size_t first, size_t n,
                         struct lc_error *err) {
  size_t count = pl_variants_count(&job->variants);
  struct cdam_maps part = count == 1 ? result->maps : job->variant; /* a window, borrowed */
  part.images = n;
  if (count == 1) part.scores = cdam_maps_get(&result->maps, first, 0);
  LC_TRY(cdam_closed_form(&job->model, job->prepared, trace, job->targets, job->n_targets, &part,
                          NULL, NULL, err));
  for (size_t i = 0; count > 1 && i < n; i++) {
    const struct pl_variant_maps of = {.maps = cdam_maps_get(&part, i, 0),
                                       .count = job->n_targets,
                                       .height = part.grid_height,
                                       .width = part.grid_width};
    LC_TRY(pl_variants_add_back(&job->variants, (first + i) % count, &of,
                                cdam_maps_get(&result->maps, (first + i) / count, 0), err));
  }
  return LC_OK;
}

/* Network image `index` of the series, as it is or shifted. */
static lc_status make_image(const struct pl_job *job, const struct pl_result *result, size_t index,
                            bool first, float *image, struct lc_error *err) {
  const struct ct_preparation *how = &job->preparation;
  const struct cdam_shifts *shifts = &job->variants.shifts;
  size_t view = index / pl_variants_count(&job->variants), n = cdam_shifts_count(shifts);
  const struct ct_cube *cube = &result->cubes[view / result->n_views];
  const struct ct_image_source source = {
      .size = cube->edge, .spacing_mm = cube->spacing_mm, .cube = cube->hu};
  struct ct_image_place place = {result->views[view % result->n_views], cube->edge / 2};
  struct ct_augment_draw draw;
  ct_augment_symmetry((unsigned)pl_variants_turn(&job->variants, index), &draw);
  if (n == 1) return ct_image_make(how, &source, place, &draw, image, err);
  if (first || index % n == 0)
    LC_TRY(ct_image_make(how, &source, place, &draw, job->unshifted, err));
  cdam_shift_image(shifts, index % n, job->unshifted, VIT_CHANNELS, how->height, how->width, image);
  return LC_OK;
}

/* Network images [first, first + n) of the series: nodule by nodule, view by view, variant by
 * variant. */
static lc_status run_batch(struct pl_job *job, struct pl_result *result, size_t first, size_t n,
                           struct means *means, struct lc_error *err) {
  const struct ct_preparation *how = &job->preparation;
  size_t values = VIT_CHANNELS * how->height * how->width;
  struct vit_trace trace;
  for (size_t i = 0; i < n; i++)
    LC_TRY(make_image(job, result, first + i, i == 0, job->images + i * values, err));
  LC_TRY(vit_forward(&job->workspace, job->images, n, &trace, err));
  for (size_t i = 0; i < n; i++)
    add_logits(job, result, first + i, trace.logits + i * result->n_outputs, means);
  return explain(job, result, &trace, first, n, err);
}

static void take_means(const struct pl_job *job, struct pl_result *result,
                       const struct means *means) {
  size_t outputs = result->n_outputs, nodules = result->nodules.n_nodules;
  for (size_t k = 0; k < nodules * result->n_views * outputs; k++) {
    bool is_logit = vit_arch_output_is_logit(&job->model.arch, k % outputs);
    result->logits[k] = (float)means->view[k];
    result->view_probability[k] = is_logit ? (float)lc_sigmoid((double)result->logits[k]) : NAN;
  }
  for (size_t k = 0; k < nodules * outputs; k++) {
    bool is_logit = vit_arch_output_is_logit(&job->model.arch, k % outputs);
    result->mean_logit[k] = (float)means->nodule[k];
    result->probability[k] = is_logit ? (float)lc_sigmoid(means->nodule[k]) : NAN;
  }
}

lc_status pl_job_cut(struct pl_job *job, struct pl_result *result, struct lc_error *err) {
  LC_TRY(allocate(job, result, err));
  return cut_cubes(job, result, err);
}

lc_status pl_job_compute(struct pl_job *job, struct pl_result *result, struct lc_error *err) {
  LC_TRY(pl_job_cut(job, result, err));
  size_t nodules = result->nodules.n_nodules, batch = (size_t)job->config->model_batch;
  size_t images = nodules * job->preparation.n_views * pl_variants_count(&job->variants);
  LC_FREED double *nodule = NULL, *view = NULL;
  LC_SCOPED(pl_progress_end) struct pl_progress progress;
  pl_progress_start(&progress, "predicting and explaining", "images", images);
  LC_TRY(lc_alloc(&nodule, nodules * result->n_outputs, sizeof *nodule, err));
  LC_TRY(lc_alloc(&view, nodules * result->n_views * result->n_outputs, sizeof *view, err));
  struct means means = {nodule, view};
  for (size_t i = 0; i < images; i += batch) {
    size_t n = images - i < batch ? images - i : batch;
    LC_TRY(pl_signal_check(err));
    LC_TRY(run_batch(job, result, i, n, &means, err));
    lc_progress_step(&progress.progress, n);
  }
  take_means(job, result, &means);
  return LC_OK;
}
