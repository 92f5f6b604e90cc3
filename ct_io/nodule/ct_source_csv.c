/* The nodule source "CSV": points, one a row, in world coordinates (LPS mm). Columns are those of
 * LUNA16 (annotations, candidates, submissions), of LUNA25's table and of this program's own
 * nodules.csv; in candidates a row of class 0 is no nodule. */
#include "ct_io/nodule/ct_nodule_source.h"

#include <math.h>
#include <string.h>

#include "common/lc_csv.h"
#include "common/lc_log.h"

enum { SERIES, X, Y, Z, DIAMETER, CLASS, N_COLUMNS, N_REQUIRED = DIAMETER };
static const char *const columns[N_COLUMNS] = {
    "seriesuid|SeriesInstanceUID|series_uid|series_instance_uid",
    "coordX|x_mm",
    "coordY|y_mm",
    "coordZ|z_mm",
    "diameter_mm|diameter",
    "class"};
/* Column of a table without it. */
static const size_t absent = (size_t)-1;

static bool recognise(const char *path, const char *first, size_t n) {
  (void)first, (void)n;
  return ct_path_ends(path, ".csv");
}

/* LC_ERR_FORMAT says what is wrong with the row. */
static lc_status read_row(const struct lc_csv *csv, const size_t place[N_COLUMNS], size_t row,
                          struct ct_point *point, struct lc_error *err) {
  *point = (struct ct_point){.probability = NAN};
  for (int c = 0; c < 3; c++)
    LC_TRY(lc_csv_number(csv, row, place[X + c], &point->centre_mm[c], err));
  if (place[DIAMETER] != absent && *lc_csv_cell(csv, row, place[DIAMETER]))
    LC_TRY(lc_csv_number(csv, row, place[DIAMETER], &point->diameter_mm, err));
  point->line = csv->lines[row + 1];
  if (point->diameter_mm < 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: diameter_mm %g, expected 0 or more", csv->path,
            point->line, point->diameter_mm);
  return LC_OK;
}

static lc_status read_file(struct ct_annotations *found, const char *path, struct lc_error *err) {
  size_t place[N_COLUMNS];
  struct lc_csv csv;
  struct lc_error why, first = {{0}};
  size_t n_read = 0, n_others = 0;
  lc_status status = LC_OK;
  LC_TRY(lc_csv_read(&csv, path, err));
  for (int c = 0; c < N_COLUMNS; c++) {
    lc_status found_it = lc_csv_column(&csv, columns[c], &place[c], c < N_REQUIRED ? err : NULL);
    if (found_it != LC_OK && c >= N_REQUIRED)
      place[c] = absent;
    else
      LC_TRY_GOTO(found_it, done);
  }
  for (size_t row = 0; row < csv.n_rows; row++) {
    struct ct_point point;
    struct ct_annotation *annotation;
    if (place[CLASS] != absent && strcmp(lc_csv_cell(&csv, row, place[CLASS]), "0") == 0) {
      n_others++;
      continue;
    }
    LC_TRY_GOTO(ct_annotations_of_series(found, lc_csv_cell(&csv, row, place[SERIES]), path,
                                         &annotation, err),
                done);
    if (read_row(&csv, place, row, &point, &why) == LC_OK) {
      LC_TRY_GOTO(ct_annotation_add_point(annotation, &point, err), done);
      n_read++;
      continue;
    }
    if (!first.message[0]) first = why;
    annotation->n_unreadable++;
    lc_log(LC_LOG_WARNING, "%s: the point is left out", why.message);
  }
  if (n_others > 0)
    lc_log(LC_LOG_INFO, "%s: %zu candidates of class 0, which are no nodules", path, n_others);
  if (csv.n_rows > n_others && n_read == 0) /* another kind of file, or another decimal point */
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__, "%s", first.message);
done:
  lc_csv_free(&csv);
  return status;
}

const struct ct_nodule_source ct_nodule_source_csv = {
    .name = "csv",
    .title = "CSV",
    .doc = "points in LUNA16's or LUNA25's format: seriesuid or SeriesInstanceUID, coordX, coordY, "
           "coordZ and, where it is known, diameter_mm",
    .is_list = true,
    .recognise = recognise,
    .read = read_file,
};
