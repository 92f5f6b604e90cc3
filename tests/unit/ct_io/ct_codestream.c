/* What the main header of a JPEG 2000 stream may say before a decoder sees it. */
#include "ct_io/dicom_read/ct_codestream.h"
#include "tests/lc_test.h"

/* Of an image of 64 x 64 samples of 12 bits in one tile. Where the fields lie: */
enum {
  WIDTH = 11,
  TILE = 25,
  ORIGIN = 33,
  COMPONENTS = 41,
  BITS,
  STEP_X,
  STEP_Y,
  LEVELS = 54,
  BLOCK
};

static const uint8_t stream[] = {0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0, 0, 0, 0, 64,   0,   0, 0,
                                 64,   0,    0,    0,    0, 0,  0, 0, 0, 0, 0, 0,    64,  0, 0,
                                 0,    64,   0,    0,    0, 0,  0, 0, 0, 0, 0, 1,    11,  1, 1,
                                 0xff, 0x52, 0,    12,   0, 2,  0, 1, 0, 5, 4, 4,    0,   1, 0xff,
                                 0x90, 0,    10,   0,    0, 0,  0, 0, 0, 0, 1, 0xff, 0x93};

static lc_status check(const uint8_t *bytes, size_t size) {
  return ct_j2k_check(bytes, size, 64, 64, "HTJ2K", "a.dcm", &test_err);
}

/* With one byte changed. */
static lc_status changed(size_t at, uint8_t value) {
  uint8_t bytes[sizeof stream];
  memcpy(bytes, stream, sizeof stream);
  bytes[at] = value;
  return check(bytes, sizeof bytes);
}

static void test_a_plain_stream_passes_boxed_or_not(void **state) {
  (void)state;
  static const uint8_t boxes[] = {0,    0,  0, 12, 'j', 'P', ' ', ' ', 13,  10,
                                  0x87, 10, 0, 0,  0,   0,   'j', 'p', '2', 'c'};
  uint8_t boxed[sizeof boxes + sizeof stream];
  assert_ok(check(stream, sizeof stream));
  memcpy(boxed, boxes, sizeof boxes);
  memcpy(boxed + sizeof boxes, stream, sizeof stream);
  assert_ok(check(boxed, sizeof boxed));
  boxed[sizeof boxes + STEP_X] = 2;
  assert_fails(check(boxed, sizeof boxed), LC_ERR_FORMAT, "a sample every 2 x 1 pixels");
}

static void test_what_memory_is_taken_by_is_checked(void **state) {
  (void)state;
  assert_fails(changed(WIDTH, 65), LC_ERR_FORMAT, "a.dcm: HTJ2K image of 65 x 64");
  assert_fails(changed(COMPONENTS, 3), LC_ERR_FORMAT, "3 components; expected 64 x 64, 1");
  assert_fails(changed(STEP_X, 2), LC_ERR_FORMAT, "a sample every 2 x 1 pixels");
  assert_fails(changed(STEP_Y, 0), LC_ERR_FORMAT, "a sample every 1 x 0 pixels");
  assert_fails(changed(BITS, 16), LC_ERR_UNSUPPORTED, "17 bits");
  assert_ok(changed(TILE + 2, 32));
  assert_fails(changed(TILE + 2, 1), LC_ERR_FORMAT, "in 64 tiles");
  assert_fails(changed(TILE + 2, 0), LC_ERR_FORMAT, "tiles of 0 x 64");
  assert_fails(changed(ORIGIN + 3, 1), LC_ERR_FORMAT, "tiles of 64 x 64 from");
  assert_fails(changed(LEVELS, 37), LC_ERR_FORMAT, "37 decomposition levels");
  assert_fails(changed(BLOCK, 5), LC_ERR_FORMAT, "exponents 5 and 4");
}

static void test_a_header_that_ends_early_is_none(void **state) {
  (void)state;
  assert_fails(check(stream, 20), LC_ERR_FORMAT, "marker ff51 of 41 bytes");
  assert_fails(check(stream, 2), LC_ERR_FORMAT, "without a size");
  assert_fails(changed(5, 12), LC_ERR_FORMAT, "ends early");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_plain_stream_passes_boxed_or_not),
      cmocka_unit_test(test_what_memory_is_taken_by_is_checked),
      cmocka_unit_test(test_a_header_that_ends_early_is_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
