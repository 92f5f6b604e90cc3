/* Label volumes by other programs (tests/label_volumes/make.py, which says what is in them) on the
 * series that they are of: the same voxels come back, and what lies elsewhere is refused by name.
 */
#include "tests/lc_test.h"

#include <math.h>

#include "ct_io/ct/ct_volume_file.h"
#include "ct_io/nodule/ct_nodule.h"
#include "ct_io/nodule/ct_nodule_finder.h"

#define FOLDER LC_TEST_SOURCE_DIR "/tests/label_volumes/"

enum { SLICES = 8 };
static struct ct_slice slices[SLICES];
static struct ct_series series = {.slices = slices,
                                  .n_slices = SLICES,
                                  .rows = 16,
                                  .columns = 20,
                                  .pixel_spacing_mm = {1.5, 1.5},
                                  .slice_spacing_mm = 2.5,
                                  .slice_thickness_mm = 2.5,
                                  .normal = {0, 0, 1},
                                  .series_instance_uid = "1.2.3"};

static int make_series(void **state) {
  static char path[] = "/nowhere/ct.dcm";
  double c = cos(10 * M_PI / 180), s = sin(10 * M_PI / 180);
  const double orientation[6] = {c, s, 0, -s, c, 0};
  (void)state;
  memcpy(series.orientation, orientation, sizeof orientation);
  for (int k = 0; k < SLICES; k++) {
    struct ct_slice *slice = &slices[k];
    *slice = (struct ct_slice){.path = path, .position_mm = {-10, 20, -30 + 2.5 * k}};
    slice->along_mm = slice->position_mm[2];
    snprintf(slice->sop_instance_uid, CT_UID_SIZE, "1.2.3.%d", k + 1);
  }
  return 0;
}

/* How many voxels a label of 1 to 3 has, where its box begins, and its size. */
static const struct {
  size_t first[3], size[3], voxels;
} truth[] = {{{3, 4, 2}, {4, 5, 3}, 60}, {{7, 4, 2}, {3, 5, 3}, 45}, {{12, 3, 5}, {6, 2, 2}, 16}};

static void check_nodule(const struct ct_nodule *nodule, size_t label) {
  struct ct_consensus mask;
  double ijk[3];
  assert_int_equal(nodule->n_marks, 1);
  assert_ok(ct_nodule_consensus(&mask, nodule, &series, 0.5, &test_err));
  assert_int_equal(mask.n_inside, truth[label].voxels);
  assert_near(mask.volume_mm3, 1.5 * 1.5 * 2.5 * (double)truth[label].voxels, 1e-9);
  ct_series_to_index(&series, nodule->centre_mm, ijk);
  for (int a = 0; a < 3; a++)
    assert_near(ijk[a], (double)truth[label].first[a] + 0.5 * (double)(truth[label].size[a] - 1),
                1e-6);
  for (size_t k = 0; k < mask.size[2]; k++)
    for (size_t j = 0; j < mask.size[1]; j++)
      for (size_t i = 0; i < mask.size[0]; i++) {
        const size_t at[3] = {mask.first[0] + i, mask.first[1] + j, mask.first[2] + k};
        bool inside = true;
        for (int a = 0; a < 3; a++)
          inside = inside && at[a] >= truth[label].first[a] &&
                   at[a] < truth[label].first[a] + truth[label].size[a];
        if (label == 2) inside = inside && at[0] != 14 && at[0] != 15;
        if (mask.mask[(k * mask.size[1] + j) * mask.size[0] + i] != inside)
          fail_msg("label %zu: voxel %zu %zu %zu", label + 1, at[0], at[1], at[2]);
      }
  ct_consensus_free(&mask);
}

static lc_status find(struct ct_nodule_finder *finder, const char *name, bool components,
                      bool strict, struct ct_annotation **found) {
  static char path[400];
  static const char *const paths[] = {path};
  const struct ct_nodule_search search = {
      .paths = paths, .n_paths = 1, .components = components, .strict = strict};
  snprintf(path, sizeof path, FOLDER "%s", name);
  return ct_nodule_finder_search(finder, &search, &series, found, &test_err);
}

/* The same voxels, whatever format, type, order of axes, part or resolution the file has. */
static void test_voxels_come_back(void **state) {
  static const char *const names[] = {"plain.nii.gz", "plain.mha",      "plain.nrrd", "crop.nrrd",
                                      "turned.nrrd",  "float64.nii.gz", "fine.nii.gz"};
  (void)state;
  for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
    struct ct_nodule_finder finder = {0};
    struct ct_annotation *found;
    struct ct_nodule_list list;
    assert_ok(find(&finder, names[f], false, true, &found));
    assert_string_equal(found->kinds, "label volume");
    assert_ok(ct_nodules_from_annotation(&list, found, &series, NULL, &test_err));
    if (list.n_nodules != 3) fail_msg("%s: %zu nodules", names[f], list.n_nodules);
    for (size_t n = 0; n < 3; n++) {
      char label[64];
      snprintf(label, sizeof label, "label %zu", n + 1);
      assert_string_equal(list.nodules[n].name, label);
      check_nodule(&list.nodules[n], n);
    }
    ct_nodule_list_free(&list);
    ct_nodule_finder_free(&finder);
  }
}

static void test_components(void **state) {
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *found;
  struct ct_nodule_list list;
  double ijk[2][3];
  (void)state;
  assert_ok(find(&finder, "plain.nrrd", true, true, &found));
  assert_ok(ct_nodules_from_annotation(&list, found, &series, NULL, &test_err));
  assert_int_equal(list.n_nodules, 4);
  assert_string_equal(list.nodules[0].name, "label 1"); /* one part: as it was */
  check_nodule(&list.nodules[0], 0);
  check_nodule(&list.nodules[1], 1);
  assert_string_equal(list.nodules[2].name, "label 3-1");
  assert_string_equal(list.nodules[3].name, "label 3-2");
  for (int n = 0; n < 2; n++) {
    ct_series_to_index(&series, list.nodules[2 + n].centre_mm, ijk[n]);
    assert_near(ijk[n][0], 12.5 + 4 * n, 1e-6);
    assert_near(ijk[n][1], 3.5, 1e-6);
    assert_near(ijk[n][2], 5.5, 1e-6);
  }
  ct_nodule_list_free(&list);
  ct_nodule_finder_free(&finder);
}

static void test_names(void **state) {
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *found;
  struct ct_nodule_list list;
  (void)state;
  assert_ok(find(&finder, "named.seg.nrrd", false, false, &found));
  assert_int_equal(found->n_unreadable, 1); /* the segment without voxels */
  assert_ok(ct_nodules_from_annotation(&list, found, &series, NULL, &test_err));
  assert_int_equal(list.n_nodules, 3);
  assert_string_equal(list.nodules[0].name, "Upper lobe");
  assert_string_equal(list.nodules[1].name, "Hilum");
  assert_string_equal(list.nodules[2].name, "label 3");
  ct_nodule_list_free(&list);
  ct_nodule_finder_free(&finder);
  assert_fails(find(&finder, "named.seg.nrrd", false, true, &found), LC_ERR_FORMAT,
               "named.seg.nrrd: 1 marks or points cannot be read");
  ct_nodule_finder_free(&finder);
}

static void test_what_lies_elsewhere(void **state) {
  static const struct {
    const char *name, *words;
    lc_status status;
  } cases[] = {
      {"flipped_ras.nii.gz", "left and right, front and back are flipped (RAS", LC_ERR_GEOMETRY},
      {"flipped_left.nrrd", "flipped_left.nrrd: left and right are flipped", LC_ERR_GEOMETRY},
      {"flipped_front.nrrd", "front and back are flipped", LC_ERR_GEOMETRY},
      {"flipped_head.nrrd", "head and foot are flipped against series 1.2.3", LC_ERR_GEOMETRY},
      {"flipped_axis.mha", "the direction of its third axis is flipped", LC_ERR_GEOMETRY},
      {"beside.nrrd", "as many voxels as series 1.2.3, but up to 1 mm beside", LC_ERR_GEOMETRY},
      {"beyond.nrrd", "19 x 16 x 8 voxels that reach", LC_ERR_GEOMETRY},
      {"fractional.nii.gz", "values from 0 to 0.9 that are no whole numbers", LC_ERR_FORMAT},
      {"ct.nii.gz", "values from -1000 to -100 are no labels", LC_ERR_FORMAT},
      {"none.nii.gz", "none.nii.gz: ", LC_ERR_NOT_FOUND},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct ct_nodule_finder finder = {0};
    struct ct_annotation *found;
    assert_fails(find(&finder, cases[i].name, false, false, &found), cases[i].status,
                 cases[i].words);
    ct_nodule_finder_free(&finder);
  }
}

static void test_file_names(void **state) {
  static const struct {
    const char *path;
    bool labels, nodules;
  } cases[] = {
      {"ct.nii.gz", false, false},         {"a/case1_seg.nii.gz", true, false},
      {"a/case1.seg.nrrd", true, false},   {"LungMask.mha", false, false},
      {"mask.mha", true, false},           {"labels-2.nrrd", true, false},
      {"segmentation.nii", true, false},   {"1_nodules.nii.gz", true, true},
      {"nodules/ct.nii.gz", false, false}, {"x.Lesion_3.mhd", true, true},
      {"TUMOUR.nrrd", true, true},         {"segue.nii", false, false},
      {"nodules.csv", false, false},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (ct_label_volume_named(cases[i].path) != cases[i].labels ||
        ct_label_volume_of_nodules(cases[i].path) != cases[i].nodules)
      fail_msg("%s", cases[i].path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_voxels_come_back),
      cmocka_unit_test(test_components),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_what_lies_elsewhere),
      cmocka_unit_test(test_file_names),
  };
  return cmocka_run_group_tests(tests, make_series, NULL);
}
