/* From stored cells to Hounsfield units, cells and values worked by hand from PS3.5 section 8
 * (bits) and PS3.3 C.7.5.1.1.2 (padding) and C.11.1 (rescaling). */
#include "ct_io/ct/ct_volume.h"
#include "ct_io/dicom_read/ct_pixels.h"
#include "tests/lc_test.h"

static int16_t one(const struct ct_slice *slice, uint16_t cell) {
  int16_t hu;
  const struct ct_cells cells = {.cell = &cell, .count = 1, .columns = 1};
  assert_ok(ct_cells_to_hu(&cells, slice, &hu, &test_err));
  return hu;
}

static void stored_values_are_rescaled(void **state) {
  (void)state;
  struct ct_slice slice = {
      .slope = 1, .intercept = -1024, .bits_allocated = 16, .bits_stored = 16, .high_bit = 15};
  assert_int_equal(one(&slice, 0), -1024);
  assert_int_equal(one(&slice, 1064), 40);
  slice.slope = 2.5;
  assert_int_equal(one(&slice, 402), 1005 - 1024);
  slice.pixel_signed = true;
  slice.slope = 1;
  slice.intercept = 0;
  assert_int_equal(one(&slice, 0xfc18), -1000); /* two's complement */
}

/* 12 bits of a cell of 16: at its low end with rubbish above, at its high end with rubbish below.
 */
static void only_stored_bits_count(void **state) {
  (void)state;
  struct ct_slice slice = {.slope = 1, .bits_allocated = 16, .bits_stored = 12, .high_bit = 11};
  assert_int_equal(one(&slice, 0xa3ff), 0x3ff);
  slice.high_bit = 15;
  assert_int_equal(one(&slice, 0x3ffa), 0x3ff);
  slice.high_bit = 11;
  slice.pixel_signed = true;
  assert_int_equal(one(&slice, 0x0fff), -1); /* the twelfth bit is the sign */
  assert_int_equal(one(&slice, 0xf7ff), 2047);
}

enum { EDGE = 20 };

/* HU of an image of EDGE x EDGE cells. */
static void convert(const struct ct_slice *slice, uint16_t *cell, int16_t *hu) {
  const struct ct_cells cells = {.cell = cell, .count = EDGE * EDGE, .columns = EDGE};
  assert_ok(ct_cells_to_hu(&cells, slice, hu, &test_err));
}

/* A value that no tissue has is padding wherever it is. */
static void padding_beyond_tissue_is_air(void **state) {
  (void)state;
  struct ct_slice slice = {.slope = 1,
                           .intercept = -1024,
                           .bits_allocated = 16,
                           .bits_stored = 16,
                           .high_bit = 15,
                           .padding_given = true,
                           .padding_low = 63536,
                           .padding_high = 65535};
  assert_int_equal(one(&slice, 63535), INT16_MAX);
  assert_int_equal(one(&slice, 63536), -1000);
  assert_int_equal(one(&slice, 65535), -1000);
  slice.padding_low = slice.padding_high = 0;
  assert_int_equal(one(&slice, 0), -1000);
  assert_int_equal(one(&slice, 1), -1023);
  slice.padding_given = false;
  assert_int_equal(one(&slice, 0), -1024);
}

/* Zero is water where the intercept is 0: padding when it fills a corner, tissue elsewhere. */
static void padding_that_looks_like_tissue_fills_corners(void **state) {
  (void)state;
  struct ct_slice slice = {.path = "slice",
                           .slope = 1,
                           .bits_allocated = 16,
                           .bits_stored = 16,
                           .high_bit = 15,
                           .pixel_signed = true,
                           .padding_given = true};
  uint16_t cell[EDGE * EDGE];
  int16_t hu[EDGE * EDGE];
  for (int i = 0; i < EDGE * EDGE; i++) cell[i] = 40;
  cell[10 * EDGE + 10] = cell[0] = 0; /* one of 400 pixels is less than a hundredth */
  convert(&slice, cell, hu);
  assert_int_equal(hu[10 * EDGE + 10], 0);
  assert_int_equal(hu[0], 0);
  for (int row = 0; row < 5; row++)
    for (int column = 0; column < 5 - row; column++) cell[row * EDGE + column] = 0;
  convert(&slice, cell, hu);
  assert_int_equal(hu[10 * EDGE + 10], 0);
  assert_int_equal(hu[0], -1000);
  assert_int_equal(hu[4], -1000);
  assert_int_equal(hu[4 * EDGE], -1000);
  assert_int_equal(hu[4 * EDGE + 1], 40);
}

/* A code stream of more bits than the header has is right; one of fewer has no sign. */
static void the_precision_of_the_code_stream_decides(void **state) {
  (void)state;
  struct ct_slice slice = {.path = "slice",
                           .slope = 1,
                           .intercept = -1024,
                           .bits_allocated = 16,
                           .bits_stored = 12,
                           .high_bit = 11};
  uint16_t cell = 5024;
  int16_t hu;
  struct ct_cells cells = {.cell = &cell, .count = 1, .columns = 1, .precision = 16};
  assert_ok(ct_cells_to_hu(&cells, &slice, &hu, &test_err));
  assert_int_equal(hu, 4000);
  slice.bits_stored = 16;
  slice.high_bit = 15;
  slice.pixel_signed = true;
  cells.precision = 12;
  cell = 2047;
  assert_ok(ct_cells_to_hu(&cells, &slice, &hu, &test_err));
  assert_int_equal(hu, 1023);
  cell = 2048;
  assert_fails(ct_cells_to_hu(&cells, &slice, &hu, &test_err), LC_ERR_FORMAT,
               "the sign cannot be known");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(stored_values_are_rescaled),
                                     cmocka_unit_test(only_stored_bits_count),
                                     cmocka_unit_test(padding_beyond_tissue_is_air),
                                     cmocka_unit_test(padding_that_looks_like_tissue_fills_corners),
                                     cmocka_unit_test(the_precision_of_the_code_stream_decides)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
