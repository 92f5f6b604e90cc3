/* Reads nodules from a CSV in LUNA16's format and matches points to nodules. */
#include "ct_io/nodule/ct_nodule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_volume.h"

enum { N_COLUMNS = 5, MAX_FIELDS = 64 };
static const char *const columns[N_COLUMNS] = {"seriesuid", "coordX", "coordY", "coordZ",
                                               "diameter_mm"};
static const size_t largest_file = (size_t)64 << 20;

struct table {
  const char *path;
  char *next; /* rest of the text; lines are cut in place */
  size_t line;
  int place[N_COLUMNS]; /* field of each column */
};

/* Cuts the next line off; NULL at the end. */
static char *next_line(struct table *table) {
  char *line = table->next;
  if (!line || !*line) return NULL;
  char *end = strchr(line, '\n');
  table->next = end ? end + 1 : NULL;
  if (end) *end = '\0';
  table->line++;
  return line;
}

static char *trim(char *field) {
  while (*field && strchr(" \t\r\"", *field)) field++;
  size_t length = strlen(field);
  while (length && strchr(" \t\r\"", field[length - 1])) field[--length] = '\0';
  return field;
}

static int cut(char *line, char *fields[MAX_FIELDS]) {
  int n = 0;
  while (n < MAX_FIELDS) {
    char *comma = strchr(line, ',');
    if (comma) *comma = '\0';
    fields[n++] = trim(line);
    if (!comma) break;
    line = comma + 1;
  }
  return n;
}

static lc_status read_heading(struct table *table, struct lc_error *err) {
  char *fields[MAX_FIELDS], *line = next_line(table);
  if (!line)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: empty, expected columns seriesuid, coordX, ...", table->path);
  if (strncmp(line, "\xef\xbb\xbf", 3) == 0) line += 3;
  int n = cut(line, fields);
  for (int c = 0; c < N_COLUMNS; c++) {
    table->place[c] = -1;
    for (int f = 0; f < n; f++)
      if (strcmp(fields[f], columns[c]) == 0) table->place[c] = f;
    if (table->place[c] < 0)
      LC_FAIL(err, LC_ERR_FORMAT,
              "%s:1: no column %s, expected seriesuid, coordX, coordY, coordZ, diameter_mm",
              table->path, columns[c]);
  }
  return LC_OK;
}

static lc_status read_row(const struct table *table, char *line, char **uid, double values[4],
                          struct lc_error *err) {
  char *fields[MAX_FIELDS];
  int n = cut(line, fields);
  for (int c = 0; c < N_COLUMNS; c++) {
    if (table->place[c] >= n)
      LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: %d fields, no %s", table->path, table->line, n,
              columns[c]);
    char *field = fields[table->place[c]];
    if (c == 0)
      *uid = field;
    else if (!lc_text_to_double(field, &values[c - 1]))
      LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: %s \"%.40s\", expected a number", table->path,
              table->line, columns[c], field);
  }
  if (values[3] < 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: diameter_mm %g, expected 0 or more", table->path,
            table->line, values[3]);
  return LC_OK;
}

static lc_status add_point(struct ct_nodule_list *list, size_t *capacity, const double values[4],
                           const struct ct_series *series, const struct table *table,
                           struct lc_error *err) {
  double ijk[3], size[3] = {series->columns, series->rows, (double)series->n_slices};
  ct_series_to_index(series, values, ijk);
  for (int c = 0; c < 3; c++)
    if (!(ijk[c] >= -0.5 && ijk[c] <= size[c] - 0.5))
      LC_FAIL(err, LC_ERR_OUTSIDE,
              "%s:%zu: nodule at (%.1f, %.1f, %.1f) mm lies outside the volume (column %.1f of %d, "
              "row %.1f of %d, slice %.1f of %zu)",
              table->path, table->line, values[0], values[1], values[2], ijk[0] + 1,
              series->columns, ijk[1] + 1, series->rows, ijk[2] + 1, series->n_slices);
  if (list->n_nodules == *capacity) {
    size_t larger = *capacity ? 2 * *capacity : 8;
    struct ct_nodule *grown = realloc(list->nodules, larger * sizeof *grown);
    if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", table->path);
    list->nodules = grown;
    *capacity = larger;
  }
  struct ct_nodule *nodule = &list->nodules[list->n_nodules++];
  memset(nodule, 0, sizeof *nodule);
  snprintf(nodule->id, sizeof nodule->id, "nodule-%zu", list->n_nodules);
  nodule->diameter_mm = values[3];
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
  char *text = NULL, *line;
  size_t count = 0, capacity = 0;
  lc_status status = LC_OK;
  memset(list, 0, sizeof *list);
  LC_TRY(lc_file_read(path, largest_file, &text, &count, err));
  struct table table = {.path = path, .next = text};
  LC_TRY_GOTO(read_heading(&table, err), done);
  while ((line = next_line(&table))) {
    char *uid = line;
    double values[4] = {0};
    if (!*trim(line)) continue;
    LC_TRY_GOTO(read_row(&table, line, &uid, values, err), done);
    if (strcmp(uid, series->series_instance_uid) != 0) continue;
    LC_TRY_GOTO(add_point(list, &capacity, values, series, &table, err), done);
  }
done:
  free(text);
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
