/* Resampling, views, image preparation, points from CSV and slabs, on volumes made here. */
#include "ct_io/dicom_read/ct_decode.h"
#include "tests/lc_test.h"

#include <math.h>

#include "common/lc_file.h"
#include "ct_io/ct/ct_image.h"
#include "ct_io/ct/ct_plane.h"
#include "ct_io/nodule/ct_nodule.h"
#include "ct_io/nodule/ct_nodule_finder.h"

/* A series of n slices 2 mm apart, 20 columns 0.5 mm apart, 16 rows 0.4 mm apart, first pixel at
 * (-5, -4, 100). */
struct made {
  struct ct_series series;
  struct ct_slice slices[8];
  struct ct_volume volume;
};

static double field(const double mm[3]) {
  return 100 + 7 * mm[0] - 5 * mm[1] + 3 * (mm[2] - 100);
}

/* shear_mm: how far each slice moves along y, as with a tilted gantry. */
static struct made *make(double shear_mm) {
  struct made *made = calloc(1, sizeof *made);
  if (!made) abort();
  struct ct_series *series = &made->series;
  *series = (struct ct_series){.rows = 16,
                               .columns = 20,
                               .pixel_spacing_mm = {0.4, 0.5},
                               .slice_spacing_mm = 2,
                               .orientation = {1, 0, 0, 0, 1, 0},
                               .normal = {0, 0, 1},
                               .slices = made->slices,
                               .n_slices = 8};
  strcpy(series->series_instance_uid, "1.2.3");
  struct ct_volume *volume = &made->volume;
  *volume = (struct ct_volume){.size = {20, 16, 8}, .origin_mm = {-5, -4, 100}};
  double length = sqrt(4 + shear_mm * shear_mm);
  double spacing[3] = {0.5, 0.4, length};
  double direction[9] = {1, 0, 0, 0, 1, shear_mm / length, 0, 0, 2 / length};
  memcpy(volume->spacing_mm, spacing, sizeof spacing);
  memcpy(volume->direction, direction, sizeof direction);
  volume->hu = calloc(20 * 16 * 8, sizeof *volume->hu);
  for (int k = 0; k < 8; k++) {
    struct ct_slice *slice = &made->slices[k];
    slice->along_mm = 100 + 2 * k;
    double first[3] = {-5, -4 + shear_mm * k, slice->along_mm};
    memcpy(slice->position_mm, first, sizeof first);
    for (int j = 0; j < 16; j++)
      for (int i = 0; i < 20; i++) {
        double mm[3] = {first[0] + 0.5 * i, first[1] + 0.4 * j, first[2]};
        volume->hu[(k * 16 + j) * 20 + i] = (int16_t)lrint(field(mm));
      }
  }
  return made;
}

static void discard(struct made *made) {
  free(made->volume.hu);
  free(made);
}

static void expect_field(const struct ct_cube *cube) {
  double middle = ((double)cube->edge - 1) / 2;
  for (size_t z = 0; z < cube->edge; z++)
    for (size_t y = 0; y < cube->edge; y++)
      for (size_t x = 0; x < cube->edge; x++) {
        double mm[3] = {cube->centre_mm[0] + ((double)x - middle) * cube->spacing_mm,
                        cube->centre_mm[1] + ((double)y - middle) * cube->spacing_mm,
                        cube->centre_mm[2] + ((double)z - middle) * cube->spacing_mm};
        double got = (double)cube->hu[(z * cube->edge + y) * cube->edge + x];
        assert_true(fabs(got - field(mm)) < 0.51); /* voxels are rounded to whole HU */
      }
}

/* What the slices say of themselves: rows and columns have spacings of their own, and the third
 * axis runs from first pixel to first pixel, tilted or not. */
static void test_volume_lies_where_its_slices_do(void **state) {
  (void)state;
  for (int shear = 0; shear < 2; shear++) {
    struct made *made = make(shear ? 0.3 : 0);
    struct ct_volume placed = {0};
    const struct ct_volume *expected = &made->volume;
    assert_ok(ct_volume_place(&placed, &made->series, 0, 8, &test_err));
    for (int c = 0; c < 3; c++) {
      assert_int_equal(placed.size[c], expected->size[c]);
      assert_near(placed.spacing_mm[c], expected->spacing_mm[c], 1e-12);
      assert_near(placed.origin_mm[c], expected->origin_mm[c], 1e-12);
    }
    for (int c = 0; c < 9; c++) assert_near(placed.direction[c], expected->direction[c], 1e-12);
    discard(made);
  }
}

/* A linear field comes back whatever the shear: patient coordinates rule. */
static void test_linear_field(void **state) {
  (void)state;
  const double centre[3] = {0.1, 0.3, 107.2};
  for (int shear = 0; shear < 2; shear++) {
    struct made *made = make(shear ? 0.3 : 0);
    struct ct_cube cube;
    assert_ok(ct_cube_resample(&cube, &made->volume, centre, 4, 1, &test_err));
    assert_int_equal(cube.n_padded, 0);
    expect_field(&cube);
    ct_cube_free(&cube);
    discard(made);
  }
}

static void test_padding_is_air_and_counted(void **state) {
  (void)state;
  struct made *made = make(0);
  struct ct_cube cube;
  const double centre[3] = {-5, 0, 108};
  assert_ok(ct_cube_resample(&cube, &made->volume, centre, 4, 1, &test_err));
  /* x = -6.5 lies outside, -5.5 too (half a voxel reaches to -5.25): 2 of 4 columns */
  assert_int_equal(cube.n_padded, 2 * 16);
  assert_true(cube.hu[0] == CT_AIR_HU && cube.hu[2] != CT_AIR_HU);
  ct_cube_free(&cube);
  const double outside[3] = {-50, 0, 108};
  assert_fails(ct_cube_resample(&cube, &made->volume, outside, 4, 1, &test_err), LC_ERR_OUTSIDE,
               "nodule at (-50.0, 0.0, 108.0) mm lies outside the volume");
  /* The volume ends half a voxel beyond its first and last pixels, at x = -5.25 and 4.75. */
  const double edges[4] = {-5.26, -5.24, 4.74, 4.76};
  for (int i = 0; i < 4; i++) {
    const double at[3] = {edges[i], 0, 108};
    lc_status status = ct_cube_resample(&cube, &made->volume, at, 4, 1, &test_err);
    assert_int_equal(status, i == 0 || i == 3 ? LC_ERR_OUTSIDE : LC_OK);
    ct_cube_free(&cube);
  }
  discard(made);
}

static void test_index_and_back(void **state) {
  (void)state;
  struct made *made = make(0.3);
  made->slices[6].along_mm += 2, made->slices[7].along_mm += 2; /* a gap */
  made->slices[6].position_mm[2] += 2, made->slices[7].position_mm[2] += 2;
  const double points[3][3] = {{1.5, 2.25, 4.5}, {0, 0, 5.25}, {19, 15, 8.5}};
  for (int p = 0; p < 3; p++) {
    double mm[3], ijk[3];
    ct_series_to_patient(&made->series, points[p], mm);
    ct_series_to_index(&made->series, mm, ijk);
    for (int c = 0; c < 3; c++) assert_true(fabs(ijk[c] - points[p][c]) < 1e-9);
  }
  size_t first, count;
  const double centre[3] = {0, 0, 105};
  ct_series_slab(&made->series, centre, 3, &first, &count); /* 103.5 to 106.5 */
  assert_int_equal(first, 1);
  assert_int_equal(count, 4);
  struct ct_volume volume;
  assert_fails(ct_volume_decode(&volume, &made->series, 4, 3, NULL, &test_err), LC_ERR_GEOMETRY,
               "slice 7 lies 4.00 mm from its neighbour, expected 2.00 mm");
  discard(made);
}

static void test_views(void **state) {
  (void)state;
  struct ct_cube cube = {.edge = 2, .spacing_mm = 1};
  float hu[8] = {0, 1, 2, 3, 4, 5, 6, 7}, out[4]; /* value = 4 z + 2 y + x */
  cube.hu = hu;
  ct_cube_slice(&cube, CT_AXIAL, 1, out, NULL);
  const float axial[4] = {4, 5, 6, 7}, coronal[4] = {4, 5, 0, 1}, sagittal[4] = {5, 7, 1, 3};
  assert_memory_equal(out, axial, sizeof out);
  ct_cube_slice(&cube, CT_CORONAL, 0, out, NULL); /* head (large z) on top */
  assert_memory_equal(out, coronal, sizeof out);
  ct_cube_slice(&cube, CT_SAGITTAL, 1, out, NULL);
  assert_memory_equal(out, sagittal, sizeof out);
}

/* A slice's plane puts each of its pixels where the cube has that sample: heads stay up. */
static void test_planes_lie_where_slices_do(void **state) {
  (void)state;
  enum { EDGE = 4 };
  float hu[EDGE * EDGE * EDGE], out[EDGE * EDGE];
  struct ct_cube cube = {.edge = EDGE, .spacing_mm = 0.5, .centre_mm = {10, -20, 30}, .hu = hu};
  for (int i = 0; i < EDGE * EDGE * EDGE; i++) hu[i] = (float)i;
  for (int view = 0; view < CT_VIEW_COUNT; view++)
    for (size_t index = 0; index < EDGE; index++) {
      struct ct_plane plane = ct_plane_of_cube(&cube, (ct_view)view, index, EDGE, EDGE);
      ct_cube_slice(&cube, (ct_view)view, index, out, NULL);
      for (size_t pixel = 0; pixel < EDGE * EDGE; pixel++) {
        double mm[3], at[3];
        ct_plane_to_patient(&plane, (double)(pixel / EDGE), (double)(pixel % EDGE), mm);
        for (int c = 0; c < 3; c++)
          at[c] = (mm[c] - cube.centre_mm[c]) / cube.spacing_mm + (EDGE - 1) / 2.0;
        assert_near((double)out[pixel], (at[2] * EDGE + at[1]) * EDGE + at[0], 1e-9);
      }
    }
}

/* torch.nn.functional.interpolate([[0, 1], [2, 5]], (4, 4), bilinear, align_corners=False). */
static void test_resize_as_torchvision(void **state) {
  (void)state;
  const float in[4] = {0, 1, 2, 5};
  const float expected[16] = {0,    0.25f,  0.75f,  1, 0.5f, 0.875f, 1.625f, 2,
                              1.5f, 2.125f, 3.375f, 4, 2,    2.75f,  4.25f,  5};
  float out[16];
  ct_resize_bilinear(in, 2, 2, out, 4, 4);
  assert_true(lc_test_difference(out, expected, 16, NULL) < 1e-6);
}

static void test_image_is_normalised(void **state) {
  (void)state;
  float hu[512], image[3 * 16 * 16];
  for (int i = 0; i < 512; i++) hu[i] = (float)(-3000 + 10 * i);
  struct ct_preparation how = {.images = CT_IMAGES_CUBE,
                               .hu_low = -1000,
                               .hu_high = 400,
                               .zscore = CT_ZSCORE_SLICE,
                               .height = 8,
                               .width = 8};
  const struct ct_image_source source = {.size = 8, .spacing_mm = 1, .cube = hu};
  assert_ok(
      ct_image_make(&how, &source, (struct ct_image_place){CT_AXIAL, 4}, NULL, image, &test_err));
  double sum = 0, squares = 0;
  for (int i = 0; i < 64; i++) {
    sum += (double)image[i];
    squares += (double)image[i] * (double)image[i];
    assert_true(image[i] == image[64 + i] && image[i] == image[128 + i]);
  }
  assert_true(fabs(sum / 64) < 1e-5 && fabs(squares / 64 - 1) < 1e-5);
  how.zscore = CT_ZSCORE_FIXED;
  how.mean = -300;
  how.deviation = 200;
  assert_ok(
      ct_image_make(&how, &source, (struct ct_image_place){CT_AXIAL, 0}, NULL, image, &test_err));
  assert_true(fabsf(image[0] + 3.5f) < 1e-6f); /* (-1000 + 300) / 200 */
  for (int i = 0; i < 512; i++) hu[i] = 40;
  how.zscore = CT_ZSCORE_CUBE;
  assert_ok(
      ct_image_make(&how, &source, (struct ct_image_place){CT_CORONAL, 3}, NULL, image, &test_err));
  for (int i = 0; i < 3 * 64; i++) assert_true(image[i] == 0);
}

static void write_text(const char *path, const char *text) {
  assert_ok(lc_file_write(path, text, strlen(text), &test_err));
}

/* Nodules of the series as a run finds them in a named file. */
static lc_status find_nodules(const char *path, const struct ct_series *series,
                              struct ct_nodule_list *list) {
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *found;
  lc_status status = ct_nodule_finder_find(&finder, path, series, &found, &test_err);
  if (status == LC_OK) status = ct_nodules_from_annotation(list, found, series, NULL, &test_err);
  ct_nodule_finder_free(&finder);
  return status;
}

static void test_points_from_csv(void **state) {
  (void)state;
  char folder[256], path[300];
  struct made *made = make(0);
  struct ct_nodule_list list;
  snprintf(path, sizeof path, "%s/points.csv", lc_test_folder(folder));
  write_text(path, "seriesuid,coordX,coordY,coordZ,diameter_mm\r\n"
                   "9.9.9,900,900,900,4\r\n1.2.3,1.5,-0.25,104,6.5\r\n\r\n1.2.3,0,0,101,3\r\n");
  assert_ok(find_nodules(path, &made->series, &list));
  assert_int_equal(list.n_nodules, 2);
  assert_true(list.nodules[0].centre_mm[1] == -0.25 && list.nodules[0].diameter_mm == 6.5);
  assert_string_equal(list.nodules[1].id, "nodule-2");
  assert_true(isnan(list.nodules[0].mean_rating[CT_MALIGNANCY]));
  ct_nodule_list_free(&list);
  /* LUNA25's table, LUNA16's candidates, a table of this program's: no diameter, or one of the
   * rows is no nodule */
  static const char *const tables[] = {
      "PatientID,SeriesInstanceUID,StudyDate,CoordX,CoordY,CoordZ,LesionID,label\n"
      "7,1.2.3,19990102,1.5,-0.25,104,1,1\n",
      "seriesuid;coordX;coordY;coordZ;class\n1.2.3;9;9;99;0\n1.2.3;1.5;-0.25;104;1\n",
      "PatientID,SeriesInstanceUID,nodule,x_mm,y_mm,z_mm,diameter_mm\n"
      "7,1.2.3,nodule-1,1.5,-0.25,104,\n"};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    write_text(path, tables[i]);
    assert_ok(find_nodules(path, &made->series, &list));
    assert_int_equal(list.n_nodules, 1);
    const double *mm = list.nodules[0].centre_mm;
    assert_true(mm[0] == 1.5 && mm[1] == -0.25 && mm[2] == 104);
    assert_false(list.nodules[0].diameter_mm > 0);
    ct_nodule_list_free(&list);
  }
  write_text(path, "seriesuid,coordX,coordY,diameter_mm\n1.2.3,0,0,4\n");
  assert_fails(find_nodules(path, &made->series, &list), LC_ERR_FORMAT,
               "points.csv:1: no column coordZ");
  write_text(path, "coordX,seriesuid,coordY,coordZ,diameter_mm\n0,1.2.3,zero,104,4\n");
  assert_fails(find_nodules(path, &made->series, &list), LC_ERR_FORMAT,
               "points.csv:2: coordY \"zero\", expected a number");
  write_text(path, "seriesuid,coordX,coordY,coordZ,diameter_mm\n1.2.3,0,0,99,4\n1.2.3,0,0,95,4\n");
  /* a point outside is a nodule still, which the cutter will name */
  assert_ok(find_nodules(path, &made->series, &list));
  assert_int_equal(list.n_nodules, 2);
  assert_true(ct_series_contains(&made->series, list.nodules[0].centre_mm));
  assert_false(ct_series_contains(&made->series, list.nodules[1].centre_mm));
  snprintf(test_err.message, sizeof test_err.message, "lies outside");
  ct_nodule_name_source(&list.nodules[1], "points.csv", LC_ERR_OUTSIDE, &test_err);
  assert_string_equal(test_err.message, "points.csv:3: lies outside");
  ct_nodule_list_free(&list);
  assert_ok(lc_folder_remove(folder, &test_err));
  discard(made);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_volume_lies_where_its_slices_do),
      cmocka_unit_test(test_linear_field),
      cmocka_unit_test(test_padding_is_air_and_counted),
      cmocka_unit_test(test_index_and_back),
      cmocka_unit_test(test_views),
      cmocka_unit_test(test_planes_lie_where_slices_do),
      cmocka_unit_test(test_resize_as_torchvision),
      cmocka_unit_test(test_image_is_normalised),
      cmocka_unit_test(test_points_from_csv),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
