/* Reading the reference files for tests of the estimators. */
#pragma once

#include "cdam/engine/cdam_map.h"
#include "tests/lc_test.h"
#include "vit/pass/vit_forward.h"
#include "vit/weights/vit_tensor_file.h"

struct reference {
  struct vit_model model;
  struct vit_tensor_file expected;
};

static inline void reference_open(struct reference *r, const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s.weights.safetensors", LC_TEST_REFERENCE_DIR, name);
  assert_ok(vit_model_load(&r->model, path, NULL, &test_err));
  snprintf(path, sizeof path, "%s/%s.expected.safetensors", LC_TEST_REFERENCE_DIR, name);
  assert_ok(vit_tensor_file_open(&r->expected, path, &test_err));
}

static inline void reference_close(struct reference *r) {
  vit_model_free(&r->model);
  vit_tensor_file_close(&r->expected);
}

/* A tensor's values; free() them. */
static inline float *reference_tensor(const struct reference *r, const char *name, size_t *count) {
  const struct vit_tensor *tensor = vit_tensor_file_find(&r->expected, name);
  if (!tensor) fail_msg("reference tensor %s is missing", name);
  float *values = malloc(tensor->count * sizeof *values);
  assert_ok(vit_tensor_to_float(tensor, values, &test_err));
  if (count) *count = tensor->count;
  return values;
}

/* Asserts that values agree with a tensor to `tolerance` of its largest value. */
static inline void reference_agrees(const struct reference *r, const char *name,
                                    const float *values, size_t count, double tolerance) {
  size_t n;
  float *expected = reference_tensor(r, name, &n);
  assert_int_equal(n, count);
  double largest, difference = lc_test_difference(values, expected, n, &largest);
  if (!(difference <= tolerance * largest))
    fail_msg("%s: differs by %g of %g", name, difference, largest);
  free(expected);
}
