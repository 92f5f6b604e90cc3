/* What every test program needs: cmocka, where the data is, and how to skip without it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/lc_status.h"

#define LC_TEST_DATA_DIR LC_TEST_SHARED_DIR "/data"

/* Leaves the whole program as "skipped" when the real data is not there. */
static inline void lc_test_need_data(void) {
  if (access(LC_TEST_DATA_DIR "/README.md", R_OK) != 0) {
    printf("skipped: no real data at ../shared/data\n");
    exit(77);
  }
}

/* Asserts LC_OK and prints the message otherwise. */
#define assert_ok(call)                                                                            \
  do {                                                                                             \
    lc_status test_status_ = (call);                                                               \
    if (test_status_ != LC_OK)                                                                     \
      fail_msg("%s: %s: %s", #call, lc_status_name(test_status_), test_err.message);               \
  } while (0)

/* Asserts a given failure whose message contains a text. */
#define assert_fails(call, expected, text)                                                         \
  do {                                                                                             \
    test_err.message[0] = '\0';                                                                    \
    lc_status test_status_ = (call);                                                               \
    if (test_status_ != (expected) || !strstr(test_err.message, (text)))                           \
      fail_msg("%s: got %s \"%s\", expected %s with \"%s\"", #call, lc_status_name(test_status_),  \
               test_err.message, lc_status_name(expected), (text));                                \
  } while (0)

/* Asserts |value - expected| <= tolerance, in double; NaN fails. */
#define assert_near(value, expected, tolerance)                                                    \
  do {                                                                                             \
    double test_value_ = (value), test_expected_ = (expected);                                     \
    double test_off_ = test_value_ - test_expected_;                                               \
    if (!(test_off_ <= (tolerance) && -test_off_ <= (tolerance)))                                  \
      fail_msg("%s is %.17g, expected %.17g within %g", #value, test_value_, test_expected_,       \
               (double)(tolerance));                                                               \
  } while (0)

/* The error object that the two macros above print; pass &test_err to the call. */
static struct lc_error test_err __attribute__((unused));

/* A fresh folder below the build's temporary place; remove with lc_folder_remove. */
static inline const char *lc_test_folder(char out[256]) {
  snprintf(out, 256, "%s/lungcdam-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  if (!mkdtemp(out)) abort();
  return out;
}

/* Largest |a - b| over n values, and the largest |b|. */
static inline double lc_test_difference(const float *a, const float *b, size_t n, double *largest) {
  double difference = 0, top = 0;
  for (size_t i = 0; i < n; i++) {
    double d = (double)a[i] - (double)b[i], v = (double)b[i];
    d = d < 0 ? -d : d;
    v = v < 0 ? -v : v;
    if (!(d <= difference)) difference = d; /* NaN is kept */
    if (v > top) top = v;
  }
  if (largest) *largest = top;
  return difference;
}
