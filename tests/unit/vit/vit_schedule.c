/* Learning rates against PyTorch's schedulers. */
#include "tests/lc_test.h"

#include <math.h>

#include "tests/reference/training_values.h"
#include "vit/train/vit_schedule.h"

static void cyclic_is_pytorchs(void **state) {
  (void)state;
  struct vit_schedule s = {.kind = VIT_SCHEDULE_TRIANGULAR2,
                           .rate = 2e-5,
                           .highest = 7e-4,
                           .steps_up = 5,
                           .steps_down = 3};
  assert_ok(vit_schedule_check(&s, &test_err));
  for (uint64_t i = 0; i < 40; i++)
    assert_near(vit_schedule_rate(&s, i), schedule_cyclic[i], 1e-12 * schedule_cyclic[i]);
}

static void exponential_is_pytorchs_by_epoch(void **state) {
  (void)state;
  struct vit_schedule s = {
      .kind = VIT_SCHEDULE_EXPONENTIAL, .rate = 3e-4, .decay = 0.95, .steps_per_epoch = 7};
  assert_ok(vit_schedule_check(&s, &test_err));
  for (uint64_t i = 0; i < 70; i++)
    assert_near(vit_schedule_rate(&s, i), schedule_exponential[i / 7],
                1e-12 * schedule_exponential[i / 7]);
}

static void cosine_warms_up_and_is_pytorchs_after(void **state) {
  (void)state;
  struct vit_schedule s = {.kind = VIT_SCHEDULE_COSINE,
                           .rate = 5e-4,
                           .lowest = 1e-6,
                           .warmup_steps = 4,
                           .total_steps = 20};
  assert_ok(vit_schedule_check(&s, &test_err));
  for (uint64_t i = 0; i < 4; i++)
    assert_near(vit_schedule_rate(&s, i), 5e-4 * (double)(i + 1) / 4, 1e-15);
  for (uint64_t i = 0; i < 17; i++)
    assert_near(vit_schedule_rate(&s, 4 + i), schedule_cosine[i], 1e-9 * schedule_cosine[i]);
  assert_near(vit_schedule_rate(&s, 1000), 1e-6, 1e-18);
}

static void bad_fields_are_named(void **state) {
  (void)state;
  struct vit_schedule s = {.rate = NAN};
  assert_fails(vit_schedule_check(&s, &test_err), LC_ERR_CONFIG, "rate");
  s = (struct vit_schedule){.kind = VIT_SCHEDULE_EXPONENTIAL, .rate = 1, .decay = 0.9};
  assert_fails(vit_schedule_check(&s, &test_err), LC_ERR_CONFIG, "steps_per_epoch");
  s = (struct vit_schedule){
      .kind = VIT_SCHEDULE_COSINE, .rate = 1, .warmup_steps = 3, .total_steps = 3};
  assert_fails(vit_schedule_check(&s, &test_err), LC_ERR_CONFIG, "warmup_steps");
  s = (struct vit_schedule){.kind = VIT_SCHEDULE_TRIANGULAR2, .rate = 1, .highest = 0.5};
  assert_fails(vit_schedule_check(&s, &test_err), LC_ERR_CONFIG, "highest");
}

static void names_go_both_ways(void **state) {
  (void)state;
  vit_schedule_kind kind;
  const char *const names[] = {"constant", "exponential", "cosine", "triangular2"};
  for (size_t i = 0; i < 4; i++) {
    assert_true(vit_schedule_parse(names[i], &kind));
    assert_string_equal(vit_schedule_name(kind), names[i]);
  }
  assert_false(vit_schedule_parse("cosin", &kind));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cyclic_is_pytorchs),
      cmocka_unit_test(exponential_is_pytorchs_by_epoch),
      cmocka_unit_test(cosine_warms_up_and_is_pytorchs_after),
      cmocka_unit_test(bad_fields_are_named),
      cmocka_unit_test(names_go_both_ways),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
