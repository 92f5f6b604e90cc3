/* Situations from public bug reports (../shared/data/reported_cases): each folder gives what its
 * README says is right, by the linear field that its voxels are made of. */
#include "ct_io/ct/ct_cube.h"
#include "ct_io/nodule/ct_nodule.h"
#include "ct_io/nodule/ct_nodule_finder.h"
#include "tests/ct_dicom_field.h"

#define CASES LC_TEST_DATA_DIR "/reported_cases/"

static struct ct_index found;

static const struct ct_series *scan(const char *folder, size_t n_series, size_t n_slices) {
  char path[LC_PATH_SIZE];
  snprintf(path, sizeof path, CASES "%s", folder);
  field_scan(&found, path, NULL);
  assert_int_equal(found.n_series, n_series);
  assert_int_equal(found.series[0].n_slices, n_slices);
  return &found.series[0];
}

/* A cube about the point of points.csv, and the voxel that the README names, in the field. */
static void check_cube(const struct ct_series *series, double offset) {
  enum { EDGE = 8 };
  static const double centre[] = {1.3, -2.6, -0.7};
  struct ct_volume volume;
  struct ct_cube cube;
  size_t first, count;
  ct_series_slab(series, centre, EDGE, &first, &count);
  assert_ok(ct_volume_decode(&volume, series, first, count, NULL, &test_err));
  assert_ok(ct_cube_resample(&cube, &volume, centre, EDGE, 1, &test_err));
  assert_int_equal(cube.n_padded, 0);
  for (int i = 0; i < EDGE * EDGE * EDGE; i++) {
    const double mm[] = {centre[0] + i % EDGE - 3.5, centre[1] + i / EDGE % EDGE - 3.5,
                         centre[2] + i / EDGE / EDGE - 3.5};
    assert_near((double)cube.hu[i], field_hu(mm) + offset, 1);
  }
  ct_cube_free(&cube);
  ct_volume_free(&volume);
}

static void slopes_that_are_missing_are_one(void **state) {
  (void)state;
  static const char *const folders[] = {"slope_missing_signed", "slope_missing_unsigned"};
  for (int i = 0; i < 2; i++) {
    const struct ct_series *series = scan(folders[i], 1, 20);
    struct ct_volume volume;
    static const double place[] = {1, -3, -2};
    double ijk[3];
    field_verdict(series, CT_USABLE, "");
    field_check(series, 0);
    check_cube(series, 0);
    ct_series_to_index(series, place, ijk);
    assert_ok(ct_volume_decode(&volume, series, (size_t)lround(ijk[2]), 1, NULL, &test_err));
    assert_int_equal(volume.hu[lround(ijk[1]) * series->columns + lround(ijk[0])], -212);
    ct_volume_free(&volume);
    ct_index_free(&found);
  }
}

static void phases_half_a_slice_apart(void **state) {
  (void)state;
  const struct ct_series *chosen;
  scan("phases_half_offset", 2, 20);
  for (int p = 0; p < 2; p++) {
    const char *names[] = {"2.25.1001:1", "2.25.1001:2"};
    assert_ok(ct_index_choose(&found, names[p], &chosen, &test_err));
    assert_int_equal(chosen->n_slices, 20);
    bool second = strstr(chosen->slices[0].path, "/1_") != NULL;
    field_check(chosen, second ? 400 : 0);
    check_cube(chosen, second ? 400 : 0);
  }
  assert_fails(ct_index_choose(&found, "2.25.1001", &chosen, &test_err), LC_ERR_AMBIGUOUS,
               "2.25.1001:2");
  ct_index_free(&found);
}

static void step_and_shoot_with_a_repeat(void **state) {
  (void)state;
  const struct ct_series *series = scan("stepshoot_repeat", 1, 20);
  field_verdict(series, CT_REPAIRED, "1 slice repeats a position");
  field_verdict(series, CT_REPAIRED, "lowest InstanceNumber kept");
  assert_near(series->slice_spacing_mm, 2, 1e-9);
  field_check(series, 0);
  check_cube(series, 0);
  ct_index_free(&found);
}

static void a_uid_that_two_slices_share(void **state) {
  (void)state;
  const struct ct_series *series = scan("sop_shared_lower", 1, 20);
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *annotation;
  struct ct_nodule_list list;
  field_verdict(series, CT_REPAIRED, "told apart by position");
  assert_ok(ct_nodule_finder_find(&finder, NULL, series, &annotation, &test_err));
  assert_ok(ct_nodules_from_annotation(&list, annotation, series, NULL, &test_err));
  assert_int_equal(list.n_nodules, 1);
  assert_near(list.nodules[0].centre_mm[2], 0, 1e-9);
  ct_nodule_list_free(&list);
  ct_nodule_finder_free(&finder);
  ct_index_free(&found);
}

static void half_an_rle_frame(void **state) {
  (void)state;
  struct ct_volume volume;
  const struct ct_series *series = scan("trunc_rle_half", 1, 1);
  assert_fails(ct_volume_decode(&volume, series, 0, 1, NULL, &test_err), LC_ERR_FORMAT,
               "trunc_rle_half/1.dcm: RLE segment");
  assert_null(volume.hu);
  ct_index_free(&found);
}

static void japanese_names(void **state) {
  (void)state;
  assert_string_equal(scan("cs_ir87", 1, 2)->patient_name, "Yamada^Tarou=山田^太郎=やまだ^たろう");
  ct_index_free(&found);
}

static void points_inside_and_outside(void **state) {
  (void)state;
  const struct ct_series *series = scan("csvs", 1, 20);
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *annotation;
  struct ct_nodule_list list;
  struct ct_cut_plan plan;
  assert_ok(
      ct_nodule_finder_find(&finder, CASES "csvs/one_outside.csv", series, &annotation, &test_err));
  assert_ok(ct_nodules_from_annotation(&list, annotation, series, NULL, &test_err));
  assert_ok(ct_nodules_plan(&plan, &list, series, 8, &test_err));
  assert_int_equal(plan.n, 1);
  assert_int_equal(plan.n_outside, 1);
  assert_int_equal(list.nodules[plan.slabs[1].nodule].line, 3);
  check_cube(series, 0);
  ct_cut_plan_free(&plan);
  ct_nodule_list_free(&list);
  ct_nodule_finder_free(&finder);
  ct_index_free(&found);
}

static void uids_of_letters(void **state) {
  (void)state;
  const struct ct_series *series = scan("uid_hex", 1, 20);
  field_verdict(series, CT_REPAIRED, "UIDs with letters");
  field_check(series, 0);
  check_cube(series, 0);
  ct_index_free(&found);
}

static void positions_of_one_decimal(void **state) {
  (void)state;
  const struct ct_series *series = scan("z_rounded_0625", 1, 20);
  field_verdict(series, CT_REPAIRED, "an even grid of 0.625 mm, largest residual 0.05 mm");
  assert_near(series->slice_spacing_mm, 0.625, 1e-9);
  field_check(series, 0);
  check_cube(series, 0);
  ct_index_free(&found);
}

static void indices_of_colours(void **state) {
  (void)state;
  field_verdict(scan("palette_color", 1, 20), CT_REFUSED, "PALETTE COLOR");
  ct_index_free(&found);
}

static void implicit_data_under_an_explicit_header(void **state) {
  (void)state;
  const struct ct_series *series = scan("meta_expl_data_impl", 1, 20);
  field_check(series, 0);
  check_cube(series, 0);
  ct_index_free(&found);
}

int main(void) {
  lc_test_need_data();
  if (access(CASES "README.md", R_OK) != 0) {
    printf("skipped: no reported cases\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(slopes_that_are_missing_are_one),
      cmocka_unit_test(phases_half_a_slice_apart),
      cmocka_unit_test(step_and_shoot_with_a_repeat),
      cmocka_unit_test(a_uid_that_two_slices_share),
      cmocka_unit_test(half_an_rle_frame),
      cmocka_unit_test(japanese_names),
      cmocka_unit_test(points_inside_and_outside),
      cmocka_unit_test(uids_of_letters),
      cmocka_unit_test(positions_of_one_decimal),
      cmocka_unit_test(indices_of_colours),
      cmocka_unit_test(implicit_data_under_an_explicit_header),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
