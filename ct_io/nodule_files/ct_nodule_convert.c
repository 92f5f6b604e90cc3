/* The kinds of files that nodules are converted to. */
#include "ct_io/nodule_files/ct_nodule_convert.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_csv.h"

enum { DIGITS = 17 }; /* so that a place comes back to the bit */

/* What a nodule is called: its own name, or its number in the series. */
static const char *name_of(const struct ct_nodule *nodule) {
  return *nodule->name ? nodule->name : nodule->id;
}

static void add_csv(struct lc_text *text, const struct ct_nodules_of *of) {
  for (size_t i = 0; i < of->nodules->n_nodules; i++) {
    const struct ct_nodule *nodule = &of->nodules->nodules[i];
    lc_csv_put_text(text, of->series->patient_id);
    lc_text_add(text, ",%s", of->series->series_instance_uid);
    for (int c = 0; c < 3; c++) {
      lc_text_add(text, ",");
      lc_csv_put_number(text, nodule->centre_mm[c], DIGITS);
    }
    lc_text_add(text, ",");
    lc_csv_put_number(text, nodule->diameter_mm > 0 ? nodule->diameter_mm : NAN, DIGITS);
    lc_text_add(text, ",");
    lc_csv_put_number(text, nodule->probability, DIGITS);
    lc_text_add(text, ",");
    lc_csv_put_text(text, name_of(nodule));
    lc_text_add(text, "\n");
  }
}

static json_t *place_of(const struct ct_nodule *nodule) {
  const double *mm = nodule->centre_mm;
  return json_pack("[fff]", mm[0], mm[1], mm[2]);
}

/* Takes over the value. A text that is no UTF-8, or too little memory, fails the text. */
static void dump(struct lc_text *text, json_t *root) {
  char *words = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
  lc_text_add(text, "%s\n", words ? words : "");
  if (!words) text->failed = true;
  free(words);
  json_decref(root);
}

static void add_json(struct lc_text *text, const struct ct_nodules_of *of) {
  json_t *points = json_array();
  for (size_t i = 0; i < of->nodules->n_nodules; i++) {
    const struct ct_nodule *nodule = &of->nodules->nodules[i];
    json_t *point = json_pack("{s:s, s:o}", "name", name_of(nodule), "point", place_of(nodule));
    if (point && !isnan(nodule->probability))
      (void)json_object_set_new(point, "probability", json_real(nodule->probability));
    (void)json_array_append_new(points, point);
  }
  dump(text, json_pack("{s:s, s:s, s:o, s:{s:i, s:i}}", "name", "Nodules", "type",
                       "Multiple points", "points", points, "version", "major", 1, "minor", 0));
}

/* By the schema of markups, version 1.0.3. */
static void add_markups(struct lc_text *text, const struct ct_nodules_of *of) {
  static const char schema[] =
      "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/"
      "Schema/markups-schema-v1.0.3.json#";
  json_t *points = json_array();
  for (size_t i = 0; i < of->nodules->n_nodules; i++) {
    const struct ct_nodule *nodule = &of->nodules->nodules[i];
    (void)json_array_append_new(points, json_pack("{s:s, s:s, s:o, s:s}", "id", nodule->id, "label",
                                                  name_of(nodule), "position", place_of(nodule),
                                                  "positionStatus", "defined"));
  }
  dump(text, json_pack("{s:s, s:[{s:s, s:s, s:s, s:o}]}", "@schema", schema, "markups", "type",
                       "Fiducial", "coordinateSystem", "LPS", "coordinateUnits", "mm",
                       "controlPoints", points));
}

/* Outlines and ratings of every reader; XML has no points. */
static lc_status write_xml(const struct ct_nodules_of *of, const char *path, struct lc_error *err) {
  if (of->annotation->n_marks == 0)
    LC_FAIL(err, LC_ERR_NO_NODULES, "%s: has points alone, XML holds outlines",
            of->annotation->path);
  return ct_annotation_write(of->annotation, path, err);
}

static const struct ct_nodule_kind
    csv = {.name = "csv",
           .ending = ".csv",
           .doc = "places, diameters, probabilities and names, of all series",
           .add = add_csv,
           .heading = "PatientID,seriesuid,coordX,coordY,coordZ,diameter_mm,probability,name\n"},
    json = {.name = "json",
            .ending = ".json",
            .doc = "places, probabilities and names as \"Multiple points\"",
            .add = add_json},
    markups = {.name = "markups",
               .ending = ".mrk.json",
               .doc = "places and names for 3D Slicer",
               .add = add_markups},
    xml = {.name = "xml",
           .ending = ".xml",
           .doc = "outlines and ratings as LIDC XML",
           .write = write_xml},
    nii = {.name = "nii",
           .ending = ".nii.gz",
           .doc = "masks as a label volume on the grid of the series",
           .write = ct_nodules_write_nifti};
const struct ct_nodule_kind *const ct_nodule_kinds[] = {&csv, &json, &markups, &xml, &nii, NULL};
