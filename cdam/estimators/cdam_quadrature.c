/* Makes nodes and weights of a rule; those of Gauss by Newton's method on Legendre polynomials
 * (Press et al., Numerical Recipes, 4.6). */
#include "cdam/estimators/cdam_quadrature.h"

#include <math.h>

/* P_n(x), and its derivative. */
static double legendre(size_t n, double x, double *slope) {
  double before = 1, value = x;
  for (size_t k = 2; k <= n; k++) {
    double next = ((double)(2 * k - 1) * x * value - (double)(k - 1) * before) / (double)k;
    before = value;
    value = next;
  }
  *slope = (double)n * (x * value - before) / (x * x - 1);
  return value;
}

void cdam_quadrature(cdam_rule rule, size_t n, double *nodes, double *weights) {
  for (size_t k = 0; k < n; k++) {
    nodes[k] = (double)(k + 1) / (double)n;
    weights[k] = 1 / (double)n;
    if (rule == CDAM_RIEMANN) continue;
    double x = -cos(M_PI * ((double)k + 0.75) / ((double)n + 0.5)), slope = 1;
    for (int turn = 0; turn < 100; turn++) {
      double step = legendre(n, x, &slope) / slope;
      x -= step;
      if (fabs(step) < 1e-15) break;
    }
    nodes[k] = 0.5 * (1 + x);
    weights[k] = 1 / ((1 - x * x) * slope * slope);
  }
}
