/* The key that --resume compares: the same for the same, another for anything that decides about a
 * result. */
#include "pipeline/store/pl_result.h"

#include "tests/lc_test.h"

static struct pl_provenance whole(void) {
  return (struct pl_provenance){.configuration = "cube: {edge: 32}",
                                .configuration_sha256 = "c0",
                                .weights_sha256 = "3e",
                                .architecture = "vit_small_patch8: 224x224",
                                .trained = true,
                                .kernels = "avx2"};
}

static void key_of(const struct pl_provenance *provenance, const char *input, const char *identity,
                   const char *nodules, char hex[LC_SHA256_HEX]) {
  assert_ok(pl_result_key(provenance, input, identity, nodules, hex, &test_err));
  assert_int_equal(strlen(hex), 64);
}

static void whatever_decides_changes_the_key(void **state) {
  (void)state;
  char keys[8][LC_SHA256_HEX], again[LC_SHA256_HEX];
  struct pl_provenance changed[5];
  for (int i = 0; i < 5; i++) changed[i] = whole();
  strcpy(changed[1].configuration_sha256, "c1");
  strcpy(changed[2].weights_sha256, "3f");
  changed[3].architecture = "vit_small_patch16: 224x224";
  changed[4].kernels = "avx512";
  for (int i = 0; i < 5; i++) key_of(&changed[i], "a1", "p1", "b1", keys[i]);
  key_of(&changed[0], "a2", "p1", "b1", keys[5]);
  key_of(&changed[0], "a1", "p1", "b2", keys[6]);
  key_of(&changed[0], "a1", "p2", "b1", keys[7]);
  for (int i = 0; i < 8; i++)
    for (int k = 0; k < i; k++) assert_string_not_equal(keys[i], keys[k]);
  const struct pl_provenance same = whole();
  key_of(&same, "a1", "p1", "b1", again);
  assert_string_equal(again, keys[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_decides_changes_the_key)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
