/* Deterministic UIDs: form, uniqueness, agreement with an independent computation. */
#include "tests/lc_test.h"

#include "ct_io/ct/ct_uid.h"

/* Computed with Python's hashlib and uuid: SHA-256 of "a\0b\0", first 16 bytes, version 8. */
static void test_known_number(void **state) {
  (void)state;
  char uid[CT_UID_SIZE];
  assert_ok(ct_uid_make(uid, NULL, (const char *[]){"a", "b"}, 2, &test_err));
  assert_string_equal(uid, "2.25.191004135700780825255726766676780875037");
}

static void test_parts_are_kept_apart(void **state) {
  (void)state;
  char ab_c[CT_UID_SIZE], a_bc[CT_UID_SIZE], again[CT_UID_SIZE];
  assert_ok(ct_uid_make(ab_c, NULL, (const char *[]){"ab", "c"}, 2, &test_err));
  assert_ok(ct_uid_make(a_bc, NULL, (const char *[]){"a", "bc"}, 2, &test_err));
  assert_ok(ct_uid_make(again, NULL, (const char *[]){"ab", "c"}, 2, &test_err));
  assert_string_not_equal(ab_c, a_bc);
  assert_string_equal(ab_c, again);
}

static void test_every_root_gives_a_valid_uid(void **state) {
  (void)state;
  char root[CT_UID_SIZE] = "1.2", uid[CT_UID_SIZE], name[16];
  for (size_t length = 3; length <= 43; length++) {
    for (int i = 0; i < 200; i++) {
      snprintf(name, sizeof name, "%d", i);
      assert_ok(ct_uid_make(uid, root, (const char *[]){name}, 1, &test_err));
      assert_true(ct_uid_valid(uid));
      assert_memory_equal(uid, root, length);
      assert_true(strlen(uid) <= 64);
    }
    root[length] = '7';
    root[length + 1] = '\0';
  }
  assert_fails(ct_uid_make(uid, root, (const char *[]){"x"}, 1, &test_err), LC_ERR_USAGE,
               "leave too few");
  assert_fails(ct_uid_make(uid, "1..2", (const char *[]){"x"}, 1, &test_err), LC_ERR_USAGE,
               "UID root \"1..2\"");
  assert_fails(ct_uid_make(uid, NULL, NULL, 0, &test_err), LC_ERR_USAGE, "at least one");
}

static void test_validity(void **state) {
  (void)state;
  const char *good[] = {"1.2.840.10008.1.2", "2.25.0", "0.0",
                        "1234567890123456789012345678901234567890123456789012345678901234"};
  const char *bad[] = {"",
                       ".1",
                       "1.",
                       "1..2",
                       "1.02",
                       "1.2a",
                       "1 2",
                       "-1.2",
                       "1.2 ",
                       "00.1",
                       "12345678901234567890123456789012345678901234567890123456789012345"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(ct_uid_valid(good[i]));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (ct_uid_valid(bad[i])) fail_msg("\"%s\" was accepted", bad[i]);
  assert_false(ct_uid_valid(NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_number),
      cmocka_unit_test(test_parts_are_kept_apart),
      cmocka_unit_test(test_every_root_gives_a_valid_uid),
      cmocka_unit_test(test_validity),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
