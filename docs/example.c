/* Runs the main job on a folder of CT, then explains one image of zeros by hand.
 *
 *   cc example.c -o example $(pkg-config --cflags --libs lungcdam)
 *   ./example CT-FOLDER RESULTS-FOLDER
 *
 * Research use only. */
#include <lungcdam.h>
#include <stdio.h>
#include <stdlib.h>

/* What lies below the folder. */
static lc_status list_series(const char *folder, struct lc_error *err) {
  struct ct_index index;
  LC_TRY(ct_index_scan(&index, &folder, 1, NULL, err));
  for (size_t i = 0; i < index.n_series; i++)
    printf("series %s: %zu slices, %s\n", index.series[i].series_instance_uid,
           index.series[i].n_slices, ct_verdict_name(index.series[i].verdict));
  ct_index_free(&index);
  return LC_OK;
}

/* What `lungcdam run` does. */
static lc_status run(const char *folder, const char *output, struct lc_error *err) {
  const char *const settings[] = {"figure.colours=red-blue", "capture.write=false"};
  const struct pl_run_request request = {.settings = settings,
                                         .n_settings = 2,
                                         .inputs = &folder,
                                         .n_inputs = 1,
                                         .series = "all",
                                         .output = output};
  struct pl_run_counts counts;
  LC_TRY(pl_run(&request, &counts, err));
  printf("%zu series done, weights %.12s...\n", counts.done, counts.weights_sha256);
  return LC_OK;
}

/* The pieces by themselves: a model, its logits, and the map of the first of them. */
static lc_status explain(struct lc_error *err) {
  struct vit_arch arch;
  struct vit_model model;
  LC_TRY(vit_arch_named(&arch, "vit_tiny_patch16", err));
  LC_TRY(vit_arch_add_head(&arch, "malignancy", 0, 1, true, err));
  LC_TRY(vit_model_init(&model, &arch, 1, err)); /* untrained; vit_model_load reads a file */
  float *image = calloc(3 * arch.image_height * arch.image_width, sizeof *image);
  const struct cdam_estimator *cdam;
  struct vit_workspace workspace;
  struct vit_trace trace;
  struct cdam_maps maps;
  const struct cdam_target target = {.name = "malignancy"};
  struct vit_request request = {0};
  if (!image) LC_FAIL(err, LC_ERR_MEMORY, "no memory for an image");
  LC_TRY(cdam_estimator_find("cdam", &cdam, err));
  cdam_estimator_request(cdam, &request); /* what the forward pass must keep for it */
  LC_TRY(vit_workspace_init(&workspace, &model, 1, arch.image_height, arch.image_width, &request,
                            err));
  LC_TRY(vit_forward(&workspace, image, 1, &trace, err));
  const struct cdam_task task = {.model = &model,
                                 .images = image,
                                 .height = arch.image_height,
                                 .width = arch.image_width,
                                 .trace = &trace,
                                 .targets = &target,
                                 .n_targets = 1};
  LC_TRY(cdam_estimate(cdam, &task, &maps, err));
  printf("logit %.3f, map of %zu x %zu patches\n", (double)trace.logits[0], maps.grid_height,
         maps.grid_width);
  cdam_maps_free(&maps);
  vit_workspace_free(&workspace);
  vit_model_free(&model);
  free(image);
  return LC_OK;
}

int main(int argc, char **argv) {
  struct lc_error err;
  if (argc != 3) {
    fprintf(stderr, "usage: %s CT-FOLDER RESULTS-FOLDER\n", argv[0]);
    return LC_ERR_USAGE;
  }
  lc_status status = list_series(argv[1], &err);
  if (status == LC_OK) status = run(argv[1], argv[2], &err);
  if (status == LC_OK) status = explain(&err);
  if (status != LC_OK) fprintf(stderr, "%s\n", err.message);
  return (int)status;
}
