/* Every file of the hard cases: what it is taken for, and the very voxels where it is read.
 *
 * The hashes are of HU in C order as signed 16-bit little endian; for lossless and reversible
 * syntaxes they were obtained with pydicom and its decoders as well. Lossy JPEG, whose inverse
 * transform may differ by a unit between libraries, is held to its mean and to the lossless slice.
 */
#include "ct_io/dicom_read/ct_decode.h"
#include "ct_io/dicom_read/ct_index.h"
#include "tests/lc_test.h"

#include <math.h>

#include "common/lc_hash.h"
#include "ct_io/ct/ct_volume.h"

#define CASES LC_TEST_DATA_DIR "/dicom_hard_cases/"

enum outcome {
  READ,       /* usable or repaired for the stated reason, with these voxels */
  REFUSED,    /* a series, but never a CT volume, for the stated reason */
  UNREADABLE, /* DICOM whose header says too little: LC_ERR_FORMAT */
  NOT_DICOM   /* LC_ERR_NO_DICOM */
};

struct file_case {
  const char *file;
  enum outcome outcome;
  const char *words; /* the reason or the end of the message */
  const char *hash;  /* first 16 digits of SHA-256; NULL for lossy JPEG */
  double mean_hu;
};

static const struct file_case cases[] = {
    {"broken/ExplVR_BigEndNoMeta.dcm", REFUSED, "no image (modality RTPLAN)", NULL, 0},
    {"broken/GH179A.dcm", UNREADABLE, "truncated: 2842 bytes, expected 524288 with its pixels",
     NULL, 0},
    {"broken/JPEGLossless_1s_1f_i_16_16_bad.dcm", READ,
     "one slice only: its thickness 3.00 mm stands for the spacing", "fcb4109fa60530f4", -737.97},
    {"broken/MR_truncated.dcm", REFUSED, "MRImageStorage is not a CT image", NULL, 0},
    {"broken/UN_sequence.dcm", UNREADABLE, "no SeriesInstanceUID", NULL, 0},
    {"broken/emri_small_jpeg_2k_lossless_too_short.dcm", REFUSED,
     "EnhancedMRImageStorage is not a CT image", NULL, 0},
    {"broken/no-pixel-spacing.dcm", REFUSED, "UltrasoundImageStorage is not a CT image", NULL, 0},
    {"broken/no_meta.dcm", UNREADABLE, "no DICOM object, though named so (38871 bytes)", NULL, 0},
    {"broken/no_meta_group_length.dcm", UNREADABLE, "no SeriesInstanceUID", NULL, 0},
    {"duplicate_positions_siemens/001.dcm", READ, "one slice only: 1.00 mm stands for the spacing",
     "0f902508c01eac4d", -897.24},
    {"duplicate_positions_siemens/002.dcm", READ, "one slice only: 1.00 mm stands for the spacing",
     "0c2e359ff6818ebd", -897.03},
    {"duplicate_positions_siemens/003.dcm", READ, "one slice only: 1.00 mm stands for the spacing",
     "cd63bb3a47e9e622", -896.95},
    {"gantry_tilt_siemens/IM-0001-0001.dcm", READ, "one slice only: 1.00 mm stands for the spacing",
     "ce13f39895f2d765", -897.17},
    {"gantry_tilt_siemens/IM-0001-0002.dcm", READ, "one slice only: 1.00 mm stands for the spacing",
     "b32b95793de7ae4c", -897.01},
    {"gantry_tilt_siemens/IM-0001-0003.dcm", READ, "one slice only: 1.00 mm stands for the spacing",
     "124579b53cd00307", -897.22},
    {"gantry_tilt_siemens/IM-0001-0004.dcm", READ, "one slice only: 1.00 mm stands for the spacing",
     "c20262eef9bce21e", -896.87},
    {"localizer_axial_sc_mixed_philips/axial_DIRFILE", NOT_DICOM, "no DICOM image among 1 files",
     NULL, 0},
    {"localizer_axial_sc_mixed_philips/axial_I10.dcm", READ,
     "one slice only: its thickness 5.00 mm stands for the spacing", "93d1b753df9c2b2c", -861.85},
    {"localizer_axial_sc_mixed_philips/axial_I100.dcm", READ,
     "one slice only: its thickness 5.00 mm stands for the spacing", "7040c9ee93785aad", -767.62},
    {"localizer_axial_sc_mixed_philips/axial_I110.dcm", READ,
     "one slice only: its thickness 5.00 mm stands for the spacing", "c193254691039a3c", -736.16},
    {"localizer_axial_sc_mixed_philips/s1000_DIRFILE", NOT_DICOM, "no DICOM image among 1 files",
     NULL, 0},
    {"localizer_axial_sc_mixed_philips/s1000_I10.dcm", REFUSED, "localizer", NULL, 0},
    {"localizer_axial_sc_mixed_philips/s4010_DIRFILE", NOT_DICOM, "no DICOM image among 1 files",
     NULL, 0},
    {"localizer_axial_sc_mixed_philips/s4010_I10.dcm", REFUSED,
     "SecondaryCaptureImageStorage is not a CT image", NULL, 0},
    {"localizer_axial_sc_mixed_philips/s4010_I20.dcm", REFUSED,
     "SecondaryCaptureImageStorage is not a CT image", NULL, 0},
    {"localizer_axial_sc_mixed_philips/s4010_I30.dcm", REFUSED,
     "SecondaryCaptureImageStorage is not a CT image", NULL, 0},
    {"missing_slice_ge/IM-0001-0007-0001.dcm", READ,
     "one slice only: 1.00 mm stands for the spacing", "d2406fcd737ba5fc", -897.00},
    {"missing_slice_ge/IM-0001-0008-0001.dcm", READ,
     "one slice only: 1.00 mm stands for the spacing", "e114ef965acf706f", -896.93},
    {"missing_slice_ge/IM-0001-0009-0001.dcm", READ,
     "one slice only: 1.00 mm stands for the spacing", "cac72566f1d75c21", -896.96},
    {"missing_slice_ge/IM-0001-0010-0001.dcm", READ,
     "one slice only: 1.00 mm stands for the spacing", "ae97d04e897e7933", -896.89},
    {"multiframe_ct/CT0012.fragmented_no_bot_jpeg_baseline.51.dcm", READ, "", NULL, 379.04},
    {"multiframe_ct/eCT_Supplemental.dcm", READ, "", "53bfa701eeafd41c", -643.96},
    {"odd_ct/CT1_JLSN.dcm", READ, "one slice only: its thickness 5.00 mm stands for the spacing",
     "e1f8eecc6f238a91", -444.04},
    {"odd_ct/CT2_J2KR.dcm", READ, "one slice only: its thickness 10.00 mm stands for the spacing",
     "9b0e391ccbc7e902", -534.54},
    {"odd_ct/CT_small.dcm", READ, "one slice only: its thickness 5.00 mm stands for the spacing",
     "743dc0a86c094961", -119.07},
    {"odd_ct/D_CLUNIE_CT1_RLE_FRAGS.dcm", READ,
     "one slice only: its thickness 5.00 mm stands for the spacing", "87210dff48a50ed6", -440.69},
    {"odd_ct/GH177_D_CLUNIE_CT1_IVRLE_BigEndian_ELE_undefinded_length.dcm", READ,
     "one slice only: its thickness 5.00 mm stands for the spacing", "87210dff48a50ed6", -440.69},
    {"odd_ct/IM-0001-0001-0001.dcm", READ,
     "one slice only: its thickness 2.00 mm stands for the spacing", "5e51a6837b89a36e", -22.53},
    {"odd_ct/MAROTECH_CT_JP2Lossy.dcm", REFUSED, "localizer", NULL, 0},
    {"odd_ct/TOSHIBA_J2K_OpenJPEGv2Regression.dcm", READ,
     "one slice only: its thickness 2.00 mm stands for the spacing", "b9ed06a9fa97fe44", -700.77},
    {"odd_ct/TOSHIBA_J2K_SIZ1_PixRep0.dcm", READ,
     "one slice only: its thickness 3.00 mm stands for the spacing", "83bdb420d27ed6e6", -435.99},
    {"odd_ct/explicit_VR-UN.dcm", READ, "one slice only: 1.00 mm stands for the spacing",
     "a729f6fe1e757629", -670.96},
    {"secondary_capture/SC_rgb.dcm", REFUSED, "SecondaryCaptureImageStorage is not a CT image",
     NULL, 0},
    {"secondary_capture/SC_rgb_16bit.dcm", REFUSED,
     "SecondaryCaptureImageStorage is not a CT image", NULL, 0},
    {"secondary_capture/SC_rgb_small_odd.dcm", REFUSED,
     "SecondaryCaptureImageStorage is not a CT image", NULL, 0},
    {"transfer_syntax_chest_ct/CTImage.dcm", READ,
     "one slice only: its thickness 5.00 mm stands for the spacing", "4761701f9933b595", -523.57},
    {"transfer_syntax_chest_ct/CTImage.dcm_BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2.dcm",
     READ, "one slice only: its thickness 5.00 mm stands for the spacing", "4761701f9933b595",
     -523.57},
    {"transfer_syntax_chest_ct/"
     "CTImage.dcm_JPEG2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90.dcm",
     READ, "one slice only: its thickness 5.00 mm stands for the spacing", "4761701f9933b595",
     -523.57},
    {"transfer_syntax_chest_ct/CTImage.dcm_JPEG2000TransferSyntax_1.2.840.10008.1.2.4.91.dcm", READ,
     "one slice only: its thickness 5.00 mm stands for the spacing", "956c872914dd0c88", -523.62},
    {"transfer_syntax_chest_ct/CTImage.dcm_JPEGLSLossyTransferSyntax_1.2.840.10008.1.2.4.81.dcm",
     READ, "one slice only: its thickness 5.00 mm stands for the spacing", "a9d55cfac92627f1",
     -523.57},
    {"transfer_syntax_chest_ct/"
     "CTImage.dcm_JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm",
     READ, "one slice only: its thickness 5.00 mm stands for the spacing", NULL, -524.65},
    {"transfer_syntax_chest_ct/"
     "CTImage.dcm_JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70.dcm",
     READ, "one slice only: its thickness 5.00 mm stands for the spacing", "4761701f9933b595",
     -523.57},
    {"transfer_syntax_chest_ct/CTImage.dcm_JPEGProcess1TransferSyntax_1.2.840.10008.1.2.4.50.dcm",
     READ, "one slice only: its thickness 5.00 mm stands for the spacing", NULL, -536.43},
    {"transfer_syntax_chest_ct/CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm",
     READ, "one slice only: its thickness 5.00 mm stands for the spacing", NULL, -524.65},
    {"transfer_syntax_chest_ct/CTImage.dcm_JPEGProcess6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm",
     READ, "one slice only: its thickness 5.00 mm stands for the spacing", NULL, -524.65},
    {"transfer_syntax_chest_ct/"
     "CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm",
     READ, "one slice only: its thickness 5.00 mm stands for the spacing", "4761701f9933b595",
     -523.57},
    {"transfer_syntax_chest_ct/"
     "CTImage.dcm_LittleEndianImplicitTransferSyntax_1.2.840.10008.1.2.dcm",
     READ, "one slice only: its thickness 5.00 mm stands for the spacing", "4761701f9933b595",
     -523.57},
    {"transfer_syntax_chest_ct/CTImage.dcm_RLELosslessTransferSyntax_1.2.840.10008.1.2.5.dcm", READ,
     "one slice only: its thickness 5.00 mm stands for the spacing", "4761701f9933b595", -523.57},
};

static void read_voxels(const struct file_case *test, const struct ct_series *series) {
  struct ct_volume volume;
  char hex[LC_SHA256_HEX];
  double sum = 0;
  assert_ok(ct_volume_decode(&volume, series, 0, series->n_slices, NULL, &test_err));
  size_t count = volume.size[0] * volume.size[1] * volume.size[2];
  for (size_t i = 0; i < count; i++) sum += volume.hu[i];
  if (fabs(sum / (double)count - test->mean_hu) > (test->hash ? 0.006 : 0.1))
    fail_msg("%s: mean %.2f HU, expected %.2f", test->file, sum / (double)count, test->mean_hu);
  assert_ok(lc_hash_bytes_hex(volume.hu, count * sizeof *volume.hu, hex, &test_err));
  if (test->hash && strncmp(hex, test->hash, 16) != 0)
    fail_msg("%s: voxels %.16s, expected %s", test->file, hex, test->hash);
  ct_volume_free(&volume);
}

static void test_every_file(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct file_case *test = &cases[i];
    char path[512];
    const char *paths = path;
    struct ct_index found;
    const struct ct_series *chosen;
    snprintf(path, sizeof path, "%s%s", CASES, test->file);
    if (test->outcome == UNREADABLE || test->outcome == NOT_DICOM) {
      assert_fails(ct_index_scan(&found, &paths, 1, NULL, NULL, &test_err),
                   test->outcome == NOT_DICOM ? LC_ERR_NO_DICOM : LC_ERR_FORMAT, test->words);
      assert_non_null(strstr(test_err.message, path));
      continue;
    }
    assert_ok(ct_index_scan(&found, &paths, 1, NULL, NULL, &test_err));
    assert_int_equal(found.n_series, 1);
    if (strcmp(found.series[0].reason, test->words) != 0)
      fail_msg("%s: \"%s\", expected \"%s\"", test->file, found.series[0].reason, test->words);
    if (test->outcome == REFUSED) {
      assert_int_equal(found.series[0].verdict, CT_REFUSED);
      assert_fails(ct_index_choose(&found, NULL, &chosen, &test_err), LC_ERR_GEOMETRY, test->words);
    } else {
      assert_ok(ct_index_choose(&found, NULL, &chosen, &test_err));
      assert_int_equal(chosen->verdict, test->words[0] ? CT_REPAIRED : CT_USABLE);
      read_voxels(test, chosen);
    }
    ct_index_free(&found);
  }
}

static int16_t *slice_of(const char *file) {
  char path[512];
  const char *paths = path;
  struct ct_index found;
  struct ct_volume volume;
  snprintf(path, sizeof path, "%s%s", CASES "transfer_syntax_chest_ct/CTImage.dcm", file);
  assert_ok(ct_index_scan(&found, &paths, 1, NULL, NULL, &test_err));
  assert_true(found.series[0].lossy == (strstr(file, "JPEGP") && !strstr(file, "14SV1")));
  assert_ok(ct_volume_decode(&volume, &found.series[0], 0, 1, NULL, &test_err));
  ct_index_free(&found);
  return volume.hu;
}

/* Lossy copies of one slice stay near it; 8-bit baseline has steps of 32 HU. */
static void test_lossy_copies_are_near(void **state) {
  (void)state;
  static const struct {
    const char *file;
    double mean_difference;
  } copies[] = {{"_JPEGProcess1TransferSyntax_1.2.840.10008.1.2.4.50.dcm", 20},
                {"_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm", 5},
                {"_JPEGProcess6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm", 5},
                {"_JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm", 5}};
  int16_t *original = slice_of("");
  for (size_t c = 0; c < sizeof copies / sizeof *copies; c++) {
    int16_t *copy = slice_of(copies[c].file);
    double sum = 0;
    for (size_t i = 0; i < 512 * 512; i++) sum += abs(copy[i] - original[i]);
    printf("%s: mean difference %.2f HU\n", copies[c].file, sum / (512 * 512));
    assert_true(sum / (512 * 512) < copies[c].mean_difference);
    free(copy);
  }
  free(original);
}

static void scan(const char *folder, struct ct_index *found) {
  char path[512];
  const char *paths = path;
  snprintf(path, sizeof path, "%s%s", CASES, folder);
  assert_ok(ct_index_scan(found, &paths, 1, NULL, NULL, &test_err));
}

static void test_repeated_positions(void **state) {
  (void)state;
  struct ct_index found;
  const struct ct_series *chosen;
  scan("duplicate_positions_siemens", &found); /* bolus tracking: three acquisitions of a place */
  assert_int_equal(found.n_series, 3);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(found.series[i].part, i + 1);
    assert_int_equal(found.series[i].n_parts, 3);
    assert_int_equal(found.series[i].n_slices, 1);
  }
  assert_fails(ct_index_choose(&found, NULL, &chosen, &test_err), LC_ERR_AMBIGUOUS,
               "3 usable series and none chosen");
  assert_non_null(strstr(test_err.message, ":2 ("));
  ct_index_free(&found);
  scan("transfer_syntax_chest_ct", &found); /* one position, one acquisition, seven objects */
  assert_int_equal(found.n_series, 1);
  assert_int_equal(found.series[0].verdict, CT_REFUSED);
  assert_non_null(strstr(found.series[0].reason, "6 of 7 slices repeat a position"));
  ct_index_free(&found);
}

static void test_gantry_tilt(void **state) {
  (void)state;
  struct ct_index found;
  struct ct_volume volume;
  scan("gantry_tilt_siemens", &found);
  const struct ct_series *series = &found.series[0];
  assert_string_equal(series->reason,
                      "gantry tilt 14.0 degrees: sheared back to patient coordinates");
  assert_int_equal(series->verdict, CT_REPAIRED);
  assert_ok(ct_volume_decode(&volume, series, 0, 4, NULL, &test_err));
  assert_true(fabs(volume.spacing_mm[2] - 5) < 1e-6); /* along the table, not the normal */
  assert_true(fabs(volume.direction[8] - 1) < 1e-9 && fabs(volume.direction[5]) < 1e-9);
  assert_true(fabs(series->slice_spacing_mm - 5 * cos(14 * M_PI / 180)) < 1e-3);
  double mm[3], ijk[3] = {100, 400, 2};
  ct_series_to_patient(series, ijk, mm);
  assert_true(fabs(mm[2] - (-51.951915066986 - 400 * 0.41796875 * 0.2419218955997)) < 1e-6);
  ct_volume_free(&volume);
  ct_index_free(&found);
}

static void test_missing_slice(void **state) {
  (void)state;
  struct ct_index found;
  struct ct_volume volume;
  scan("missing_slice_ge", &found);
  const struct ct_series *series = &found.series[0];
  assert_string_equal(series->reason,
                      "IM-0001-0010-0001.dcm: slice 4 lies 10.00 mm from its neighbour, others "
                      "5.00 mm (1 such place): cubes that touch one are refused");
  assert_fails(ct_volume_decode(&volume, series, 0, 4, NULL, &test_err), LC_ERR_GEOMETRY,
               "IM-0001-0010-0001.dcm: slice 4 lies 10.00 mm from its neighbour");
  assert_ok(ct_volume_decode(&volume, series, 0, 3, NULL, &test_err));
  ct_volume_free(&volume);
  ct_index_free(&found);
}

static void test_localizers_and_captures_aside(void **state) {
  (void)state;
  struct ct_index found;
  const struct ct_series *chosen;
  scan("localizer_axial_sc_mixed_philips", &found);
  assert_int_equal(found.n_series, 3);
  assert_int_equal(found.n_files_not_dicom, 3); /* directory records */
  assert_ok(ct_index_choose(&found, NULL, &chosen, &test_err));
  assert_int_equal(chosen->n_slices, 3);
  assert_string_equal(chosen->patient_id, "PLASTIC");
  ct_index_free(&found);
}

int main(void) {
  lc_test_need_data();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_file),
      cmocka_unit_test(test_lossy_copies_are_near),
      cmocka_unit_test(test_repeated_positions),
      cmocka_unit_test(test_gantry_tilt),
      cmocka_unit_test(test_missing_slice),
      cmocka_unit_test(test_localizers_and_captures_aside),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
