/* The nodule source "3D Slicer fiducials": .fcsv, as Slicer's vtkMRMLMarkupsFiducialStorageNode
 * writes it: lines of id, x, y, z, four of the orientation, vis, sel, lock, label, desc,
 * associatedNodeID and (later versions) positionStatus, after lines of # that name the coordinate
 * system. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_file.h"
#include "common/lc_log.h"
#include "common/lc_text.h"
#include "ct_io/nodule/ct_nodule_source.h"
#include "ct_io/nodule_files/ct_point_take.h"

enum { ID, X, LABEL = 11, STATUS = 14, MOST_CELLS = 24 };
static const size_t largest_file = (size_t)16 << 20;

struct reading {
  struct ct_taking taking;
  struct ct_annotation *annotation;
  size_t line;
  double sign; /* of x and y, to LPS; 0 before the file said it */
};

static bool recognise(const char *path, const char *first, size_t n) {
  (void)first, (void)n;
  return ct_path_ends(path, ".fcsv");
}

/* Cuts a line in place; a cell that begins with a quote ends with one, and doubled quotes are one.
 * Returns how many cells there are, at most MOST_CELLS. */
static size_t cut(char *line, char *cells[MOST_CELLS]) {
  size_t n = 0;
  while (n < MOST_CELLS) {
    bool quoted = *line == '"';
    char *to = line, *from = line + quoted;
    cells[n++] = to;
    for (; *from && (quoted || *from != ','); from++) {
      if (quoted && *from == '"' && from[1] != '"') {
        quoted = false;
        continue;
      }
      if (quoted && *from == '"') from++;
      *to++ = *from;
    }
    bool more = *from == ',';
    *to = '\0';
    if (!more) break;
    line = from + 1;
  }
  return n;
}

/* "# CoordinateSystem = LPS"; older versions write numbers. */
static lc_status read_comment(struct reading *r, const char *line, struct lc_error *err) {
  static const char key[] = "CoordinateSystem = ";
  const char *value = strstr(line, key);
  if (!value) return LC_OK;
  value += strlen(key);
  size_t length = strcspn(value, " \t\r,");
  if (length == 3 && strncmp(value, "LPS", 3) == 0)
    r->sign = 1;
  else if (length == 3 && strncmp(value, "RAS", 3) == 0)
    r->sign = -1;
  else if (length == 1 && (*value == '0' || *value == '1'))
    r->sign = *value == '1' ? 1 : -1;
  else
    LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: CoordinateSystem %.20s, expected LPS (1) or RAS (0)",
            r->taking.path, r->line, value);
  return LC_OK;
}

static lc_status read_point(struct reading *r, char *line, struct lc_error *err) {
  struct ct_point point = {.probability = NAN, .line = r->line};
  char *cells[MOST_CELLS];
  struct lc_error why;
  size_t n = cut(line, cells);
  const char *name = n > LABEL && *cells[LABEL] ? cells[LABEL] : cells[ID];
  lc_text_copy(point.name, sizeof point.name, name);
  lc_text_printable(point.name);
  if (n > STATUS && (strcmp(cells[STATUS], "0") == 0 || strcmp(cells[STATUS], "1") == 0)) {
    lc_log(LC_LOG_INFO, "%s:%zu: %s has no position: passed over", r->taking.path, r->line,
           point.name);
    return LC_OK;
  }
  for (size_t c = 0; c < 3; c++) {
    const char *cell = n > X + c ? cells[X + c] : "";
    if (!lc_text_to_double(cell, &point.centre_mm[c])) {
      snprintf(why.message, sizeof why.message, "%.600s:%zu: %c \"%.40s\", expected a number",
               r->taking.path, r->line, "xyz"[c], cell);
      lc_text_printable(why.message);
      ct_take_none(&r->taking, r->annotation, &why);
      return LC_OK;
    }
    if (c < 2) point.centre_mm[c] *= r->sign;
  }
  return ct_take_point(&r->taking, r->annotation, &point, err);
}

static lc_status read_lines(struct reading *r, char *text, struct lc_error *err) {
  for (char *line = text, *next; line; line = next) {
    next = strchr(line, '\n');
    if (next) *next++ = '\0';
    r->line++;
    line[strcspn(line, "\r")] = '\0';
    if (!*line) continue;
    if (*line == '#') {
      LC_TRY(read_comment(r, line, err));
      continue;
    }
    if (r->sign == 0)
      LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: no line \"# CoordinateSystem = \" before: sides unknown",
              r->taking.path, r->line);
    LC_TRY(read_point(r, line, err));
  }
  return ct_take_end(&r->taking, err);
}

static lc_status read_file(struct ct_annotations *found, const char *path, struct lc_error *err) {
  struct reading r = {.sign = 0};
  char *text = NULL;
  size_t n;
  LC_TRY(ct_take_begin(&r.taking, found, path, &r.annotation, err));
  LC_TRY(lc_file_read(path, largest_file, &text, &n, err));
  lc_status status = strlen(text) == n ? read_lines(&r, text, err)
                                       : lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__,
                                                 "%s: holds a zero byte, expected text", path);
  free(text);
  return status;
}

const struct ct_nodule_source ct_nodule_source_fcsv = {
    .name = "fcsv",
    .title = "3D Slicer fiducials",
    .doc = "points of older versions of 3D Slicer (.fcsv), LPS or RAS as the file says",
    .recognise = recognise,
    .read = read_file,
};
