/* Performs the main job on one series: decodes the slices that nodules share once, cuts cubes, runs
 * the network, averages over views and computes CDAM. */
#include "pipeline/run/pl_job.h"
#include "ct_io/dicom_read/ct_decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_log.h"
#include "pipeline/config/pl_model_file.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"
#include "vit/kernels/vit_kernels.h"

static lc_status load_model(struct pl_job *job, struct lc_error *err) {
  const struct pl_config *config = job->config;
  struct pl_model_found found = config->model;
  if (!*found.path) LC_TRY(pl_model_find(&found, NULL, err)); /* says how to get one */
  struct vit_arch arch;
  bool given = *config->model_architecture != '\0';
  if (given) LC_TRY(pl_model_architecture(&arch, config->model_architecture, err));
  LC_TRY(vit_model_load(&job->model, found.path, given ? &arch : NULL, err));
  LC_TRY(pl_model_check_finished(&job->model, found.path, err));
  LC_TRY(vit_model_hash(&job->model, err));
  if (job->model.arch.n_heads == 0)
    LC_FAIL(err, LC_ERR_TENSOR, "%s: holds a backbone without a prediction head, expected one",
            found.path);
  if (!job->model.trained)
    lc_log(LC_LOG_WARNING, "%s: UNTRAINED WEIGHTS, predictions and maps mean nothing", found.path);
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

static enum ct_view view_named(const char *name) {
  for (int i = 0; i < CT_VIEW_COUNT; i++)
    if (strcmp(ct_view_name((ct_view)i), name) == 0) return (ct_view)i;
  return CT_AXIAL;
}

size_t pl_job_preparation(const struct pl_config *config, const struct vit_arch *arch,
                          struct ct_preparation *how, enum ct_view views[CT_VIEW_COUNT]) {
  how->hu_low = config->preprocess_hu_low;
  how->hu_high = config->preprocess_hu_high;
  how->zscore = (ct_zscore)config->preprocess_zscore;
  how->mean = config->preprocess_mean;
  how->deviation = config->preprocess_deviation;
  how->height =
      config->preprocess_height > 0 ? (size_t)config->preprocess_height : arch->image_height;
  how->width = config->preprocess_width > 0 ? (size_t)config->preprocess_width : arch->image_width;
  for (size_t i = 0; i < config->preprocess_views.n; i++)
    views[i] = view_named(config->preprocess_views.items[i]);
  return config->preprocess_views.n;
}

static lc_status size_workspace(struct pl_job *job, struct lc_error *err) {
  const struct pl_config *config = job->config;
  struct ct_preparation *how = &job->preparation;
  job->n_views = pl_job_preparation(config, &job->model.arch, how, job->views);
  size_t batch = (size_t)config->model_batch;
  const struct vit_request request = {.last_input = true};
  LC_TRY(vit_workspace_init(&job->workspace, &job->model, batch, how->height, how->width, &request,
                            err));
  return lc_alloc(&job->images, batch * VIT_CHANNELS * how->height * how->width, sizeof(float),
                  err);
}

static lc_status open_parts(struct pl_job *job, struct lc_error *err) {
  pl_finder_init(&job->finder, job->config);
  LC_TRY(load_model(job, err));
  LC_TRY(choose_targets(job, err));
  LC_TRY(size_workspace(job, err));
  pl_schema_print(&pl_config_schema, job->config, PL_PRINT_CANONICAL, &job->configuration);
  pl_model_describe(&job->model.arch, &job->architecture);
  if (job->configuration.failed || job->architecture.failed)
    LC_FAIL(err, LC_ERR_MEMORY, "no memory for the configuration's text");
  struct pl_provenance *provenance = &job->provenance;
  provenance->configuration = lc_text_get(&job->configuration);
  provenance->architecture = lc_text_get(&job->architecture);
  provenance->trained = job->model.trained;
  provenance->kernels = vit_kernels()->name;
  memcpy(provenance->weights_sha256, job->model.weights_sha256, LC_SHA256_HEX);
  return pl_config_hash(job->config, provenance->configuration_sha256, err);
}

lc_status pl_job_open(struct pl_job *job, const struct pl_config *config, struct lc_error *err) {
  memset(job, 0, sizeof *job);
  job->config = config;
  lc_status status = open_parts(job, err);
  if (status != LC_OK) pl_job_close(job);
  return status;
}

void pl_job_close(struct pl_job *job) {
  vit_workspace_free(&job->workspace);
  cdam_prepared_free(job->prepared);
  vit_model_free(&job->model);
  free(job->targets);
  free(job->images);
  pl_finder_free(&job->finder);
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
  LC_TRY(ct_series_manifest_hex(series, result->input_manifest_sha256, err));
  return pl_finder_find(&job->finder, result, err);
}

static lc_status allocate(struct pl_job *job, struct pl_result *result, struct lc_error *err) {
  const struct pl_config *config = job->config;
  size_t n = result->nodules.n_nodules, images = n * job->n_views;
  result->n_views = job->n_views;
  memcpy(result->views, job->views, sizeof job->views);
  result->n_outputs = vit_arch_outputs(&job->model.arch);
  LC_TRY(lc_alloc(&result->cubes, n, sizeof *result->cubes, err));
  LC_TRY(lc_alloc(&result->logits, images * result->n_outputs, sizeof(float), err));
  LC_TRY(lc_alloc(&result->view_probability, images * result->n_outputs, sizeof(float), err));
  LC_TRY(lc_alloc(&result->mean_logit, n * result->n_outputs, sizeof(float), err));
  LC_TRY(lc_alloc(&result->probability, n * result->n_outputs, sizeof(float), err));
  size_t patch = job->model.arch.patch_size;
  LC_TRY(cdam_maps_init(&result->maps, images, job->n_targets, job->preparation.height / patch,
                        job->preparation.width / patch, err));
  if (!config->figure_write && !config->capture_write) return LC_OK;
  result->shown_edge = (size_t)(config->cube_edge * config->figure_detail);
  size_t pixels = result->shown_edge * result->shown_edge;
  LC_TRY(lc_alloc(&result->shown_hu, images * pixels, sizeof(float), err));
  return lc_alloc(&result->shown_mask, images * pixels, 1, err);
}

/* The network's slice lies half a sample beyond the centre of a cube of even edge. With an odd
 * detail the finer cube has a slice in exactly that place. */
static size_t shown_index(const struct pl_config *config) {
  size_t detail = (size_t)config->figure_detail;
  return (size_t)config->cube_edge / 2 * detail + detail / 2;
}

static lc_status cut_shown(const struct pl_job *job, struct pl_result *result, size_t nodule,
                           const struct ct_volume *volume, struct lc_error *err) {
  const struct ct_nodule *found = &result->nodules.nodules[nodule];
  struct ct_cube cube;
  double spacing_mm = job->config->cube_spacing_mm / (double)job->config->figure_detail;
  LC_TRY(ct_cube_resample(&cube, volume, found->centre_mm, result->shown_edge, spacing_mm, err));
  lc_status status = LC_OK;
  if (found->n_marks > 0)
    status =
        ct_cube_add_mask(&cube, found, result->series, job->config->nodules_consensus_level, err);
  size_t pixels = result->shown_edge * result->shown_edge;
  for (size_t v = 0; status == LC_OK && v < result->n_views; v++) {
    size_t at = pl_result_image(result, nodule, v) * pixels;
    ct_cube_slice(&cube, result->views[v], shown_index(job->config), result->shown_hu + at,
                  cube.mask ? result->shown_mask + at : NULL);
  }
  ct_cube_free(&cube);
  return status;
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

/* The slices that one nodule needs. */
struct slab {
  size_t first, count, nodule;
};

static int by_first(const void *a, const void *b) {
  const struct slab *x = (const struct slab *)a, *y = (const struct slab *)b;
  if (x->first != y->first) return x->first < y->first ? -1 : 1;
  return x->nodule < y->nodule ? -1 : x->nodule > y->nodule;
}

/* Decodes what slabs [from, to) need, in one piece, and cuts their cubes. */
static lc_status cut_group(struct pl_job *job, struct pl_result *result, const struct slab *slabs,
                           size_t from, size_t to, struct lc_progress *progress,
                           struct lc_error *err) {
  size_t end = 0;
  for (size_t i = from; i < to; i++)
    if (slabs[i].first + slabs[i].count > end) end = slabs[i].first + slabs[i].count;
  struct ct_volume volume;
  LC_TRY(pl_signal_check(err));
  lc_log(LC_LOG_DEBUG, "series %s: decoding %zu of %zu slices, from slice %zu, for %zu nodules",
         result->series->series_instance_uid, end - slabs[from].first, result->series->n_slices,
         slabs[from].first, to - from);
  LC_TRY(ct_volume_decode(&volume, result->series, slabs[from].first, end - slabs[from].first,
                          progress, err));
  lc_status status = LC_OK;
  for (size_t i = from; status == LC_OK && i < to; i++)
    status = cut_cube(job, result, slabs[i].nodule, &volume, err);
  ct_volume_free(&volume);
  return status;
}

/* Slabs that overlap are decoded together, so that no slice is decoded twice. */
static size_t group_end(const struct slab *slabs, size_t n, size_t from, size_t *slices) {
  size_t end = slabs[from].first + slabs[from].count, to = from + 1;
  for (; to < n && slabs[to].first < end; to++)
    if (slabs[to].first + slabs[to].count > end) end = slabs[to].first + slabs[to].count;
  *slices += end - slabs[from].first;
  return to;
}

static lc_status cut_cubes(struct pl_job *job, struct pl_result *result, struct lc_error *err) {
  size_t n = result->nodules.n_nodules, slices = 0;
  double extent_mm = (double)job->config->cube_edge * job->config->cube_spacing_mm;
  struct slab *slabs;
  LC_TRY(lc_alloc(&slabs, n, sizeof *slabs, err));
  for (size_t i = 0; i < n; i++) {
    slabs[i].nodule = i;
    ct_series_slab(result->series, result->nodules.nodules[i].centre_mm, extent_mm, &slabs[i].first,
                   &slabs[i].count);
  }
  qsort(slabs, n, sizeof *slabs, by_first);
  for (size_t i = 0; i < n;) i = group_end(slabs, n, i, &slices);
  struct pl_progress progress;
  pl_progress_start(&progress, "decoding", "slices", slices);
  lc_status status = LC_OK;
  for (size_t i = 0; status == LC_OK && i < n;) {
    size_t to = group_end(slabs, n, i, &slices);
    status = cut_group(job, result, slabs, i, to, &progress.progress, err);
    i = to;
  }
  pl_progress_end(&progress);
  free(slabs);
  return status;
}

/* Images [first, first + n) of the series through the network. */
static lc_status run_batch(struct pl_job *job, struct pl_result *result, size_t first, size_t n,
                           struct lc_error *err) {
  const struct ct_preparation *how = &job->preparation;
  size_t values = VIT_CHANNELS * how->height * how->width;
  for (size_t i = 0; i < n; i++) {
    const struct ct_cube *cube = &result->cubes[(first + i) / result->n_views];
    LC_TRY(ct_cube_image(cube, result->views[(first + i) % result->n_views], cube->edge / 2, how,
                         job->images + i * values, err));
  }
  struct vit_trace trace;
  LC_TRY(vit_forward(&job->workspace, job->images, n, &trace, err));
  memcpy(result->logits + first * result->n_outputs, trace.logits,
         n * result->n_outputs * sizeof(float));
  struct cdam_maps part = result->maps; /* a window of the maps, borrowed */
  part.images = n;
  part.scores = cdam_maps_get(&result->maps, first, 0);
  return cdam_closed_form(&job->model, job->prepared, &trace, job->targets, job->n_targets, &part,
                          NULL, NULL, err);
}

static float sigmoid(double logit) {
  return (float)(1 / (1 + exp(-logit)));
}

static void average(const struct pl_job *job, struct pl_result *result, size_t nodule) {
  for (size_t o = 0; o < result->n_outputs; o++) {
    bool is_logit = vit_arch_output_is_logit(&job->model.arch, o);
    double sum = 0;
    for (size_t v = 0; v < result->n_views; v++) {
      size_t at = pl_result_image(result, nodule, v) * result->n_outputs + o;
      sum += (double)result->logits[at];
      result->view_probability[at] = is_logit ? sigmoid((double)result->logits[at]) : NAN;
    }
    double mean = sum / (double)result->n_views;
    result->mean_logit[nodule * result->n_outputs + o] = (float)mean;
    result->probability[nodule * result->n_outputs + o] = is_logit ? sigmoid(mean) : NAN;
  }
}

lc_status pl_job_cut(struct pl_job *job, struct pl_result *result, struct lc_error *err) {
  LC_TRY(allocate(job, result, err));
  return cut_cubes(job, result, err);
}

lc_status pl_job_compute(struct pl_job *job, struct pl_result *result, struct lc_error *err) {
  LC_TRY(pl_job_cut(job, result, err));
  size_t images = result->nodules.n_nodules * result->n_views;
  size_t batch = (size_t)job->config->model_batch;
  struct pl_progress progress;
  pl_progress_start(&progress, "predicting and explaining", "images", images);
  lc_status status = LC_OK;
  for (size_t i = 0; status == LC_OK && i < images; i += batch) {
    size_t n = images - i < batch ? images - i : batch;
    status = pl_signal_check(err);
    if (status == LC_OK) status = run_batch(job, result, i, n, err);
    if (status == LC_OK) lc_progress_step(&progress.progress, n);
  }
  pl_progress_end(&progress);
  for (size_t i = 0; status == LC_OK && i < result->nodules.n_nodules; i++) average(job, result, i);
  return status;
}
