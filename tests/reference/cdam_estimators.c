/* Every estimator against the published implementations' values, with the noise that they drew. */
#include "tests/lc_test.h"

#include <math.h>

#include "cdam/estimators/cdam_estimator.h"
#include "tests/cdam_reference.h"
#include "tests/cdam_settings.h"
#include "tests/reference/token_gradient_values.h"
#include "tests/reference/transformer_attribution_values.h"

#define TOLERANCE 1e-3

struct fixture {
  struct reference r;
  struct vit_workspace workspace;
  struct vit_trace trace;
  struct cdam_target targets[8];
  struct cdam_task task;
  float *input;
};

static void open_fixture(struct fixture *f, const char *name) {
  memset(f, 0, sizeof *f);
  reference_open(&f->r, name);
  const struct vit_tensor *input = vit_tensor_file_find(&f->r.expected, "input");
  f->input = reference_tensor(&f->r, "input", NULL);
  struct vit_request request = {
      .last_input = true, .all_inputs = true, .last_cls_attention = true, .all_attention = true};
  size_t height = input->shape[2], width = input->shape[3];
  assert_ok(vit_workspace_init(&f->workspace, &f->r.model, 1, height, width, &request, &test_err));
  assert_ok(vit_forward(&f->workspace, f->input, 1, &f->trace, &test_err));
  cdam_target_all(f->targets, &f->r.model);
  f->task = (struct cdam_task){.model = &f->r.model,
                               .images = f->input,
                               .height = height,
                               .width = width,
                               .trace = &f->trace,
                               .targets = f->targets,
                               .n_targets = vit_arch_outputs(&f->r.model.arch)};
}

static void close_fixture(struct fixture *f) {
  vit_workspace_free(&f->workspace);
  free(f->input);
  reference_close(&f->r);
}

static void check_as(struct fixture *f, const char *name, const char *tensor) {
  const struct cdam_estimator *estimator;
  struct cdam_maps maps;
  assert_ok(cdam_estimator_find(name, &estimator, &test_err));
  assert_ok(cdam_estimate(estimator, &f->task, &maps, &test_err));
  reference_agrees(&f->r, tensor, maps.scores,
                   maps.images * maps.targets * maps.grid_height * maps.grid_width, TOLERANCE);
  if (!estimator->is_signed)
    for (size_t i = 0; i < maps.targets * maps.grid_height * maps.grid_width; i++)
      assert_true(maps.scores[i] >= 0);
  cdam_maps_free(&maps);
}

static void check(struct fixture *f, const char *name) {
  check_as(f, name, name);
}

static const char *const models[] = {"vit_p8_d32_l3", "vit_p8_d48_l4"};

static void test_plain_estimators(void **state) {
  (void)state;
  static const char *const names[] = {
      "cdam",           "integrated_cdam",       "attention_map",
      "token_ablation", "attention_gradcam",     "attention_rollout",
      "partial_lrp",    "relevance_propagation", "input_x_gradient"};
  for (int m = 0; m < 2; m++) {
    struct fixture f;
    open_fixture(&f, models[m]);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) check(&f, names[i]);
    struct cdam_settings settings = settings_with("integrated_gradients", "rule=riemann");
    f.task.settings = &settings;
    check(&f, "integrated_gradients");
    close_fixture(&f);
  }
}

static void test_given_noise(void **state) {
  (void)state;
  for (int m = 0; m < 2; m++) {
    struct fixture f;
    open_fixture(&f, models[m]);
    size_t count;
    float *noise = reference_tensor(&f.r, "smooth_noise", &count);
    struct cdam_settings settings = settings_with("smooth_cdam", "");
    settings.noise = noise;
    settings.noise_samples = count / (f.trace.tokens * f.r.model.arch.embed_dim);
    f.task.settings = &settings;
    check(&f, "smooth_cdam");
    free(noise);
    noise = reference_tensor(&f.r, "smoothgrad_noise", &count);
    settings = settings_with("smoothgrad", "");
    settings.noise = noise;
    settings.noise_samples = count / (VIT_CHANNELS * f.task.height * f.task.width);
    check(&f, "smoothgrad");
    free(noise);
    close_fixture(&f);
  }
}

static void test_concepts(void **state) {
  (void)state;
  for (int m = 0; m < 2; m++) {
    struct fixture f;
    open_fixture(&f, models[m]);
    float *vector = reference_tensor(&f.r, "concept_vector", NULL);
    float *score = reference_tensor(&f.r, "concept_score", NULL);
    f.targets[0] = (struct cdam_target){.kind = CDAM_CONCEPT, .concept_vector = vector};
    f.task.n_targets = 1;
    check_as(&f, "cdam", "concept_cdam");
    double value =
        cdam_target_value(&f.targets[0], &f.r.model, f.trace.logits, f.trace.cls_embedding);
    assert_true(fabs(value - (double)score[0]) < 1e-4 * fabs((double)score[0]));
    free(vector);
    free(score);
    close_fixture(&f);
  }
}

/* Largest difference of a map from a multiple of another, as a share of its largest value. */
static double shape_difference(const float *a, const float *b, size_t n) {
  double ab = 0, aa = 0, worst = 0, largest = 0;
  for (size_t i = 0; i < n; i++) {
    ab += (double)a[i] * (double)b[i];
    aa += (double)a[i] * (double)a[i];
    largest = fmax(largest, fabs((double)b[i]));
  }
  for (size_t i = 0; i < n; i++) worst = fmax(worst, fabs(ab / aa * (double)a[i] - (double)b[i]));
  return worst / largest;
}

/* Transformer attribution divides by sums that nearly cancel. In vit_p8_d32_l3 the product of CLS
 * query and first patch key in one head of block 1 is 6e-5, a sum of eight terms of order one: its
 * float32 value has two good digits, and the whole map is proportional to its inverse. PyTorch's
 * own float32 is off from its float64 by 3.9e-2 or 6.5e-2 there, depending on its kernels, and the
 * published value, computed in float32, by 1.6e-2. So the truth is PyTorch's float64 of the same
 * rules, which must be met; the published value must be met up to a factor that rounding explains.
 */
static void test_transformer_attribution(void **state) {
  (void)state;
  const struct {
    const double *exact;
    double rounding;
  } expected[2] = {{vit_p8_d32_l3_attribution, 3.9e-2}, {vit_p8_d48_l4_attribution, TOLERANCE}};
  for (int m = 0; m < 2; m++) {
    struct fixture f;
    open_fixture(&f, models[m]);
    const struct cdam_estimator *estimator;
    struct cdam_maps maps;
    size_t count;
    float *published = reference_tensor(&f.r, "transformer_attribution", &count);
    assert_ok(cdam_estimator_find("transformer_attribution", &estimator, &test_err));
    assert_ok(cdam_estimate(estimator, &f.task, &maps, &test_err));
    double largest, difference = lc_test_difference(maps.scores, published, count, &largest);
    double worst = 0;
    for (size_t i = 0; i < count; i++)
      worst = fmax(worst, fabs((double)maps.scores[i] - expected[m].exact[i]));
    printf("%s: %.2g of the largest value from float64, %.2g from the published float32\n",
           models[m], worst / largest, difference / largest);
    assert_true(worst <= 1e-6 * largest);
    assert_true(difference <= expected[m].rounding * largest);
    for (size_t t = 0; t < f.task.n_targets; t++)
      assert_true(shape_difference(maps.scores + t * f.trace.patches,
                                   published + t * f.trace.patches, f.trace.patches) <= 2e-3);
    cdam_maps_free(&maps);
    free(published);
    close_fixture(&f);
  }
}

/* Against automatic differentiation in float64 with the rules' constants detached. */
static void test_token_gradients(void **state) {
  (void)state;
  static const struct {
    const char *name;
    const double *exact[2];
  } expected[] = {{"libragrad", {vit_p8_d32_l3_libragrad, vit_p8_d48_l4_libragrad}},
                  {"attnlrp", {vit_p8_d32_l3_attnlrp, vit_p8_d48_l4_attnlrp}}};
  for (int m = 0; m < 2; m++) {
    struct fixture f;
    open_fixture(&f, models[m]);
    for (size_t e = 0; e < sizeof expected / sizeof *expected; e++) {
      const struct cdam_estimator *estimator;
      struct cdam_maps maps;
      double worst = 0, largest = 0;
      assert_ok(cdam_estimator_find(expected[e].name, &estimator, &test_err));
      assert_ok(cdam_estimate(estimator, &f.task, &maps, &test_err));
      for (size_t i = 0; i < f.task.n_targets * f.trace.patches; i++) {
        worst = fmax(worst, fabs((double)maps.scores[i] - expected[e].exact[m][i]));
        largest = fmax(largest, fabs(expected[e].exact[m][i]));
      }
      if (!(worst <= 1e-6 * largest))
        fail_msg("%s of %s: off by %g of %g", expected[e].name, models[m], worst, largest);
      cdam_maps_free(&maps);
    }
    close_fixture(&f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_plain_estimators), cmocka_unit_test(test_given_noise),
      cmocka_unit_test(test_concepts), cmocka_unit_test(test_transformer_attribution),
      cmocka_unit_test(test_token_gradients)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
