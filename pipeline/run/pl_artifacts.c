/* Writes the folder of one series: store, configuration, nodules.csv, pictures in parallel,
 * captures, and further DICOM objects. */
#include "pipeline/run/pl_artifacts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_parallel.h"
#include "ct_io/ct/ct_uid.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/dicom_write/ct_capture.h"
#include "pipeline/export/pl_export.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/report/pl_version.h"
#include "pipeline/run/pl_figure.h"
#include "pipeline/run/pl_summary.h"
#include "pipeline/store/pl_store.h"

/* What the captures of one series share. */
struct writing {
  const struct pl_config *config;
  const struct pl_result *result;
  const struct pl_provenance *provenance;
  const char *folder;
  char key[LC_SHA256_HEX];
  char series_uid[CT_UID_SIZE];
  char derivation[512], version[64];
};

static lc_status make_uid(const struct writing *writing, const char *role, const char *nodule,
                          const char *view, char uid[CT_UID_SIZE], struct lc_error *err) {
  const char *root = writing->config->capture_uid_root;
  const char *const parts[] = {role,
                               writing->result->series->study_instance_uid,
                               writing->result->series->series_instance_uid,
                               writing->key,
                               nodule,
                               view};
  return ct_uid_make(uid, *root ? root : NULL, parts, sizeof parts / sizeof *parts, err);
}

/* Slices of the source that a view shows: the neighbours of the plane it lies in when it is
 * parallel to them, else all that the cube touches. */
static void shown_slices(const struct pl_result *result, size_t nodule, enum ct_view view,
                         size_t *first, size_t *count) {
  static const int axis_of[] = {[CT_AXIAL] = 2, [CT_CORONAL] = 1, [CT_SAGITTAL] = 0};
  const struct ct_cube *cube = &result->cubes[nodule];
  double point[3];
  memcpy(point, cube->centre_mm, sizeof point);
  int axis = axis_of[view];
  bool parallel = fabs(result->series->normal[axis]) > 0.999;
  double extent_mm = parallel ? 0 : (double)cube->edge * cube->spacing_mm;
  size_t index = cube->edge / 2;
  if (parallel) point[axis] += ((double)index - 0.5 * ((double)cube->edge - 1)) * cube->spacing_mm;
  ct_series_slab(result->series, point, extent_mm, first, count);
}

static void comment(const struct writing *writing, size_t nodule, size_t view, char *out,
                    size_t size) {
  const struct pl_result *result = writing->result;
  const char *untrained = pl_untrained_notice(writing->provenance);
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

static lc_status write_capture(const struct writing *writing, size_t nodule, size_t view,
                               const struct cdam_picture *picture, const char *path,
                               struct lc_error *err) {
  const struct pl_result *result = writing->result;
  char comments[1024];
  comment(writing, nodule, view, comments, sizeof comments);
  struct ct_capture capture = {.rgb = picture->rgb,
                               .rows = picture->rows,
                               .columns = picture->columns,
                               .series_number = (int)writing->config->capture_series_number,
                               .instance_number = (int)pl_result_image(result, nodule, view) + 1,
                               .series_description =
                                   writing->provenance->trained
                                       ? "lungcdam CDAM (research use only)"
                                       : "lungcdam CDAM UNTRAINED WEIGHTS (research use only)",
                               .image_comments = comments,
                               .derivation_description = writing->derivation,
                               .software_version = writing->version,
                               .is_class_activation = true};
  lc_text_copy(capture.series_instance_uid, CT_UID_SIZE, writing->series_uid);
  LC_TRY(make_uid(writing, "capture", result->nodules.nodules[nodule].id,
                  ct_view_name(result->views[view]), capture.sop_instance_uid, err));
  size_t first, *slices;
  shown_slices(result, nodule, result->views[view], &first, &capture.n_source_slices);
  LC_TRY(lc_alloc(&slices, capture.n_source_slices, sizeof *slices, err));
  for (size_t i = 0; i < capture.n_source_slices; i++) slices[i] = first + i;
  capture.source_slices = slices;
  lc_status status = ct_capture_write(&capture, result->series, path, err);
  free(slices);
  return status;
}

static lc_status write_picture(const struct writing *writing, size_t nodule, size_t view,
                               struct lc_error *err) {
  const struct pl_result *result = writing->result;
  char png[LC_PATH_SIZE], dcm[LC_PATH_SIZE];
  const char *id = result->nodules.nodules[nodule].id;
  const char *view_name = ct_view_name(result->views[view]);
  snprintf(png, sizeof png, "%s/figures/%s_%s.png", writing->folder, id, view_name);
  snprintf(dcm, sizeof dcm, "%s/captures/%s_%s.dcm", writing->folder, id, view_name);
  struct cdam_picture picture;
  LC_TRY(pl_figure_draw(writing->config, result, writing->provenance, nodule, view, &picture, err));
  lc_status status = LC_OK;
  if (writing->config->figure_write) status = cdam_picture_write_png(&picture, png, err);
  if (status == LC_OK && writing->config->capture_write)
    status = write_capture(writing, nodule, view, &picture, dcm, err);
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

static lc_status write_pictures(const struct writing *writing, struct lc_error *err) {
  const struct pl_config *config = writing->config;
  if (!config->figure_write && !config->capture_write) return LC_OK;
  char folder[LC_PATH_SIZE];
  LC_TRY(lc_path_join(folder, writing->folder, "figures", err));
  if (config->figure_write) LC_TRY(lc_folder_make(folder, err));
  LC_TRY(lc_path_join(folder, writing->folder, "captures", err));
  if (config->capture_write) LC_TRY(lc_folder_make(folder, err));
  return draw_all(writing, err);
}

static lc_status write_texts(const struct writing *writing, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  const char *configuration = writing->provenance->configuration;
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

/* From the store, so that they are what 'lungcdam export' would make of it. */
static lc_status write_objects(const struct writing *writing, const char *store,
                               struct lc_error *err) {
  if (writing->config->export_objects.n == 0) return LC_OK;
  char folder[LC_PATH_SIZE];
  LC_TRY(lc_path_join(folder, writing->folder, "objects", err));
  LC_TRY(lc_folder_make(folder, err));
  struct pl_export_options options;
  struct pl_export_count count;
  struct pl_stored stored;
  pl_export_options_of(&options, writing->config);
  LC_TRY(pl_stored_read(&stored, store, err));
  lc_status status = pl_export_write(&stored, writing->result->series, &writing->result->nodules,
                                     &options, folder, &count, err);
  pl_stored_free(&stored);
  return status;
}

lc_status pl_artifacts_write(const struct pl_config *config, const struct pl_result *result,
                             const struct pl_provenance *provenance, const char *folder,
                             struct lc_error *err) {
  struct writing writing = {
      .config = config, .result = result, .provenance = provenance, .folder = folder};
  LC_TRY(pl_result_key(provenance, result->input_manifest_sha256, result->nodule_source_sha256,
                       writing.key, err));
  LC_TRY(make_uid(&writing, "capture series", "", "", writing.series_uid, err));
  snprintf(writing.version, sizeof writing.version, "%s (%s)", pl_version(), pl_commit());
  snprintf(writing.derivation, sizeof writing.derivation,
           "%s%sCDAM (class-discriminative attention map) of %s, weights SHA-256 %s, configuration "
           "SHA-256 %s; research use only",
           pl_untrained_notice(provenance), provenance->trained ? "" : "; ",
           result->model->arch.name, provenance->weights_sha256, provenance->configuration_sha256);
  LC_TRY(write_pictures(&writing, err));
  LC_TRY(write_texts(&writing, err));
  char path[LC_PATH_SIZE];
  LC_TRY(lc_path_join(path, folder, PL_STORE_FILE, err));
  LC_TRY(pl_store_write(result, provenance, (enum pl_cube_type)config->store_cube_type, path, err));
  return write_objects(&writing, path, err);
}
