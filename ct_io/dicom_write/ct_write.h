/* CT Image Storage objects from voxels, for phantoms and tests (PS3.3 A.3).
 *
 * Thread-safety: distinct outputs may be written from distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/ct/ct_volume.h"

LC_C_BEGIN

/* Header of a series to be written; every text is ASCII or UTF-8. */
struct ct_write_header {
  char patient_id[64], patient_name[64];
  char patient_sex[2]; /* "M", "F" or "O" */
  char patient_age[5]; /* "061Y" */
  char study_instance_uid[CT_UID_SIZE], series_instance_uid[CT_UID_SIZE];
  char frame_of_reference_uid[CT_UID_SIZE];
  char study_date[9], study_time[7]; /* YYYYMMDD, HHMMSS */
  char study_id[17], study_description[64], series_description[64];
  int series_number;
  char manufacturer[64], model_name[64], software_version[64];
  char convolution_kernel[17];
  double kvp, tube_current_ma, exposure_mas, reconstruction_diameter_mm;
  double slice_thickness_mm;
  char image_comments[128]; /* "Synthetic phantom, not a patient"; "" for none */
};

/* Writes slice k of the volume as one Explicit VR Little Endian file, whole or not at all: signed
 * 16-bit, slope 1, intercept -1024 (stored = HU + 1024), InstanceNumber k + 1, patient head first
 * supine, lung and mediastinum windows. Dates are the header's, so that the same arguments give the
 * same bytes; a number that is 0 and a text that is "" are left out, or left empty where the
 * standard wants the attribute. LC_ERR_USAGE for a UID that is none or a text longer than its VR
 * allows; LC_ERR_NUMERIC for more than 31743 HU; LC_ERR_NO_SPACE and LC_ERR_NOT_WRITABLE. */
LC_MUST_CHECK lc_status ct_write_slice(const struct ct_write_header *header,
                                       const struct ct_volume *volume, size_t k,
                                       const char *sop_instance_uid, const char *path,
                                       struct lc_error *err);

LC_C_END
