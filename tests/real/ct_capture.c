/* Secondary captures of real series: what dciodvfy says, and what is taken over from the source. */
#include "ct_io/dicom_read/ct_index.h"
#include "tests/ct_dicom_test.h"

#include "common/lc_file.h"
#include "ct_io/dicom_write/ct_capture.h"

static char folder[256];
static uint8_t picture[64 * 96 * 3];

static int set_up(void **state) {
  (void)state;
  lc_test_folder(folder);
  for (size_t i = 0; i < sizeof picture; i++) picture[i] = (uint8_t)(i * 31);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  return lc_folder_remove(folder, NULL) != LC_OK;
}

/* Captures slices 3 and 5 (or 0) of the only series below a path; returns the capture's path, and
 * the path of the source's slice in source_path. */
static const char *capture_of(const char *where, char source_path[LC_PATH_SIZE],
                              const char *comments) {
  static char path[LC_PATH_SIZE];
  struct ct_index index;
  const struct ct_series *series;
  assert_ok(ct_index_scan(&index, &where, 1, NULL, NULL, &test_err));
  assert_int_equal(index.n_series, 1);
  series = &index.series[0];
  size_t slices[2] = {3, 5}, n = 2;
  if (series->n_slices < 6) {
    slices[0] = 0;
    n = 1;
  }
  struct ct_capture capture = {
      .about =
          {
              .source = series,
              .series_instance_uid = "2.25.2001",
              .sop_instance_uid = "2.25.2002",
              .series_number = 9100,
              .instance_number = 1,
              .series_description = "lungcdam CDAM malignancy (research use only)",
              .image_comments = comments,
              .derivation_description = "CDAM of vit_small_patch8, weights 0123456789abcdef",
              .software_version = "0.1.0",
              .is_class_activation = true,
              .source_slices = slices,
              .n_source_slices = n,
          },
      .rgb = picture,
      .rows = 64,
      .columns = 96,
  };
  assert_ok(lc_path_join(path, folder, "capture.dcm", &test_err));
  assert_ok(ct_capture_write(&capture, path, &test_err));
  snprintf(source_path, LC_PATH_SIZE, "%s", series->slices[slices[0]].path);
  /* Each slice is named as a source image and in the reference to its series. */
  for (size_t i = 0; i < n; i++)
    assert_int_equal(dicom_count(path, series->slices[slices[i]].sop_instance_uid), 2);
  ct_index_free(&index);
  return path;
}

static void check_series(const char *where) {
  need_program("dciodvfy");
  need_program("dcmdump");
  char source[LC_PATH_SIZE];
  const char *path = capture_of(where, source, "nodule-1 axial");
  assert_valid_dicom(path, "SCImage");
  const char *same[] = {"PatientID",        "PatientName",
                        "PatientBirthDate", "StudyInstanceUID",
                        "StudyDate",        "StudyID",
                        "AccessionNumber",  "PatientIdentityRemoved",
                        "ContentDate",      "FrameOfReferenceUID",
                        "BodyPartExamined", "SpecificCharacterSet"};
  for (size_t i = 0; i < sizeof same / sizeof *same; i++)
    assert_string_equal(dicom_value(path, same[i]), dicom_value(source, same[i]));
  assert_string_not_equal(dicom_value(path, "SeriesNumber"), dicom_value(source, "SeriesNumber"));
  assert_int_equal(dicom_count(path, "(0020,000e) UI [2.25.2001]"), 1);
  char maker[64];
  snprintf(maker, sizeof maker, "LO [%.32s]", dicom_value(source, "Manufacturer"));
  assert_int_equal(dicom_count(path, maker), 1);
}

static void test_lidc_idri_0001(void **state) {
  (void)state;
  check_series(LC_TEST_DATA_DIR "/LIDC-IDRI/LIDC-IDRI-0001");
}

static void test_siemens(void **state) {
  (void)state;
  check_series(LC_TEST_DATA_DIR "/other_vendors/siemens_sensation10_8mm");
}

/* A frame of a file with two, whose second lies first along the normal (rows run to the right, so
 * that the normal points to the feet); and no body part is named. */
static void test_enhanced_ct(void **state) {
  (void)state;
  const char *where = LC_TEST_DATA_DIR "/dicom_hard_cases/multiframe_ct/eCT_Supplemental.dcm";
  check_series(where);
  char source[LC_PATH_SIZE];
  const char *path = capture_of(where, source, "nodule-1 axial");
  assert_string_equal(dicom_value(path, "ReferencedFrameNumber"), "2");
}

static void test_lossy_history_is_carried_on(void **state) {
  (void)state;
  need_program("dcmdump");
  const char *base = LC_TEST_DATA_DIR "/dicom_hard_cases/transfer_syntax_chest_ct/CTImage.dcm";
  const struct {
    const char *suffix, *lossy, *ratio, *method;
  } cases[] = {
      {"_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm", "01", "7.239", "ISO_10918_1"},
      /* The source names no method: it follows from its transfer syntax. */
      {"_JPEGLSLossyTransferSyntax_1.2.840.10008.1.2.4.81.dcm", "01", "4.39684003958337",
       "ISO_14495_1"},
      {"_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm", "", "", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char where[LC_PATH_SIZE], source[LC_PATH_SIZE];
    snprintf(where, sizeof where, "%s%s", base, cases[i].suffix);
    const char *path = capture_of(where, source, "lossy");
    assert_string_equal(dicom_value(path, "LossyImageCompression"), cases[i].lossy);
    assert_string_equal(dicom_value(path, "LossyImageCompressionRatio"), cases[i].ratio);
    assert_string_equal(dicom_value(path, "LossyImageCompressionMethod"), cases[i].method);
  }
}

/* ISO_IR 100 holds the degree sign (one byte) and lacks the arrow. */
static void test_texts_fit_the_character_set(void **state) {
  (void)state;
  need_program("dcmdump");
  char source[LC_PATH_SIZE];
  const char *path = capture_of(LC_TEST_DATA_DIR "/other_vendors/siemens_sensation10_8mm", source,
                                "Research use only 5\302\260 \342\206\222 x");
  assert_string_equal(dicom_value(path, "SpecificCharacterSet"), "ISO_IR 100");
  assert_string_equal(dicom_value(path, "ImageComments"), "Research use only 5\260 ? x");
}

int main(void) {
  lc_test_need_data();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lidc_idri_0001),
      cmocka_unit_test(test_siemens),
      cmocka_unit_test(test_enhanced_ct),
      cmocka_unit_test(test_lossy_history_is_carried_on),
      cmocka_unit_test(test_texts_fit_the_character_set),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
