/* Secondary captures: an overlay picture that goes back to the PACS beside its source series.
 *
 * Single-frame RGB, Secondary Capture Image Storage (PS3.3 A.8.1). Patient and study attributes are
 * those of the source, the series is new. What is written follows the design: DerivationDescription
 * and code, Source Image Sequence with purpose 121322 (DCM, Source image for image processing
 * operation), Contributing Equipment, BurnedInAnnotation YES because the legend is in the pixels,
 * LossyImageCompression carried on from the source. Dates and times are the source's, so that two
 * runs give the same bytes.
 *
 * Thread-safety: distinct outputs may be written from distinct threads. */
#ifndef CT_CAPTURE_H
#define CT_CAPTURE_H

#include <stdint.h>

#include "ct_io/ct/ct_series.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ct_capture {
  const uint8_t *rgb; /* [rows, columns, 3] */
  size_t rows, columns;
  char series_instance_uid[CT_UID_SIZE];
  char sop_instance_uid[CT_UID_SIZE];
  int series_number;                  /* fixed range, 9100 and up */
  int instance_number;                /* 1 and up within the series */
  const char *series_description;     /* "lungcdam CDAM malignancy (research use only)" */
  const char *image_comments;         /* one line: nodule, view, targets, probability */
  const char *derivation_description; /* model, weights hash, estimator */
  const char *software_version;       /* program version and commit */
  bool is_class_activation;           /* adds derivation code 130402 (DCM, Class activation) */
  const size_t *source_slices;        /* indices into the series of the slices shown */
  size_t n_source_slices;
};

/* Writes Explicit VR Little Endian to path, whole or not at all. Patient and study attributes,
 * frame of reference and character set come from the file of the first source slice; texts are
 * UTF-8 and are brought to that character set ('?' for what it lacks). image_comments gets
 * "Research use only." in front unless it says so; a series_description that does not say "research
 * use only" is LC_ERR_USAGE, as are a text longer than its VR allows (64 characters for
 * series_description and software_version, 1024 for derivation_description) and a UID that is none.
 * LC_ERR_NOT_FOUND, LC_ERR_FORMAT or LC_ERR_MISMATCH when the source file is gone, broken or
 * another one; LC_ERR_NO_SPACE, LC_ERR_NOT_WRITABLE. */
LC_MUST_CHECK lc_status ct_capture_write(const struct ct_capture *capture,
                                         const struct ct_series *source, const char *path,
                                         struct lc_error *err);

#ifdef __cplusplus
}
#endif
#endif
