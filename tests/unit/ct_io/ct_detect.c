/* Candidates in a body of soft tissue with two lungs: balls are found where they are and as large
 * as they are, inside and at the wall; a tube is not. */
#include "ct_io/detect/ct_detect.h"

#include <math.h>
#include <stdlib.h>

#include "tests/lc_test.h"

enum { X = 90, Y = 66, Z = 36 };
#define STEP_MM 2.0

struct ball {
  double centre_mm[3], diameter_mm;
};
static const struct ball balls[] = {{{-42, 6, 26}, 12}, {{40, -14, 44}, 8}, {{42, 37, 24}, 14}};
enum { BALLS = sizeof balls / sizeof *balls };
static const double origin_mm[3] = {-90, -65, -7};

static double square(double x) {
  return x * x;
}

/* HU at a place: the body is an ellipse, the lungs are elliptic cylinders that end within it. */
static double hu_at(double x, double y, double z) {
  bool body = square(x / 84) + square(y / 60) < 1;
  bool lung = square((fabs(x) - 42) / 32) + square(y / 45) < 1 && z > 0;
  double hu = body ? (lung ? -850 : 40) : -1000;
  if (square(x + 42) + square(y + 25) < 16 && lung) hu = 40; /* the tube, along z */
  for (int b = 0; b < BALLS; b++)
    if (square(x - balls[b].centre_mm[0]) + square(y - balls[b].centre_mm[1]) +
            square(z - balls[b].centre_mm[2]) <
        square(balls[b].diameter_mm / 2))
      hu = 40;
  return hu;
}

/* The mean of 27 places in each voxel. */
static struct ct_volume make(bool with_lungs) {
  struct ct_volume volume = {.size = {X, Y, Z},
                             .spacing_mm = {STEP_MM, STEP_MM, STEP_MM},
                             .direction = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
  memcpy(volume.origin_mm, origin_mm, sizeof origin_mm);
  volume.hu = malloc(sizeof *volume.hu * X * Y * Z);
  assert_non_null(volume.hu);
  for (int i = 0; i < X * Y * Z; i++) {
    double sum = 0;
    for (int k = 0; k < 27; k++)
      sum += hu_at(origin_mm[0] + STEP_MM * (i % X + (k % 3 - 1) / 3.0),
                   origin_mm[1] + STEP_MM * (i / X % Y + (k / 3 % 3 - 1) / 3.0),
                   origin_mm[2] + STEP_MM * (i / X / Y + (k / 9 - 1) / 3.0));
    volume.hu[i] = (int16_t)lround(with_lungs || sum < 27 * -900 ? sum / 27 : 40);
  }
  return volume;
}

static double distance_mm(const double a[3], const double b[3]) {
  return sqrt(square(a[0] - b[0]) + square(a[1] - b[1]) + square(a[2] - b[2]));
}

static void test_balls_and_tube(void **state) {
  (void)state;
  struct ct_volume volume = make(true);
  struct ct_candidates found;
  /* As many as there are on the side that has more, so that they must come before all else. */
  const struct ct_detection how = {.least_mm = 6, .most_mm = 16, .most_a_lung = 2};
  assert_ok(ct_detect(&found, &volume, &how, &test_err));
  assert_in_range(found.count, BALLS, 4);
  /* Two lungs of pi 32 45 mm2 over 63 mm. */
  assert_near(found.lung_ml, 2 * 3.14159 * 3.2 * 4.5 * 6.3, 60);
  for (int b = 0; b < BALLS; b++) {
    size_t nearest = 0;
    for (size_t i = 1; i < found.count; i++)
      if (distance_mm(found.items[i].centre_mm, balls[b].centre_mm) <
          distance_mm(found.items[nearest].centre_mm, balls[b].centre_mm))
        nearest = i;
    const struct ct_candidate *one = &found.items[nearest];
    assert_near(distance_mm(one->centre_mm, balls[b].centre_mm), 0, balls[b].diameter_mm / 4);
    assert_near(log2(one->diameter_mm / balls[b].diameter_mm), 0, 0.6);
  }
  for (size_t i = 0; i < found.count; i++)
    if (i > 0) assert_true(found.items[i].score <= found.items[i - 1].score);
  ct_candidates_free(&found);
  ct_volume_free(&volume);
}

static void test_no_lungs(void **state) {
  (void)state;
  struct ct_volume volume = make(false);
  struct ct_candidates found;
  struct ct_detection how = CT_DETECTION_DEFAULT;
  assert_fails(ct_detect(&found, &volume, &how, &test_err), LC_ERR_FORMAT,
               "no lungs: expected 300 ml of air or more inside a body");
  ct_candidates_free(&found);
  ct_volume_free(&volume);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_balls_and_tube),
      cmocka_unit_test(test_no_lungs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
