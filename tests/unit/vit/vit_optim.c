/* Optimisers against PyTorch's, and what freezing, clipping and threads promise. */
#include "tests/lc_test.h"

#include <math.h>

#include "common/lc_parallel.h"
#include "common/lc_random.h"
#include "tests/reference/training_values.h"
#include "vit/train/vit_optim.h"

struct small {
  float values[12], gradients[12];
  struct vit_trainable parameters[2];
};

static void small_init(struct small *s) {
  memcpy(s->values, optim_start, sizeof s->values);
  s->parameters[0] = (struct vit_trainable){"fc1.weight", s->values, s->gradients, 8, true, false};
  s->parameters[1] =
      (struct vit_trainable){"fc1.bias", s->values + 8, s->gradients + 8, 4, false, false};
}

static void five_steps(struct vit_optim *optim, struct small *s, const double *norms) {
  for (size_t step = 0; step < 5; step++) {
    double norm;
    memcpy(s->gradients, optim_gradients + 12 * step, sizeof s->gradients);
    assert_ok(vit_optim_step(optim, optim_rates[step], &norm, &test_err));
    if (norms) assert_near(norm, norms[step], 1e-5);
  }
}

static void compare(const struct vit_optim_settings *settings, const float *expected,
                    const float *average, const double *norms) {
  struct small s;
  struct vit_optim optim;
  small_init(&s);
  assert_ok(vit_optim_init(&optim, settings, s.parameters, 2, &test_err));
  five_steps(&optim, &s, norms);
  assert_true(lc_test_difference(s.values, expected, 12, NULL) < 2e-6);
  assert_true(lc_test_difference(vit_optim_average(&optim, 0), average, 8, NULL) < 2e-6);
  assert_true(lc_test_difference(vit_optim_average(&optim, 1), average + 8, 4, NULL) < 2e-6);
  vit_optim_free(&optim);
}

static void agrees_with_pytorch(void **state) {
  (void)state;
  struct vit_optim_settings settings;
  vit_optim_defaults(&settings);
  settings.ema_decay = 0.9;
  compare(&settings, optim_adam, optim_adam_average, NULL);
  settings.weight_decay = 0.1;
  compare(&settings, optim_adam_decay, optim_adam_decay_average, NULL);
  settings.kind = VIT_ADAMW;
  settings.beta1 = 0.8;
  settings.beta2 = 0.95;
  settings.epsilon = 1e-6;
  settings.clip_norm = 4;
  compare(&settings, optim_adamw_clip, optim_adamw_clip_average, optim_adamw_clip_norms);
}

/* Worked by hand: the first step of Adam moves by the rate against the gradient's sign. */
static void first_step_is_the_rate(void **state) {
  (void)state;
  float values[3] = {1, 1, 1};
  const float gradients[3] = {7, -0.002f, 0};
  struct vit_trainable parameter = {"w", values, gradients, 3, true, false};
  struct vit_optim_settings settings;
  struct vit_optim optim;
  vit_optim_defaults(&settings);
  assert_ok(vit_optim_init(&optim, &settings, &parameter, 1, &test_err));
  assert_ok(vit_optim_step(&optim, 0.125, NULL, &test_err));
  assert_near(values[0], 0.875, 1e-6);
  assert_near(values[1], 1.125, 1e-5);
  assert_true(values[2] == 1);
  assert_ptr_equal(vit_optim_average(&optim, 0), values);
  vit_optim_free(&optim);
}

/* The warm-up makes the average follow the weights at first: d = 2/11 at step 1. */
static void average_warms_up(void **state) {
  (void)state;
  float value = 1;
  const float gradient = 1;
  struct vit_trainable parameter = {"w", &value, &gradient, 1, false, false};
  struct vit_optim_settings settings;
  struct vit_optim optim;
  vit_optim_defaults(&settings);
  settings.ema_decay = 0.999;
  settings.ema_warmup = true;
  assert_ok(vit_optim_init(&optim, &settings, &parameter, 1, &test_err));
  assert_ok(vit_optim_step(&optim, 0.5, NULL, &test_err));
  assert_near(*vit_optim_average(&optim, 0), 2.0 / 11 * 1 + 9.0 / 11 * 0.5, 1e-6);
  vit_optim_free(&optim);
}

static void frozen_parameters_never_change(void **state) {
  (void)state;
  struct small s;
  struct vit_optim optim;
  struct vit_optim_settings settings;
  double norm, expected = 0;
  small_init(&s);
  vit_optim_defaults(&settings);
  settings.kind = VIT_ADAMW;
  settings.weight_decay = 0.1;
  s.parameters[0].frozen = true;
  s.parameters[0].gradient = NULL;
  assert_ok(vit_optim_init(&optim, &settings, s.parameters, 2, &test_err));
  memcpy(s.gradients, optim_gradients, sizeof s.gradients);
  assert_ok(vit_optim_step(&optim, 0.1, &norm, &test_err));
  assert_memory_equal(s.values, optim_start, 8 * sizeof(float));
  assert_memory_not_equal(s.values + 8, optim_start + 8, 4 * sizeof(float));
  for (size_t i = 8; i < 12; i++) expected += (double)optim_gradients[i] * optim_gradients[i];
  assert_near(norm, sqrt(expected), 1e-12);
  vit_optim_free(&optim);
}

static void bad_gradients_change_nothing(void **state) {
  (void)state;
  struct small s;
  struct vit_optim optim;
  struct vit_optim_settings settings;
  small_init(&s);
  vit_optim_defaults(&settings);
  assert_ok(vit_optim_init(&optim, &settings, s.parameters, 2, &test_err));
  memcpy(s.gradients, optim_gradients, sizeof s.gradients);
  s.gradients[9] = INFINITY;
  assert_fails(vit_optim_step(&optim, 0.1, NULL, &test_err), LC_ERR_NUMERIC, "fc1.bias");
  assert_memory_equal(s.values, optim_start, sizeof s.values);
  assert_int_equal(optim.steps, 0);
  vit_optim_free(&optim);
  settings.beta2 = 1;
  assert_fails(vit_optim_init(&optim, &settings, s.parameters, 2, &test_err), LC_ERR_CONFIG,
               "beta2");
}

/* A tensor of many chunks: same bits on one thread and on four. */
static void threads_do_not_matter(void **state) {
  (void)state;
  enum { COUNT = 200001 };
  float *values[2], *gradients = calloc(COUNT, sizeof(float));
  struct lc_random random;
  double norms[2];
  lc_random_init(&random, 1, "test", 0);
  for (size_t i = 0; i < COUNT; i++) gradients[i] = (float)lc_random_normal(&random);
  for (int round = 0; round < 2; round++) {
    values[round] = calloc(COUNT, sizeof(float));
    struct vit_trainable parameter = {"w", values[round], gradients, COUNT, true, false};
    struct vit_optim_settings settings;
    struct vit_optim optim;
    vit_optim_defaults(&settings);
    settings.clip_norm = 1;
    lc_threads_set(round ? 4 : 1);
    assert_ok(vit_optim_init(&optim, &settings, &parameter, 1, &test_err));
    assert_ok(vit_optim_step(&optim, 0.1, &norms[round], &test_err));
    vit_optim_free(&optim);
  }
  lc_threads_set(0);
  assert_memory_equal(values[0], values[1], COUNT * sizeof(float));
  assert_true(norms[0] == norms[1]);
  assert_near(norms[0], sqrt(COUNT), 0.01 * sqrt(COUNT)); /* of a standard normal vector */
  free(values[0]);
  free(values[1]);
  free(gradients);
}

static void names_decide_on_decay(void **state) {
  (void)state;
  assert_true(vit_trainable_decays("blocks.3.attn.qkv.weight"));
  assert_true(vit_trainable_decays("patch_embed.proj.weight"));
  assert_true(vit_trainable_decays("heads.malignancy.0.weight"));
  const char *const never[] = {"blocks.3.attn.qkv.bias",
                               "blocks.11.norm1.weight",
                               "norm.weight",
                               "norm.bias",
                               "cls_token",
                               "pos_embed",
                               "blocks.0.ls1.gamma",
                               "register_tokens",
                               "head.bias"};
  for (size_t i = 0; i < sizeof never / sizeof *never; i++)
    assert_false(vit_trainable_decays(never[i]));
}

static void patterns_freeze(void **state) {
  (void)state;
  const char *const names[] = {"cls_token",
                               "pos_embed",
                               "patch_embed.proj.weight",
                               "blocks.1.norm1.weight",
                               "blocks.2.mlp.fc1.bias",
                               "blocks.10.norm1.weight",
                               "norm.weight",
                               "heads.biomarkers.0.weight",
                               "head.weight"};
  static const struct {
    const char *pattern;
    unsigned frozen; /* one bit a name */
  } cases[] = {{"embedding", 0x07}, {"blocks.1", 0x08},  {"blocks.1-2", 0x18},
               {"blocks", 0x38},    {"norm", 0x40},      {"heads.biomarkers", 0x80},
               {"heads", 0x180},    {"blocks.10", 0x20}, {"blocks.2.mlp", 0x10}};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    struct vit_trainable parameters[9];
    for (size_t i = 0; i < 9; i++) parameters[i] = (struct vit_trainable){.name = names[i]};
    assert_ok(vit_trainable_freeze(parameters, 9, cases[c].pattern, &test_err));
    for (size_t i = 0; i < 9; i++)
      assert_int_equal(parameters[i].frozen, (cases[c].frozen >> i) & 1);
    assert_fails(vit_trainable_freeze(parameters, 9, "block", &test_err), LC_ERR_CONFIG,
                 "\"block\"");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(agrees_with_pytorch),
      cmocka_unit_test(first_step_is_the_rate),
      cmocka_unit_test(average_warms_up),
      cmocka_unit_test(frozen_parameters_never_change),
      cmocka_unit_test(bad_gradients_change_nothing),
      cmocka_unit_test(threads_do_not_matter),
      cmocka_unit_test(names_decide_on_decay),
      cmocka_unit_test(patterns_freeze),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
