/* The nodule of LIDC-IDRI-0001: four readers, its centre, and its cube beside SciPy's. */
#include "ct_io/dicom_read/ct_decode.h"
#include "ct_io/dicom_read/ct_index.h"
#include "tests/lc_test.h"

#include <math.h>

#include "common/lc_file.h"
#include "ct_io/ct/ct_cube.h"
#include "ct_io/nodule/ct_nodule.h"
#include "ct_io/nodule/ct_nodule_finder.h"

#define SERIES_UID "1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192"
#define PATIENT LC_TEST_DATA_DIR "/LIDC-IDRI/LIDC-IDRI-0001"
#define SERIES                                                                                     \
  PATIENT "/1.3.6.1.4.1.14519.5.2.1.6279.6001.298806137288633453246975630178/" SERIES_UID
#define CROP LC_TEST_SHARED_DIR "/reference/lidc_idri_0001_crop.safetensors"

static struct ct_index index_;
static const struct ct_series *series;
static struct ct_annotation annotation;
static struct ct_nodule_list list;

/* Start of a tensor's bytes: the header names its offsets behind the header. */
static const char *tensor(const char *file, const char *name) {
  uint64_t header;
  memcpy(&header, file, sizeof header);
  const char *entry = strstr(file + 8, name);
  assert_non_null(entry);
  const char *offsets = strstr(entry, "data_offsets");
  assert_non_null(offsets);
  return file + 8 + header + strtoul(strchr(offsets, '[') + 1, NULL, 10);
}

static int open_case(void **state) {
  (void)state;
  const char *folder = PATIENT;
  assert_ok(ct_index_scan(&index_, &folder, 1, NULL, NULL, &test_err));
  assert_ok(ct_index_choose(&index_, NULL, &series, &test_err));
  assert_ok(ct_annotation_read(&annotation, SERIES "/069.xml", &test_err));
  assert_ok(ct_nodules_from_annotation(&list, &annotation, series, NULL, &test_err));
  return 0;
}

static int close_case(void **state) {
  (void)state;
  ct_nodule_list_free(&list);
  ct_annotation_free(&annotation);
  ct_index_free(&index_);
  return 0;
}

static void test_series(void **state) {
  (void)state;
  assert_string_equal(series->series_instance_uid, SERIES_UID);
  assert_int_equal(series->verdict, CT_USABLE);
  assert_int_equal(series->n_slices, 133);
  assert_true(fabs(series->slices[0].along_mm + 340) < 1e-9);
  assert_true(fabs(series->slice_spacing_mm - 2.5) < 1e-9);
  assert_true(series->slices[5].padding_given);
  assert_int_equal(series->slices[5].padding_low, -2000);
}

static void test_one_nodule_four_readers(void **state) {
  (void)state;
  static const double malignancy[4] = {5, 5, 5, 4};
  assert_int_equal(list.n_nodules, 1);
  const struct ct_nodule *nodule = &list.nodules[0];
  assert_int_equal(nodule->n_marks, 4);
  assert_int_equal(nodule->n_readers, 4);
  for (int i = 0; i < 4; i++) assert_true(nodule->marks[i]->rating[CT_MALIGNANCY] == malignancy[i]);
  assert_true(nodule->median_rating[CT_MALIGNANCY] == 5);
  assert_true(fabs(nodule->mean_rating[CT_MALIGNANCY] - 4.75) < 1e-12);
}

static void test_cube_agrees_with_scipy(void **state) {
  (void)state;
  char *file;
  size_t count, first, slices;
  if (!lc_file_exists(CROP)) skip();
  assert_ok(lc_file_read(CROP, 1 << 22, &file, &count, &test_err));
  double centre[3];
  float from_file[3];
  float *expected = malloc(32 * 32 * 32 * sizeof *expected);
  assert_non_null(expected);
  memcpy(from_file, tensor(file, "\"centre_lps_mm_0\""), sizeof from_file);
  for (int c = 0; c < 3; c++) centre[c] = (double)from_file[c];
  memcpy(expected, tensor(file, "\"hu_0\""), 32 * 32 * 32 * sizeof *expected);
  /* The file gives the centre to a tenth of a millimetre. */
  for (int c = 0; c < 3; c++) assert_true(fabs(centre[c] - list.nodules[0].centre_mm[c]) < 0.0501);

  struct ct_volume volume;
  struct ct_cube cube;
  ct_series_slab(series, centre, 31, &first, &slices);
  assert_in_range(slices, 13, 15); /* 31 mm of 2.5 mm slices: the others stay undecoded */
  assert_ok(ct_volume_decode(&volume, series, first, slices, NULL, &test_err));
  assert_ok(ct_cube_resample(&cube, &volume, centre, 32, 1, &test_err));
  assert_int_equal(cube.n_padded, 0);
  double sum = 0, most = lc_test_difference(cube.hu, expected, 32 * 32 * 32, NULL);
  for (size_t i = 0; i < 32 * 32 * 32; i++) sum += fabs((double)cube.hu[i] - (double)expected[i]);
  printf("cube: mean difference %.4f HU, largest %.4f HU\n", sum / 32768, most);
  assert_true(sum / 32768 < 1);
  assert_true(most < 8);
  ct_cube_free(&cube);
  ct_volume_free(&volume);
  free(expected);
  free(file);
}

static void test_mask_lies_in_the_nodule(void **state) {
  (void)state;
  struct ct_volume volume;
  struct ct_cube cube;
  size_t first, slices;
  const struct ct_nodule *nodule = &list.nodules[0];
  ct_series_slab(series, nodule->centre_mm, 31, &first, &slices);
  assert_ok(ct_volume_decode(&volume, series, first, slices, NULL, &test_err));
  assert_ok(ct_cube_resample(&cube, &volume, nodule->centre_mm, 32, 1, &test_err));
  assert_ok(ct_cube_add_mask(&cube, nodule, series, 0.5, &test_err));
  double inside = 0, outside = 0;
  size_t n_inside = 0;
  for (size_t i = 0; i < 32768; i++) {
    n_inside += cube.mask[i];
    *(cube.mask[i] ? &inside : &outside) += (double)cube.hu[i];
  }
  inside /= (double)n_inside;
  outside /= (double)(32768 - n_inside);
  printf("mask: %zu mm3, %.0f HU inside, %.0f HU outside\n", n_inside, inside, outside);
  assert_in_range(n_inside, 2000, 8000);
  assert_true(inside > -200 && inside < 100);
  assert_true(outside < inside - 300);
  ct_cube_free(&cube);
  ct_volume_free(&volume);
}

/* Values of pylidc 0.2.3 for the same scan: Annotation.diameter, volume, centroid (row, column,
 * slice), boolean_mask, and utils.consensus at 0.5. */
static void test_measures_are_pylidcs(void **state) {
  (void)state;
  static const struct {
    double diameter, volume, centroid[3];
    size_t mask;
  } pylidc[4] = {{32.2059, 7869.370, {365.87447257, 315.04852321, 89.55168776}, 5905},
                 {33.1887, 6146.439, {367.85060565, 316.27725437, 89.72812921}, 4613},
                 {31.9593, 6594.475, {366.95552732, 316.13341804, 89.53875476}, 4955},
                 {33.6693, 7348.412, {366.50272035, 316.46789989, 89.80195865}, 5498}};
  const struct ct_nodule *nodule = &list.nodules[0];
  struct ct_consensus mask;
  for (int i = 0; i < 4; i++) {
    struct ct_measure measure;
    struct ct_nodule alone = *nodule;
    alone.marks = &nodule->marks[i];
    alone.n_marks = 1;
    assert_ok(ct_mark_measure(nodule->marks[i], series, &measure, &test_err));
    assert_true(fabs(measure.diameter_mm - pylidc[i].diameter) < 1e-4);
    assert_true(fabs(measure.volume_mm3 - pylidc[i].volume) < 1e-3);
    assert_true(fabs(measure.centroid_ijk[0] - pylidc[i].centroid[1]) < 1e-7);
    assert_true(fabs(measure.centroid_ijk[1] - pylidc[i].centroid[0]) < 1e-7);
    assert_true(fabs(measure.centroid_ijk[2] - pylidc[i].centroid[2]) < 1e-7);
    assert_ok(ct_nodule_consensus(&mask, &alone, series, 0.5, &test_err));
    assert_int_equal(mask.n_inside, pylidc[i].mask);
    ct_consensus_free(&mask);
  }
  assert_ok(ct_nodule_consensus(&mask, nodule, series, 0.5, &test_err));
  static const size_t first[3] = {297, 340, 86}, size[3] = {44, 52, 9};
  assert_memory_equal(mask.first, first, sizeof first);
  assert_memory_equal(mask.size, size, sizeof size);
  assert_int_equal(mask.n_inside, 5428);
  ct_consensus_free(&mask);
}

/* LUNA16 lists the same nodule. */
static void test_luna16_matches(void **state) {
  (void)state;
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *points;
  long match = -1;
  assert_ok(ct_nodule_finder_find(&finder, LC_TEST_DATA_DIR "/luna16/annotations.csv", series,
                                  &points, &test_err));
  assert_int_equal(points->n_points, 1);
  ct_nodules_match(&list, points, &match);
  assert_int_equal(match, 0);
  points->points[0].centre_mm[0] -= 20; /* beyond its radius of 11.7 mm */
  ct_nodules_match(&list, points, &match);
  assert_int_equal(match, -1);
  ct_nodule_finder_free(&finder);
}

/* The rule in millimetres: nothing changes for one nodule until the tolerance is below the gap. */
static void test_millimetre_grouping(void **state) {
  (void)state;
  struct ct_nodule_list other;
  struct ct_grouping how = {.in_millimetres = true, .tolerance_mm = 2};
  assert_ok(ct_nodules_from_annotation(&other, &annotation, series, &how, &test_err));
  assert_int_equal(other.n_nodules, 1);
  assert_int_equal(other.nodules[0].n_marks, 4);
  assert_true(other.tolerance_used == 2);
  ct_nodule_list_free(&other);
}

static void test_other_series_is_refused(void **state) {
  (void)state;
  struct ct_annotation other;
  struct ct_nodule_list none;
  assert_ok(ct_annotation_read(&other, LC_TEST_DATA_DIR "/lidc_xml/picked/185_071.xml", &test_err));
  assert_fails(ct_nodules_from_annotation(&none, &other, series, NULL, &test_err), LC_ERR_MISMATCH,
               "185_071.xml: annotates series 1.3.6.1.4.1.14519.5.2.1.6279.6001.");
  assert_non_null(strstr(test_err.message, "expected " SERIES_UID));
  ct_annotation_free(&other);
}

int main(void) {
  lc_test_need_data();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_series),
      cmocka_unit_test(test_one_nodule_four_readers),
      cmocka_unit_test(test_cube_agrees_with_scipy),
      cmocka_unit_test(test_measures_are_pylidcs),
      cmocka_unit_test(test_luna16_matches),
      cmocka_unit_test(test_millimetre_grouping),
      cmocka_unit_test(test_mask_lies_in_the_nodule),
      cmocka_unit_test(test_other_series_is_refused),
  };
  return cmocka_run_group_tests(tests, open_case, close_case);
}
