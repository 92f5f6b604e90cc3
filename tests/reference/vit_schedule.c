/* The cyclic learning rate of the reference trainings. */
#include "tests/lc_test.h"

#include "common/lc_text.h"
#include "vit/train/vit_schedule.h"
#include "vit/weights/vit_tensor_file.h"

static double number(const struct vit_tensor_file *file, const char *key) {
  double value = 0;
  const char *text = vit_tensor_file_metadata(file, key);
  assert_non_null(text);
  assert_true(lc_text_to_double(text, &value));
  return value;
}

static void check_file(const char *name) {
  char path[512];
  struct vit_tensor_file file;
  snprintf(path, sizeof path, "%s/%s.expected.safetensors", LC_TEST_REFERENCE_DIR, name);
  assert_ok(vit_tensor_file_open(&file, path, &test_err));
  struct vit_schedule s = {.kind = VIT_SCHEDULE_TRIANGULAR2,
                           .rate = number(&file, "base_lr"),
                           .highest = number(&file, "max_lr"),
                           .steps_up = (uint64_t)number(&file, "step_size_up"),
                           .steps_down = (uint64_t)number(&file, "step_size_down")};
  assert_ok(vit_schedule_check(&s, &test_err));
  const struct vit_tensor *rates = vit_tensor_file_find(&file, "cyclic_lr");
  assert_non_null(rates);
  assert_int_equal(rates->count, 32);
  float expected[32];
  assert_ok(vit_tensor_to_float(rates, expected, &test_err));
  for (uint64_t i = 0; i < 32; i++)
    assert_near(vit_schedule_rate(&s, i), (double)expected[i], 1e-6 * (double)expected[i]);
  vit_tensor_file_close(&file);
}

static void rates_agree(void **state) {
  (void)state;
  check_file("train_malignancy_p8_d32_l3");
  check_file("train_biomarkers_p8_d32_l2");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(rates_agree)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
