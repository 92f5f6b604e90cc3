/* Writes the folder of one series, pictures in parallel. */
#include "pipeline/run/pl_artifacts.h"

#include <stdio.h>
#include <string.h>

#include "common/lc_file.h"
#include "common/lc_log.h"
#include "common/lc_parallel.h"
#include "common/lc_scope.h"
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
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  lc_text_add(&text, "%s%s%s %s", untrained, *untrained ? "; " : "",
              result->nodules.nodules[nodule].id, ct_view_name(result->views[view]));
  for (size_t t = 0; t < result->maps.targets; t++) {
    char value[96];
    pl_prediction_text(result, nodule, t, value, sizeof value);
    lc_text_add(&text, "; %s %s", result->targets[t].name, value);
  }
  lc_text_add(&text, "; research use only");
  lc_text_copy(out, size, lc_text_get(&text));
}

static lc_status write_picture(const struct writing *writing, size_t nodule, size_t view,
                               struct lc_error *err) {
  const struct pl_result *result = writing->result;
  char png[LC_PATH_SIZE], comments[1024];
  LC_SCOPED(cdam_picture_free) struct cdam_picture picture = {0};
  snprintf(png, sizeof png, "%s/figures/%s_%s.png", writing->folder,
           result->nodules.nodules[nodule].id, ct_view_name(result->views[view]));
  comment(result, nodule, view, comments, sizeof comments);
  LC_TRY(pl_figure_draw(writing->config, result, nodule, view, &picture, err));
  if (writing->config->figure_write) LC_TRY(cdam_picture_write_png(&picture, png, err));
  if (writing->captures)
    LC_TRY(pl_export_picture(writing->captures, nodule, view, &picture, comments, err));
  return LC_OK;
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
  LC_FREED lc_status *status = NULL;
  LC_FREED struct lc_error *error = NULL;
  LC_TRY(lc_alloc(&status, n, sizeof *status, err));
  LC_TRY(lc_alloc(&error, n, sizeof *error, err));
  struct drawing drawing = {writing, &progress.progress, status, error};
  pl_progress_start(&progress, "drawing", "pictures", n);
  lc_parallel_for(n, draw_one, &drawing);
  pl_progress_end(&progress);
  for (size_t i = 0; i < n; i++) {
    if (status[i] != LC_OK && err) *err = error[i];
    LC_TRY(status[i]);
  }
  return LC_OK;
}

/* Readies an export into a new folder of the series. */
static lc_status begin_export(struct pl_export *export, const struct writing *writing,
                              const struct pl_export_options *options, const char *name,
                              char folder[LC_PATH_SIZE], struct lc_error *err) {
  LC_TRY(lc_path_join(folder, writing->folder, name, err));
  LC_TRY(lc_folder_make(folder, err));
  return pl_export_open(export, writing->result, options, folder, err);
}

static lc_status write_pictures(const struct writing *writing,
                                const struct pl_export_options *options, struct lc_error *err) {
  bool figures = writing->config->figure_write, captures = pl_export_wants(options, true);
  LC_SCOPED(pl_export_close) struct pl_export export = {0};
  struct writing with = *writing;
  char folder[LC_PATH_SIZE];
  if (!figures && !captures) return LC_OK;
  LC_TRY(lc_path_join(folder, writing->folder, "figures", err));
  if (figures) LC_TRY(lc_folder_make(folder, err));
  if (captures) LC_TRY(begin_export(&export, writing, options, "captures", folder, err));
  if (captures) with.captures = &export;
  return draw_all(&with, err);
}

static lc_status write_texts(const struct writing *writing, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  const char *configuration = writing->result->provenance.configuration;
  LC_TRY(lc_path_join(path, writing->folder, "configuration.yaml", err));
  LC_TRY(lc_file_write(path, configuration, strlen(configuration), err));
  LC_SCOPED(pl_summary_free) struct pl_summary summary = {0};
  pl_summary_init(&summary, &writing->result->model->arch);
  pl_summary_add(&summary, writing->result);
  return pl_table_write(&summary.table, writing->folder, "nodules.csv", err);
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
  LC_SCOPED(pl_export_close) struct pl_export objects = {0};
  char objects_folder[LC_PATH_SIZE];
  struct pl_export_options options;
  pl_export_options_of(&options, config);
  drop_objects(&options, config, result);
  LC_TRY(lc_path_join(result->path, folder, PL_STORE_FILE, err));
  LC_TRY(write_pictures(&writing, &options, err));
  LC_TRY(write_texts(&writing, err));
  LC_TRY(pl_store_write(result, (enum pl_cube_type)config->store_cube_type, result->path, err));
  if (!pl_export_wants(&options, false)) return LC_OK;
  LC_TRY(begin_export(&objects, &writing, &options, "objects", objects_folder, err));
  return pl_export_write(&objects, err);
}
