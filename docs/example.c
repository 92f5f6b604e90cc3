/* The library in two ways: the main job by one call, and the same by its pieces.
 *
 *   cc example.c -o example $(pkg-config --cflags --libs lungcdam)
 *   ./example CT-FOLDER RESULTS-FOLDER
 *
 * Research use only. */
#include <lungcdam.h>
#include <stdio.h>
#include <stdlib.h>

/* What `lungcdam run` does: pictures, DICOM objects and results in HDF5. */
static lc_status run(const char *folder, const char *output, struct lc_error *err) {
  const char *const settings[] = {"figure.colours=red-blue"};
  const struct pl_run_request request = {.settings = settings,
                                         .n_settings = 1,
                                         .inputs = &folder,
                                         .n_inputs = 1,
                                         .series = "all",
                                         .output = output};
  struct pl_run_counts counts;
  LC_TRY(pl_run(&request, &counts, err));
  printf("%zu series done, weights %.12s...\n", counts.done, counts.weights_sha256);
  return LC_OK;
}

/* -- the pieces ----------------------------------------------------------------------------- */

/* What one nodule after the other is shown to. */
struct viewer {
  struct pl_model model;
  struct vit_workspace workspace;
  const struct cdam_estimator *cdam;
  float *image; /* [3, height, width] */
  const struct ct_nodule_list *nodules;
};

static lc_status open_viewer(struct viewer *v, struct lc_error *err) {
  struct vit_request request = {0};
  LC_TRY(pl_model_open(&v->model, NULL, err)); /* the model that ships */
  const struct ct_preparation *how = &v->model.preparation;
  v->image = malloc(3 * how->height * how->width * sizeof *v->image);
  if (!v->image) LC_FAIL(err, LC_ERR_MEMORY, "no memory for an image");
  LC_TRY(cdam_estimator_find("cdam", &v->cdam, err));
  cdam_estimator_request(v->cdam, &request); /* what the forward pass must keep for it */
  return vit_workspace_init(&v->workspace, &v->model.model, 1, how->height, how->width, &request,
                            err);
}

static void close_viewer(struct viewer *v) {
  vit_workspace_free(&v->workspace);
  pl_model_close(&v->model);
  free(v->image);
}

/* The first output of the model on the upright image of the first view, and its map. */
static lc_status explain(struct viewer *v, const struct ct_cube *cube, const char *name,
                         struct lc_error *err) {
  const struct ct_preparation *how = &v->model.preparation;
  const struct ct_image_source source = {
      .size = cube->edge, .spacing_mm = cube->spacing_mm, .cube = cube->hu};
  const struct ct_image_place middle = {how->views[0], cube->edge / 2};
  struct vit_trace trace;
  struct cdam_target target;
  struct cdam_maps maps;
  LC_TRY(ct_image_make(how, &source, middle, NULL, v->image, err));
  LC_TRY(vit_forward(&v->workspace, v->image, 1, &trace, err));
  LC_TRY(cdam_target_parse(&target, &v->model.model, "0", err));
  const struct cdam_task task = {.model = &v->model.model,
                                 .images = v->image,
                                 .height = how->height,
                                 .width = how->width,
                                 .trace = &trace,
                                 .targets = &target,
                                 .n_targets = 1};
  LC_TRY(cdam_estimate(v->cdam, &task, &maps, err));
  const float *map = cdam_maps_get(&maps, 0, 0);
  size_t patches = maps.grid_height * maps.grid_width, most = 0;
  for (size_t i = 1; i < patches; i++)
    if (map[i] > map[most]) most = i;
  printf("%s: %s %.3f, most of it at row %zu, column %zu of %zu x %zu patches\n", name, target.name,
         (double)trace.logits[0], most / maps.grid_width, most % maps.grid_width, maps.grid_height,
         maps.grid_width);
  cdam_maps_free(&maps);
  return LC_OK;
}

static lc_status take(void *context, size_t nodule, const struct ct_volume *volume,
                      struct lc_error *err) {
  struct viewer *v = context;
  const struct ct_nodule *found = &v->nodules->nodules[nodule];
  struct ct_cube cube;
  LC_TRY(ct_cube_resample(&cube, volume, found->centre_mm, v->model.cube_edge,
                          v->model.cube_spacing_mm, err));
  lc_status status = explain(v, &cube, found->id, err);
  ct_cube_free(&cube);
  return status;
}

static lc_status refuse(void *context, size_t nodule, lc_status status, const struct lc_error *why,
                        struct lc_error *err) {
  struct viewer *v = context;
  (void)status, (void)err;
  printf("%s: left out: %s\n", v->nodules->nodules[nodule].id, why->message);
  return LC_OK;
}

/* The nodules of a series, from what lies beside it, one after the other. */
static lc_status look_at(struct viewer *v, const struct ct_series *series, struct lc_error *err) {
  struct ct_nodule_finder finder = {0};
  struct ct_nodule_list nodules = {0};
  struct ct_cut_plan plan = {0};
  const struct ct_cut cut = {
      .decode = ct_volume_decode, .take = take, .refuse = refuse, .context = v};
  const struct ct_grouping pylidc = {0};
  struct ct_annotation *found;
  lc_status status = ct_nodule_finder_find(&finder, NULL, series, &found, err);
  if (status == LC_OK) status = ct_nodules_from_annotation(&nodules, found, series, &pylidc, err);
  v->nodules = &nodules;
  double extent_mm = (double)v->model.cube_edge * v->model.cube_spacing_mm;
  if (status == LC_OK) status = ct_nodules_plan(&plan, &nodules, series, extent_mm, err);
  if (status == LC_OK) status = ct_cut_all(&plan, &cut, err);
  ct_cut_plan_free(&plan);
  ct_nodule_list_free(&nodules);
  ct_nodule_finder_free(&finder);
  return status;
}

static lc_status by_pieces(const char *folder, struct lc_error *err) {
  struct viewer viewer = {0};
  struct ct_index index;
  LC_TRY(ct_index_scan(&index, &folder, 1, NULL, NULL, err));
  lc_status status = open_viewer(&viewer, err);
  for (size_t i = 0; status == LC_OK && i < index.n_series; i++) {
    printf("series %s: %zu slices, %s\n", index.series[i].series_instance_uid,
           index.series[i].n_slices, ct_verdict_name(index.series[i].verdict));
    if (index.series[i].verdict != CT_REFUSED) status = look_at(&viewer, &index.series[i], err);
  }
  close_viewer(&viewer);
  ct_index_free(&index);
  return status;
}

int main(int argc, char **argv) {
  struct lc_error err;
  if (argc != 3) {
    fprintf(stderr, "usage: %s CT-FOLDER RESULTS-FOLDER\n", argv[0]);
    return LC_ERR_USAGE;
  }
  lc_status status = by_pieces(argv[1], &err);
  if (status == LC_OK) status = run(argv[1], argv[2], &err);
  if (status != LC_OK) fprintf(stderr, "%s\n", err.message);
  return (int)status;
}
