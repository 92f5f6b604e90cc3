/* Scans folders for annotations and CT series and brings them together. */
#include "pipeline/learn/pl_survey.h"
#include "ct_io/dicom_read/ct_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_csv.h"
#include "common/lc_file.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "pipeline/report/pl_progress.h"

static lc_status read_marks(struct pl_survey *survey, const char *const *paths, size_t n_paths,
                            struct lc_error *err) {
  LC_SCOPED(pl_progress_end) struct pl_progress progress;
  pl_progress_start(&progress, "reading annotations", "files", 0);
  return ct_annotation_set_scan(&survey->marks, paths, n_paths, &progress.progress, err);
}

static lc_status read_dicom(struct pl_survey *survey, const char *const *paths, size_t n_paths,
                            const struct ct_index_rules *rules, struct lc_error *err) {
  LC_SCOPED(pl_progress_end) struct pl_progress progress;
  pl_progress_start(&progress, "reading headers", "files", 0);
  return ct_index_scan(&survey->index, paths, n_paths, rules, &progress.progress, err);
}

static lc_status settle(struct pl_survey *survey, struct lc_error *err) {
  LC_FREED const struct ct_series **all = NULL;
  size_t n = 0;
  LC_TRY(lc_alloc(&all, survey->index.n_series, sizeof(const struct ct_series *), err));
  for (size_t i = 0; i < survey->index.n_series; i++)
    if (survey->index.series[i].verdict != CT_REFUSED) all[n++] = &survey->index.series[i];
  return n ? ct_annotation_set_settle(&survey->marks, all, n, err) : LC_OK;
}

lc_status pl_survey_open(struct pl_survey *survey, const char *const *paths, size_t n_paths,
                         const char *const *marks_paths, size_t n_marks_paths, bool components,
                         bool want_dicom, const struct ct_index_rules *rules,
                         struct lc_error *err) {
  memset(survey, 0, sizeof *survey);
  for (size_t i = 0; i < n_paths; i++)
    if (!lc_file_exists(paths[i]) && !lc_folder_exists(paths[i]))
      LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no such folder or file", paths[i]);
  bool named = n_marks_paths > 0;
  lc_status marks = named ? read_marks(survey, marks_paths, n_marks_paths, err)
                          : read_marks(survey, paths, n_paths, err);
  if (marks != LC_OK && (marks != LC_ERR_NOT_FOUND || named || !want_dicom)) return marks;
  if (components) LC_TRY(ct_annotation_set_split(&survey->marks, err));
  if (!want_dicom) return LC_OK;
  lc_status dicom = read_dicom(survey, paths, n_paths, rules, marks == LC_OK ? NULL : err);
  if (dicom == LC_OK && marks == LC_OK) dicom = settle(survey, err);
  if (dicom == LC_OK || (marks == LC_OK && (dicom == LC_ERR_NO_DICOM || dicom == LC_ERR_FORMAT)))
    return LC_OK;
  pl_survey_free(survey);
  return dicom;
}

lc_status pl_survey_check_marks(const struct pl_survey *survey, struct lc_error *err) {
  const struct ct_files *problems = &survey->marks.problems;
  if (problems->count == 0) return LC_OK;
  LC_FAIL(err, LC_ERR_PARTIAL, "%s%s", problems->paths[0],
          problems->count > 1 ? " (and others like it)" : "");
}

lc_status pl_survey_check_strict(const struct pl_survey *survey, struct lc_error *err) {
  for (size_t i = 0; i < survey->marks.n_annotations; i++) {
    const struct ct_annotation *annotation = &survey->marks.annotations[i];
    if (annotation->n_unreadable > 0)
      LC_FAIL(err, LC_ERR_FORMAT, "%s: %zu marks or points cannot be read, as the log says",
              annotation->path, annotation->n_unreadable);
  }
  return pl_survey_check_marks(survey, err);
}

void pl_survey_free(struct pl_survey *survey) {
  ct_index_free(&survey->index);
  ct_annotation_set_free(&survey->marks);
  free(survey->patients);
  memset(survey, 0, sizeof *survey);
}

static int by_uid(const void *a, const void *b) {
  return strcmp(((const struct pl_patient *)a)->series_instance_uid,
                ((const struct pl_patient *)b)->series_instance_uid);
}

lc_status pl_survey_read_patients(struct pl_survey *survey, const char *path,
                                  struct lc_error *err) {
  LC_SCOPED(lc_csv_free) struct lc_csv csv = {0};
  size_t patient, series;
  LC_TRY(lc_csv_read(&csv, path, err));
  LC_TRY(lc_csv_column(&csv, "Patient Id", &patient, err));
  LC_TRY(lc_csv_column(&csv, "Series UID", &series, err));
  LC_TRY(lc_alloc(&survey->patients, csv.n_rows, sizeof *survey->patients, err));
  for (size_t row = 0; row < csv.n_rows; row++) {
    struct pl_patient *entry = &survey->patients[survey->n_patients++];
    lc_text_copy(entry->series_instance_uid, sizeof entry->series_instance_uid,
                 lc_csv_cell(&csv, row, series));
    lc_text_copy(entry->patient_id, sizeof entry->patient_id, lc_csv_cell(&csv, row, patient));
  }
  if (survey->n_patients)
    qsort(survey->patients, survey->n_patients, sizeof *survey->patients, by_uid);
  return LC_OK;
}

const char *pl_survey_patient(const struct pl_survey *survey, const char *series_uid) {
  struct pl_patient wanted;
  for (size_t i = 0; i < survey->index.n_series; i++)
    if (strcmp(survey->index.series[i].series_instance_uid, series_uid) == 0)
      return survey->index.series[i].patient_id;
  lc_text_copy(wanted.series_instance_uid, sizeof wanted.series_instance_uid, series_uid);
  const struct pl_patient *found =
      survey->n_patients
          ? bsearch(&wanted, survey->patients, survey->n_patients, sizeof *survey->patients, by_uid)
          : NULL;
  return found ? found->patient_id : "";
}

const struct ct_series *pl_survey_volume(const struct pl_survey *survey,
                                         const struct ct_series *series) {
  const struct ct_series *chosen = NULL;
  struct lc_error err;
  char name[CT_SERIES_NAME_SIZE];
  snprintf(name, sizeof name, "%s/%s", series->study_instance_uid, series->series_instance_uid);
  lc_status status = ct_index_choose(&survey->index, name, &chosen, &err);
  if (status != LC_OK) lc_log(LC_LOG_WARNING, "%s", err.message);
  return chosen;
}

/* Whether a series has another annotation, or a file that names a study means another one than the
 * series is from. */
static bool means_another(const struct pl_survey *survey, const struct ct_annotation *annotation,
                          const struct ct_series *series) {
  if (ct_annotation_set_find(&survey->marks, series->series_instance_uid,
                             series->study_instance_uid,
                             series->frame_of_reference_uid) != annotation)
    return true;
  const char *study = annotation->study_instance_uid;
  if (!*study || strcmp(study, series->study_instance_uid) == 0) return false;
  for (size_t i = 0; i < survey->index.n_series; i++) {
    const struct ct_series *other = &survey->index.series[i];
    if (strcmp(other->series_instance_uid, series->series_instance_uid) == 0 &&
        strcmp(other->study_instance_uid, study) == 0)
      return true;
  }
  return false;
}

const struct ct_series *pl_survey_next(const struct pl_survey *survey,
                                       const struct ct_annotation *annotation, size_t *position) {
  const char *uid = annotation->series_instance_uid;
  for (size_t i = 0; !*uid && i < survey->index.n_series; i++)
    if (strcmp(survey->index.series[i].frame_of_reference_uid,
               annotation->frame_of_reference_uid) == 0)
      uid = survey->index.series[i].series_instance_uid;
  while (*position < survey->index.n_series) {
    const struct ct_series *series = &survey->index.series[(*position)++];
    if (series->part > 1 || strcmp(series->series_instance_uid, uid) != 0 ||
        means_another(survey, annotation, series))
      continue;
    series = pl_survey_volume(survey, series);
    if (series) return series;
  }
  return NULL;
}

lc_status pl_annotated_series_open(struct pl_annotated_series *annotated,
                                   const struct pl_survey *survey, size_t which,
                                   const struct ct_series *series,
                                   const struct ct_grouping *grouping, struct lc_error *err) {
  memset(annotated, 0, sizeof *annotated);
  struct ct_annotation *annotation = &survey->marks.annotations[which];
  annotated->annotation = annotation;
  annotated->series = series;
  annotated->has_dicom = annotated->series != NULL;
  if (!annotated->has_dicom) {
    LC_TRY(ct_series_from_annotation(&annotated->implied, annotation, err));
    annotated->series = &annotated->implied;
  } else {
    LC_TRY(ct_annotation_place(annotation, annotated->series, err));
    (void)ct_annotation_check(annotation, annotated->series);
  }
  for (size_t m = 0; m < annotation->n_marks; m++)
    annotated->n_faulty += annotation->marks[m].faults != 0;
  lc_status status =
      ct_nodules_from_annotation(&annotated->nodules, annotation, annotated->series, grouping, err);
  if (status != LC_OK) pl_annotated_series_free(annotated);
  return status;
}

void pl_annotated_series_free(struct pl_annotated_series *annotated) {
  ct_nodule_list_free(&annotated->nodules);
  ct_series_release(&annotated->implied);
  memset(annotated, 0, sizeof *annotated);
}

void pl_fault_words(char out[160], unsigned faults) {
  static const char *const words[] = {"rating-zero",  "no-ratings",     "few-points",
                                      "open-outline", "unknown-slice",  "outside-image",
                                      "repeated",     "slice-disagrees"};
  size_t used = 0;
  out[0] = '\0';
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (faults >> i & 1)
      used += (size_t)snprintf(out + used, 160 - used, "%s%s", used ? " " : "", words[i]);
}
