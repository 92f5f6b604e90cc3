/* What every DICOM object made from a CT series says of itself and of its source, apart from its
 * pixels. The writers are ct_capture.h, ct_frames.h, ct_parametric_map.h, ct_segmentation.h,
 * ct_report.h and ct_presentation.h. docs/dicom-output.md describes all.
 *
 * Common to their writers: patient, study, frame of reference and character set come from the file
 * of the first source slice; dates and times are the source's, so that the same arguments give the
 * same bytes; texts are UTF-8 and are brought to the source's character set; the file is written
 * whole or not at all. A series_description that does not say "research use only" is LC_ERR_USAGE,
 * as are a text longer than its VR allows (64 characters for series_description and
 * software_version, 1024 for derivation_description) and a UID that is none. LC_ERR_NOT_FOUND,
 * LC_ERR_FORMAT or LC_ERR_MISMATCH when the source file is gone, broken or another one;
 * LC_ERR_NO_SPACE, LC_ERR_NOT_WRITABLE.
 *
 * Thread-safety: distinct outputs may be written from distinct threads; a series may be read by
 * many. */
#ifndef CT_DERIVED_H
#define CT_DERIVED_H

#include "common/lc_api.h"
#include "ct_io/ct/ct_series.h"

LC_API_BEGIN

/* What a writer writes: each header names its own. */
struct ct_object_class {
  const char *sop_class_uid, *modality;
};

struct ct_derived {
  const struct ct_series *source;
  const size_t *source_slices; /* indices into the source of the slices it was made from */
  size_t n_source_slices;      /* 1 or more: patient and study come from the file of the first */
  char series_instance_uid[CT_UID_SIZE];
  char sop_instance_uid[CT_UID_SIZE];
  int series_number;
  int instance_number;
  const char *series_description;     /* says "research use only"; 64 characters at most */
  const char *image_comments;         /* "Research use only." is put in front unless it is said */
  const char *content_label;          /* 16 of A-Z, 0-9, _ and space: "MALIGNANCY"; NULL: "CDAM" */
  const char *content_description;    /* one line, 64 characters at most */
  const char *derivation_description; /* model, weights hash, estimator; 1024 characters at most */
  const char *software_version;       /* program version and commit */
  bool is_class_activation;           /* adds derivation code 130402 (DCM, Class activation) */
};

/* An object that another one refers to. */
struct ct_reference {
  char sop_class_uid[CT_UID_SIZE];
  char sop_instance_uid[CT_UID_SIZE];
  char series_instance_uid[CT_UID_SIZE];
};

/* Looks into the header of every slice for what may identify the patient: PatientIdentityRemoved is
 * not YES, or BurnedInAnnotation is YES, so that pixels taken from it may show a name.
 * LC_ERR_UNSUPPORTED names the file and the attribute; other errors as the writers'. */
LC_MUST_CHECK lc_status ct_source_check_anonymised(const struct ct_series *source,
                                                   struct lc_error *err);

LC_API_END
#endif
