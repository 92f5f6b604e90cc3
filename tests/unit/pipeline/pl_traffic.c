/* Peers of a server are counted by address, over all their associations, and hold nobody else up.
 * needs: net */
#include "pipeline/guard/pl_traffic.h"

#include <sys/wait.h>

#include "tests/lc_test.h"

static bool nobody(void *context, uint32_t address) {
  (void)context, (void)address;
  return false;
}

static void one_address_is_bounded_over_its_associations(void **state) {
  (void)state;
  struct pl_traffic traffic = {.most_objects = 3, .most_bytes = 1000};
  assert_ok(pl_traffic_open(&traffic, 3, &test_err));
  pl_traffic_begin(&traffic, 0, 7, nobody, NULL);
  pl_traffic_begin(&traffic, 1, 7, nobody, NULL);
  pl_traffic_begin(&traffic, 2, 8, nobody, NULL);
  assert_true(pl_traffic_object(&traffic, 0) && pl_traffic_object(&traffic, 1));
  /* Also in another process. */
  pid_t child = fork();
  if (child == 0) _exit(pl_traffic_object(&traffic, 0) && pl_traffic_bytes(&traffic, 0, 900));
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(WEXITSTATUS(status), 1);
  /* The minute may have turned in between: then all begins anew, once. */
  bool turned = pl_traffic_object(&traffic, 1);
  if (!turned) assert_false(pl_traffic_bytes(&traffic, 1, 200));
  assert_true(pl_traffic_object(&traffic, 2) && pl_traffic_bytes(&traffic, 2, 1000));
  /* Coming back does not help. */
  pl_traffic_begin(&traffic, 0, 7, nobody, NULL);
  if (!turned) assert_false(pl_traffic_object(&traffic, 0));
  assert_int_equal(atomic_load(&traffic.slots[0].bytes), 0);
  pl_traffic_busy(&traffic, 0, true);
  pl_traffic_busy(&traffic, 0, false);
  assert_true(atomic_load(&traffic.slots[0].bytes) > 1024);
  pl_traffic_close(&traffic);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_address_is_bounded_over_its_associations)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
