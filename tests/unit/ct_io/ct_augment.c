/* Augmentation: exact symmetries, SciPy's resampling, and draws that depend on nothing else. */
#include "tests/lc_test.h"

#include <math.h>

#include "ct_io/ct/ct_augment.h"
#include "tests/reference/training_values.h"

enum { SIZE = 9 };

static struct ct_augment_source small_source(void) {
  return (struct ct_augment_source){rotation_source, SIZE, 1, true, -1000};
}

static void nothing_drawn_changes_nothing(void **state) {
  (void)state;
  struct ct_augment_source source = small_source();
  struct ct_augment_draw draw;
  float out[SIZE * SIZE];
  ct_augment_none(&draw);
  ct_augment_apply(&draw, &source, out, SIZE);
  assert_memory_equal(out, rotation_source, sizeof out);
  const struct ct_augment off = {0};
  ct_augment_draw(&off, 1, 2, 3, &draw);
  ct_augment_apply(&draw, &source, out, SIZE);
  assert_memory_equal(out, rotation_source, sizeof out);
}

/* Each symmetry is the permutation that its name says, without rounding. */
static void symmetries_are_permutations(void **state) {
  (void)state;
  struct ct_augment_source source = small_source();
  float out[8][SIZE * SIZE];
  for (unsigned k = 0; k < 8; k++) {
    struct ct_augment_draw draw;
    ct_augment_symmetry(k, &draw);
    ct_augment_apply(&draw, &source, out[k], SIZE);
    for (size_t i = 0; i < SIZE; i++)
      for (size_t j = 0; j < SIZE; j++) {
        size_t r = i, c = j;
        for (unsigned turn = 0; turn < (k & 3); turn++) { /* the pixel at (i, j) came from here */
          size_t old = r;
          r = c;
          c = SIZE - 1 - old;
        }
        if (k & 4) c = SIZE - 1 - c;
        assert_true(out[k][i * SIZE + j] == rotation_source[r * SIZE + c]);
      }
    for (unsigned other = 0; other < k; other++)
      assert_memory_not_equal(out[k], out[other], sizeof out[k]);
  }
}

static void resampling_agrees_with_scipy(void **state) {
  (void)state;
  struct ct_augment_source source = small_source();
  struct ct_augment_draw draw;
  float out[16 * 16];
  ct_augment_none(&draw);
  draw.rotation_deg = 30;
  ct_augment_apply(&draw, &source, out, SIZE);
  assert_true(lc_test_difference(out, rotation_30, SIZE * SIZE, NULL) < 1e-3);
  ct_augment_none(&draw);
  source.step = 0.5;
  ct_augment_apply(&draw, &source, out, 16);
  assert_true(lc_test_difference(out, rotation_zoom, 16 * 16, NULL) < 1e-3);
  source.step = 1; /* the same as a magnification */
  draw.magnification = 2;
  float again[16 * 16];
  ct_augment_apply(&draw, &source, again, 16);
  assert_true(lc_test_difference(out, again, 16 * 16, NULL) < 1e-3);
}

static void shifts_and_hu_by_hand(void **state) {
  (void)state;
  struct ct_augment_source source = small_source();
  struct ct_augment_draw draw;
  float out[SIZE * SIZE];
  ct_augment_none(&draw);
  draw.shift_rows = 2;
  draw.shift_columns = -1;
  draw.gain = 2;
  draw.gain_centre_hu = 50;
  draw.offset_hu = 3;
  source.repeat_edge = false;
  ct_augment_apply(&draw, &source, out, SIZE);
  for (size_t i = 0; i < SIZE; i++)
    for (size_t j = 0; j < SIZE; j++) {
      double hu = i < 2 || j == SIZE - 1 ? -1000 : rotation_source[(i - 2) * SIZE + j + 1];
      assert_near(out[i * SIZE + j], 50 + 2 * (hu - 50) + 3, 1e-3);
    }
}

static const struct ct_augment everything = {.quarter_turns = true,
                                             .flips = true,
                                             .rotation_deg = 15,
                                             .shift_px = 3,
                                             .scale = 0.2,
                                             .offset_hu = 20,
                                             .gain = 0.05,
                                             .noise_hu = 30};

/* Ranges and shares of many draws, and that a draw is a function of seed, epoch and sample. */
static void draws_are_what_they_say(void **state) {
  (void)state;
  enum { DRAWS = 20000 };
  double sum = 0, squares = 0, turns[4] = {0}, flips = 0;
  for (uint64_t i = 0; i < DRAWS; i++) {
    struct ct_augment_draw draw;
    ct_augment_draw(&everything, 7, i / 100, i % 100, &draw);
    assert_true(fabs(draw.rotation_deg) <= 15 && fabs(draw.shift_rows) <= 3);
    assert_true(fabs(draw.shift_columns) <= 3 && draw.magnification <= 1.2 + 1e-12);
    assert_true(draw.magnification >= 1 / 1.2 - 1e-12 && draw.noise_hu <= 30);
    sum += draw.offset_hu / (double)DRAWS;
    squares += draw.offset_hu * draw.offset_hu / (double)DRAWS;
    turns[draw.quarter_turns] += 1.0 / (double)DRAWS;
    flips += draw.flip ? 1.0 / (double)DRAWS : 0;
  }
  assert_near(sum, 0, 5 * 20 / sqrt(DRAWS));
  assert_near(sqrt(squares), 20, 0.5);
  for (int k = 0; k < 4; k++) assert_near(turns[k], 0.25, 0.02);
  assert_near(flips, 0.5, 0.02);
  struct ct_augment_draw a, b;
  ct_augment_draw(&everything, 7, 3, 5, &a);
  ct_augment_draw(&everything, 7, 3, 5, &b);
  assert_memory_equal(&a, &b, sizeof a);
  ct_augment_draw(&everything, 7, 5, 3, &b);
  assert_true(a.rotation_deg != b.rotation_deg);
  ct_augment_draw(&everything, 8, 3, 5, &b);
  assert_true(a.rotation_deg != b.rotation_deg);
  struct ct_augment some = everything;
  some.quarter_turns = false;
  ct_augment_draw(&some, 7, 3, 5, &b);
  assert_true(a.rotation_deg == b.rotation_deg && a.offset_hu == b.offset_hu);
}

/* Noise has the drawn standard deviation and is new for each sample. */
static void noise_is_the_drawn_one(void **state) {
  (void)state;
  enum { BIG = 64 };
  static float flat[BIG * BIG], out[BIG * BIG], other[BIG * BIG];
  const struct ct_augment_source source = {flat, BIG, 1, true, 0};
  const struct ct_augment noise = {.noise_hu = 30};
  struct ct_augment_draw draw;
  double squares = 0;
  ct_augment_draw(&noise, 7, 0, 0, &draw);
  ct_augment_apply(&draw, &source, out, BIG);
  for (size_t i = 0; i < BIG * BIG; i++) squares += (double)out[i] * out[i] / (BIG * BIG);
  assert_true(draw.noise_hu > 0);
  assert_near(sqrt(squares), draw.noise_hu, 0.05 * draw.noise_hu);
  ct_augment_draw(&noise, 7, 0, 1, &draw);
  ct_augment_apply(&draw, &source, other, BIG);
  assert_memory_not_equal(out, other, sizeof out);
}

static void bad_settings_are_named(void **state) {
  (void)state;
  struct ct_augment augment = everything;
  assert_ok(ct_augment_check(&augment, &test_err));
  augment.scale = -0.1;
  assert_fails(ct_augment_check(&augment, &test_err), LC_ERR_CONFIG, "scale");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_drawn_changes_nothing),
      cmocka_unit_test(symmetries_are_permutations),
      cmocka_unit_test(resampling_agrees_with_scipy),
      cmocka_unit_test(shifts_and_hu_by_hand),
      cmocka_unit_test(draws_are_what_they_say),
      cmocka_unit_test(noise_is_the_drawn_one),
      cmocka_unit_test(bad_settings_are_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
