/* Checks and reads values of estimators' parameters. */
#include "cdam/estimators/cdam_parameter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_text.h"

bool cdam_parameter_takes(const struct cdam_parameter *parameter, double value) {
  bool whole = floor(value) == value;
  switch (parameter->kind) {
  case CDAM_CHOICE:
    for (size_t i = 0; parameter->choices[i]; i++)
      if (value == (double)i) return true;
    return false;
  case CDAM_WHOLE:
    return whole && value >= parameter->low && value <= parameter->high;
  default:
    return value >= parameter->low && value <= parameter->high;
  }
}

bool cdam_parameter_read(const struct cdam_parameter *parameter, const char *text, double *value) {
  if (parameter->kind != CDAM_CHOICE)
    return lc_text_to_double(text, value) && cdam_parameter_takes(parameter, *value);
  for (size_t i = 0; parameter->choices[i]; i++)
    if (strcmp(parameter->choices[i], text) == 0) {
      *value = (double)i;
      return true;
    }
  return false;
}

void cdam_parameter_expects(const struct cdam_parameter *parameter, char *out, size_t size) {
  if (parameter->kind != CDAM_CHOICE) {
    snprintf(out, size, "a %s from %.10g to %.10g",
             parameter->kind == CDAM_WHOLE ? "whole number" : "number", parameter->low,
             parameter->high);
    return;
  }
  struct lc_text list = {0};
  for (size_t i = 0; parameter->choices[i]; i++)
    lc_text_add(&list, "%s%s", i ? ", " : "one of ", parameter->choices[i]);
  lc_text_copy(out, size, lc_text_get(&list));
  lc_text_free(&list);
}
