/* Makes the images of nodules of DICOM series, of stored results or of crops ready to be explained.
 */
#include "ct_io/dicom_read/ct_index.h"
#include "pipeline/explain/pl_explain.h"

#include <stdio.h>
#include <string.h>

#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/config/pl_prepared.h"
#include "pipeline/learn/pl_examples.h"
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
  if (explain->settings.shifts == 0) explain->settings.shifts = (size_t)config->explain_shifts;
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
  LC_SCOPED(pl_result_free) struct pl_result result = {0};
  char name[129];
  pl_output_name_of(name, series->series_instance_uid, number);
  LC_TRY(pl_job_find(job, series, &result, err));
  LC_TRY(pl_job_cut(job, &result, err));
  for (size_t i = 0; i < result.nodules.n_nodules; i++)
    LC_TRY(take(taking, name, result.nodules.nodules[i].id, &result.cubes[i], err));
  *taking->n_left_out += result.n_left_out;
  return LC_OK;
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
  LC_SCOPED(pl_config_free) struct pl_config config = {0};
  LC_SCOPED(ct_index_free) struct ct_index index = {0};
  LC_SCOPED(pl_job_close) struct pl_job job = {0};
  LC_FREED const struct ct_series **chosen = NULL;
  struct taking taking;
  size_t n_chosen = 0;
  LC_TRY(pl_config_make(&config, overrides, err));
  config.figure_write = config.capture_write = false; /* no finer cubes for the eye */
  LC_TRY(start(&taking, explain, &config, first, n, err));
  config.explain_shifts = 1; /* the job cuts, no more */
  LC_TRY(pl_batch_choose(&config, &index, &chosen, &n_chosen, err));
  LC_TRY(pl_job_open(&job, &config, &explain->model, err));
  job.at_hand = chosen;
  job.n_at_hand = n_chosen;
  job.finder.index = &index;
  return take_all(&taking, &job, &index, chosen, n_chosen, err);
}

/* A folder without a store: what was meant may lie in it. */
static lc_status check_result(const char *folder, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  LC_SCOPED(pl_list_free) struct pl_list inside = {0};
  LC_TRY(lc_path_join(path, folder, PL_STORE_FILE, err));
  if (lc_file_exists(path)) return LC_OK;
  LC_TRY(pl_store_find(folder, &inside, err));
  LC_FAIL(err, LC_ERR_NOT_FOUND,
          "%s: holds the results of %zu series, expected the folder of one: --result %s%s", folder,
          inside.n, inside.items[0], inside.n > 1 ? ", or another in it" : "");
}

lc_status pl_explain_read_result(struct pl_explain *explain, const char *folder,
                                 const struct pl_list *keys, size_t first, size_t n,
                                 struct lc_error *err) {
  char path[LC_PATH_SIZE], settings[LC_PATH_SIZE];
  struct pl_overrides overrides = {.file = settings, .keys = *keys};
  LC_SCOPED(pl_config_free) struct pl_config config = {0};
  LC_SCOPED(pl_result_free) struct pl_result stored = {0};
  struct taking taking;
  LC_TRY(check_result(folder, err));
  LC_TRY(lc_path_join(path, folder, PL_STORE_FILE, err));
  LC_TRY(lc_path_join(settings, folder, "configuration.yaml", err));
  LC_TRY(pl_store_read(&stored, path, err));
  if (strcmp(stored.provenance.weights_sha256, explain->model.weights_sha256) != 0)
    lc_log(LC_LOG_WARNING, "%s: was made with weights %.12s, what is explained now are %.12s", path,
           stored.provenance.weights_sha256, explain->model.weights_sha256);
  LC_TRY(pl_config_make(&config, &overrides, err));
  LC_TRY(start(&taking, explain, &config, first, n, err));
  LC_TRY(pl_store_read_hu(&stored, err));
  for (size_t i = 0; i < stored.nodules.n_nodules; i++)
    LC_TRY(take(&taking, stored.series_instance_uid, stored.nodules.nodules[i].id, &stored.cubes[i],
                err));
  return finish(&taking, err);
}

static lc_status fill(struct pl_explain *explain, const struct pl_examples *examples, size_t first,
                      size_t n, struct lc_error *err) {
  struct pl_explain_input *input = &explain->input;
  size_t pixels = (size_t)examples->recipe->data_pixels;
  if (pixels % explain->model.arch.patch_size)
    LC_FAIL(err, LC_ERR_CONFIG, "data.pixels is %zu, expected a multiple of the patch size %zu",
            pixels, explain->model.arch.patch_size);
  if (first >= examples->n)
    LC_FAIL(err, LC_ERR_USAGE, "--first %zu: the split has %zu nodules", first, examples->n);
  size_t count = examples->n - first < n ? examples->n - first : n;
  size_t places = pl_examples_places(examples);
  struct ct_preparation how;
  pl_recipe_preparation(examples->recipe, &how);
  input->height = input->width = pixels;
  input->turns = ct_preparation_turns(&how);
  LC_TRY(pl_explain_grow(input, count * places, err));
  for (size_t i = 0; i < count; i++) {
    const struct pl_crop *crop = &examples->crops->crops[examples->rows[first + i]];
    for (size_t p = 0; p < places; p++, input->n++) {
      struct ct_image_place place = pl_examples_place(examples, p);
      const struct ct_image_source source = pl_examples_source(examples, first + i, place);
      snprintf(input->names[input->n], sizeof *input->names, "%s-nodule-%d%s%s", crop->patient,
               crop->nodule, places > 1 ? "-" : "", places > 1 ? ct_view_name(place.view) : "");
      LC_TRY(pl_explain_make(input, input->n, &how, &source, place, err));
    }
  }
  return LC_OK;
}

lc_status pl_explain_read_crops(struct pl_explain *explain, const struct pl_overrides *overrides,
                                const char *split, size_t first, size_t n, struct lc_error *err) {
  LC_SCOPED(pl_recipe_free) struct pl_recipe recipe = {0};
  LC_SCOPED(pl_crops_free) struct pl_crops crops = {0};
  LC_SCOPED(pl_examples_free) struct pl_examples examples = {0};
  const struct pl_label_scale scale = pl_label_scale_none();
  LC_TRY(pl_recipe_make(&recipe, overrides, err));
  LC_TRY(pl_recipe_crops(&recipe, &crops, err));
  LC_TRY(pl_examples_init(&examples, &crops, &recipe, &explain->model.arch,
                          split ? split : recipe.data_validate, &scale, err));
  pl_examples_note_cubes(&examples);
  return fill(explain, &examples, first, n, err);
}
