/* When a series seems to lack slices: holes in numbers or places, or a stack that is too short. */
#include "ct_io/dicom_read/ct_group.h"
#include "tests/lc_test.h"

#define MOST 60

static struct ct_slice slices[MOST];
static struct ct_series series;
static char signs[256];

/* n slices numbered from 1, 2.5 mm apart. */
static void make(size_t n) {
  series = (struct ct_series){.slices = slices, .n_slices = n, .slice_spacing_mm = 2.5};
  for (size_t i = 0; i < n; i++)
    slices[i] = (struct ct_slice){.instance_number = (long)i + 1, .along_mm = 2.5 * (double)i};
}

/* Takes slices [from, to) away. */
static void lose(size_t from, size_t to) {
  for (size_t i = to; i < series.n_slices; i++) slices[from + i - to] = slices[i];
  series.n_slices -= to - from;
}

static bool seems(void) {
  return ct_series_seems_incomplete(&series, signs, sizeof signs);
}

static void whole(void **state) {
  (void)state;
  make(MOST);
  assert_false(seems());
  assert_string_equal(signs, "");
  for (size_t i = 0; i < MOST; i++)
    slices[i].instance_number = 3 * (long)i; /* not counted by one */
  assert_false(seems());
  for (size_t i = 0; i < MOST; i++) slices[i].instance_number = 0; /* not given */
  assert_false(seems());
}

static void numbers(void **state) {
  (void)state;
  make(MOST);
  lose(40, 45);
  assert_true(seems());
  assert_string_equal(signs, "55 slices, and 5 of InstanceNumber 1 to 60 are not among them");
}

static void places(void **state) {
  (void)state;
  make(MOST);
  for (size_t i = 0; i < MOST; i++) slices[i].instance_number = 0;
  lose(40, 45);
  assert_true(seems());
  assert_string_equal(signs, "55 slices 2.50 mm apart, and gaps between them where 5 more belong");
  /* A change of spacing is no gap. */
  make(MOST);
  for (size_t i = 40; i < MOST; i++) slices[i].along_mm += 0.3 * 2.5 * (double)(i - 39);
  assert_false(seems());
}

static void shorts(void **state) {
  (void)state;
  make(9);
  assert_true(seems());
  assert_string_equal(signs, "9 slices over 22 mm, too few for lungs");
  make(1);
  assert_true(seems());
  series.slice_spacing_mm = 0; /* refused before the slices were sorted */
  assert_false(seems());
  series.n_slices = 0;
  assert_false(seems());
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(whole), cmocka_unit_test(numbers),
                                     cmocka_unit_test(places), cmocka_unit_test(shorts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
