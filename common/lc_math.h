/* Small functions of real numbers that several rooms need. Thread-safety: no state. */
#ifndef LC_MATH_H
#define LC_MATH_H

#include <math.h>

/* The probability of a logit. */
static inline double lc_sigmoid(double logit) {
  return 1 / (1 + exp(-logit));
}

#endif
