/* Makes the images of nodules of DICOM series or of stored results ready to be explained. */
#include "pipeline/explain/pl_explain_nodules.h"
#include "ct_io/dicom_read/ct_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_log.h"
#include "pipeline/config/pl_preparation.h"
#include "pipeline/run/pl_batch.h"
#include "pipeline/run/pl_job.h"
#include "pipeline/store/pl_output.h"
#include "pipeline/store/pl_store.h"

/* Nodules that come by: the first `skip` are left out, then `left` are taken. */
struct taking {
  struct pl_explain_input *input;
  size_t *n_left_out;
  struct ct_preparation how;
  size_t skip, left;
};

static lc_status start(struct taking *taking, struct pl_explain *explain,
                       const struct pl_config *config, size_t first, size_t n,
                       struct lc_error *err) {
  *taking = (struct taking){
      .input = &explain->input, .n_left_out = &explain->n_left_out, .skip = first, .left = n};
  LC_TRY(pl_config_preparation(config, &explain->model.arch, &taking->how, err));
  explain->input.height = taking->how.height;
  explain->input.width = taking->how.width;
  explain->input.turns = ct_preparation_turns(&taking->how);
  pl_parameters_fill(&explain->settings.parameters, &config->parameters);
  return LC_OK;
}

static lc_status take(struct taking *taking, const char *series, const char *nodule,
                      const struct ct_cube *cube, struct lc_error *err) {
  struct pl_explain_input *input = taking->input;
  const struct ct_image_source source = {
      .size = cube->edge, .spacing_mm = cube->spacing_mm, .cube = cube->hu};
  if (taking->skip > 0) {
    taking->skip--;
    return LC_OK;
  }
  if (taking->left == 0) return LC_OK;
  taking->left--;
  LC_TRY(pl_explain_grow(input, taking->how.n_views, err));
  for (size_t v = 0; v < taking->how.n_views; v++, input->n++) {
    struct ct_image_place place = {taking->how.views[v], cube->edge / 2};
    snprintf(input->names[input->n], sizeof *input->names, "%.68s-%.40s-%s", series, nodule,
             ct_view_name(place.view));
    LC_TRY(pl_explain_make(input, input->n, &taking->how, &source, place, err));
  }
  return LC_OK;
}

static lc_status finish(const struct taking *taking, struct lc_error *err) {
  if (taking->input->n > 0) return LC_OK;
  LC_FAIL(err, LC_ERR_NO_NODULES, "no nodule to explain: the input has no more than --first says");
}

static lc_status take_series(struct taking *taking, struct pl_job *job,
                             const struct ct_series *series, int number, struct lc_error *err) {
  struct pl_result result;
  char name[129];
  pl_output_name_of(name, series->series_instance_uid, number);
  lc_status status = pl_job_find(job, series, &result, err);
  if (status == LC_OK) status = pl_job_cut(job, &result, err);
  for (size_t i = 0; status == LC_OK && i < result.nodules.n_nodules; i++)
    status = take(taking, name, result.nodules.nodules[i].id, &result.cubes[i], err);
  *taking->n_left_out += result.n_left_out;
  pl_result_free(&result);
  return status;
}

/* A series without nodules is logged, as in a run over several. */
static lc_status take_all(struct taking *taking, struct pl_job *job, const struct ct_index *index,
                          const struct ct_series *const *chosen, size_t n, struct lc_error *err) {
  for (size_t i = 0; i < n && taking->left > 0; i++) {
    lc_status status = take_series(taking, job, chosen[i], ct_index_number(index, chosen[i]), err);
    if (status == LC_ERR_NO_NODULES && n > 1) {
      lc_log(LC_LOG_WARNING, "%s", err->message);
      continue;
    }
    LC_TRY(status);
  }
  return finish(taking, err);
}

lc_status pl_explain_read_series(struct pl_explain *explain, const struct pl_overrides *overrides,
                                 size_t first, size_t n, struct lc_error *err) {
  struct pl_config config;
  struct ct_index index = {0};
  struct pl_job job = {0};
  struct taking taking;
  const struct ct_series **chosen = NULL;
  size_t n_chosen = 0;
  LC_TRY(pl_config_make(&config, overrides, err));
  config.figure_write = config.capture_write = false; /* no finer cubes for the eye */
  lc_status status = start(&taking, explain, &config, first, n, err);
  if (status == LC_OK) status = pl_batch_choose(&config, &index, &chosen, &n_chosen, err);
  if (status == LC_OK) status = pl_job_open_with(&job, &config, &explain->model, err);
  if (status == LC_OK) {
    status = take_all(&taking, &job, &index, chosen, n_chosen, err);
    pl_job_close(&job);
  }
  free(chosen);
  ct_index_free(&index);
  pl_config_free(&config);
  return status;
}

static lc_status take_stored(struct taking *taking, struct pl_result *stored,
                             struct lc_error *err) {
  LC_TRY(pl_store_read_hu(stored, err));
  for (size_t i = 0; i < stored->nodules.n_nodules; i++)
    LC_TRY(take(taking, stored->series_instance_uid, stored->nodules.nodules[i].id,
                &stored->cubes[i], err));
  return finish(taking, err);
}

/* A folder without a store: what was meant may lie in it. */
static lc_status check_result(const char *folder, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  struct pl_list inside = {0};
  LC_TRY(lc_path_join(path, folder, PL_STORE_FILE, err));
  if (lc_file_exists(path)) return LC_OK;
  LC_TRY(pl_store_find(folder, &inside, err));
  lc_status status =
      lc_fail(err, LC_ERR_NOT_FOUND, __FILE__, __LINE__,
              "%s: holds the results of %zu series, expected the folder of one: --result %s%s",
              folder, inside.n, inside.items[0], inside.n > 1 ? ", or another in it" : "");
  pl_list_free(&inside);
  return status;
}

lc_status pl_explain_read_result(struct pl_explain *explain, const char *folder,
                                 const struct pl_list *keys, size_t first, size_t n,
                                 struct lc_error *err) {
  char path[LC_PATH_SIZE], settings[LC_PATH_SIZE];
  struct pl_overrides overrides = {.file = settings, .keys = *keys};
  struct pl_config config;
  struct pl_result stored;
  struct taking taking;
  LC_TRY(check_result(folder, err));
  LC_TRY(lc_path_join(path, folder, PL_STORE_FILE, err));
  LC_TRY(lc_path_join(settings, folder, "configuration.yaml", err));
  LC_TRY(pl_store_read(&stored, path, err));
  if (strcmp(stored.provenance.weights_sha256, explain->model.weights_sha256) != 0)
    lc_log(LC_LOG_WARNING, "%s: was made with weights %.12s, what is explained now are %.12s", path,
           stored.provenance.weights_sha256, explain->model.weights_sha256);
  lc_status status = pl_config_make(&config, &overrides, err);
  if (status == LC_OK) {
    status = start(&taking, explain, &config, first, n, err);
    if (status == LC_OK) status = take_stored(&taking, &stored, err);
    pl_config_free(&config);
  }
  pl_result_free(&stored);
  return status;
}
