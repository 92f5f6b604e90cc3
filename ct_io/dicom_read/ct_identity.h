/* Which object a DICOM file holds, image or not.
 *
 * Thread-safety: distinct files may be read from distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/ct/ct_series.h"

LC_C_BEGIN

struct ct_identity {
  char study_instance_uid[CT_UID_SIZE];
  char series_instance_uid[CT_UID_SIZE];
  char sop_instance_uid[CT_UID_SIZE];
  char sop_class_uid[CT_UID_SIZE];
  char frame_of_reference_uid[CT_UID_SIZE]; /* "": none */
  char modality[17];
  char manufacturer[CT_TEXT_SIZE];
  char patient_id[CT_TEXT_SIZE]; /* for lc_identity: not to be shown as it is */
};

/* From the data set, not the file meta information. LC_ERR_FORMAT for what is no DICOM, has a
 * header that cannot be read, or lacks one of the UIDs (ct_uid_plausible); LC_ERR_NOT_FOUND
 * for what the system does not let be read. */
LC_MUST_CHECK lc_status ct_identity_read(struct ct_identity *identity, const char *path,
                                         struct lc_error *err);

LC_C_END
