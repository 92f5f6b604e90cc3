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

#include "common/lc_api.h"
#include "ct_io/dicom_write/ct_derived.h"

LC_API_BEGIN

extern const struct ct_object_class ct_capture_object;

struct ct_capture {
  struct ct_derived about;
  const uint8_t *rgb; /* [rows, columns, 3] */
  size_t rows, columns;
};

LC_MUST_CHECK lc_status ct_capture_write(const struct ct_capture *capture, const char *path,
                                         struct lc_error *err);

LC_API_END
#endif
