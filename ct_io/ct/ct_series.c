/* Finds slices and slabs of a series, converts between patient millimetres and voxel indices, and
 * hashes the manifest that identifies the input, and whose it is. */
#include "ct_io/ct/ct_volume.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_hash.h"
#include "ct_io/ct/ct_volume_file.h"

void ct_series_free(struct ct_series *series) {
  for (size_t i = 0; i < series->n_slices; i++) free(series->slices[i].path);
  free(series->slices);
  ct_volume_file_free(series->file);
  memset(series, 0, sizeof *series);
}

const char *ct_verdict_name(ct_verdict verdict) {
  static const char *const names[] = {"usable", "repaired", "refused"};
  return names[verdict];
}

double ct_spacing_tolerance(double spacing_mm) {
  return 0.05 + 0.05 * spacing_mm;
}

bool ct_series_has_objects(const struct ct_series *series) {
  return series->n_slices > 0 && series->slices[0].sop_instance_uid[0];
}

long ct_series_find_sop(const struct ct_series *series, const char *uid) {
  for (size_t i = 0; i < series->n_slices; i++)
    if (strcmp(series->slices[i].sop_instance_uid, uid) == 0) return (long)i;
  return -1;
}

/* Index of the interval [k, k + 1] that holds a place along the normal; the end ones reach out. */
static size_t interval(const struct ct_series *series, double along_mm) {
  size_t low = 0, high = series->n_slices - 1;
  while (high - low > 1) {
    size_t middle = (low + high) / 2;
    if (series->slices[middle].along_mm <= along_mm)
      low = middle;
    else
      high = middle;
  }
  return low;
}

/* Position of the first pixel at a continuous slice index. */
static void plane_origin(const struct ct_series *series, double k, double origin[3]) {
  const struct ct_slice *slices = series->slices;
  if (series->n_slices == 1) {
    for (int c = 0; c < 3; c++)
      origin[c] = slices[0].position_mm[c] + k * series->slice_spacing_mm * series->normal[c];
    return;
  }
  double last = (double)(series->n_slices - 2);
  size_t low = (size_t)fmin(fmax(floor(k), 0), last);
  double t = k - (double)low;
  for (int c = 0; c < 3; c++)
    origin[c] = slices[low].position_mm[c] +
                t * (slices[low + 1].position_mm[c] - slices[low].position_mm[c]);
}

void ct_series_to_index(const struct ct_series *series, const double lps_mm[3], double ijk[3]) {
  double along = 0, origin[3];
  for (int c = 0; c < 3; c++) along += lps_mm[c] * series->normal[c];
  if (series->n_slices == 1) {
    ijk[2] = (along - series->slices[0].along_mm) / series->slice_spacing_mm;
  } else {
    size_t low = interval(series, along);
    double start = series->slices[low].along_mm, end = series->slices[low + 1].along_mm;
    ijk[2] = (double)low + (along - start) / (end - start);
  }
  plane_origin(series, ijk[2], origin);
  ijk[0] = ijk[1] = 0;
  for (int c = 0; c < 3; c++) {
    ijk[0] += (lps_mm[c] - origin[c]) * series->orientation[c];
    ijk[1] += (lps_mm[c] - origin[c]) * series->orientation[3 + c];
  }
  ijk[0] /= series->pixel_spacing_mm[1];
  ijk[1] /= series->pixel_spacing_mm[0];
}

bool ct_series_contains(const struct ct_series *series, const double lps_mm[3]) {
  const double last[] = {(double)series->columns - 0.5, (double)series->rows - 0.5,
                         (double)series->n_slices - 0.5};
  double ijk[3];
  ct_series_to_index(series, lps_mm, ijk);
  for (int c = 0; c < 3; c++)
    if (!(ijk[c] >= -0.5 && ijk[c] <= last[c])) return false;
  return true;
}

void ct_series_to_patient(const struct ct_series *series, const double ijk[3], double lps_mm[3]) {
  plane_origin(series, ijk[2], lps_mm);
  for (int c = 0; c < 3; c++)
    lps_mm[c] += ijk[0] * series->pixel_spacing_mm[1] * series->orientation[c] +
                 ijk[1] * series->pixel_spacing_mm[0] * series->orientation[3 + c];
}

size_t ct_series_nearest_slice(const struct ct_series *series, const double lps_mm[3]) {
  double ijk[3];
  ct_series_to_index(series, lps_mm, ijk);
  return (size_t)fmin(fmax(round(ijk[2]), 0), (double)(series->n_slices - 1));
}

void ct_series_slab(const struct ct_series *series, const double centre_mm[3], double edge_mm,
                    size_t *first, size_t *count) {
  double low = INFINITY, high = -INFINITY, ijk[3], last = (double)(series->n_slices - 1);
  for (int corner = 0; corner < 8; corner++) {
    double point[3];
    for (int c = 0; c < 3; c++) point[c] = centre_mm[c] + (corner >> c & 1 ? 0.5 : -0.5) * edge_mm;
    ct_series_to_index(series, point, ijk);
    low = fmin(low, ijk[2]);
    high = fmax(high, ijk[2]);
  }
  low = fmin(fmax(floor(low), 0), last);
  high = fmin(fmax(ceil(high), 0), last);
  *first = (size_t)low;
  *count = (size_t)(high - low) + 1;
}

static const struct {
  const char *name;
  size_t offset;
} identity[] = {{"PatientID", offsetof(struct ct_series, patient_id)},
                {"IssuerOfPatientID", offsetof(struct ct_series, patient_issuer)},
                {"PatientName", offsetof(struct ct_series, patient_name)},
                {"PatientBirthDate", offsetof(struct ct_series, patient_birth_date)},
                {"PatientSex", offsetof(struct ct_series, patient_sex)},
                {"StudyID", offsetof(struct ct_series, study_id)},
                {"AccessionNumber", offsetof(struct ct_series, accession_number)}};
#define IDENTITIES (sizeof identity / sizeof *identity)

static const char *identity_of(const struct ct_series *series, size_t i) {
  return (const char *)series + identity[i].offset;
}

lc_status ct_series_identity_hex(const struct ct_series *series, char hex[65],
                                 struct lc_error *err) {
  struct lc_hash hash;
  uint8_t digest[LC_SHA256_BYTES];
  LC_TRY(lc_hash_begin(&hash, err));
  for (size_t i = 0; i < IDENTITIES; i++) lc_hash_add_text(&hash, identity_of(series, i));
  lc_hash_end(&hash, digest);
  lc_hash_hex(digest, hex);
  return LC_OK;
}

const char *ct_series_identity_differs(const struct ct_series *a, const struct ct_series *b) {
  for (size_t i = 0; i < IDENTITIES; i++)
    if (strcmp(identity_of(a, i), identity_of(b, i)) != 0) return identity[i].name;
  return NULL;
}

lc_status ct_series_manifest_hex(const struct ct_series *series, char hex[65],
                                 struct lc_error *err) {
  struct lc_hash hash;
  char line[512], file[LC_SHA256_HEX] = "";
  uint8_t digest[LC_SHA256_BYTES];
  if (series->file) LC_TRY(ct_volume_file_hash(series, file, err));
  LC_TRY(lc_hash_begin(&hash, err));
  lc_hash_add_text(&hash, series->study_instance_uid);
  lc_hash_add_text(&hash, series->series_instance_uid);
  snprintf(line, sizeof line, "%d %d %.17g %.17g", series->rows, series->columns,
           series->pixel_spacing_mm[0], series->pixel_spacing_mm[1]);
  lc_hash_add_text(&hash, line);
  for (int i = 0; i < 6; i++) {
    snprintf(line, sizeof line, "%.17g", series->orientation[i]);
    lc_hash_add_text(&hash, line);
  }
  for (size_t i = 0; i < series->n_slices; i++) {
    const struct ct_slice *slice = &series->slices[i];
    lc_hash_add_text(&hash, slice->sop_instance_uid);
    snprintf(line, sizeof line, "%d %.17g %.17g %.17g %.17g %.17g", slice->frame,
             slice->position_mm[0], slice->position_mm[1], slice->position_mm[2], slice->slope,
             slice->intercept);
    lc_hash_add_text(&hash, line);
  }
  if (*file) lc_hash_add_text(&hash, file);
  lc_hash_end(&hash, digest);
  lc_hash_hex(digest, hex);
  return LC_OK;
}
