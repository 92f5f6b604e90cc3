/* Settings of estimators for tests, written as on the command line. */
#pragma once

#include "cdam/estimators/cdam_estimator.h"
#include "tests/lc_test.h"

static inline const struct cdam_estimator *find_estimator(const char *name) {
  const struct cdam_estimator *estimator;
  assert_ok(cdam_estimator_find(name, &estimator, &test_err));
  return estimator;
}

/* "samples=10,keep=0.4" on top of what the settings are; what the estimator lacks fails. */
static inline void settings_change(struct cdam_settings *settings, const char *name,
                                   const char *pairs) {
  const struct cdam_estimator *estimator = find_estimator(name);
  while (*pairs) {
    char parameter[32], text[32];
    double value;
    int used = 0;
    assert_int_equal(sscanf(pairs, "%31[a-z]=%31[^,]%n", parameter, text, &used), 2);
    size_t at = cdam_parameter_find(estimator, parameter);
    assert_true(at < estimator->n_parameters);
    assert_true(cdam_parameter_read(&estimator->parameters[at], text, &value));
    assert_ok(cdam_settings_set(estimator, settings, parameter, value, &test_err));
    pairs += used + (pairs[used] == ',');
  }
}

/* An estimator's defaults but for what pairs say. */
static inline struct cdam_settings settings_with(const char *name, const char *pairs) {
  struct cdam_settings settings;
  cdam_settings_init(find_estimator(name), &settings);
  settings_change(&settings, name, pairs);
  return settings;
}

/* Defaults that a test can afford: no more samples than `most`, and boxes of two patches. */
static inline struct cdam_settings settings_small(const char *name, double most) {
  struct cdam_settings settings = settings_with(name, "");
  const struct cdam_estimator *estimator = find_estimator(name);
  size_t samples = cdam_parameter_find(estimator, "samples");
  size_t box = cdam_parameter_find(estimator, "box");
  if (samples < estimator->n_parameters && settings.values[samples] > most)
    settings.values[samples] = most;
  if (box < estimator->n_parameters) settings.values[box] = 2;
  return settings;
}
