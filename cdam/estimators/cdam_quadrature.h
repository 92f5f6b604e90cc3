/* Rules for the mean of a function over [0, 1]: sum over k of weight_k f(node_k). Private to this
 * room.
 *
 * Thread-safety: no state. */
#pragma once

#include "common/lc_status.h"

typedef enum cdam_rule {
  CDAM_GAUSS = 0, /* Gauss-Legendre: exact for polynomials of degree 2 n - 1 */
  CDAM_RIEMANN    /* 1/n, 2/n .. 1, equally weighted */
} cdam_rule;

/* nodes, weights: [n], n at least 1. A Gauss rule costs n^2 steps. */
void cdam_quadrature(cdam_rule rule, size_t n, double *nodes, double *weights);
