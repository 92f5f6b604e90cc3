/* A small source series for the tests of derived objects: three written CT slices, oblique in
 * plane, read back by the series reader. Everything lies in one temporary folder. */
#pragma once

#include "ct_io/dicom_read/ct_index.h"
#include "tests/lc_test.h"

#include "common/lc_file.h"
#include "ct_io/ct/ct_series.h"
#include "ct_io/dicom_write/ct_derived.h"
#include "ct_io/dicom_write/ct_write.h"

static struct {
  char folder[256];
  struct ct_index index;
} source_test;

static inline const struct ct_series *source_test_series(void) {
  return &source_test.index.series[0];
}

/* A path in the folder; the last four stay. */
static inline const char *source_test_path(const char *name) {
  static char paths[4][LC_PATH_SIZE];
  static int turn;
  char *path = paths[turn++ % 4];
  assert_ok(lc_path_join(path, source_test.folder, name, &test_err));
  return path;
}

static inline int source_test_make(void **state) {
  (void)state;
  enum { EDGE = 16, SLICES = 3 };
  int16_t hu[EDGE * EDGE * SLICES];
  for (int i = 0; i < EDGE * EDGE * SLICES; i++) hu[i] = (int16_t)(i - 1000);
  struct ct_volume volume = {.hu = hu,
                             .size = {EDGE, EDGE, SLICES},
                             .spacing_mm = {0.703125, 0.6, 1.25},
                             .origin_mm = {-166.123456, -1.0 / 3, -117.5},
                             .direction = {0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1}};
  struct ct_write_header header = {.patient_id = "PHANTOM-0007",
                                   .patient_name = "M\303\274ller^Eva",
                                   .patient_sex = "F",
                                   .patient_age = "061Y",
                                   .study_instance_uid = "2.25.1000",
                                   .series_instance_uid = "2.25.1001",
                                   .frame_of_reference_uid = "2.25.1002",
                                   .study_date = "20000102",
                                   .study_time = "101112",
                                   .study_id = "77",
                                   .manufacturer = "Scanner Works",
                                   .slice_thickness_mm = 1.25,
                                   .kvp = 120};
  lc_test_folder(source_test.folder);
  char folder[LC_PATH_SIZE], name[32], uid[CT_UID_SIZE];
  assert_ok(lc_path_join(folder, source_test.folder, "source", &test_err));
  assert_ok(lc_folder_make(folder, &test_err));
  for (size_t k = 0; k < SLICES; k++) {
    snprintf(name, sizeof name, "source/%zu.dcm", k);
    snprintf(uid, sizeof uid, "2.25.10030%zu", k);
    assert_ok(ct_write_slice(&header, &volume, k, uid, source_test_path(name), &test_err));
  }
  const char *path = folder;
  assert_ok(ct_index_scan(&source_test.index, &path, 1, NULL, NULL, &test_err));
  assert_int_equal(source_test_series()->n_slices, SLICES);
  return 0;
}

static inline int source_test_remove(void **state) {
  (void)state;
  ct_index_free(&source_test.index);
  if (getenv("LC_TEST_KEEP")) { /* to look at what was written */
    print_message("kept: %s\n", source_test.folder);
    return 0;
  }
  return lc_folder_remove(source_test.folder, NULL) != LC_OK;
}

/* What a derived object of that series says of itself. */
static inline struct ct_derived derived_test_object(const size_t *slices, size_t n_slices) {
  return (struct ct_derived){
      .source = source_test_series(),
      .source_slices = slices,
      .n_source_slices = n_slices,
      .series_instance_uid = "2.25.2001",
      .sop_instance_uid = "2.25.2002",
      .series_number = 9200,
      .instance_number = 3,
      .series_description = "lungcdam CDAM malignancy (research use only)",
      .image_comments = "nodule-1, malignancy 0.81",
      .content_label = "MALIGNANCY",
      .content_description = "CDAM of malignancy",
      .derivation_description = "CDAM of vit_small_patch8, weights 0123456789abcdef",
      .software_version = "0.1.0 (abcdef)",
      .is_class_activation = true,
  };
}
