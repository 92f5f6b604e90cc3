/* Code streams that fuzzing found decoders to stumble over: each is refused by name, in no time. */
#include "tests/ct_dicom_field.h"

/* The message of the only slice, whose frame of this syntax is these bytes. */
static const char *refusal(const char *syntax, const void *bytes, size_t n) {
  static char path[512];
  struct field_series s = field_series_default();
  struct dcm_set set = {.n = 0};
  struct ct_index index;
  struct ct_volume volume;
  const char *paths[] = {path};
  s.slices = 1;
  field_describe(&s, &set, 0);
  const struct dcm_bytes frame = {.at = (uint8_t *)bytes, .n = n};
  snprintf(path, sizeof path, "%s/x.dcm", field_folder);
  dcm_write_frames(&set, syntax, &frame, 1, path);
  dcm_free(&set);
  assert_ok(ct_index_scan(&index, paths, 1, NULL, NULL, &test_err));
  assert_int_equal(index.n_series, 1);
  alarm(20); /* ends the test where a decoder does not */
  assert_int_equal(ct_volume_decode(&volume, &index.series[0], 0, 1, NULL, &test_err),
                   LC_ERR_FORMAT);
  alarm(0);
  ct_index_free(&index);
  assert_non_null(strstr(test_err.message, "x.dcm"));
  return test_err.message;
}

/* DCMTK 3.6.7 looks for the frame header and stands still at a marker without length. */
static void jpeg_without_a_frame_header(void **state) {
  (void)state;
  static const uint8_t tem[] = {0xff, 0xd8, 0xff, 0x01, 0, 4, 0, 0, 0xff, 0xd9};
  static const uint8_t nothing[] = {0xff, 0xd8, 0xff, 0xd9};
  static const char *const syntaxes[] = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51",
                                         "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70",
                                         "1.2.840.10008.1.2.4.80"};
  for (size_t i = 0; i < sizeof syntaxes / sizeof *syntaxes; i++) {
    assert_non_null(strstr(refusal(syntaxes[i], tem, sizeof tem), "no frame header"));
    assert_non_null(strstr(refusal(syntaxes[i], nothing, sizeof nothing), "no frame header"));
  }
}

/* OpenJPEG and OpenJPH take memory by code blocks of any exponent, and OpenJPH divides by the width
 * of tiles. */
static void jpeg2000_headers(void **state) {
  (void)state;
  /* SOC; SIZ of 20 x 24 with one tile and 12 bits; CAP; COD of five levels and 64 x 64 blocks. */
  static const uint8_t good[] = {0xff, 0x4f, 0xff, 0x51, 0,    41, 0x40, 0, 0, 0, 0, 20,   0, 0,
                                 0,    24,   0,    0,    0,    0,  0,    0, 0, 0, 0, 0,    0, 20,
                                 0,    0,    0,    24,   0,    0,  0,    0, 0, 0, 0, 0,    0, 1,
                                 11,   1,    1,    0xff, 0x50, 0,  8,    0, 2, 0, 0, 0,    7, 0xff,
                                 0x52, 0,    12,   0,    0,    0,  1,    0, 5, 4, 4, 0x40, 1};
  enum { TILE_WIDTH = 24, LEVELS = 64, BLOCK_HEIGHT = 66 };
  static const char *const syntaxes[] = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201"};
  for (size_t i = 0; i < 2; i++) {
    uint8_t bad[sizeof good];
    memcpy(bad, good, sizeof good);
    bad[BLOCK_HEIGHT] = 0xff;
    assert_non_null(
        strstr(refusal(syntaxes[i], bad, sizeof bad), "code blocks of exponents 4 and 255"));
    memcpy(bad, good, sizeof good);
    bad[LEVELS] = 200;
    assert_non_null(strstr(refusal(syntaxes[i], bad, sizeof bad), "200 decomposition levels"));
    memcpy(bad, good, sizeof good);
    memset(bad + TILE_WIDTH, 0, 4);
    assert_non_null(strstr(refusal(syntaxes[i], bad, sizeof bad), "tiles of 0 x 24"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {field_test(jpeg_without_a_frame_header),
                                     field_test(jpeg2000_headers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
