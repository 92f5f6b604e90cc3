/* Reference files by name, for tests of the transformer. */
#pragma once

#include "tests/lc_test.h"
#include "vit/kernels/vit_backend.h"
#include "vit/pass/vit_forward.h"

/* Path of tests/reference/NAME.PART.safetensors */
static inline const char *vit_test_path(const char *name, const char *part) {
  static char path[2][512];
  static int turn;
  turn = !turn;
  snprintf(path[turn], sizeof path[turn], "%s/%s%s%s.safetensors", LC_TEST_REFERENCE_DIR, name,
           part[0] ? "." : "", part);
  return path[turn];
}

/* A float32 tensor that must be in the file. */
static inline const struct vit_tensor *vit_test_tensor(const struct vit_tensor_file *file,
                                                       const char *name) {
  const struct vit_tensor *tensor = vit_tensor_file_find(file, name);
  if (!tensor || tensor->dtype != VIT_F32) fail_msg("%s: no float32 tensor %s", file->path, name);
  return tensor;
}

/* Asserts that n values agree with a reference tensor to `share` of its largest value. */
static inline void vit_test_close(const vit_real *values, size_t n,
                                  const struct vit_tensor_file *file, const char *name,
                                  double share) {
  const struct vit_tensor *tensor = vit_test_tensor(file, name);
  const float *expected = tensor->data;
  double worst = 0, top = 0;
  assert_int_equal(tensor->count, n);
  for (size_t i = 0; i < n; i++) {
    double difference = fabs((double)values[i] - (double)expected[i]);
    if (!(difference <= worst)) worst = difference;
    if (fabs((double)expected[i]) > top) top = fabs((double)expected[i]);
  }
  if (!(worst <= share * top))
    fail_msg("%s: largest difference %.3g of %.3g, expected at most %.1g of it", name, worst, top,
             share);
}
