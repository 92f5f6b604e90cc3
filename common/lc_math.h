/* Small functions of real numbers that several rooms need. Thread-safety: no state. */
#pragma once

#include <math.h>

/* The probability of a logit. */
static inline double lc_sigmoid(double logit) {
  return 1 / (1 + exp(-logit));
}
