/* Points in the files of 3D Slicer, of challenges and in CSV: places, names and probabilities come
 * back; what cannot be read is left out by name; files that name no series find theirs. The files
 * are written here by the descriptions that the readers cite. */
#include "tests/lc_test.h"

#include <math.h>

#include "common/lc_file.h"
#include "common/lc_log.h"
#include "ct_io/nodule/ct_nodule.h"
#include "ct_io/nodule/ct_nodule_finder.h"
#include "ct_io/nodule_files/ct_nodule_convert.h"

#define SCHEMA                                                                                     \
  "\"@schema\": \"https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/"        \
  "Markups/Resources/Schema/markups-schema-v1.0.3.json#\""
#define LPS "\"coordinateSystem\": \"LPS\", \"coordinateUnits\": \"mm\""
#define FCSV                                                                                       \
  "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"                    \
  "vtkMRMLMarkupsFiducialNode_0,"

static char folder[256];
static char warnings[4096];

static void keep_lines(void *context, lc_log_level level, const char *line) {
  size_t used = strlen(warnings);
  (void)context, (void)level;
  snprintf(warnings + used, sizeof warnings - used, "%s\n", line);
}

/* Three series: two of one folder and one patient, the third a volume file in another folder. */
static struct ct_slice slice[3];
static struct ct_series series[3];
static const struct ct_series *const all[] = {&series[0], &series[1], &series[2]};

static const char *file(const char *name) {
  static char path[3][400];
  static int next;
  next = (next + 1) % 3;
  snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
  return path[next];
}

static void put(const char *name, const char *text) {
  assert_ok(lc_file_write(file(name), text, strlen(text), &test_err));
}

static int start(void **state) {
  static const char *const names[] = {"a/1.dcm", "a/2.dcm", "b/1.dcm"};
  static const char *const patients[] = {"P1", "P1", "P2"};
  static char paths[3][400];
  (void)state;
  if (*folder) assert_ok(lc_folder_remove(folder, &test_err));
  (void)lc_test_folder(folder);
  assert_ok(lc_folder_make(file("a"), &test_err));
  assert_ok(lc_folder_make(file("b"), &test_err));
  for (int i = 0; i < 3; i++) {
    snprintf(paths[i], sizeof paths[i], "%s/%s", folder, names[i]);
    slice[i] = (struct ct_slice){.path = paths[i]};
    series[i] = (struct ct_series){.slices = &slice[i],
                                   .n_slices = 1,
                                   .rows = 64,
                                   .columns = 64,
                                   .pixel_spacing_mm = {1, 1},
                                   .slice_spacing_mm = 1,
                                   .orientation = {1, 0, 0, 0, 1, 0},
                                   .normal = {0, 0, 1}};
    snprintf(series[i].series_instance_uid, CT_UID_SIZE, "1.2.%d", i);
    snprintf(series[i].study_instance_uid, CT_UID_SIZE, "1.9.%d", i);
    snprintf(series[i].patient_id, CT_TEXT_SIZE, "%s", patients[i]);
  }
  warnings[0] = '\0';
  lc_log_set_sink(keep_lines, NULL);
  return 0;
}

/* Reads one file as the kind, and expects so many points. */
static void read_as(const char *name, const char *text, const char *kind, size_t n,
                    struct ct_annotations *found) {
  const struct ct_nodule_source *source;
  put(name, text);
  memset(found, 0, sizeof *found);
  warnings[0] = '\0';
  assert_ok(ct_nodule_source_of(&source, file(name), &test_err));
  assert_string_equal(source->name, kind);
  assert_ok(source->read(found, file(name), &test_err));
  assert_int_equal(found->n, 1);
  assert_int_equal(found->items[0].n_points, n);
}

static void point_is(const struct ct_annotations *found, size_t i, const char *name, double x,
                     double y, double z, double diameter) {
  const struct ct_point *point = &found->items[0].points[i];
  assert_string_equal(point->name, name);
  assert_near(point->centre_mm[0], x, 1e-12);
  assert_near(point->centre_mm[1], y, 1e-12);
  assert_near(point->centre_mm[2], z, 1e-12);
  assert_near(point->diameter_mm, diameter, 1e-12);
}

static void test_slicer(void **state) {
  struct ct_annotations found;
  (void)state;
  read_as(
      "a.mrk.json",
      "{" SCHEMA ", \"markups\": [{\"type\": \"Fiducial\", " LPS ", \"controlPoints\": ["
      "{\"id\": \"1\", \"label\": \"F-1\", \"position\": [1.5, -2, 3e1], \"positionStatus\": "
      "\"defined\"}, {\"id\": \"2\", \"label\": \"\", \"position\": [0.0, 0.0, 0.0]}, "
      "{\"id\": \"3\", \"label\": \"F-3\", \"position\": [0, 0, 0], \"positionStatus\": "
      "\"undefined\"}, {\"id\": \"4\", \"label\": \"F-4\", \"position\": [0, 0]}]},"
      "{\"type\": \"ROI\", \"name\": \"R\", \"coordinateSystem\": \"RAS\", \"center\": "
      "[10, 20, 30], \"size\": [4, 8, 6], \"roiType\": \"Box\"},"
      "{\"type\": \"Fiducial\", \"coordinateSystem\": 0, \"controlPoints\": [{\"label\": \"N\", "
      "\"position\": [1, 2, 3]}]},"
      "{\"type\": \"Fiducial\", \"coordinateSystem\": \"IJK\", \"controlPoints\": []},"
      "{\"type\": \"Curve\", \"name\": \"C\", " LPS "}]}",
      "slicer", 4, &found);
  point_is(&found, 0, "F-1", 1.5, -2, 30, 0);
  point_is(&found, 1, "2", 0, 0, 0, 0);
  point_is(&found, 2, "R", -10, -20, 30, 8);
  point_is(&found, 3, "N", -1, -2, 3, 0);
  assert_true(isnan(found.items[0].points[0].probability));
  assert_int_equal(found.items[0].n_unreadable, 3); /* F-4, IJK, the curve */
  assert_non_null(strstr(warnings, "a.mrk.json:3: F-3 has no position (undefined): passed over"));
  assert_non_null(
      strstr(warnings, "a.mrk.json:4: F-4 has no position of three numbers: the point "));
  assert_non_null(strstr(warnings, "C is of type \"Curve\", expected Fiducial or ROI"));
  ct_annotations_free(&found);
  read_as("units.json",
          "{" SCHEMA ", \"markups\": [{\"type\": \"Fiducial\", \"coordinateUnits\": [\"um\", "
          "\"UCUM\", \"micrometer\"], \"controlPoints\": [{\"position\": [1000, 2000, 3000]}]}]}",
          "slicer", 1, &found);
  point_is(&found, 0, "", 1, 2, 3, 0);
  ct_annotations_free(&found);
}

static void test_fcsv(void **state) {
  struct ct_annotations found;
  (void)state;
  read_as("a.fcsv",
          "# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n" FCSV
          "1.5,-2,30,0,0,0,1,1,1,0,F-1,,vtkMRMLScalarVolumeNode1\r\n\n"
          "2,4,5,6,0,0,0,1,1,1,0,\"one, \"\"two\"\"\",,\n3,7,8,x,0,0,0,1,1,1,0,bad,,\n"
          "4,0,0,0,0,0,0,1,1,1,0,later,,,0,0\n5,7,8,9,0,0,0,1,1,1,0,,,,2,0\n6,1\n",
          "fcsv", 3, &found);
  point_is(&found, 0, "F-1", 1.5, -2, 30, 0);
  point_is(&found, 1, "one, \"two\"", 4, 5, 6, 0);
  point_is(&found, 2, "5", 7, 8, 9, 0);
  assert_int_equal(found.items[0].points[1].line, 6);
  assert_int_equal(found.items[0].n_unreadable, 2);
  assert_non_null(strstr(warnings, "a.fcsv:7: z \"x\", expected a number: the point is left out"));
  assert_non_null(strstr(warnings, "a.fcsv:8: later has no position: passed over"));
  ct_annotations_free(&found);
  read_as("old.fcsv", "# CoordinateSystem = 0\n" FCSV "1,2,3,0,0,0,1,1,1,0,L,,\n", "fcsv", 1,
          &found);
  point_is(&found, 0, "L", -1, -2, 3, 0);
  ct_annotations_free(&found);
  read_as("one.fcsv", "# CoordinateSystem = 1\n" FCSV "1,2,3\n", "fcsv", 1, &found);
  point_is(&found, 0, "vtkMRMLMarkupsFiducialNode_0", 1, 2, 3, 0);
  ct_annotations_free(&found);
}

static void test_challenge(void **state) {
  struct ct_annotations found;
  (void)state;
  read_as(
      "a.json",
      "\xef\xbb\xbf{\"name\": \"Points of interest\", \"type\": \"Multiple points\", \"points\": ["
      "{\"name\": \"n1\", \"point\": [1, 2.5, -3], \"probability\": 0.25},"
      "{\"point\": [4, 5, 6]}, {\"name\": \"n3\", \"point\": [1, 2]},"
      "{\"name\": \"n4\", \"point\": [1, 2, 3], \"probability\": 1.5},"
      "{\"name\": \"n5\", \"point\": [1, 2, 3e300]}], \"version\": {\"major\": 1, \"minor\": 0}}",
      "challenge", 2, &found);
  point_is(&found, 0, "n1", 1, 2.5, -3, 0);
  point_is(&found, 1, "", 4, 5, 6, 0);
  assert_near(found.items[0].points[0].probability, 0.25, 0);
  assert_true(isnan(found.items[0].points[1].probability));
  assert_non_null(
      strstr(warnings, "a.json:4: probability 1.5, expected 0 to 1: the point is left"));
  assert_non_null(strstr(warnings, "a.json:5: z is 3e+300 mm, expected a place within 100000 mm"));
  assert_int_equal(found.items[0].n_unreadable, 3);
  ct_annotations_free(&found);
  read_as(
      "b.json",
      "{\"type\": \"Multiple 3D bounding boxes\", \"boxes\": [{\"name\": \"b\", \"probability\": "
      "1, \"corners\": [[0,0,0],[4,0,0],[4,6,0],[0,6,0],[0,0,2],[4,0,2],[4,6,2],[0,6,2]]}]}",
      "challenge", 1, &found);
  point_is(&found, 0, "b", 2, 3, 1, 6);
  ct_annotations_free(&found);
  read_as("c.json", "{\"type\": \"Point\", \"name\": \"p\", \"point\": [1, 2, 3]}", "challenge", 1,
          &found);
  ct_annotations_free(&found);
}

static void test_csv(void **state) {
  struct ct_annotations found;
  (void)state;
  read_as("a.csv",
          "\xef\xbb\xbfPatientID;coordX;coordY;coordZ;probability;name\nP2;1,0;2;3;0;x\n"
          "P2;1.5;2;3;0.5;n1\nP2;4;5;6;;n2\nP2;4;5;6;7;n3\n",
          "csv", 2, &found);
  point_is(&found, 0, "n1", 1.5, 2, 3, 0);
  assert_near(found.items[0].points[0].probability, 0.5, 0);
  assert_true(isnan(found.items[0].points[1].probability));
  assert_string_equal(found.items[0].patient_id, "P2");
  assert_string_equal(found.items[0].series_instance_uid, "");
  assert_int_equal(found.items[0].n_unreadable, 2);
  ct_annotations_free(&found);
  read_as("b.csv", "seriesuid,PatientID,coordX,coordY,coordZ,diameter_mm\n1.2.0,P1,1,2,3,4\n",
          "csv", 1, &found);
  assert_string_equal(found.items[0].series_instance_uid, "1.2.0");
  ct_annotations_free(&found);
}

static void test_whole_files_that_are_refused(void **state) {
  static const struct {
    const char *name, *text, *words;
  } cases[] = {
      {"a.mrk.json", "{", "a.mrk.json:1: "},
      {"a.mrk.json", "[]", "JSON that is no object"},
      {"a.mrk.json", "{\"markups\": {}}", "no list of markups"},
      {"a.mrk.json", "{\"markups\": [], \"markups\": []}", "duplicate object key"},
      {"a.mrk.json", "{\"markups\": [{\"type\": \"Line\", \"name\": \"L\"}]}",
       "L is of type \"Line\""},
      {"a.json", "{\"type\": \"Chart\"}", "type \"Chart\", expected \"Multiple points\""},
      {"a.json", "{\"points\": [{\"point\": \"here\"}]}", "expected a point of three numbers"},
      {"a.fcsv", FCSV "1,2,3\n", "a.fcsv:2: no line \"# CoordinateSystem"},
      {"a.fcsv", "# CoordinateSystem = IJK\n", "a.fcsv:1: CoordinateSystem IJK, expected LPS"},
      {"a.fcsv", "# CoordinateSystem = 0\n" FCSV "a,2,3\n", "x \"a\", expected a number"},
      {"a.csv", "coordX,coordY,coordZ\n1,2,3\n", "no column seriesuid or SeriesInstanceUID or Pat"},
      {"a.csv", "seriesuid,coordX,coordY,coordZ\n,2,3,4\n", "names no series and no patient"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct ct_nodule_source *source;
    struct ct_annotations found = {0};
    put(cases[i].name, cases[i].text);
    assert_ok(ct_nodule_source_of(&source, file(cases[i].name), &test_err));
    assert_fails(source->read(&found, file(cases[i].name), &test_err), LC_ERR_FORMAT,
                 cases[i].words);
    ct_annotations_free(&found);
  }
  char deep[200] = "{\"type\": ";
  memset(deep + strlen(deep), '[', 100);
  const struct ct_nodule_source *source;
  struct ct_annotations found = {0};
  put("deep.json", deep);
  assert_ok(ct_nodule_source_of(&source, file("deep.json"), &test_err));
  assert_fails(source->read(&found, file("deep.json"), &test_err), LC_ERR_FORMAT,
               "nested deeper than 32");
  ct_annotations_free(&found);
}

static lc_status search(struct ct_nodule_finder *finder, const char *const *paths, size_t n,
                        size_t n_series, const struct ct_series *of, struct ct_annotation **found) {
  const struct ct_nodule_search how = {
      .paths = paths, .n_paths = n, .series = all, .n_series = n_series};
  ct_nodule_finder_free(finder);
  return ct_nodule_finder_search(finder, &how, of, found, &test_err);
}

#define POINT_JSON "{\"type\": \"Point\", \"name\": \"p\", \"point\": [1, 2, 0]}"

static void test_whose_file_it_is(void **state) {
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *found;
  char paths[3][400];
  (void)state;
  put("p.json", POINT_JSON);
  put("a/p.json", POINT_JSON);
  put("b/p.json", POINT_JSON);
  snprintf(paths[0], 400, "%s", file("p.json"));
  snprintf(paths[1], 400, "%s", file("a/p.json"));
  snprintf(paths[2], 400, "%s", file("b/p.json"));
  const char *away = paths[0], *shared = paths[1], *own = paths[2];
  assert_ok(search(&finder, &away, 1, 1, &series[0], &found)); /* the only one */
  assert_string_equal(found->series_instance_uid, "1.2.0");
  assert_ok(search(&finder, &own, 1, 3, &series[2], &found)); /* in its folder */
  assert_fails(search(&finder, &own, 1, 3, &series[0], &found), LC_ERR_NO_NODULES, "b/p.json");
  assert_fails(search(&finder, &away, 1, 3, &series[0], &found), LC_ERR_MISMATCH,
               "p.json: names no series, and lies in the folder of none of the 3");
  assert_fails(search(&finder, &shared, 1, 3, &series[0], &found), LC_ERR_MISMATCH,
               "names no series, and lies beside 1.2.0 and 1.2.1 alike: work on one of them");
  put("p.csv", "PatientID,coordX,coordY,coordZ\nP2,1,2,0\nP1,1,2,0\nP3,1,2,0\n");
  snprintf(paths[0], 400, "%s", file("p.csv"));
  assert_ok(search(&finder, &away, 1, 3, &series[2], &found)); /* the patient's only series */
  assert_int_equal(found->n_points, 1);
  assert_int_equal(finder.set.problems.count, 1);
  assert_non_null(
      strstr(finder.set.problems.paths[0], "and the patient has 1.2.0 and 1.2.1 alike"));
  ct_nodule_finder_free(&finder);
}

/* Points of several files of one series, also where one names it and the other does not. */
static void test_mixture(void **state) {
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *found;
  struct ct_nodule_list list;
  const struct ct_grouping keep = {.keep_duplicates = true};
  char paths[2][400];
  (void)state;
  put("z.csv", "seriesuid,coordX,coordY,coordZ,name\n1.2.0,1,2,0,first\n1.2.0,30,2,0,far\n");
  put("a.fcsv",
      "# CoordinateSystem = LPS\na,1,4,0,0,0,0,1,1,1,0,second\nb,1,6,0,0,0,0,1,1,1,0,third\n");
  snprintf(paths[0], 400, "%s", file("z.csv"));
  snprintf(paths[1], 400, "%s", file("a.fcsv"));
  const char *const both[] = {paths[0], paths[1]};
  assert_ok(search(&finder, both, 2, 1, &series[0], &found));
  assert_string_equal(found->kinds, "CSV, 3D Slicer fiducials");
  assert_string_equal(found->path, both[0]);
  assert_non_null(strstr(warnings, "z.csv: read as CSV\n"));
  assert_non_null(strstr(warnings, "a.fcsv: read as 3D Slicer fiducials\n"));
  assert_ok(ct_nodules_from_annotation(&list, found, &series[0], NULL, &test_err));
  assert_int_equal(list.n_nodules, 3); /* "second" is 2 mm from the first, "third" 4 mm */
  assert_string_equal(list.nodules[0].name, "first");
  assert_string_equal(list.nodules[2].name, "third");
  assert_string_equal(list.nodules[2].path, both[1]);
  assert_int_equal(list.n_same, 1);
  assert_non_null(strstr(warnings, "a.fcsv:2: within 3 mm of nodule-1 (first): one nodule"));
  ct_nodule_list_free(&list);
  assert_ok(ct_nodules_from_annotation(&list, found, &series[0], &keep, &test_err));
  assert_int_equal(list.n_nodules, 4);
  ct_nodule_list_free(&list);
  ct_nodule_finder_free(&finder);
}

/* What the kinds of points write comes back to the bit, with names and probabilities. */
static void test_conversion(void **state) {
  struct ct_nodule nodules[2] = {
      {.id = "nodule-1",
       .name = "a, \"b\"",
       .centre_mm = {0.1, -1.0 / 3, 1e-7},
       .probability = NAN},
      {.id = "nodule-2", .centre_mm = {100, 2, 3}, .diameter_mm = 5.3, .probability = 0.1}};
  const struct ct_nodule_list list = {.nodules = nodules, .n_nodules = 2};
  struct ct_annotation annotation = {.path = (char *)"points"};
  const struct ct_nodules_of of = {&series[0], &annotation, &list, 0.5};
  (void)state;
  for (size_t k = 0; ct_nodule_kinds[k]; k++) {
    const struct ct_nodule_kind *kind = ct_nodule_kinds[k];
    struct lc_text text = {0};
    struct ct_nodule_finder finder = {0};
    struct ct_annotation *found;
    char path[400], name[40];
    snprintf(name, sizeof name, "converted%s", kind->ending);
    snprintf(path, sizeof path, "%s", file(name));
    if (kind->write) {
      assert_fails(kind->write(&of, path, &test_err), LC_ERR_NO_NODULES,
                   "points: has points alone");
      continue;
    }
    lc_text_add(&text, "%s", kind->heading ? kind->heading : "");
    kind->add(&text, &of);
    put(name, lc_text_get(&text));
    lc_text_free(&text);
    assert_ok(ct_nodule_finder_find(&finder, path, &series[0], &found, &test_err));
    assert_int_equal(found->n_points, 2);
    for (size_t i = 0; i < 2; i++) {
      assert_memory_equal(found->points[i].centre_mm, nodules[i].centre_mm, 3 * sizeof(double));
      assert_string_equal(found->points[i].name, i ? "nodule-2" : "a, \"b\"");
    }
    if (strcmp(kind->name, "markups") != 0) {
      assert_true(isnan(found->points[0].probability));
      assert_true(found->points[1].probability == 0.1);
    }
    if (strcmp(kind->name, "csv") == 0) assert_true(found->points[1].diameter_mm == 5.3);
    ct_nodule_finder_free(&finder);
  }
}

static int end(void **state) {
  (void)state;
  lc_log_set_sink(NULL, NULL);
  return lc_folder_remove(folder, &test_err) != LC_OK;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_slicer, start),
      cmocka_unit_test_setup(test_fcsv, start),
      cmocka_unit_test_setup(test_challenge, start),
      cmocka_unit_test_setup(test_csv, start),
      cmocka_unit_test_setup(test_whole_files_that_are_refused, start),
      cmocka_unit_test_setup(test_whose_file_it_is, start),
      cmocka_unit_test_setup(test_mixture, start),
      cmocka_unit_test_setup(test_conversion, start),
  };
  return cmocka_run_group_tests(tests, NULL, end);
}
