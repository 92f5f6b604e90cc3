/* The signed scores of an explanation as numbers in the patient's geometry.
 *
 * Parametric Map Storage (PS3.3 A.75) with 32-bit float pixels, Content Qualification RESEARCH: one
 * frame, which is one plane, since readers of volumes take one orientation an object. Real World
 * Value Mapping says that the values are 130402 (DCM, Class activation), or 130404 (Saliency) when
 * the object is not a class activation, without units, stored as they are.
 *
 * Thread-safety: distinct outputs may be written from distinct threads. */
#ifndef CT_PARAMETRIC_MAP_H
#define CT_PARAMETRIC_MAP_H

#include "common/lc_api.h"
#include "ct_io/ct/ct_plane.h"
#include "ct_io/dicom_write/ct_derived.h"

LC_API_BEGIN

extern const struct ct_object_class ct_parametric_map_object;

struct ct_parametric_map {
  struct ct_derived about;
  const float *values; /* [plane.rows, plane.columns], finite */
  struct ct_plane plane;
  const char *quantity; /* "CDAM malignancy": label of the value mapping, 16 characters at most */
  const char *tracking_id, *tracking_uid; /* of the nodule, as in the report; both or none */
};

/* LC_ERR_NUMERIC for NaN or infinity. */
LC_MUST_CHECK lc_status ct_parametric_map_write(const struct ct_parametric_map *map,
                                                const char *path, struct lc_error *err);

LC_API_END
#endif
