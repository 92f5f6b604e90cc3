/* Files of nodules that are no DICOM, damaged in fifty seeded ways a kind: each is read with places
 * that are plausible, or refused by name. */
#include "tests/lc_test.h"

#include <math.h>

#include "common/lc_file.h"
#include "ct_io/nodule/ct_nodule_source.h"
#include "ct_io/nodule/ct_region.h"

#define LABELS LC_TEST_SOURCE_DIR "/tests/label_volumes/"
enum { VARIANTS = 50 };

static char folder[256];

static const struct {
  const char *ending, *text; /* text NULL: the file */
  const char *file;
} kinds[] = {
    {".mrk.json",
     "{\"@schema\": \"markups-schema-v1.0.3.json#\", \"markups\": [{\"type\": \"Fiducial\", "
     "\"coordinateSystem\": \"RAS\", \"coordinateUnits\": \"mm\", \"controlPoints\": [{\"id\": "
     "\"1\", "
     "\"label\": \"F-1\", \"position\": [1.5, -2, 3], \"positionStatus\": \"defined\"}]}, "
     "{\"type\": "
     "\"ROI\", \"center\": [10, 20, 30], \"size\": [4, 8, 6]}]}",
     NULL},
    {".fcsv",
     "# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n# columns = id,x,y,z\n"
     "1,1.5,-2,3,0,0,0,1,1,1,0,\"F-1\",,\n2,4,5,6,0,0,0,1,1,1,0,F-2,,,2,0\n",
     NULL},
    {".json",
     "{\"type\": \"Multiple points\", \"points\": [{\"name\": \"n1\", \"point\": [1, 2.5, -3], "
     "\"probability\": 0.25}, {\"point\": [4, 5, 6]}], \"version\": {\"major\": 1, \"minor\": 0}}",
     NULL},
    {".csv",
     "PatientID;coordX;coordY;coordZ;diameter_mm;probability;name\nP1;1.5;2;3;4;0.5;\"n;1\"\n"
     "P2;4;5;6;;;n2\n",
     NULL},
    {".nii.gz", NULL, LABELS "plain.nii.gz"},
    {".nii.gz", NULL, LABELS "float64.nii.gz"},
    {".mha", NULL, LABELS "plain.mha"},
    {".nrrd", NULL, LABELS "plain.nrrd"},
    {".seg.nrrd", NULL, LABELS "named.seg.nrrd"},
};

static uint32_t draw(uint32_t *state, uint32_t n) {
  *state = *state * 1664525U + 1013904223U;
  return (*state >> 8) % n;
}

/* Cuts, changed bytes, a stretch that is there twice, a number with more digits. */
static size_t damage(const char *from, size_t n, char *to, uint32_t *seed) {
  size_t at = draw(seed, (uint32_t)n), length = 1 + draw(seed, 12);
  memcpy(to, from, n);
  switch (draw(seed, 5)) {
  case 0:
    return at;
  case 1:
    for (size_t i = 0; i < 1 + length / 4; i++) to[draw(seed, (uint32_t)n)] = (char)draw(seed, 256);
    return n;
  case 2:
    to[at] = "[]{}\",:;#-9eN\n"[draw(seed, 14)];
    return n;
  case 3:
    if (at + length > n) length = n - at;
    memcpy(to + at + length, from + at, n - at);
    return n + length;
  default:
    memset(to + at, '9', length);
    memcpy(to + at + length, from + at, n - at);
    return n + length;
  }
}

static void check_found(const struct ct_annotations *found, const char *path) {
  for (size_t i = 0; i < found->n; i++) {
    const struct ct_annotation *annotation = &found->items[i];
    assert_string_equal(annotation->path, path);
    for (size_t p = 0; p < annotation->n_points; p++) {
      const struct ct_point *point = &annotation->points[p];
      for (int c = 0; c < 3; c++) assert_true(fabs(point->centre_mm[c]) <= 1e5);
      assert_true(point->diameter_mm >= 0 && point->diameter_mm <= 1000);
      assert_true(isnan(point->probability) ||
                  (point->probability >= 0 && point->probability <= 1));
      assert_true(point->line > 0);
    }
    for (size_t m = 0; m < annotation->n_marks; m++) {
      const struct ct_grid_mask *mask = &annotation->marks[m].region->mask;
      assert_true(mask->size[0] > 0 && mask->size[1] > 0 && mask->size[2] > 0);
      for (int c = 0; c < 3; c++) assert_true(fabs(mask->origin_mm[c]) < 1e6);
    }
  }
}

/* Returns whether it was refused. */
static bool try_one(const char *path, const char *bytes, size_t n) {
  const struct ct_nodule_source *source;
  struct ct_annotations found = {0};
  assert_ok(lc_file_write_soon(path, bytes, n, &test_err));
  test_err.message[0] = '\0';
  lc_status status = ct_nodule_source_of(&source, path, &test_err);
  if (status == LC_OK) status = source->read(&found, path, &test_err);
  if (status == LC_OK) check_found(&found, path);
  if (status != LC_OK && status != LC_ERR_FORMAT && status != LC_ERR_UNSUPPORTED)
    fail_msg("%s: %s", lc_status_name(status), test_err.message);
  if (status != LC_OK && !strstr(test_err.message, path))
    fail_msg("\"%s\" does not name %s", test_err.message, path);
  ct_annotations_free(&found);
  return status != LC_OK;
}

static void test_damaged(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    char path[400], *bytes = NULL;
    size_t n = 0, refused = 0;
    uint32_t seed = 17U + (uint32_t)k;
    snprintf(path, sizeof path, "%s/damaged%s", folder, kinds[k].ending);
    if (kinds[k].file)
      assert_ok(lc_file_read(kinds[k].file, 1 << 20, &bytes, &n, &test_err));
    else
      n = strlen(kinds[k].text);
    const char *from = bytes ? bytes : kinds[k].text;
    char *to = malloc(2 * n + 64);
    assert_non_null(to);
    if (try_one(path, from, n)) fail_msg("%s: %s", path, test_err.message);
    for (int v = 0; v < VARIANTS; v++) {
      size_t length = damage(from, n, to, &seed);
      refused += try_one(path, to, length);
    }
    if (refused < VARIANTS / 5) fail_msg("%s: only %zu variants refused", path, refused);
    free(to);
    free(bytes);
  }
}

static int start(void **state) {
  (void)state;
  (void)lc_test_folder(folder);
  return 0;
}

static int end(void **state) {
  (void)state;
  return lc_folder_remove(folder, &test_err) != LC_OK;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_damaged)};
  return cmocka_run_group_tests(tests, start, end);
}
