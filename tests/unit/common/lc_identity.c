/* Patients in logs: a pseudonym that is the same for the same patient and key, tells nothing, and
 * is the value itself once that is asked for. */
#include "common/lc_identity.h"

#include "tests/lc_test.h"

static void pseudonyms_follow_key_and_value(void **state) {
  (void)state;
  /* RFC 2104 HMAC-SHA256 of "PATIENT-1" with a key of 32 times 0x0b, by Python's hmac. */
  uint8_t key[LC_IDENTITY_KEY], other[LC_IDENTITY_KEY];
  char a[LC_IDENTITY_SIZE], b[LC_IDENTITY_SIZE];
  memset(key, 0x0b, sizeof key);
  memset(other, 0x0c, sizeof other);
  assert_string_equal(lc_identity(a, ""), "");
  lc_identity_set_key(key);
  assert_string_equal(lc_identity(a, "PATIENT-1"), "id-60c8bc88724d");
  assert_string_not_equal(lc_identity(b, "PATIENT-2"), a);
  lc_identity_set_key(other);
  assert_string_not_equal(lc_identity(b, "PATIENT-1"), a);
}

static void values_are_shown_when_asked_for(void **state) {
  (void)state;
  char a[LC_IDENTITY_SIZE];
  lc_identity_show();
  assert_string_equal(lc_identity(a, "PATIENT-1"), "PATIENT-1");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(pseudonyms_follow_key_and_value),
                                     cmocka_unit_test(values_are_shown_when_asked_for)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
