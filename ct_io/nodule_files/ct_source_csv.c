/* The nodule source "CSV": points, one a row, in world coordinates (LPS mm). Columns are those of
 * LUNA16 (annotations, candidates, submissions), of LUNA25's table and of this program's own
 * nodules.csv; in candidates a row of class 0 is no nodule. A row names its series, or its
 * patient. */
#include "ct_io/nodule/ct_nodule_source.h"

#include <math.h>
#include <string.h>

#include "common/lc_csv.h"
#include "common/lc_log.h"
#include "common/lc_text.h"
#include "ct_io/nodule_files/ct_point_take.h"

enum {
  X,
  Y,
  Z,
  SERIES,
  PATIENT,
  DIAMETER,
  PROBABILITY,
  NAME,
  CLASS,
  N_COLUMNS,
  N_REQUIRED = SERIES
};
static const char *const columns[N_COLUMNS] = {
    "coordX|x_mm",
    "coordY|y_mm",
    "coordZ|z_mm",
    "seriesuid|SeriesInstanceUID|series_uid|series_instance_uid",
    "PatientID|patient_id|patient id",
    "diameter_mm|diameter",
    "probability",
    "name|nodule|AnnotationID",
    "class"};
/* Column of a table without it. */
static const size_t absent = (size_t)-1;

static bool recognise(const char *path, const char *first, size_t n) {
  (void)first, (void)n;
  return ct_path_ends(path, ".csv");
}

/* The text of a cell, or "" where there is no such column. */
static const char *text_of(const struct lc_csv *csv, const size_t place[N_COLUMNS], size_t row,
                           int column) {
  return place[column] == absent ? "" : lc_csv_cell(csv, row, place[column]);
}

/* LC_ERR_FORMAT says what is wrong with the row. */
static lc_status read_row(const struct lc_csv *csv, const size_t place[N_COLUMNS], size_t row,
                          struct ct_point *point, struct lc_error *err) {
  *point = (struct ct_point){.probability = NAN, .line = csv->lines[row + 1]};
  for (int c = 0; c < 3; c++)
    LC_TRY(lc_csv_number(csv, row, place[X + c], &point->centre_mm[c], err));
  if (*text_of(csv, place, row, DIAMETER))
    LC_TRY(lc_csv_number(csv, row, place[DIAMETER], &point->diameter_mm, err));
  if (*text_of(csv, place, row, PROBABILITY))
    LC_TRY(lc_csv_number(csv, row, place[PROBABILITY], &point->probability, err));
  lc_text_copy(point->name, sizeof point->name, text_of(csv, place, row, NAME));
  lc_text_printable(point->name);
  return LC_OK;
}

static lc_status find_columns(const struct lc_csv *csv, size_t place[N_COLUMNS],
                              struct lc_error *err) {
  for (int c = 0; c < N_COLUMNS; c++) {
    lc_status status = lc_csv_column(csv, columns[c], &place[c], c < N_REQUIRED ? err : NULL);
    if (status != LC_OK && c < N_REQUIRED) return status;
    if (status != LC_OK) place[c] = absent;
  }
  if (place[PATIENT] != absent || place[SERIES] != absent) return LC_OK;
  return lc_csv_column(csv, "seriesuid|SeriesInstanceUID|PatientID", &place[SERIES], err);
}

/* The annotation that a row belongs to: of its series, or else of its patient. */
static lc_status annotation_of(struct ct_annotations *found, const struct lc_csv *csv,
                               const size_t place[N_COLUMNS], size_t row,
                               struct ct_annotation **annotation, struct lc_error *err) {
  const char *uid = text_of(csv, place, row, SERIES), *patient = text_of(csv, place, row, PATIENT);
  if (*uid || !*patient) return ct_annotations_of_series(found, uid, csv->path, annotation, err);
  for (size_t i = found->n; i-- > 0;)
    if (strcmp(found->items[i].patient_id, patient) == 0) {
      *annotation = &found->items[i];
      return LC_OK;
    }
  LC_TRY(ct_annotations_add(found, annotation, err));
  lc_text_copy((*annotation)->patient_id, CT_TEXT_SIZE, patient);
  (*annotation)->path = strdup(csv->path);
  if (!(*annotation)->path) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", csv->path);
  return LC_OK;
}

static lc_status check_owner(const struct lc_csv *csv, const struct ct_annotation *annotation,
                             size_t line, struct lc_error *err) {
  if (*annotation->series_instance_uid || *annotation->patient_id) return LC_OK;
  LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: names no series and no patient", csv->path, line);
}

static lc_status read_rows(struct ct_annotations *found, const struct lc_csv *csv,
                           struct lc_error *err) {
  struct ct_taking taking = {.path = csv->path};
  size_t place[N_COLUMNS], n_others = 0;
  LC_TRY(find_columns(csv, place, err));
  for (size_t row = 0; row < csv->n_rows; row++) {
    struct ct_annotation *annotation;
    struct ct_point point;
    struct lc_error why;
    if (strcmp(text_of(csv, place, row, CLASS), "0") == 0) {
      n_others++;
      continue;
    }
    LC_TRY(annotation_of(found, csv, place, row, &annotation, err));
    if (read_row(csv, place, row, &point, &why) == LC_OK &&
        check_owner(csv, annotation, point.line, &why) == LC_OK)
      LC_TRY(ct_take_point(&taking, annotation, &point, err));
    else
      ct_take_none(&taking, annotation, &why);
  }
  if (n_others > 0)
    lc_log(LC_LOG_INFO, "%s: %zu candidates of class 0, which are no nodules", csv->path, n_others);
  return ct_take_end(&taking, err); /* none: another kind of file, or another decimal point */
}

static lc_status read_file(struct ct_annotations *found, const char *path, struct lc_error *err) {
  struct lc_csv csv;
  LC_TRY(lc_csv_read(&csv, path, err));
  lc_status status = read_rows(found, &csv, err);
  lc_csv_free(&csv);
  return status;
}

const struct ct_nodule_source ct_nodule_source_csv = {
    .name = "csv",
    .title = "CSV",
    .doc = "points in LUNA16's or LUNA25's format: seriesuid, SeriesInstanceUID or PatientID, "
           "coordX, coordY, coordZ and, where they are known, diameter_mm and probability",
    .is_list = true,
    .recognise = recognise,
    .read = read_file,
};
