/* What figures say of a prediction: a probability, a value with its unit, a difference. */
#include <math.h>

#include "pipeline/run/pl_figure.h"
#include "pipeline/store/pl_crops.h"
#include "tests/lc_test.h"

static void outputs_have_units(void **state) {
  (void)state;
  assert_string_equal(pl_output_unit("biomarkers.diameter"), "mm");
  assert_string_equal(pl_output_unit("diameter"), "mm");
  assert_string_equal(pl_output_unit("biomarkers.margin"), "");
  assert_string_equal(pl_output_unit("malignancy"), "");
  assert_string_equal(pl_output_unit("grades.1"), "");
  assert_string_equal(pl_output_unit("half_diameter"), "");
}

static void values_have_their_unit(void **state) {
  (void)state;
  struct vit_model model = {0};
  assert_ok(vit_arch_named(&model.arch, "vit_tiny_patch16", &test_err));
  assert_ok(vit_arch_add_head(&model.arch, "malignancy", 0, 1, true, &test_err));
  assert_ok(vit_arch_add_head(&model.arch, "biomarkers", 0, 8, false, &test_err));
  struct cdam_target targets[10] = {{0}};
  cdam_target_all(targets, &model);
  targets[9].kind = CDAM_DIFFERENCE;
  targets[9].a = 6;
  targets[9].b = 1;
  float mean[9] = {0.5F, 1, 2, 3, 4, 5, 12.345F, 4, 4}, probability[9] = {0.622F};
  const struct pl_result result = {.model = &model,
                                   .targets = targets,
                                   .n_outputs = 9,
                                   .mean_logit = mean,
                                   .probability = probability};
  static const char *const expected[10] = {"probability 0.622",  "predicted 1.00",
                                           "predicted 2.00",     "predicted 3.00",
                                           "predicted 4.00",     "predicted 5.00",
                                           "predicted 12.35 mm", "predicted 4.00",
                                           "predicted 4.00",     "difference of outputs 11.345"};
  assert_string_equal(targets[6].name, "biomarkers.diameter");
  for (size_t t = 0; t < 10; t++) {
    char text[96];
    pl_prediction_text(&result, 0, t, text, sizeof text);
    assert_string_equal(text, expected[t]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(outputs_have_units),
                                     cmocka_unit_test(values_have_their_unit)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
