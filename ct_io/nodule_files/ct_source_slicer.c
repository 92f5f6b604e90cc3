/* The nodule source "3D Slicer markups": .mrk.json, by Slicer's schema
 * (Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json). The control points of
 * point lists are nodules by their labels, boxes (ROI) nodules by their centres, with their longest
 * side for a diameter. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_log.h"
#include "common/lc_text.h"
#include "ct_io/nodule/ct_nodule_source.h"
#include "ct_io/nodule_files/ct_json.h"
#include "ct_io/nodule_files/ct_point_take.h"

/* One markup of a file, and the points so far. */
struct markup {
  const json_t *object;
  size_t number; /* from 1 */
  double sign;   /* of x and y, to LPS */
  double scale;  /* to millimetres */
  size_t points; /* of the file, those that were left out too */
  struct ct_taking *taking;
  struct ct_annotation *annotation;
};

static bool recognise(const char *path, const char *first, size_t n) {
  static const char word[] = "markups-schema";
  for (size_t i = 0; i + strlen(word) <= n; i++)
    if (memcmp(first + i, word, strlen(word)) == 0) return ct_path_ends(path, ".json");
  return ct_path_ends(path, ".mrk.json");
}

__attribute__((format(printf, 3, 4))) static void leave_out(struct markup *m, const char *name,
                                                            const char *fmt, ...) {
  char words[200];
  struct lc_error why;
  va_list args;
  va_start(args, fmt);
  vsnprintf(words, sizeof words, fmt, args);
  va_end(args);
  snprintf(why.message, sizeof why.message, "%.600s:%zu: %.60s %s", m->taking->path, m->points,
           *name ? name : "(no name)", words);
  lc_text_printable(why.message);
  ct_take_none(m->taking, m->annotation, &why);
}

/* Also as the numbers of older files: 0 is RAS, 1 LPS. */
static bool read_system(struct markup *m) {
  const json_t *system = json_object_get(m->object, "coordinateSystem");
  const char *text = json_string_value(system);
  m->sign = 1; /* LPS is the schema's default */
  if (!system) return true;
  if ((text && (strcmp(text, "LPS") == 0 || strcmp(text, "1") == 0)) ||
      (json_is_integer(system) && json_integer_value(system) == 1))
    return true;
  m->sign = -1;
  return (text && (strcmp(text, "RAS") == 0 || strcmp(text, "0") == 0)) ||
         (json_is_integer(system) && json_integer_value(system) == 0);
}

/* "mm", or its code ["mm", "UCUM", "millimeter"]. */
static bool read_units(struct markup *m) {
  const json_t *units = json_object_get(m->object, "coordinateUnits");
  const char *text = json_string_value(json_is_array(units) ? json_array_get(units, 0) : units);
  m->scale = text && strcmp(text, "um") == 0 ? 1e-3 : 1;
  return !units || (text && (strcmp(text, "mm") == 0 || strcmp(text, "um") == 0));
}

static lc_status add(struct markup *m, const char *name, const double place[3], double diameter,
                     struct lc_error *err) {
  struct ct_point point = {.diameter_mm = diameter, .probability = NAN, .line = m->points};
  for (int c = 0; c < 3; c++) point.centre_mm[c] = (c < 2 ? m->sign : 1) * m->scale * place[c];
  lc_text_copy(point.name, sizeof point.name, name);
  lc_text_printable(point.name);
  return ct_take_point(m->taking, m->annotation, &point, err);
}

static lc_status read_control_points(struct markup *m, struct lc_error *err) {
  const json_t *points = json_object_get(m->object, "controlPoints");
  for (size_t i = 0; i < json_array_size(points); i++) {
    const json_t *point = json_array_get(points, i);
    const char *label = ct_json_text(point, "label"), *id = ct_json_text(point, "id");
    const char *status = ct_json_text(point, "positionStatus"), *name = *label ? label : id;
    double place[3];
    m->points++;
    if (*status && strcmp(status, "defined") != 0)
      lc_log(LC_LOG_INFO, "%s:%zu: %.60s has no position (%.20s): passed over", m->taking->path,
             m->points, name, status);
    else if (!ct_json_numbers(json_object_get(point, "position"), place, 3))
      leave_out(m, name, "has no position of three numbers");
    else
      LC_TRY(add(m, name, place, 0, err));
  }
  return LC_OK;
}

static lc_status read_box(struct markup *m, struct lc_error *err) {
  double centre[3], size[3];
  const char *name = ct_json_text(m->object, "name");
  if (!*name)
    name = ct_json_text(json_array_get(json_object_get(m->object, "controlPoints"), 0), "label");
  m->points++;
  if (!ct_json_numbers(json_object_get(m->object, "center"), centre, 3) ||
      !ct_json_numbers(json_object_get(m->object, "size"), size, 3)) {
    leave_out(m, name, "has no center and size of three numbers each");
    return LC_OK;
  }
  if (size[0] < 0 || size[1] < 0 || size[2] < 0) {
    leave_out(m, name, "has a negative size");
    return LC_OK;
  }
  return add(m, name, centre, m->scale * fmax(fmax(size[0], size[1]), size[2]), err);
}

static lc_status read_markup(struct markup *m, struct lc_error *err) {
  const char *type = ct_json_text(m->object, "type"), *name = ct_json_text(m->object, "name");
  if (!read_system(m) || !read_units(m)) {
    m->points++;
    leave_out(m, name, "has coordinates that are neither LPS nor RAS, or neither mm nor um");
    return LC_OK;
  }
  if (strcmp(type, "Fiducial") == 0) return read_control_points(m, err);
  if (strcmp(type, "ROI") == 0) return read_box(m, err);
  m->points++;
  leave_out(m, name, "is of type \"%.40s\", expected Fiducial or ROI", type);
  return LC_OK;
}

static lc_status read_file(struct ct_annotations *found, const char *path, struct lc_error *err) {
  struct ct_taking taking = {.n_read = 0};
  struct markup m = {.taking = &taking};
  json_t *root;
  LC_TRY(ct_json_read(&root, path, err));
  const json_t *markups = json_object_get(root, "markups");
  lc_status status = ct_take_begin(&taking, found, path, &m.annotation, err);
  if (status == LC_OK && !json_is_array(markups))
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__, "%s: no list of markups", path);
  for (size_t i = 0; i < json_array_size(markups) && status == LC_OK; i++) {
    m.object = json_array_get(markups, i);
    m.number = i + 1;
    status = read_markup(&m, err);
  }
  if (status == LC_OK) status = ct_take_end(&taking, err);
  json_decref(root);
  return status;
}

const struct ct_nodule_source ct_nodule_source_slicer = {
    .name = "slicer",
    .title = "3D Slicer markups",
    .doc = "points and boxes of 3D Slicer (.mrk.json), LPS or RAS as the file says",
    .recognise = recognise,
    .read = read_file,
};
