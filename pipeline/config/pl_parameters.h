/* Parameters of estimators as keys of a configuration, "estimators.rise.keep": made from the
 * estimators' own tables, so that an estimator's parameters can be set wherever a schema has a key
 * of type PL_PARAMETERS.
 *
 * Thread-safety: no state but the names of keys, which are made once. */
#pragma once

#include "cdam/estimators/cdam_estimator.h"
#include "pipeline/config/pl_schema.h"

/* What was given, [estimator of the table, parameter]; NaN: the estimator's own. */
struct pl_parameters {
  double values[CDAM_ESTIMATORS_MOST * CDAM_PARAMETERS_MOST];
};

/* The keys alone: object is a struct pl_parameters. */
extern const struct pl_schema pl_parameters_schema;

/* Sets what was given for this estimator. */
void pl_parameters_apply(const struct pl_parameters *given, const struct cdam_estimator *estimator,
                         struct cdam_settings *settings);
/* Takes from `beneath` what was not given. */
void pl_parameters_fill(struct pl_parameters *given, const struct pl_parameters *beneath);
/* True when one was given. */
bool pl_parameters_any(const struct pl_parameters *given);

/* For pl_schema.c: key number i of all, with its offset in a struct pl_parameters; and what a key
 * of type PL_PARAMETER sets. */
size_t pl_parameter_count(void);
const struct pl_key *pl_parameter_key(size_t i);
const struct cdam_parameter *pl_parameter_of(const struct pl_key *key);
