/* The optimiser's state on disk: going on from it is the same as never having stopped. */
#include "tests/lc_test.h"

#include "common/lc_file.h"
#include "common/lc_random.h"
#include "vit/train/vit_optim.h"
#include "vit/weights/vit_tensor_file.h"

enum { COUNT = 10, STEPS = 8 };

struct net {
  float values[2 * COUNT], gradients[2 * COUNT];
  struct vit_trainable trainables[3];
  struct vit_optim optim;
};

static void net_init(struct net *net, const struct vit_optim_settings *settings) {
  memset(net, 0, sizeof *net);
  for (size_t i = 0; i < 2 * COUNT; i++) net->values[i] = (float)i / 7;
  float *v = net->values, *g = net->gradients;
  net->trainables[0] = (struct vit_trainable){"norm.weight", v, g, 4, false, false};
  net->trainables[1] = (struct vit_trainable){"head.weight", v + 4, g + 4, COUNT, true, false};
  net->trainables[2] =
      (struct vit_trainable){"cls_token", v + 4 + COUNT, NULL, COUNT - 4, false, true};
  assert_ok(vit_optim_init(&net->optim, settings, net->trainables, 3, &test_err));
}

static void steps(struct net *net, uint64_t from, uint64_t to) {
  for (uint64_t step = from; step < to; step++) {
    struct lc_random random;
    lc_random_init(&random, 3, "test", step);
    for (size_t i = 0; i < 2 * COUNT; i++) net->gradients[i] = (float)lc_random_normal(&random);
    assert_ok(vit_optim_step(&net->optim, 0.01, NULL, &test_err));
  }
}

static struct vit_optim_settings all_settings(void) {
  struct vit_optim_settings settings;
  vit_optim_defaults(&settings);
  settings.kind = VIT_ADAMW;
  settings.weight_decay = 0.05;
  settings.clip_norm = 2;
  settings.ema_decay = 0.99;
  settings.ema_warmup = true;
  return settings;
}

static void resumed_is_uninterrupted(void **state) {
  (void)state;
  struct vit_optim_settings settings = all_settings();
  struct net whole, first, second;
  char folder[256], path[512];
  snprintf(path, sizeof path, "%s/optimizer.safetensors", lc_test_folder(folder));
  net_init(&whole, &settings);
  steps(&whole, 0, STEPS);
  for (uint64_t stop = 0; stop <= STEPS; stop++) {
    net_init(&first, &settings);
    net_init(&second, &settings);
    steps(&first, 0, stop);
    const char *const note[] = {"caller", "kept"};
    assert_ok(vit_optim_save(&first.optim, path, note, 1, &test_err));
    memcpy(second.values, first.values, sizeof second.values);
    assert_ok(vit_optim_load(&second.optim, path, &test_err));
    steps(&second, stop, STEPS);
    assert_memory_equal(second.values, whole.values, sizeof whole.values);
    for (size_t p = 0; p < 3; p++)
      assert_memory_equal(vit_optim_average(&second.optim, p), vit_optim_average(&whole.optim, p),
                          whole.trainables[p].count * sizeof(float));
    vit_optim_free(&first.optim);
    vit_optim_free(&second.optim);
  }
  struct vit_tensor_file file;
  assert_ok(vit_tensor_file_open(&file, path, &test_err));
  assert_string_equal(vit_tensor_file_metadata(&file, "caller"), "kept");
  assert_string_equal(vit_tensor_file_metadata(&file, "optimizer_steps"), "8");
  assert_null(vit_tensor_file_find(&file, "first/cls_token")); /* frozen */
  assert_non_null(vit_tensor_file_find(&file, "average/cls_token"));
  vit_tensor_file_close(&file);
  vit_optim_free(&whole.optim);
  assert_ok(lc_folder_remove(folder, &test_err));
}

static void other_states_are_refused(void **state) {
  (void)state;
  struct vit_optim_settings settings = all_settings(), other = all_settings();
  struct net one, two;
  char folder[256], path[512];
  snprintf(path, sizeof path, "%s/optimizer.safetensors", lc_test_folder(folder));
  net_init(&one, &settings);
  steps(&one, 0, 3);
  assert_ok(vit_optim_save(&one.optim, path, NULL, 0, &test_err));
  other.beta2 = 0.95;
  net_init(&two, &other);
  assert_fails(vit_optim_load(&two.optim, path, &test_err), LC_ERR_MISMATCH, "beta2");
  assert_int_equal(two.optim.steps, 0);
  vit_optim_free(&two.optim);
  net_init(&two, &settings);
  two.optim.parameters[1].name = "heads.malignancy.weight";
  assert_fails(vit_optim_load(&two.optim, path, &test_err), LC_ERR_TENSOR,
               "first/heads.malignancy.weight is missing");
  two.optim.parameters[1].name = "head.weight";
  two.optim.parameters[1].count--;
  assert_fails(vit_optim_load(&two.optim, path, &test_err), LC_ERR_TENSOR, "expected F32[9]");
  for (size_t i = 0; i < 4; i++) assert_true(two.optim.first[i] == 0); /* nothing was read */
  vit_optim_free(&two.optim);
  vit_optim_free(&one.optim);
  assert_ok(lc_folder_remove(folder, &test_err));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(resumed_is_uninterrupted),
      cmocka_unit_test(other_states_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
