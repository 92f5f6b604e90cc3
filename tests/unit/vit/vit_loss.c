/* Losses against PyTorch's, against values worked by hand, and what masks promise. */
#include "tests/lc_test.h"

#include <math.h>

#include "tests/reference/training_values.h"
#include "vit/train/vit_loss.h"

enum { N = 6, OUTPUTS = 9 };

static const float positive_weight[1] = {3};

static void two_tasks(struct vit_loss *loss) {
  *loss = (struct vit_loss){.outputs = OUTPUTS,
                            .n_tasks = 2,
                            .tasks = {{.name = "malignancy",
                                       .kind = VIT_LOSS_BCE,
                                       .outputs = 1,
                                       .weight = 0.7,
                                       .positive_weights = positive_weight},
                                      {.name = "biomarkers",
                                       .kind = VIT_LOSS_HUBER,
                                       .first = 1,
                                       .outputs = 8,
                                       .weight = 1.5,
                                       .delta = 1,
                                       .output_weights = loss_output_weights}}};
}

static struct vit_loss_batch whole_batch(void) {
  return (struct vit_loss_batch){.n = N,
                                 .outputs = loss_outputs,
                                 .targets = loss_targets,
                                 .present = loss_present,
                                 .sample_weights = loss_sample_weights};
}

static void both_tasks_agree_with_pytorch(void **state) {
  (void)state;
  struct vit_loss loss;
  struct vit_loss_result result;
  float gradient[N * OUTPUTS];
  two_tasks(&loss);
  struct vit_loss_batch batch = whole_batch();
  assert_ok(vit_loss_evaluate(&loss, &batch, NULL, gradient, &result, NULL, &test_err));
  assert_near(result.tasks[0], loss_expected[0], 1e-6 * loss_expected[0]);
  assert_near(result.tasks[1], loss_expected[1], 1e-6 * loss_expected[1]);
  assert_near(result.total, loss_expected[2], 1e-6 * loss_expected[2]);
  double largest, difference = lc_test_difference(gradient, loss_gradient, N * OUTPUTS, &largest);
  assert_true(difference <= 1e-6 * largest);
}

/* Values worked by hand. */
static void single_entries(void **state) {
  (void)state;
  struct vit_loss loss = {.outputs = 2,
                          .n_tasks = 2,
                          .tasks = {{"b", VIT_LOSS_BCE, 0, 1, 1, 0, NULL, NULL},
                                    {"h", VIT_LOSS_HUBER, 1, 1, 1, 1, NULL, NULL}}};
  const float outputs[2] = {0, 3}, targets[2] = {1, 0.5f};
  struct vit_loss_batch batch = {.n = 1, .outputs = outputs, .targets = targets};
  struct vit_loss_result result;
  float gradient[2];
  assert_ok(vit_loss_evaluate(&loss, &batch, NULL, gradient, &result, NULL, &test_err));
  assert_near(result.tasks[0], log(2.0), 1e-15);
  assert_near(result.tasks[1], 2.5 - 0.5, 1e-15);
  assert_near(gradient[0], -0.5, 1e-7);
  assert_near(gradient[1], 1, 1e-7);
  loss.tasks[1].delta = 4; /* now inside: squared */
  assert_ok(vit_loss_evaluate(&loss, &batch, NULL, gradient, &result, NULL, &test_err));
  assert_near(result.tasks[1], 0.5 * 2.5 * 2.5, 1e-15);
  assert_near(gradient[1], 2.5, 1e-7);
}

/* Extreme logits give the loss that calculus gives, not infinity. */
static void extreme_logits_stay_finite(void **state) {
  (void)state;
  struct vit_loss loss = {
      .outputs = 1, .n_tasks = 1, .tasks = {{"b", VIT_LOSS_BCE, 0, 1, 1, 0, NULL, NULL}}};
  const float outputs[2] = {-1e4f, 1e4f}, targets[2] = {1, 1};
  struct vit_loss_batch batch = {.n = 2, .outputs = outputs, .targets = targets};
  struct vit_loss_result result;
  float gradient[2];
  assert_ok(vit_loss_evaluate(&loss, &batch, NULL, gradient, &result, NULL, &test_err));
  assert_near(result.total, 5e3, 1e-9);
  assert_near(gradient[0], -0.5, 1e-7);
  assert_near(gradient[1], 0, 1e-7);
}

/* A label that is absent is not looked at: neither its value nor the model's output there. */
static void absent_labels_do_not_matter(void **state) {
  (void)state;
  struct vit_loss loss;
  struct vit_loss_result result, again;
  float gradient[N * OUTPUTS], second[N * OUTPUTS], targets[N * OUTPUTS], outputs[N * OUTPUTS];
  two_tasks(&loss);
  struct vit_loss_batch batch = whole_batch();
  assert_ok(vit_loss_evaluate(&loss, &batch, NULL, gradient, &result, NULL, &test_err));
  for (size_t i = 0; i < N * OUTPUTS; i++) {
    targets[i] = loss_present[i] ? loss_targets[i] : NAN;
    outputs[i] = loss_present[i] ? loss_outputs[i] : INFINITY;
    if (!loss_present[i]) assert_true(gradient[i] == 0);
  }
  batch.targets = targets;
  batch.outputs = outputs;
  assert_ok(vit_loss_evaluate(&loss, &batch, NULL, second, &again, NULL, &test_err));
  assert_memory_equal(gradient, second, sizeof gradient);
  assert_memory_equal(&result, &again, sizeof result);
  const uint8_t nothing[N * OUTPUTS] = {0};
  batch.present = nothing;
  assert_ok(vit_loss_evaluate(&loss, &batch, NULL, second, &again, NULL, &test_err));
  assert_true(again.total == 0 && again.counts[0] == 0 && again.counts[1] == 0);
}

/* Losses and gradients of the parts of a batch add up to those of the whole. */
static void parts_add_up(void **state) {
  (void)state;
  struct vit_loss loss;
  struct vit_loss_result whole, part;
  float gradient[N * OUTPUTS], parts[N * OUTPUTS];
  size_t counts[VIT_MAX_HEADS];
  two_tasks(&loss);
  struct vit_loss_batch batch = whole_batch();
  assert_ok(vit_loss_evaluate(&loss, &batch, NULL, gradient, &whole, NULL, &test_err));
  vit_loss_count(&loss, &batch, counts);
  double total = 0;
  for (size_t start = 0; start < N; start += 2) {
    struct vit_loss_batch piece = {2, loss_outputs + start * OUTPUTS,
                                   loss_targets + start * OUTPUTS, loss_present + start * OUTPUTS,
                                   loss_sample_weights + start};
    assert_ok(
        vit_loss_evaluate(&loss, &piece, counts, parts + start * OUTPUTS, &part, NULL, &test_err));
    total += part.total;
  }
  assert_near(total, whole.total, 1e-12);
  assert_memory_equal(gradient, parts, sizeof gradient);
}

static void bad_numbers_are_named(void **state) {
  (void)state;
  struct vit_loss loss;
  struct vit_loss_result result;
  float outputs[N * OUTPUTS], targets[N * OUTPUTS];
  size_t bad = 0;
  two_tasks(&loss);
  struct vit_loss_batch batch = whole_batch();
  memcpy(outputs, loss_outputs, sizeof outputs);
  memcpy(targets, loss_targets, sizeof targets);
  batch.outputs = outputs;
  batch.targets = targets;
  outputs[3 * OUTPUTS] = NAN;
  assert_fails(vit_loss_evaluate(&loss, &batch, NULL, NULL, &result, &bad, &test_err),
               LC_ERR_NUMERIC, "output 0 of sample 3");
  assert_int_equal(bad, 3);
  outputs[3 * OUTPUTS] = 0;
  targets[2 * OUTPUTS] = 1.5f;
  assert_fails(vit_loss_evaluate(&loss, &batch, NULL, NULL, &result, &bad, &test_err), LC_ERR_USAGE,
               "expected 0 to 1");
  loss.tasks[1].outputs = 9;
  targets[2 * OUTPUTS] = 1;
  assert_fails(vit_loss_evaluate(&loss, &batch, NULL, NULL, &result, &bad, &test_err), LC_ERR_USAGE,
               "of a row of 9");
}

static void heads_become_tasks(void **state) {
  (void)state;
  struct vit_arch arch = {.n_heads = 2,
                          .heads = {{"malignancy", 0, 1, true, VIT_HEAD_RELU},
                                    {"biomarkers", 32, 8, false, VIT_HEAD_RELU}}};
  struct vit_loss loss;
  assert_ok(vit_loss_init(&loss, &arch, &test_err));
  assert_int_equal(loss.outputs, 9);
  assert_int_equal(loss.tasks[0].kind, VIT_LOSS_BCE);
  assert_int_equal(loss.tasks[1].kind, VIT_LOSS_HUBER);
  assert_int_equal(loss.tasks[1].first, 1);
  assert_int_equal(loss.tasks[1].outputs, 8);
  arch.n_heads = 0;
  assert_fails(vit_loss_init(&loss, &arch, &test_err), LC_ERR_USAGE, "without heads");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_tasks_agree_with_pytorch),
      cmocka_unit_test(single_entries),
      cmocka_unit_test(extreme_logits_stay_finite),
      cmocka_unit_test(absent_labels_do_not_matter),
      cmocka_unit_test(parts_add_up),
      cmocka_unit_test(bad_numbers_are_named),
      cmocka_unit_test(heads_become_tasks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
