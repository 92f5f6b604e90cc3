/* Volumes that are not DICOM: what is cut from each format, compression and order of axes is the
 * field that was written, and a reference gives them the slices of its DICOM. */
#include "ct_io/dicom_read/ct_decode.h"
#include "tests/ct_volume_test.h"

#include "common/lc_file.h"
#include "ct_io/ct/ct_cube.h"
#include "ct_io/ct/ct_cutter.h"
#include "ct_io/ct/ct_volume_file.h"
#include "ct_io/dicom_read/ct_index.h"

static char folder[256];

static int make_folder(void **state) {
  (void)state;
  lc_test_folder(folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  return lc_folder_remove(folder, NULL) == LC_OK ? 0 : -1;
}

static const char *in_folder(const char *name) {
  static char path[400];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static const int as_is[3] = {0, 1, 2}, forward[3] = {1, 1, 1};

static size_t all_grids(struct grid grids[32]) {
  static const int orders[][3] = {{0, 1, 2}, {2, 0, 1}, {1, 0, 2}, {0, 2, 1}};
  size_t n = 0;
  for (int flips = 0; flips < 8; flips++)
    grids[n++] =
        make_grid("flipped", 0, 0, as_is,
                  (const int[3]){flips & 1 ? -1 : 1, flips & 2 ? -1 : 1, flips & 4 ? -1 : 1});
  for (size_t i = 1; i < sizeof orders / sizeof *orders; i++)
    grids[n++] = make_grid("swapped", 0, 0, orders[i], (const int[3]){1, -1, 1});
  grids[n++] = make_grid("oblique", 0.2, 0.15, as_is, forward);
  grids[n++] = make_grid("oblique, left-handed", -0.3, 0.1, orders[1], (const int[3]){-1, 1, 1});
  return n;
}

static lc_status take(void *context, size_t nodule, const struct ct_volume *volume,
                      struct lc_error *err) {
  struct ct_cube *cubes = context;
  static const double centres[2][3] = {{1, 2, -1}, {-3, 1, 4}};
  return ct_cube_resample(&cubes[nodule], volume, centres[nodule], 14, 1, err);
}

static lc_status refuse(void *context, size_t nodule, lc_status status, const struct lc_error *why,
                        struct lc_error *err) {
  (void)context, (void)nodule;
  *err = *why;
  return status;
}

/* Two cubes, cut as a run does it. */
static void check_field(const struct ct_series *series, const char *what) {
  static const double centres[2][3] = {{1, 2, -1}, {-3, 1, 4}};
  struct ct_cube cubes[2] = {{0}};
  struct ct_cut_plan plan;
  const struct ct_cut cut = {
      .decode = ct_volume_decode, .take = take, .refuse = refuse, .context = cubes};
  assert_ok(ct_cut_plan_init(&plan, series, 2, centres, 14, &test_err));
  assert_int_equal(plan.n, 2);
  assert_ok(ct_cut_all(&plan, &cut, &test_err));
  for (int c = 0; c < 2; c++) {
    assert_int_equal(cubes[c].n_padded, 0);
    for (size_t z = 0, i = 0; z < 14; z++)
      for (size_t y = 0; y < 14; y++)
        for (size_t x = 0; x < 14; x++, i++) {
          double lps[3] = {centres[c][0] + (double)x - 6.5, centres[c][1] + (double)y - 6.5,
                           centres[c][2] + (double)z - 6.5};
          double off = (double)cubes[c].hu[i] - field(lps);
          if (!(fabs(off) < 1))
            fail_msg("%s, %s: %g HU off at %zu, %zu, %zu", what, series->slices[0].path, off, x, y,
                     z);
        }
    ct_cube_free(&cubes[c]);
  }
  ct_cut_plan_free(&plan);
}

static void check_file(const char *path, const char *what) {
  struct ct_index index;
  assert_ok(ct_index_scan(&index, &path, 1, NULL, NULL, &test_err));
  assert_int_equal(index.n_series, 1);
  const struct ct_series *series = &index.series[0];
  assert_string_equal(series->reason, "");
  assert_string_equal(series->series_instance_uid, "1.2.3");
  assert_false(ct_series_has_objects(series));
  assert_true(series->normal[2] > 0.9); /* slices to the head, whatever order the file has */
  assert_true(series->orientation[0] > 0.9 && series->orientation[4] > 0.9);
  check_field(series, what);
  ct_index_free(&index);
}

static void every_format_and_order(void **state) {
  static const char *const spaces[] = {"left-posterior-superior", "right-anterior-superior",
                                       "left-anterior-superior", "LPS"};
  struct grid grids[32];
  char what[64], name[300];
  size_t n = all_grids(grids);
  (void)state;
  for (size_t g = 0; g < n; g++) {
    const struct grid *grid = &grids[g];
    snprintf(what, sizeof what, "%s %zu", grid->name, g);
    for (int way = 0; way < 4; way++) {
      const char *types[] = {"int16", "float", "int32", "double"};
      snprintf(name, sizeof name, "%s", in_folder("1.2.3"));
      write_meta(grid, name, way & 1, way & 2, types[way]);
      check_file(in_folder(way & 1 ? "1.2.3.mhd" : "1.2.3.mha"), what);
      write_nrrd(grid, name, spaces[way], way & 1, way & 2);
      check_file(in_folder(way & 1 ? "1.2.3.nhdr" : "1.2.3.nrrd"), what);
      struct nifti how = {.q = way != 1,
                          .s = way != 2,
                          .unit = 2,
                          .type = types[way],
                          .big = way == 3,
                          .compressed = way & 1};
      unlink(in_folder("1.2.3.nii"));
      write_nifti(grid, in_folder(way & 1 ? "1.2.3.nii.gz" : "1.2.3.nii"), how);
      check_file(in_folder(way & 1 ? "1.2.3.nii.gz" : "1.2.3.nii"), what);
    }
  }
}

/* Unsigned numbers reach air by their intercept; metres and micrometres are millimetres in the end;
 * a fourth dimension of one is no matter. */
static void nifti_scales(void **state) {
  const struct grid grid = make_grid("plain", 0, 0, as_is, forward);
  static const struct nifti ways[] = {
      {.q = 1, .s = 1, .unit = 2, .type = "uint16", .slope = 1, .intercept = -1024},
      {.q = 1, .s = 1, .unit = 2, .type = "int16", .slope = 0.5F, .intercept = 100},
      {.q = 1, .unit = 1, .type = "int16"},
      {.s = 1, .unit = 3, .type = "int16"},
      {.q = 1, .s = 1, .unit = 0, .type = "int16", .times = 1},
      {.q = 1, .s = 1, .unit = 2, .type = "int16", .off = 0.005},
  };
  (void)state;
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    write_nifti(&grid, in_folder("1.2.3.nii"), ways[i]);
    check_file(in_folder("1.2.3.nii"), ways[i].type);
  }
}

/* NaN is padding, and what lies below the scale is out of the field of view. */
static void floats_out_of_the_field(void **state) {
  const struct grid grid = make_grid("plain", 0, 0, as_is, forward);
  struct ct_series series;
  struct ct_volume volume;
  const float odd[2] = {NAN, -3024};
  (void)state;
  write_meta(&grid, in_folder("odd"), 1, 0, "float");
  FILE *file = fopen(in_folder("odd.raw"), "r+b");
  assert_true(file && fwrite(odd, sizeof odd, 1, file) == 1 && fclose(file) == 0);
  assert_ok(ct_volume_file_open(&series, in_folder("odd.mhd"), &test_err));
  assert_ok(ct_volume_decode(&volume, &series, 0, 2, NULL, &test_err));
  assert_int_equal(volume.hu[0], CT_AIR_HU);
  assert_int_equal(volume.hu[1], CT_LOWEST_HU);
  ct_volume_free(&volume);
  ct_series_free(&series);
}

/* A stack of DICOM slices as a grid has them. */
static struct ct_series dicom_of(const struct grid *grid) {
  struct ct_series series = {.columns = grid->size[0], .rows = grid->size[1]};
  double length[3] = {0};
  series.slices = calloc((size_t)grid->size[2], sizeof *series.slices);
  if (!series.slices) abort();
  for (int a = 0; a < 3; a++) {
    for (int x = 0; x < 3; x++) length[a] += grid->step[a][x] * grid->step[a][x];
    length[a] = sqrt(length[a]);
  }
  for (int x = 0; x < 3; x++) {
    series.orientation[x] = grid->step[0][x] / length[0];
    series.orientation[3 + x] = grid->step[1][x] / length[1];
    series.normal[x] = grid->step[2][x] / length[2];
  }
  series.pixel_spacing_mm[0] = length[1];
  series.pixel_spacing_mm[1] = length[0];
  series.slice_spacing_mm = length[2];
  strcpy(series.series_instance_uid, "9.8.7");
  strcpy(series.patient_id, "PATIENT");
  for (int k = 0; k < grid->size[2]; k++) {
    struct ct_slice *slice = &series.slices[series.n_slices++];
    grid_position(grid, (const int[3]){0, 0, k}, slice->position_mm);
    for (int x = 0; x < 3; x++) slice->along_mm += slice->position_mm[x] * series.normal[x];
    slice->path = strdup("slice.dcm");
    snprintf(slice->sop_instance_uid, CT_UID_SIZE, "9.8.7.%d", k);
  }
  return series;
}

static void a_reference_of_any_order(void **state) {
  const struct grid plain = make_grid("plain", 0.1, 0, as_is, forward);
  struct ct_series reference = dicom_of(&plain);
  (void)state;
  for (int flips = 0; flips < 8; flips++) {
    struct ct_series series;
    const struct grid grid =
        make_grid("flipped", 0.1, 0, (const int[3]){1, 2, 0},
                  (const int[3]){flips & 1 ? -1 : 1, flips & 2 ? -1 : 1, flips & 4 ? -1 : 1});
    write_meta(&grid, in_folder("1.2.3"), 0, flips & 1, "int16");
    assert_ok(ct_volume_file_open(&series, in_folder("1.2.3.mha"), &test_err));
    assert_ok(ct_volume_file_refer(&series, &reference, &test_err));
    assert_string_equal(series.series_instance_uid, "9.8.7");
    assert_string_equal(series.patient_id, "PATIENT");
    assert_string_equal(series.slices[3].sop_instance_uid, "9.8.7.3");
    assert_string_equal(series.slices[3].path, "slice.dcm");
    assert_true(ct_series_has_objects(&series));
    assert_ok(ct_volume_file_check_outlines(&series, &test_err));
    check_field(&series, "referred");
    ct_series_free(&series);
  }
  ct_series_free(&reference);
}

static void check_reference(const struct grid *grid, struct ct_series *reference,
                            const char *words) {
  struct ct_series series;
  write_meta(grid, in_folder("1.2.3"), 0, 0, "int16");
  assert_ok(ct_volume_file_open(&series, in_folder("1.2.3.mha"), &test_err));
  assert_fails(ct_volume_file_refer(&series, reference, &test_err), LC_ERR_GEOMETRY, words);
  assert_string_equal(series.series_instance_uid, "1.2.3"); /* as it was */
  ct_series_free(&series);
}

static void a_reference_that_differs(void **state) {
  const struct grid plain = make_grid("plain", 0, 0, as_is, forward);
  struct ct_series reference = dicom_of(&plain);
  struct grid grid = plain;
  (void)state;
  grid.origin[1] += 0.009;
  write_meta(&grid, in_folder("1.2.3"), 0, 0, "int16");
  struct ct_series series;
  assert_ok(ct_volume_file_open(&series, in_folder("1.2.3.mha"), &test_err));
  assert_ok(ct_volume_file_refer(&series, &reference, &test_err));
  ct_series_free(&series);
  grid.origin[1] += 0.01;
  check_reference(&grid, &reference, "lies 0.019 mm (0.000, 0.019, 0.000) off the reference's");
  grid = plain;
  grid.step[0][0] *= 1.01;
  check_reference(&grid, &reference, "column 24, row 1, slice 1 lies 0.345 mm");
  grid = plain;
  grid.size[2]--;
  check_reference(&grid, &reference,
                  "24 columns, 20 rows and 15 slices, the reference has 24, 20 "
                  "and 16");
  static const char *const words[] = {"left and right mirrored", "front and back mirrored",
                                      "slices in reverse order"};
  for (int a = 0; a < 3; a++) {
    grid = plain;
    for (int x = 0; x < 3; x++) grid.step[a][x] *= -1;
    check_reference(&grid, &reference, words[a]);
  }
  grid = make_grid("turned", 0.1, 0, as_is, forward);
  check_reference(&grid, &reference, "turned by 5.7 degrees");
  reference.slices[7].position_mm[2] += 0.5; /* a gap that the ends do not show */
  check_reference(&plain, &reference, "slice 8 lies 0.500 mm");
  ct_series_free(&reference);
}

/* Outlines count pixels of a DICOM that is not there. */
static void outlines_need_an_order(void **state) {
  static const struct {
    int sign[3];
    lc_status expected;
  } ways[] = {{{1, 1, 1}, LC_OK},
              {{1, 1, -1}, LC_OK},
              {{1, -1, 1}, LC_OK},
              {{-1, -1, -1}, LC_OK},
              {{-1, -1, 1}, LC_ERR_GEOMETRY},
              {{-1, 1, 1}, LC_OK}};
  (void)state;
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    struct ct_series series;
    const struct grid grid = make_grid("flipped", 0, 0, as_is, ways[i].sign);
    write_meta(&grid, in_folder("1.2.3"), 0, 0, "int16");
    assert_ok(ct_volume_file_open(&series, in_folder("1.2.3.mha"), &test_err));
    lc_status status = ct_volume_file_check_outlines(&series, &test_err);
    assert_int_equal(status, ways[i].expected);
    ct_series_free(&series);
  }
}

/* Compressed files are read once while they are held, and again when not. */
static void a_held_volume_is_read_once(void **state) {
  const struct grid grid = make_grid("plain", 0, 0, as_is, forward);
  struct ct_series series;
  struct ct_volume volume;
  (void)state;
  write_nifti(&grid, in_folder("once.nii.gz"),
              (struct nifti){.q = 1, .unit = 2, .type = "int16", .compressed = 1});
  assert_ok(ct_volume_file_open(&series, in_folder("once.nii.gz"), &test_err));
  ct_volume_file_hold(&series);
  assert_ok(ct_volume_decode(&volume, &series, 2, 3, NULL, &test_err));
  ct_volume_free(&volume);
  assert_int_equal(unlink(in_folder("once.nii.gz")), 0);
  assert_ok(ct_volume_decode(&volume, &series, 9, 2, NULL, &test_err));
  ct_volume_free(&volume);
  ct_volume_file_drop(&series);
  assert_fails(ct_volume_decode(&volume, &series, 9, 2, NULL, &test_err), LC_ERR_FORMAT,
               "cannot be read");
  ct_series_free(&series);
}

static void the_manifest_tells_bytes(void **state) {
  const struct grid grid = make_grid("plain", 0, 0, as_is, forward);
  struct ct_series series;
  char hex[2][65];
  (void)state;
  write_meta(&grid, in_folder("told"), 1, 0, "int16");
  for (int i = 0; i < 2; i++) {
    assert_ok(ct_volume_file_open(&series, in_folder("told.mhd"), &test_err));
    assert_ok(ct_series_manifest_hex(&series, hex[i], &test_err));
    ct_series_free(&series);
    FILE *file = fopen(in_folder("told.raw"), "r+b"); /* one voxel */
    assert_true(file && fputc(7, file) == 7 && fclose(file) == 0);
  }
  assert_string_not_equal(hex[0], hex[1]);
}

/* Two files of one name, and the data of a MetaImage that starts like DICOM does. */
static void a_folder_of_them(void **state) {
  const struct grid grid = make_grid("plain", 0, 0, as_is, forward);
  const char *paths[] = {folder};
  const uint8_t like_dicom[] = {8, 0, 5, 0};
  struct ct_index index;
  const struct ct_series *chosen;
  (void)state;
  assert_ok(lc_folder_remove(folder, &test_err));
  assert_ok(lc_folder_make(folder, &test_err));
  assert_ok(lc_folder_make(in_folder("a"), &test_err));
  assert_ok(lc_folder_make(in_folder("b"), &test_err));
  write_meta(&grid, in_folder("a/ct"), 1, 0, "int16");
  write_meta(&grid, in_folder("b/ct"), 1, 0, "int16");
  FILE *file = fopen(in_folder("a/ct.raw"), "r+b");
  assert_true(file && fwrite(like_dicom, 4, 1, file) == 1 && fclose(file) == 0);
  assert_ok(ct_index_scan(&index, paths, 1, NULL, NULL, &test_err));
  assert_int_equal(index.n_series, 2);
  assert_int_equal(index.n_problems, 0);
  assert_int_equal(index.n_files_not_dicom, 0);
  assert_int_equal(index.series[1].n_parts, 1);
  assert_fails(ct_index_choose(&index, "ct", &chosen, &test_err), LC_ERR_AMBIGUOUS, "b/ct.mhd");
  ct_index_free(&index);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_format_and_order),     cmocka_unit_test(nifti_scales),
      cmocka_unit_test(floats_out_of_the_field),    cmocka_unit_test(a_reference_of_any_order),
      cmocka_unit_test(a_reference_that_differs),   cmocka_unit_test(outlines_need_an_order),
      cmocka_unit_test(a_held_volume_is_read_once), cmocka_unit_test(the_manifest_tells_bytes),
      cmocka_unit_test(a_folder_of_them),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
