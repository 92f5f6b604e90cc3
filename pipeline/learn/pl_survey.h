/* What some folders hold on nodules: annotations, CT series, or both, brought together
 * by series UID.
 *
 * Thread-safety: a finished survey may be read by many threads. */
#pragma once

#include "ct_io/ct/ct_series.h"
#include "ct_io/dicom_read/ct_index.h"
#include "ct_io/nodule/ct_annotation_set.h"
#include "ct_io/nodule/ct_nodule.h"

struct pl_patient {
  char series_instance_uid[CT_UID_SIZE];
  char patient_id[64];
};

struct pl_survey {
  struct ct_index index; /* empty without DICOM */
  struct ct_annotation_set marks;
  struct pl_patient *patients; /* from the table of series, sorted by UID */
  size_t n_patients;
};

/* Reads both kinds of files below the paths; marks_paths (or none) name where else annotations are.
 * components: ct_annotation_set_split.
 * Annotations that name no series are brought to theirs among all that are there.
 * LC_ERR_NOT_FOUND when there is neither annotation nor DICOM. want_dicom: false leaves DICOM
 * alone. rules: of the DICOM, or NULL. */
LC_MUST_CHECK lc_status pl_survey_open(struct pl_survey *survey, const char *const *paths,
                                       size_t n_paths, const char *const *marks_paths,
                                       size_t n_marks_paths, bool components, bool want_dicom,
                                       const struct ct_index_rules *rules, struct lc_error *err);
void pl_survey_free(struct pl_survey *survey);

/* LC_ERR_PARTIAL that names the first file of annotations that could not be read; LC_OK when there
 * is none. For the end of a command that worked on the others. */
LC_MUST_CHECK lc_status pl_survey_check_marks(const struct pl_survey *survey, struct lc_error *err);

/* The same, and LC_ERR_FORMAT where marks or points cannot be read: before any work. */
LC_MUST_CHECK lc_status pl_survey_check_strict(const struct pl_survey *survey,
                                               struct lc_error *err);

/* TCIA's table of series: a CSV with the columns "Patient Id" and "Series UID". */
LC_MUST_CHECK lc_status pl_survey_read_patients(struct pl_survey *survey, const char *path,
                                                struct lc_error *err);
/* Patient of a series by DICOM or by that table; "" when unknown. */
const char *pl_survey_patient(const struct pl_survey *survey, const char *series_uid);

/* Of the series that share StudyInstanceUID and SeriesInstanceUID with this one, the volume that
 * stands out (ct_index_choose), or NULL; why there is none is logged. */
const struct ct_series *pl_survey_volume(const struct pl_survey *survey,
                                         const struct ct_series *series);

/* The volumes that a file annotates, one a call: of the series that it names, in each study that
 * has it, or of the first series of its frame of reference. *position starts at 0; NULL after the
 * last.
 */
const struct ct_series *pl_survey_next(const struct pl_survey *survey,
                                       const struct ct_annotation *annotation, size_t *position);

/* One annotated series with its nodules. */
struct pl_annotated_series {
  const struct ct_annotation *annotation;
  const struct ct_series *series; /* of the survey, or &implied */
  struct ct_series implied;       /* from XML alone */
  bool has_dicom;
  struct ct_nodule_list nodules;
  size_t n_faulty; /* marks with any fault */
};

/* Annotation `which` of the survey on a series of it (pl_survey_next), or NULL: on what the file
 * itself says of the series. */
LC_MUST_CHECK lc_status pl_annotated_series_open(struct pl_annotated_series *annotated,
                                                 const struct pl_survey *survey, size_t which,
                                                 const struct ct_series *series,
                                                 const struct ct_grouping *grouping,
                                                 struct lc_error *err);
void pl_annotated_series_free(struct pl_annotated_series *annotated);

/* Words for a set of faults, separated by blanks; "" for none. */
void pl_fault_words(char out[160], unsigned faults);
