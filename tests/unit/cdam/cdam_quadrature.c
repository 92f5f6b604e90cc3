/* Tests nodes and weights against a table, and many of them against an integral that is known. */
#include "tests/lc_test.h"

#include <math.h>

#include "cdam/estimators/cdam_quadrature.h"

/* Nodes and weights of Abramowitz and Stegun, table 25.4, on [0, 1]; and many nodes. */
static void test_quadrature(void **state) {
  (void)state;
  static const double x[] = {0, 0.538469310105683, 0.906179845938664};
  static const double w[] = {0.568888888888889, 0.478628670499366, 0.236926885056189};
  double nodes[1000], weights[1000], mean = 0;
  cdam_quadrature(CDAM_GAUSS, 5, nodes, weights);
  for (int i = 0; i < 3; i++) {
    assert_near(nodes[2 + i], 0.5 + 0.5 * x[i], 1e-14);
    assert_near(nodes[2 - i], 0.5 - 0.5 * x[i], 1e-14);
    assert_near(weights[2 + i], 0.5 * w[i], 1e-14);
    assert_near(weights[2 - i], 0.5 * w[i], 1e-14);
  }
  cdam_quadrature(CDAM_GAUSS, 1000, nodes, weights);
  for (int i = 0; i < 1000; i++) mean += weights[i] * exp(nodes[i]);
  assert_near(mean, M_E - 1, 1e-13);
  cdam_quadrature(CDAM_RIEMANN, 4, nodes, weights);
  assert_true(nodes[0] == 0.25 && nodes[3] == 1 && weights[1] == 0.25);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_quadrature)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
