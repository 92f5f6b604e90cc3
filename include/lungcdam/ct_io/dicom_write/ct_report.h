/* A structured report of what was predicted for each nodule, and of how readers rated it.
 *
 * Comprehensive 3D SR Storage with template TID 1500, Measurement Report (PS3.16): the program and
 * the model as device observer, the source slices as image library, and measurement groups. A
 * nodule has one of the model, with coded measurements, their units, scale and method, and the
 * algorithm's identification (TID 4019), and one of each reader who rated it, with the observer and
 * coded ratings. Each group has the nodule's tracking UID and place: its segment where a
 * segmentation is given (TID 1411), else its centre as a point in the patient (TID 1410).
 *
 * Thread-safety: distinct outputs may be written from distinct threads. */
#ifndef CT_REPORT_H
#define CT_REPORT_H

#include "common/lc_api.h"
#include "ct_io/dicom_write/ct_derived.h"
#include "ct_io/nodule/ct_mark.h"

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

/* The measurement that an output of a model means, by its name: "malignancy" as a probability (0 to
 * 1; written in percent as 111047 DCM Probability of cancer), the ratings of LIDC ("subtlety" and
 * so on, "malignancy" when it is no probability), "diameter" (mm). Part of a name before a dot is
 * not read ("biomarkers.margin"). The units of a rating say its scale. Another name becomes a code
 * of the private scheme 99LUNGCDAM, without units; its first 16 characters must differ from those
 * of others. name must outlive the result. */
struct ct_measurement ct_measurement_named(const char *name, double value, bool is_probability);

/* A rating, coded as the public DICOM version of LIDC-IDRI does (Fedorov et al., Med Phys 47:5953,
 * 2020): "Margin", "Circumscribed margin". */
struct ct_evaluation {
  struct ct_code name, value;
};
/* False for a value outside the rating's scale, such as 0, "not given". */
bool ct_evaluation_of(struct ct_evaluation *evaluation, ct_rating rating, int value);

/* What one reader said of a nodule. */
struct ct_opinion {
  const char *reader; /* "Reader 1" */
  struct ct_evaluation evaluations[CT_RATING_COUNT];
  size_t n_evaluations;
};

/* One nodule. */
struct ct_finding {
  const char *tracking_id; /* "nodule-1" */
  const char *tracking_uid;
  double centre_mm[3]; /* LPS */
  const struct ct_measurement *measurements;
  size_t n_measurements;
  const char *comment; /* one line, or NULL */
  const struct ct_opinion *opinions;
  size_t n_opinions;
  const struct ct_reference *segmentation; /* the object that holds its segment, or NULL */
  unsigned segment_number;                 /* in that object, from 1 */
};

struct ct_report {
  struct ct_derived about;   /* derivation and content texts are not used */
  const char *model_name;    /* "lidc_axial" */
  const char *model_version; /* with the weights' hash; says so when untrained */
  const char *parameters;    /* how numbers come about, and calibration; one line */
  const struct ct_finding *findings;
  size_t n_findings;
  const struct ct_reference *evidence; /* captures, maps and other objects made beside it */
  size_t n_evidence;
};

/* LC_ERR_NUMERIC for a measurement or a place that is no number; LC_ERR_USAGE for a report without
 * finding. */
LC_MUST_CHECK lc_status ct_report_write(const struct ct_report *report, const char *path,
                                        struct lc_error *err);

LC_API_END
#endif
