/* A structured report of what was predicted for each nodule.
 *
 * Comprehensive SR Storage with template TID 1500, Measurement Report (PS3.16): the program and the
 * model as device observer, the source slices as image library, one measurement group a nodule
 * (TID 1411 when a segmentation of it is given, else TID 1501) with coded measurements and units,
 * algorithm name and version, and references to the other objects as evidence.
 *
 * Thread-safety: distinct outputs may be written from distinct threads. */
#ifndef CT_REPORT_H
#define CT_REPORT_H

#include "common/lc_api.h"
#include "ct_io/dicom_write/ct_derived.h"

LC_API_BEGIN

extern const struct ct_object_class ct_report_object;

struct ct_code {
  const char *value, *scheme, *meaning; /* "81827009", "SCT", "Diameter" */
};

struct ct_measurement {
  struct ct_code quantity;
  struct ct_code units;
  double value;
};

/* The measurement that an output of a model means, by its name: "malignancy" (a probability, 0 to
 * 1), "subtlety", "calcification", "margin", "lobulation", "spiculation", "texture", "sphericity"
 * (LIDC's scales; coded as the public re-encoding of LIDC-IDRI does, Fedorov et al., Med Phys
 * 47:5953, 2020), "diameter" (mm). Part of a name before a dot is not read ("biomarkers.margin").
 * Another name becomes a code of the private scheme 99LUNGCDAM, without units; its first 16
 * characters must differ from those of others. name must outlive the result. */
struct ct_measurement ct_measurement_named(const char *name, double value);

/* One nodule. */
struct ct_finding {
  const char *tracking_id; /* "nodule-1" */
  const char *tracking_uid;
  const struct ct_measurement *measurements;
  size_t n_measurements;
  const char *comment;                     /* one line, or NULL */
  const struct ct_reference *segmentation; /* the object that holds its segment, or NULL */
  unsigned segment_number;                 /* in that object, from 1 */
};

struct ct_report {
  struct ct_derived about;   /* derivation and content texts are not used */
  const char *model_name;    /* "vit_small_patch8" */
  const char *model_version; /* weights hash; says so when untrained */
  const struct ct_finding *findings;
  size_t n_findings;
  const struct ct_reference *evidence; /* captures, maps and other objects made beside it */
  size_t n_evidence;
};

/* LC_ERR_NUMERIC for a measurement that is no number; LC_ERR_USAGE for a report without finding. */
LC_MUST_CHECK lc_status ct_report_write(const struct ct_report *report, const char *path,
                                        struct lc_error *err);

LC_API_END
#endif
