/* From stored cells to Hounsfield units, cells and values worked by hand from PS3.5 section 8
 * (bits) and PS3.3 C.7.5.1.1.2 (padding) and C.11.1 (rescaling). */
#include "ct_io/ct/ct_volume.h"
#include "ct_io/dicom_read/ct_pixels.h"
#include "tests/lc_test.h"

static int16_t one(const struct ct_slice *slice, uint16_t cell) {
  int16_t hu;
  const struct ct_cells cells = {.cell = &cell, .count = 1};
  ct_cells_to_hu(&cells, slice, &hu);
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

/* Padding is air whatever rescaling would make of it; its neighbours are tissue. */
static void padding_is_air(void **state) {
  (void)state;
  struct ct_slice slice = {.slope = 1,
                           .intercept = -24,
                           .bits_allocated = 16,
                           .bits_stored = 16,
                           .high_bit = 15,
                           .pixel_signed = true,
                           .padding_given = true,
                           .padding_low = 60,
                           .padding_high = 64};
  assert_int_equal(one(&slice, 59), 35);
  assert_int_equal(one(&slice, 60), -1000);
  assert_int_equal(one(&slice, 64), -1000);
  assert_int_equal(one(&slice, 65), 41);
  slice.padding_given = false;
  assert_int_equal(one(&slice, 60), 36);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(stored_values_are_rescaled),
                                     cmocka_unit_test(only_stored_bits_count),
                                     cmocka_unit_test(padding_is_air)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
