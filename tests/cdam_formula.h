/* An evaluator whose answers can be worked out by hand:
 * f = bias + sum over kept i of weight[i] + pair * (number of kept neighbours i, i + 1). */
#pragma once

#include "cdam/measures/cdam_evaluator.h"

struct cdam_formula {
  size_t patches;
  const float *weights;
  double bias, pair;
  size_t asked; /* variants so far */
};

static inline lc_status cdam_formula_evaluate(void *context, const uint8_t *kept, size_t n,
                                              double *values, struct lc_error *err) {
  struct cdam_formula *formula = context;
  (void)err;
  for (size_t v = 0; v < n; v++, kept += formula->patches) {
    values[v] = formula->bias;
    for (size_t i = 0; i < formula->patches; i++) {
      if (kept[i]) values[v] += (double)formula->weights[i];
      if (i > 0 && kept[i] && kept[i - 1]) values[v] += formula->pair;
    }
  }
  formula->asked += n;
  return LC_OK;
}

static inline struct cdam_evaluator cdam_formula_evaluator(struct cdam_formula *formula) {
  return (struct cdam_evaluator){formula->patches, 1, formula, cdam_formula_evaluate};
}
