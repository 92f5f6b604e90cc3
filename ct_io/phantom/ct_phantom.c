/* Makes a phantom from a seed (voxels, truth, readings) and writes its DICOM and XML files. */
#include "ct_io/phantom/ct_phantom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_parallel.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_uid.h"
#include "ct_io/phantom/ct_ph_scene.h"

void ct_ph_scene_free(struct ct_ph_scene *scene) {
  free(scene->grid.lung);
  free(scene->grid.floor);
  for (int i = 0; i < 4; i++) free(scene->mediastinum[i].item);
  for (int i = 0; i < 2; i++) free(scene->vessels[i].item);
  free(scene->airways.item);
  free(scene->ribs.item);
  free(scene->cartilage.item);
  free(scene->long_bones.item);
  memset(scene, 0, sizeof *scene);
}

static lc_status check_options(const struct ct_phantom_options *o, struct lc_error *err) {
  if (o->matrix != 0 && (o->matrix < 32 || o->matrix > 1024))
    LC_FAIL(err, LC_ERR_USAGE, "phantom: matrix %zu, expected 32 to 1024 or 0", o->matrix);
  if (o->slice_spacing_mm != 0 && !(o->slice_spacing_mm >= 0.5 && o->slice_spacing_mm <= 20))
    LC_FAIL(err, LC_ERR_USAGE, "phantom: slice spacing %g mm, expected 0.5 to 20 or 0",
            o->slice_spacing_mm);
  if (o->nodules > CT_PHANTOM_MAX_NODULES)
    LC_FAIL(err, LC_ERR_USAGE, "phantom: %zu nodules, expected at most %d", o->nodules,
            CT_PHANTOM_MAX_NODULES);
  return LC_OK;
}

static double rounded(float value, double step) {
  return round((double)value / step) * step;
}

static void set_geometry(struct ct_ph_scene *scene, struct ct_volume *volume) {
  /* Positions are round numbers, so that files give back exactly what was meant. */
  double spacing = rounded(scene->spacing_mm, 0.001);
  double field = rounded(scene->pixel_mm * (float)scene->matrix, 5),
         pixel = field / (double)scene->matrix;
  double origin[3] = {rounded(scene->first.x + scene->shift_mm.x, 0.001),
                      rounded(scene->first.y + scene->shift_mm.y, 0.001),
                      rounded(scene->first.z + scene->shift_mm.z, 0.25)};
  scene->spacing_mm = (float)spacing;
  scene->pixel_mm = (float)pixel;
  scene->first = ph_vec((float)origin[0] - scene->shift_mm.x, (float)origin[1] - scene->shift_mm.y,
                        (float)origin[2] - scene->shift_mm.z);
  volume->size[0] = volume->size[1] = scene->matrix;
  volume->size[2] = scene->n_slices;
  volume->spacing_mm[0] = volume->spacing_mm[1] = pixel;
  volume->spacing_mm[2] = spacing;
  memcpy(volume->origin_mm, origin, sizeof origin);
  for (int i = 0; i < 3; i++) volume->direction[4 * i] = 1;
}

static lc_status set_uids(struct ct_phantom *phantom, const struct ct_phantom_options *o,
                          struct lc_error *err) {
  char key[128], index[32];
  snprintf(key, sizeof key, "seed %llu patient %llu matrix %zu spacing %.6f",
           (unsigned long long)o->seed, (unsigned long long)o->patient, o->matrix,
           o->slice_spacing_mm);
  if (o->nodules > 0) {
    size_t length = strlen(key);
    snprintf(key + length, sizeof key - length, " nodules %zu", o->nodules);
  }
  struct ct_write_header *h = &phantom->header;
  const char *parts[4] = {"lungcdam phantom 1", key, "study", ""};
  LC_TRY(ct_uid_make(h->study_instance_uid, NULL, parts, 4, err));
  parts[2] = "series";
  LC_TRY(ct_uid_make(h->series_instance_uid, NULL, parts, 4, err));
  parts[2] = "frame of reference";
  LC_TRY(ct_uid_make(h->frame_of_reference_uid, NULL, parts, 4, err));
  size_t n = phantom->volume.size[2];
  LC_TRY(lc_alloc(&phantom->sop_instance_uids, n, sizeof *phantom->sop_instance_uids, err));
  parts[2] = "slice";
  parts[3] = index;
  for (size_t k = 0; k < n; k++) {
    snprintf(index, sizeof index, "%zu", k);
    LC_TRY(ct_uid_make(phantom->sop_instance_uids[k], NULL, parts, 4, err));
  }
  return LC_OK;
}

void ct_phantom_patient_id(const struct ct_phantom_options *options, char id[64]) {
  snprintf(id, 64, "PHANTOM-%llu-%04llu", (unsigned long long)options->seed,
           (unsigned long long)options->patient + 1);
}

static void set_header(struct ct_phantom *phantom, const struct ct_ph_scene *scene,
                       const struct ct_phantom_options *o) {
  static const char *const kernels[] = {"SOFT", "STANDARD", "SHARP"};
  struct ct_write_header *h = &phantom->header;
  ct_phantom_patient_id(o, h->patient_id);
  snprintf(h->patient_name, sizeof h->patient_name, "Phantom^%llu",
           (unsigned long long)o->patient + 1);
  snprintf(h->patient_sex, sizeof h->patient_sex, "%s", scene->female ? "F" : "M");
  snprintf(h->patient_age, sizeof h->patient_age, "%03uY", (unsigned)scene->age % 1000u);
  lc_text_copy(h->study_date, sizeof h->study_date, "20000101");
  lc_text_copy(h->study_time, sizeof h->study_time, "120000");
  lc_text_copy(h->study_id, sizeof h->study_id, "1");
  lc_text_copy(h->study_description, sizeof h->study_description, "Synthetic chest CT");
  snprintf(h->series_description, sizeof h->series_description, "Phantom %.2f mm %s",
           (double)scene->thickness_mm, kernels[scene->kernel]);
  h->series_number = 1;
  lc_text_copy(h->manufacturer, sizeof h->manufacturer, "lungcdam phantom");
  lc_text_copy(h->model_name, sizeof h->model_name, "analytic chest 1");
  lc_text_copy(h->convolution_kernel, sizeof h->convolution_kernel, kernels[scene->kernel]);
  lc_text_copy(h->image_comments, sizeof h->image_comments,
               "Synthetic phantom, not a patient. Research use only");
  h->kvp = scene->kvp;
  h->tube_current_ma = scene->current_ma;
  h->exposure_mas = scene->exposure_mas;
  h->reconstruction_diameter_mm = phantom->volume.spacing_mm[0] * (double)scene->matrix;
  h->slice_thickness_mm = rounded(scene->thickness_mm, 0.001);
}

struct render_job {
  const struct ct_ph_scene *scene;
  struct ct_phantom *phantom;
  float *scratch;
  size_t floats;
  struct lc_progress *progress;
};

static void render_one(void *context, size_t k, int worker) {
  struct render_job *job = context;
  size_t plane = job->scene->matrix * job->scene->matrix;
  ct_ph_render_slice(job->scene, k, job->scratch + (size_t)worker * job->floats,
                     job->phantom->volume.hu + k * plane, job->phantom->truth + k * plane);
  ct_ph_feature_slice(job->scene, job->phantom->nodules, k, job->phantom->features + k * plane);
  lc_progress_step(job->progress, 1);
}

static lc_status render(const struct ct_ph_scene *scene, struct ct_phantom *phantom,
                        struct lc_progress *progress, struct lc_error *err) {
  size_t voxels = scene->matrix * scene->matrix * scene->n_slices;
  LC_TRY(lc_alloc(&phantom->volume.hu, voxels, sizeof *phantom->volume.hu, err));
  LC_TRY(lc_alloc(&phantom->truth, voxels, 1, err));
  LC_TRY(lc_alloc(&phantom->features, voxels, 1, err));
  struct render_job job = {.scene = scene, .phantom = phantom, .progress = progress};
  job.floats = ct_ph_scratch_floats(scene);
  size_t workers = (size_t)lc_threads();
  LC_TRY(lc_alloc(&job.scratch, workers * job.floats, sizeof *job.scratch, err));
  if (progress) {
    progress->total = scene->n_slices;
    progress->unit = "slices";
  }
  lc_parallel_for(scene->n_slices, render_one, &job);
  free(job.scratch);
  return LC_OK;
}

static lc_status build(struct ct_ph_scene *scene, struct ct_phantom *phantom,
                       const struct ct_phantom_options *options, struct lc_progress *progress,
                       struct lc_error *err) {
  ct_ph_choose(scene, options);
  set_geometry(scene, &phantom->volume);
  LC_TRY(ct_ph_build_mediastinum(scene, err));
  LC_TRY(ct_ph_build_bones(scene, err));
  LC_TRY(ct_ph_build_grid(scene, err));
  LC_TRY(ct_ph_build_trees(scene, err));
  LC_TRY(ct_ph_build_nodules(scene, options->nodules, phantom->nodules, err));
  phantom->n_nodules = scene->n_nodules;
  LC_TRY(set_uids(phantom, options, err));
  set_header(phantom, scene, options);
  LC_TRY(ct_ph_read(scene, phantom, err));
  return render(scene, phantom, progress, err);
}

lc_status ct_phantom_make(struct ct_phantom *phantom, const struct ct_phantom_options *options,
                          struct lc_progress *progress, struct lc_error *err) {
  memset(phantom, 0, sizeof *phantom);
  LC_TRY(check_options(options, err));
  struct ct_ph_scene *scene;
  LC_TRY(lc_alloc(&scene, 1, sizeof *scene, err));
  lc_status status = build(scene, phantom, options, progress, err);
  ct_ph_scene_free(scene);
  free(scene);
  if (status != LC_OK) ct_phantom_free(phantom);
  return status;
}

struct write_job {
  const struct ct_phantom *phantom;
  const char *folder;
  lc_status *status;
};

static void write_one(void *context, size_t k, int worker) {
  (void)worker;
  struct write_job *job = context;
  char name[32], path[LC_PATH_SIZE];
  snprintf(name, sizeof name, "%06zu.dcm", k + 1);
  job->status[k] = lc_path_join(path, job->folder, name, NULL);
  if (job->status[k] == LC_OK)
    job->status[k] = ct_write_slice(&job->phantom->header, &job->phantom->volume, k,
                                    job->phantom->sop_instance_uids[k], path, NULL);
}

/* All slices; the first that failed is written again to have its message. */
static lc_status write_slices(const struct ct_phantom *phantom, const char *folder,
                              struct lc_error *err) {
  size_t n = phantom->volume.size[2];
  struct write_job job = {.phantom = phantom, .folder = folder};
  LC_TRY(lc_alloc(&job.status, n, sizeof *job.status, err));
  lc_parallel_for(n, write_one, &job);
  lc_status status = LC_OK;
  for (size_t k = 0; k < n && status == LC_OK; k++) {
    if (job.status[k] == LC_OK) continue;
    char name[32], path[LC_PATH_SIZE];
    snprintf(name, sizeof name, "%06zu.dcm", k + 1);
    status = lc_path_join(path, folder, name, err);
    if (status == LC_OK)
      status = ct_write_slice(&phantom->header, &phantom->volume, k, phantom->sop_instance_uids[k],
                              path, err);
  }
  free(job.status);
  return status;
}

static lc_status write_series(const struct ct_phantom *phantom, const char *patient_folder,
                              struct lc_error *err) {
  char study[LC_PATH_SIZE], series[LC_PATH_SIZE], xml[LC_PATH_SIZE];
  LC_TRY(lc_path_join(study, patient_folder, phantom->header.study_instance_uid, err));
  LC_TRY(lc_path_join(series, study, phantom->header.series_instance_uid, err));
  LC_TRY(lc_folder_make(series, err));
  LC_TRY(write_slices(phantom, series, err));
  LC_TRY(lc_path_join(xml, series, "annotation.xml", err));
  return ct_annotation_write(&phantom->annotation, xml, err);
}

lc_status ct_phantom_write(const struct ct_phantom *phantom, const char *root, bool replace,
                           char *series_folder, size_t series_folder_size, struct lc_error *err) {
  char target[LC_PATH_SIZE], partial[LC_PATH_SIZE], name[128];
  const struct ct_write_header *h = &phantom->header;
  LC_TRY(lc_path_join(target, root, h->patient_id, err));
  if (!replace && lc_file_exists(target))
    LC_FAIL(err, LC_ERR_EXISTS, "%s exists; give --overwrite to replace it", target);
  snprintf(name, sizeof name, ".%s.%d.partial", h->patient_id, (int)getpid());
  LC_TRY(lc_path_join(partial, root, name, err));
  LC_TRY(lc_folder_make(partial, err));
  lc_status status = write_series(phantom, partial, err);
  if (status == LC_OK) status = lc_folder_publish(partial, target, replace, err);
  if (status != LC_OK) {
    /* The first failure is the one to report. */
    lc_status cleared = lc_folder_remove(partial, NULL);
    (void)cleared;
    return status;
  }
  int length = snprintf(series_folder, series_folder_size, "%s/%s/%s", target,
                        h->study_instance_uid, h->series_instance_uid);
  if (length < 0 || (size_t)length >= series_folder_size)
    LC_FAIL(err, LC_ERR_USAGE, "%s: the path of the series does not fit", target);
  return LC_OK;
}

void ct_phantom_free(struct ct_phantom *phantom) {
  ct_volume_free(&phantom->volume);
  ct_annotation_free(&phantom->annotation);
  free(phantom->truth);
  free(phantom->features);
  free(phantom->sop_instance_uids);
  memset(phantom, 0, sizeof *phantom);
}
