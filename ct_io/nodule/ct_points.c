/* Reads nodules from a CSV in LUNA16's format and matches points to nodules. */
#include "ct_io/nodule/ct_nodule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_csv.h"

enum { N_COLUMNS = 5 };
static const char *const columns[N_COLUMNS] = {"seriesuid", "coordX", "coordY", "coordZ",
                                               "diameter_mm"};

static lc_status read_row(const struct lc_csv *csv, const size_t place[N_COLUMNS], size_t row,
                          double values[4], struct lc_error *err) {
  for (int c = 1; c < N_COLUMNS; c++)
    LC_TRY(lc_csv_number(csv, row, place[c], &values[c - 1], err));
  if (values[3] < 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: diameter_mm %g, expected 0 or more", csv->path,
            csv->lines[row + 1], values[3]);
  return LC_OK;
}

static lc_status add_point(struct ct_nodule_list *list, size_t *capacity, const double values[4],
                           const struct lc_csv *csv, size_t row, struct lc_error *err) {
  if (list->n_nodules == *capacity) {
    size_t larger = *capacity ? 2 * *capacity : 8;
    struct ct_nodule *grown = realloc(list->nodules, larger * sizeof *grown);
    if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", csv->path);
    list->nodules = grown;
    *capacity = larger;
  }
  struct ct_nodule *nodule = &list->nodules[list->n_nodules++];
  memset(nodule, 0, sizeof *nodule);
  snprintf(nodule->id, sizeof nodule->id, "nodule-%zu", list->n_nodules);
  nodule->diameter_mm = values[3];
  nodule->line = csv->lines[row + 1];
  for (int c = 0; c < 3; c++) {
    nodule->centre_mm[c] = values[c];
    nodule->bounds_mm[0][c] = values[c] - 0.5 * values[3];
    nodule->bounds_mm[1][c] = values[c] + 0.5 * values[3];
  }
  for (int r = 0; r < CT_RATING_COUNT; r++) nodule->mean_rating[r] = nodule->median_rating[r] = NAN;
  return LC_OK;
}

lc_status ct_nodules_from_csv(struct ct_nodule_list *list, const char *path,
                              const struct ct_series *series, struct lc_error *err) {
  size_t capacity = 0, place[N_COLUMNS];
  struct lc_csv csv;
  lc_status status = LC_OK;
  memset(list, 0, sizeof *list);
  LC_TRY(lc_csv_read(&csv, path, err));
  for (int c = 0; c < N_COLUMNS; c++)
    LC_TRY_GOTO(lc_csv_column(&csv, columns[c], &place[c], err), done);
  for (size_t row = 0; row < csv.n_rows; row++) {
    double values[4] = {0};
    LC_TRY_GOTO(read_row(&csv, place, row, values, err), done);
    if (strcmp(lc_csv_cell(&csv, row, place[0]), series->series_instance_uid) != 0) continue;
    LC_TRY_GOTO(add_point(list, &capacity, values, &csv, row, err), done);
  }
done:
  lc_csv_free(&csv);
  if (status != LC_OK) ct_nodule_list_free(list);
  return status;
}

void ct_nodules_match(const struct ct_nodule_list *nodules, const struct ct_nodule_list *points,
                      long *matches) {
  for (size_t p = 0; p < points->n_nodules; p++) {
    const struct ct_nodule *point = &points->nodules[p];
    double nearest = 0.25 * point->diameter_mm * point->diameter_mm;
    matches[p] = -1;
    for (size_t i = 0; i < nodules->n_nodules; i++) {
      double square = 0;
      for (int c = 0; c < 3; c++) {
        double d = nodules->nodules[i].centre_mm[c] - point->centre_mm[c];
        square += d * d;
      }
      if (square > nearest) continue;
      nearest = square;
      matches[p] = (long)i;
    }
  }
}
