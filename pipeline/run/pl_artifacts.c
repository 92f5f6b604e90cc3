/* Writes the folder of one series: store, configuration, nodules.csv, pictures in parallel,
 * captures, and further DICOM objects. */
#include "pipeline/run/pl_artifacts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_log.h"
#include "common/lc_parallel.h"
#include "pipeline/export/pl_export.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/run/pl_figure.h"
#include "pipeline/run/pl_summary.h"
#include "pipeline/store/pl_store.h"

/* One folder on its way. */
struct writing {
  const struct pl_config *config;
  const struct pl_result *result;
  const char *folder;
  struct pl_export *captures; /* or NULL */
};

static void comment(const struct pl_result *result, size_t nodule, size_t view, char *out,
                    size_t size) {
  const char *untrained = pl_untrained_notice(&result->provenance);
  int used = snprintf(out, size, "%s%s%s %s", untrained, *untrained ? "; " : "",
                      result->nodules.nodules[nodule].id, ct_view_name(result->views[view]));
  for (size_t t = 0; t < result->maps.targets && used > 0 && (size_t)used < size; t++) {
    char text[96];
    pl_prediction_text(result, nodule, t, text, sizeof text);
    used += snprintf(out + used, size - (size_t)used, "; %s %s", result->targets[t].name, text);
  }
  if (used > 0 && (size_t)used < size)
    snprintf(out + used, size - (size_t)used, "; research use only");
}

static lc_status write_picture(const struct writing *writing, size_t nodule, size_t view,
                               struct lc_error *err) {
  const struct pl_result *result = writing->result;
  char png[LC_PATH_SIZE], comments[1024];
  struct cdam_picture picture;
  snprintf(png, sizeof png, "%s/figures/%s_%s.png", writing->folder,
           result->nodules.nodules[nodule].id, ct_view_name(result->views[view]));
  comment(result, nodule, view, comments, sizeof comments);
  LC_TRY(pl_figure_draw(writing->config, result, nodule, view, &picture, err));
  lc_status status = LC_OK;
  if (writing->config->figure_write) status = cdam_picture_write_png(&picture, png, err);
  if (status == LC_OK && writing->captures)
    status = pl_export_picture(writing->captures, nodule, view, &picture, comments, err);
  cdam_picture_free(&picture);
  return status;
}

/* Pictures of all nodules and views, side by side on the threads there are. */
struct drawing {
  const struct writing *writing;
  struct lc_progress *progress;
  lc_status *status; /* [image] */
  struct lc_error *error;
};

static void draw_one(void *context, size_t i, int worker) {
  (void)worker;
  struct drawing *drawing = (struct drawing *)context;
  size_t views = drawing->writing->result->n_views;
  struct lc_error *err = &drawing->error[i];
  drawing->status[i] = pl_signal_check(err);
  if (drawing->status[i] == LC_OK)
    drawing->status[i] = write_picture(drawing->writing, i / views, i % views, err);
  lc_progress_step(drawing->progress, 1);
}

static lc_status draw_all(const struct writing *writing, struct lc_error *err) {
  size_t n = writing->result->nodules.n_nodules * writing->result->n_views;
  struct pl_progress progress;
  struct drawing drawing = {.writing = writing, .progress = &progress.progress};
  lc_status status = LC_OK;
  LC_TRY_GOTO(lc_alloc(&drawing.status, n, sizeof *drawing.status, err), done);
  LC_TRY_GOTO(lc_alloc(&drawing.error, n, sizeof *drawing.error, err), done);
  pl_progress_start(&progress, "drawing", "pictures", n);
  lc_parallel_for(n, draw_one, &drawing);
  pl_progress_end(&progress);
  for (size_t i = 0; status == LC_OK && i < n; i++) {
    status = drawing.status[i];
    if (status != LC_OK && err) *err = drawing.error[i];
  }
done:
  free(drawing.status);
  free(drawing.error);
  return status;
}

static lc_status write_pictures(struct writing *writing, const struct pl_export_options *options,
                                struct lc_error *err) {
  const struct pl_config *config = writing->config;
  bool captures = pl_export_wants(options, true);
  if (!config->figure_write && !captures) return LC_OK;
  struct pl_export export;
  char folder[LC_PATH_SIZE];
  LC_TRY(lc_path_join(folder, writing->folder, "figures", err));
  if (config->figure_write) LC_TRY(lc_folder_make(folder, err));
  if (!captures) return draw_all(writing, err);
  LC_TRY(lc_path_join(folder, writing->folder, "captures", err));
  LC_TRY(lc_folder_make(folder, err));
  LC_TRY(pl_export_open(&export, writing->result, options, folder, err));
  writing->captures = &export;
  lc_status status = draw_all(writing, err);
  pl_export_close(&export);
  writing->captures = NULL;
  return status;
}

static lc_status write_texts(const struct writing *writing, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  const char *configuration = writing->result->provenance.configuration;
  LC_TRY(lc_path_join(path, writing->folder, "configuration.yaml", err));
  LC_TRY(lc_file_write(path, configuration, strlen(configuration), err));
  LC_TRY(lc_path_join(path, writing->folder, "nodules.csv", err));
  struct pl_summary summary;
  struct lc_text text = {0};
  pl_summary_init(&summary, &writing->result->model->arch);
  pl_summary_add(&summary, writing->result);
  lc_status status = pl_table_render(&summary.table, PL_TABLE_CSV, &text, err);
  if (status == LC_OK) status = lc_file_write(path, lc_text_get(&text), text.length, err);
  lc_text_free(&text);
  pl_summary_free(&summary);
  return status;
}

static lc_status write_objects(const struct writing *writing,
                               const struct pl_export_options *options, struct lc_error *err) {
  if (!pl_export_wants(options, false)) return LC_OK;
  struct pl_export export;
  char folder[LC_PATH_SIZE];
  LC_TRY(lc_path_join(folder, writing->folder, "objects", err));
  LC_TRY(lc_folder_make(folder, err));
  lc_status status = pl_export_open(&export, writing->result, options, folder, err);
  if (status == LC_OK) status = pl_export_write(&export, err);
  pl_export_close(&export);
  return status;
}

/* A volume file has no patient, study and slices that an object could name. */
static void drop_objects(struct pl_export_options *options, const struct pl_config *config,
                         const struct pl_result *result) {
  if (ct_series_has_objects(result->series)) return;
  if (pl_export_wants(options, true) || pl_export_wants(options, false))
    lc_log(config->export_objects.n > 0 ? LC_LOG_WARNING : LC_LOG_INFO,
           "series %s: no DICOM objects: %s has no DICOM to refer to; give the folder of its DICOM "
           "by --reference",
           result->series->series_instance_uid, result->series->slices[0].path);
  memset(options->kinds, 0, sizeof options->kinds);
}

lc_status pl_artifacts_write(const struct pl_config *config, struct pl_result *result,
                             const char *folder, struct lc_error *err) {
  struct writing writing = {.config = config, .result = result, .folder = folder};
  struct pl_export_options options;
  pl_export_options_of(&options, config);
  drop_objects(&options, config, result);
  LC_TRY(lc_path_join(result->path, folder, PL_STORE_FILE, err));
  LC_TRY(write_pictures(&writing, &options, err));
  LC_TRY(write_texts(&writing, err));
  LC_TRY(pl_store_write(result, (enum pl_cube_type)config->store_cube_type, result->path, err));
  return write_objects(&writing, &options, err);
}
