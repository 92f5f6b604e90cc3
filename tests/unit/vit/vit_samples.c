/* The order of samples and the loading of batches. */
#include "tests/lc_test.h"

#include "common/lc_parallel.h"
#include "vit/train/vit_samples.h"

enum { N = 23, OUTPUTS = 2, IMAGE = 3 * 2 * 2 };

/* Every value of a sample shows which sample and epoch it is; sample 7 is broken when asked. */
struct numbered {
  bool broken;
};

static lc_status load(void *context, uint64_t epoch, size_t index, const struct vit_sample *sample,
                      struct lc_error *err) {
  const struct numbered *numbered = context;
  if (numbered->broken && (index == 7 || index == 9))
    LC_FAIL(err, LC_ERR_FORMAT, "its crop is damaged");
  for (size_t i = 0; i < IMAGE; i++) sample->image[i] = (float)(100 * epoch + index);
  assert_int_equal(sample->present[0], 0);
  assert_true(*sample->weight == 1);
  sample->targets[index % OUTPUTS] = (float)index;
  sample->present[index % OUTPUTS] = 1;
  return LC_OK;
}

static void identify(void *context, size_t index, char name[VIT_SAMPLE_NAME]) {
  (void)context;
  snprintf(name, VIT_SAMPLE_NAME, "patient %zu", index);
}

static void orders_are_permutations_of_the_epoch(void **state) {
  (void)state;
  uint32_t orders[3][N], again[N];
  for (uint64_t epoch = 0; epoch < 3; epoch++) {
    size_t seen[N] = {0};
    vit_samples_order(11, epoch, orders[epoch], N);
    for (size_t i = 0; i < N; i++) seen[orders[epoch][i]]++;
    for (size_t i = 0; i < N; i++) assert_int_equal(seen[i], 1);
  }
  assert_memory_not_equal(orders[0], orders[1], sizeof orders[0]);
  assert_memory_not_equal(orders[1], orders[2], sizeof orders[0]);
  vit_samples_order(11, 1, again, N);
  assert_memory_equal(again, orders[1], sizeof again);
  vit_samples_order(12, 1, again, N);
  assert_memory_not_equal(again, orders[1], sizeof again);
}

static void batches_hold_the_samples_in_order(void **state) {
  (void)state;
  struct numbered numbered = {0};
  const struct vit_samples samples = {N, 2, 2, OUTPUTS, &numbered, load, identify};
  const uint32_t indices[] = {5, 22, 0, 7};
  struct vit_batch batch;
  assert_ok(vit_batch_init(&batch, &samples, 4, &test_err));
  for (int threads = 1; threads <= 4; threads += 3) {
    lc_threads_set(threads);
    memset(batch.present, 1, 4 * OUTPUTS);
    assert_ok(vit_batch_load(&batch, &samples, 3, indices, 4, &test_err));
    for (size_t i = 0; i < 4; i++) {
      for (size_t k = 0; k < IMAGE; k++)
        assert_true(batch.images[i * IMAGE + k] == (float)(300 + indices[i]));
      size_t label = indices[i] % OUTPUTS;
      assert_true(batch.targets[i * OUTPUTS + label] == (float)indices[i]);
      assert_int_equal(batch.present[i * OUTPUTS + label], 1);
      assert_int_equal(batch.present[i * OUTPUTS + 1 - label], 0);
    }
  }
  lc_threads_set(0);
  vit_batch_free(&batch);
}

static void a_failed_sample_is_named(void **state) {
  (void)state;
  struct numbered numbered = {true};
  const struct vit_samples samples = {N, 2, 2, OUTPUTS, &numbered, load, identify};
  const uint32_t indices[] = {5, 9, 0, 7}, outside[] = {N};
  struct vit_batch batch;
  assert_ok(vit_batch_init(&batch, &samples, 4, &test_err));
  assert_fails(vit_batch_load(&batch, &samples, 0, indices, 4, &test_err), LC_ERR_FORMAT,
               "patient 9: its crop is damaged");
  assert_fails(vit_batch_load(&batch, &samples, 0, outside, 1, &test_err), LC_ERR_USAGE, "23");
  assert_fails(vit_batch_load(&batch, &samples, 0, indices, 5, &test_err), LC_ERR_USAGE,
               "batch of 4");
  vit_batch_free(&batch);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(orders_are_permutations_of_the_epoch),
      cmocka_unit_test(batches_hold_the_samples_in_order),
      cmocka_unit_test(a_failed_sample_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
