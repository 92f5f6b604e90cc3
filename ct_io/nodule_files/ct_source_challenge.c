/* The nodule source "challenge JSON": points and boxes as grand-challenge.org's answers hold them
 * (https://github.com/comic/grand-challenge.org, app/grandchallenge/components/schemas.py):
 * "Point", "Multiple points", "3D bounding box", "Multiple 3D bounding boxes", in world coordinates
 * (LPS mm). A box is a nodule at its centre, with its largest extent along an axis for a diameter.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_text.h"
#include "ct_io/nodule/ct_nodule_source.h"
#include "ct_io/nodule_files/ct_json.h"
#include "ct_io/nodule_files/ct_point_take.h"

struct reading {
  struct ct_taking taking;
  struct ct_annotation *annotation;
  size_t number; /* of the point, from 1 */
};

static bool recognise(const char *path, const char *first, size_t n) {
  size_t at = 0;
  while (at < n && strchr(" \t\r\n", first[at])) at++;
  return ct_path_ends(path, ".json") && (n == 0 || first[at] == '{' || first[0] == '\xef');
}

/* Eight corners in any order: their mean, and their largest extent along an axis. */
static bool read_corners(const json_t *corners, struct ct_point *point) {
  double corner[3], low[3], high[3];
  if (json_array_size(corners) != 8) return false;
  for (size_t i = 0; i < 8; i++) {
    if (!ct_json_numbers(json_array_get(corners, i), corner, 3)) return false;
    for (int c = 0; c < 3; c++) {
      low[c] = i == 0 ? corner[c] : fmin(low[c], corner[c]);
      high[c] = i == 0 ? corner[c] : fmax(high[c], corner[c]);
      point->centre_mm[c] += corner[c] / 8;
    }
  }
  for (int c = 0; c < 3; c++) point->diameter_mm = fmax(point->diameter_mm, high[c] - low[c]);
  return true;
}

static lc_status read_item(struct reading *r, const json_t *item, bool is_box,
                           struct lc_error *err) {
  struct ct_point point = {.probability = NAN, .line = ++r->number};
  const json_t *probability = json_object_get(item, "probability");
  struct lc_error why;
  lc_text_copy(point.name, sizeof point.name, ct_json_text(item, "name"));
  lc_text_printable(point.name);
  if (json_is_number(probability)) point.probability = json_number_value(probability);
  bool read = is_box ? read_corners(json_object_get(item, "corners"), &point)
                     : ct_json_numbers(json_object_get(item, "point"), point.centre_mm, 3);
  if (read && probability && !json_is_number(probability) && !json_is_null(probability))
    read = false;
  if (read) return ct_take_point(&r->taking, r->annotation, &point, err);
  snprintf(why.message, sizeof why.message, "%.600s:%zu: %s %s, expected %s", r->taking.path,
           point.line, is_box ? "box" : "point", point.name,
           is_box ? "eight corners of three numbers" : "a point of three numbers");
  ct_take_none(&r->taking, r->annotation, &why);
  return LC_OK;
}

static lc_status read_items(struct reading *r, const json_t *root, struct lc_error *err) {
  const char *type = ct_json_text(root, "type");
  bool is_box = strcasestr(type, "bounding box") != NULL;
  const json_t *items = json_object_get(root, is_box ? "boxes" : "points");
  if (strcasecmp(type, is_box ? "3D bounding box" : "Point") == 0)
    LC_TRY(read_item(r, root, is_box, err));
  else if (json_is_array(items) && (!*type || strcasecmp(type, is_box ? "Multiple 3D bounding boxes"
                                                                      : "Multiple points") == 0))
    for (size_t i = 0; i < json_array_size(items); i++)
      LC_TRY(read_item(r, json_array_get(items, i), is_box, err));
  else
    LC_FAIL(
        err, LC_ERR_FORMAT,
        "%s: type \"%.60s\", expected \"Multiple points\" with points, or \"Multiple 3D bounding "
        "boxes\" with boxes",
        r->taking.path, type);
  return ct_take_end(&r->taking, err);
}

static lc_status read_file(struct ct_annotations *found, const char *path, struct lc_error *err) {
  struct reading r = {.number = 0};
  json_t *root;
  LC_TRY(ct_json_read(&root, path, err));
  lc_status status = ct_take_begin(&r.taking, found, path, &r.annotation, err);
  if (status == LC_OK) status = read_items(&r, root, err);
  json_decref(root);
  return status;
}

const struct ct_nodule_source ct_nodule_source_challenge = {
    .name = "challenge",
    .title = "challenge JSON",
    .doc = "points or boxes of grand-challenge.org (\"Multiple points\"), in LPS mm",
    .is_list = true,
    .recognise = recognise,
    .read = read_file,
};
