/* Makes series of volume files, and decodes their slices. */
#include "ct_io/ct/ct_volume_file.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_hash.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_volume_axes.h"
#include "ct_io/ct/ct_volume_header.h"
#include "ct_io/ct/ct_volume_itk.h"

struct ct_volume_file {
  char path[LC_PATH_SIZE];
  struct ct_volume_header header;
  struct ct_volume_axes axes;
  bool referred;
  pthread_mutex_t lock; /* of what follows */
  size_t holders;
  int16_t *kept;       /* [k, j, i] of the file */
  lc_status failed;    /* while held: reading it whole did, */
  struct lc_error why; /* and would again */
  char sha256[LC_SHA256_HEX];
};

bool ct_volume_file_named(const char *path) {
  return ct_volume_format_of(path, NULL) != NULL;
}

bool ct_volume_file_is_data(const char *path) {
  static const char *const headers[] = {".mhd", ".nhdr"};
  const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
  char beside[LC_PATH_SIZE];
  struct ct_volume_header header;
  if (!dot || (slash && dot < slash)) return false;
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
    snprintf(beside, sizeof beside, "%.*s%s", (int)(dot - path), path, headers[i]);
    if (lc_file_exists(beside) && ct_volume_header_read(&header, beside, NULL) == LC_OK &&
        strcmp(header.data_path, path) == 0)
      return true;
  }
  return false;
}

void ct_series_file(const struct ct_series *series, const char **path, const char **format) {
  *path = series->file ? series->file->path : NULL;
  *format = series->file ? series->file->header.format->name : NULL;
}

void ct_volume_file_free(struct ct_volume_file *file) {
  if (!file) return;
  free(file->kept);
  pthread_mutex_destroy(&file->lock);
  free(file);
}

/* The file's name without its ending, in the 64 characters that a UID may have. */
static void name_series(struct ct_series *series, const char *path, const char *format) {
  const char *slash = strrchr(path, '/');
  size_t start = slash ? (size_t)(slash - path) + 1 : 0, end = strlen(path);
  (void)ct_volume_format_of(path, &end);
  char *id = series->series_instance_uid;
  snprintf(id, sizeof series->series_instance_uid, "%.*s", (int)(end - start), path + start);
  for (char *c = id; *c; c++)
    if ((unsigned char)*c < 32 || *c == 127) *c = '_';
  if (!*id) lc_text_copy(id, sizeof series->series_instance_uid, format);
  lc_text_copy(series->patient_id, sizeof series->patient_id, id);
  lc_text_copy(series->modality, sizeof series->modality, "CT");
}

static lc_status fill_slices(struct ct_series *series, const struct ct_volume_file *file,
                             struct lc_error *err) {
  const struct ct_volume_axes *axes = &file->axes;
  size_t n = ct_volume_axes_size(axes, &file->header, 2);
  LC_TRY(lc_alloc(&series->slices, n, sizeof *series->slices, err));
  for (size_t k = 0; k < n; k++) {
    struct ct_slice *slice = &series->slices[series->n_slices++];
    const double voxel[3] = {0, 0, (double)k};
    *slice = (struct ct_slice){.frame = (int)(axes->flip[2] ? n - 1 - k : k),
                               .slope = 1,
                               .rescale_given = true,
                               .pixel_signed = true,
                               .bits_allocated = 16,
                               .bits_stored = 16,
                               .high_bit = 15};
    slice->instance_number = slice->frame + 1;
    lc_text_copy(slice->transfer_syntax_uid, CT_UID_SIZE, file->header.format->name);
    slice->path = strdup(file->path);
    if (!slice->path) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", file->path);
    ct_volume_axes_position(axes, &file->header, voxel, slice->position_mm);
    for (int x = 0; x < 3; x++) slice->along_mm += slice->position_mm[x] * series->normal[x];
  }
  return LC_OK;
}

static void fill_geometry(struct ct_series *series, const struct ct_volume_file *file) {
  double length[3], unit[3][3];
  for (int a = 0; a < 3; a++) {
    const double *step = file->header.step_mm[file->axes.axis[a]];
    length[a] = sqrt(step[0] * step[0] + step[1] * step[1] + step[2] * step[2]);
    for (int x = 0; x < 3; x++) unit[a][x] = (file->axes.flip[a] ? -step[x] : step[x]) / length[a];
  }
  series->columns = (int)ct_volume_axes_size(&file->axes, &file->header, 0);
  series->rows = (int)ct_volume_axes_size(&file->axes, &file->header, 1);
  series->pixel_spacing_mm[0] = length[1];
  series->pixel_spacing_mm[1] = length[0];
  series->slice_spacing_mm = series->slice_thickness_mm = length[2];
  memcpy(series->orientation, unit, sizeof series->orientation);
  const double *o = series->orientation;
  series->normal[0] = o[1] * o[5] - o[2] * o[4];
  series->normal[1] = o[2] * o[3] - o[0] * o[5];
  series->normal[2] = o[0] * o[4] - o[1] * o[3];
}

/* One slice stands for the file of a volume that is refused. */
static lc_status fill(struct ct_series *series, struct ct_volume_file *file, struct lc_error *err) {
  struct ct_volume_header *header = &file->header;
  uint64_t bytes =
      (uint64_t)header->type.bytes * header->size[0] * header->size[1] * header->size[2];
  bool whole = header->compressed || !header->format->by_region;
  if (whole && bytes > CT_VOLUME_WHOLE)
    ct_volume_refuse(
        header, "%llu MiB that must be read whole, at most %llu: store it uncompressed",
        (unsigned long long)(bytes >> 20), (unsigned long long)(CT_VOLUME_WHOLE >> 20));
  if (!header->refusal[0] && !header->placed) LC_TRY(ct_volume_itk_place(header, file->path, err));
  if (!header->refusal[0]) ct_volume_judge_place(header);
  if (header->refusal[0]) {
    series->columns = (int)header->size[0];
    series->rows = (int)header->size[1];
    header->size[2] = 1;
    file->axes = (struct ct_volume_axes){{0, 1, 2}, {false}};
    series->verdict = CT_REFUSED;
    lc_text_copy(series->reason, sizeof series->reason, header->refusal);
    return fill_slices(series, file, err);
  }
  ct_volume_axes_nearest(&file->axes, header);
  fill_geometry(series, file);
  if (header->repair[0]) series->verdict = CT_REPAIRED;
  lc_text_copy(series->reason, sizeof series->reason, header->repair);
  return fill_slices(series, file, err);
}

lc_status ct_volume_file_open(struct ct_series *series, const char *path, struct lc_error *err) {
  memset(series, 0, sizeof *series);
  struct ct_volume_file *file = calloc(1, sizeof *file);
  if (!file) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  pthread_mutex_init(&file->lock, NULL);
  lc_text_copy(file->path, sizeof file->path, path);
  series->file = file;
  lc_status status = ct_volume_header_read(&file->header, path, err);
  if (status == LC_OK) {
    name_series(series, path, file->header.format->name);
    series->part = series->n_parts = 1;
    status = fill(series, file, err);
  }
  if (status != LC_OK) ct_series_free(series);
  return status;
}

static bool reads_whole(const struct ct_volume_file *file) {
  return file->header.compressed || !file->header.format->by_region;
}

/* The file's voxels in the order of the series. */
static void reorder(const struct ct_volume_file *file, const struct ct_volume *volume,
                    const int16_t *from, const size_t start[3], const size_t size[3]) {
  const struct ct_volume_axes *axes = &file->axes;
  const size_t stride[3] = {1, size[0], size[0] * size[1]};
  size_t first[3] = {0, 0, volume->first_slice};
  ptrdiff_t step[3], origin = 0;
  for (int a = 0; a < 3; a++) {
    int f = axes->axis[a];
    size_t at = axes->flip[a] ? file->header.size[f] - 1 - first[a] : first[a];
    origin += (ptrdiff_t)((at - start[f]) * stride[f]);
    step[a] = axes->flip[a] ? -(ptrdiff_t)stride[f] : (ptrdiff_t)stride[f];
  }
  int16_t *to = volume->hu;
  for (size_t k = 0; k < volume->size[2]; k++)
    for (size_t j = 0; j < volume->size[1]; j++) {
      const int16_t *row = from + origin + (ptrdiff_t)k * step[2] + (ptrdiff_t)j * step[1];
      for (size_t i = 0; i < volume->size[0]; i++) *to++ = row[(ptrdiff_t)i * step[0]];
    }
}

/* Box of the file that holds the volume's slices. */
static void box_of(const struct ct_volume_file *file, const struct ct_volume *volume,
                   size_t start[3], size_t size[3]) {
  int f = file->axes.axis[2];
  for (int a = 0; a < 3; a++) start[a] = 0, size[a] = file->header.size[a];
  start[f] =
      file->axes.flip[2] ? size[f] - volume->first_slice - volume->size[2] : volume->first_slice;
  size[f] = volume->size[2];
}

static lc_status read_box(const struct ct_volume_file *file, const size_t start[3],
                          const size_t size[3], int16_t **hu, struct lc_error *err) {
  const struct ct_volume_header *header = &file->header;
  struct ct_value_range range = {INFINITY, -INFINITY, false};
  if (header->compressed) LC_TRY(ct_volume_check_packed(header, err));
  LC_TRY(lc_alloc(hu, size[0] * size[1] * size[2], sizeof **hu, err));
  lc_status status = (header->format->voxels ? header->format->voxels : ct_volume_itk_read)(
      header, file->path, start, size, *hu, &range, err);
  if (status == LC_OK && (range.low < INT16_MIN || range.high > INT16_MAX))
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__,
                     "%s: values from %g to %g are not Hounsfield units, expected -32768 to 32767",
                     file->path, range.low, range.high);
  if (status == LC_OK) return LC_OK;
  free(*hu);
  *hu = NULL;
  return status;
}

/* Reads the file whole at the first time; what failed is not tried again. */
static lc_status keep_whole(struct ct_volume_file *file, struct lc_error *err) {
  static const size_t none[3] = {0, 0, 0};
  if (!file->kept && file->failed == LC_OK)
    file->failed = read_box(file, none, file->header.size, &file->kept, &file->why);
  if (file->failed != LC_OK && err) *err = file->why;
  return file->failed;
}

static lc_status take_slices(struct ct_volume_file *file, const struct ct_volume *volume,
                             struct lc_error *err) {
  size_t start[3] = {0, 0, 0}, size[3];
  int16_t *part;
  if (reads_whole(file) && file->holders > 0) {
    LC_TRY(keep_whole(file, err));
    reorder(file, volume, file->kept, start, file->header.size);
    return LC_OK;
  }
  box_of(file, volume, start, size);
  LC_TRY(read_box(file, start, size, &part, err));
  reorder(file, volume, part, start, size);
  free(part);
  return LC_OK;
}

lc_status ct_volume_file_decode(struct ct_volume *volume, const struct ct_series *series,
                                struct lc_progress *progress, struct lc_error *err) {
  struct ct_volume_file *file = series->file;
  LC_TRY(lc_alloc(&volume->hu, volume->size[0] * volume->size[1] * volume->size[2],
                  sizeof *volume->hu, err));
  pthread_mutex_lock(&file->lock);
  lc_status status = take_slices(file, volume, err);
  pthread_mutex_unlock(&file->lock);
  lc_progress_step(progress, volume->size[2]);
  if (status != LC_OK) ct_volume_free(volume);
  return status;
}

void ct_volume_file_hold(const struct ct_series *series) {
  if (!series->file) return;
  pthread_mutex_lock(&series->file->lock);
  series->file->holders++;
  pthread_mutex_unlock(&series->file->lock);
}

void ct_volume_file_drop(const struct ct_series *series) {
  struct ct_volume_file *file = series->file;
  if (!file) return;
  pthread_mutex_lock(&file->lock);
  if (--file->holders == 0) {
    free(file->kept);
    file->kept = NULL;
    file->failed = LC_OK;
  }
  pthread_mutex_unlock(&file->lock);
}

lc_status ct_volume_file_hash(const struct ct_series *series, char hex[65], struct lc_error *err) {
  struct ct_volume_file *file = series->file;
  char both[2 * LC_SHA256_HEX];
  lc_status status = LC_OK;
  pthread_mutex_lock(&file->lock);
  if (!file->sha256[0]) {
    char header[LC_SHA256_HEX], data[LC_SHA256_HEX] = "";
    bool apart = strcmp(file->header.data_path, file->path) != 0;
    status = lc_hash_file_hex(file->path, header, err);
    if (status == LC_OK && apart) status = lc_hash_file_hex(file->header.data_path, data, err);
    snprintf(both, sizeof both, "%s%s", header, data);
    if (status == LC_OK) status = lc_hash_bytes_hex(both, strlen(both), file->sha256, err);
  }
  if (status == LC_OK) memcpy(hex, file->sha256, LC_SHA256_HEX);
  pthread_mutex_unlock(&file->lock);
  return status;
}

lc_status ct_volume_file_check_outlines(const struct ct_series *series, struct lc_error *err) {
  const struct ct_volume_file *file = series->file;
  if (!file || file->referred) return LC_OK;
  const struct ct_volume_axes *axes = &file->axes;
  bool own = axes->axis[0] == 0 && axes->axis[1] == 1 && !axes->flip[0] && !axes->flip[1];
  if (axes->axis[0] == 0 && axes->axis[1] == 1 && axes->flip[0] && axes->flip[1] && !axes->flip[2])
    LC_FAIL(
        err, LC_ERR_GEOMETRY,
        "%s: outlines count pixels of the DICOM, and columns and rows of this file run to the "
        "right and front: of a prone patient, or turned later; tell by --reference DICOM-FOLDER, "
        "or give places in millimetres",
        file->path);
  for (int axis = 0; axis < 2; axis++)
    if (fabs(series->orientation[4 * axis]) < 1 - 1e-6)
      LC_FAIL(err, LC_ERR_GEOMETRY,
              "%s: outlines count pixels of the DICOM, and columns and rows of this file run "
              "obliquely: it was resampled; tell by --reference DICOM-FOLDER, or give places in "
              "millimetres",
              file->path);
  lc_log(LC_LOG_WARNING,
         "%s: outlines count pixels of the DICOM, and are taken for those of %d columns and %d "
         "rows here%s; if it was cropped or resampled they lie elsewhere, --reference tells",
         file->path, series->columns, series->rows,
         own ? ""
             : ", which are turned: columns of the DICOM are taken to run to the left and rows "
               "to the back, as of a supine patient");
  return LC_OK;
}

static lc_status copy_slices(struct ct_series *to, const struct ct_series *from,
                             struct lc_error *err) {
  LC_TRY(lc_alloc(&to->slices, from->n_slices, sizeof *to->slices, err));
  for (size_t k = 0; k < from->n_slices; k++) {
    to->slices[k] = from->slices[k];
    to->slices[k].path = strdup(from->slices[k].path);
    if (!to->slices[k].path) LC_FAIL(err, LC_ERR_MEMORY, "out of memory for %zu slices", k);
    to->n_slices++;
  }
  return LC_OK;
}

lc_status ct_volume_file_refer(struct ct_series *series, const struct ct_series *reference,
                               struct lc_error *err) {
  struct ct_volume_file *file = series->file;
  struct ct_volume_axes axes = {{0, 1, 2}, {false}};
  LC_TRY(ct_volume_axes_match(&axes, &file->header, reference, file->path, err));
  struct ct_series made = *reference;
  made.slices = NULL;
  made.n_slices = 0;
  made.file = NULL;
  lc_status status = copy_slices(&made, reference, err);
  if (status != LC_OK) {
    ct_series_free(&made);
    return status;
  }
  file->axes = axes;
  file->referred = true;
  made.file = file;
  series->file = NULL;
  ct_series_free(series);
  *series = made;
  return LC_OK;
}
