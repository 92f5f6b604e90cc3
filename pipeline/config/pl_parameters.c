/* Makes keys of a configuration from the tables of estimators' parameters. */
#include "pipeline/config/pl_parameters.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct parameter_key {
  struct pl_key key;
  const struct cdam_parameter *parameter;
  char name[96], doc[240];
} made[CDAM_ESTIMATORS_MOST * CDAM_PARAMETERS_MOST];
static size_t n_made;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_one(const struct cdam_estimator *estimator, size_t number, size_t i) {
  const struct cdam_parameter *parameter = &estimator->parameters[i];
  struct parameter_key *k = &made[n_made++];
  char expected[160], initial[32];
  cdam_parameter_expects(parameter, expected, sizeof expected);
  snprintf(initial, sizeof initial, "%.10g", parameter->initial);
  snprintf(k->name, sizeof k->name, "estimators.%s.%s", estimator->name, parameter->name);
  snprintf(k->doc, sizeof k->doc, "%c%s; %s. Empty: %s.", parameter->doc[0] - 'a' + 'A',
           parameter->doc + 1, expected,
           parameter->choices ? parameter->choices[(size_t)parameter->initial] : initial);
  k->parameter = parameter;
  k->key = (struct pl_key){.name = k->name,
                           .type = PL_PARAMETER,
                           .offset = (number * CDAM_PARAMETERS_MOST + i) * sizeof(double),
                           .initial = "",
                           .doc = k->doc};
}

static void make(void) {
  size_t n;
  const struct cdam_estimator *const *all = cdam_estimators(&n);
  for (size_t e = 0; e < n; e++)
    for (size_t i = 0; i < all[e]->n_parameters; i++) make_one(all[e], e, i);
}

size_t pl_parameter_count(void) {
  pthread_once(&once, make);
  return n_made;
}

const struct pl_key *pl_parameter_key(size_t i) {
  pthread_once(&once, make);
  return &made[i].key;
}

const struct cdam_parameter *pl_parameter_of(const struct pl_key *key) {
  return ((const struct parameter_key *)(const void *)key)->parameter;
}

void pl_parameters_apply(const struct pl_parameters *given, const struct cdam_estimator *estimator,
                         struct cdam_settings *settings) {
  size_t e = 0, n;
  const struct cdam_estimator *const *all = cdam_estimators(&n);
  while (all[e] != estimator) e++;
  const double *own = given->values + e * CDAM_PARAMETERS_MOST;
  for (size_t i = 0; i < estimator->n_parameters; i++)
    if (!isnan(own[i])) settings->values[i] = own[i];
}

void pl_parameters_fill(struct pl_parameters *given, const struct pl_parameters *beneath) {
  for (size_t i = 0; i < sizeof given->values / sizeof *given->values; i++)
    if (isnan(given->values[i])) given->values[i] = beneath->values[i];
}

bool pl_parameters_any(const struct pl_parameters *given) {
  for (size_t i = 0; i < pl_parameter_count(); i++)
    if (!isnan(given->values[made[i].key.offset / sizeof(double)])) return true;
  return false;
}

static const struct pl_key keys[] = {
    {"estimators", PL_PARAMETERS, 0, "", 0, 0, NULL, PL_KEEP_GIVEN, "Parameters of estimators."}};

const struct pl_schema pl_parameters_schema = {
    .what = "parameters of estimators", .keys = keys, .n_keys = 1};
