/* Folds: groups stay whole, strata stay even, and the order of the input does not matter. */
#include "tests/lc_test.h"

#include "ct_io/nodule/ct_fold.h"

enum { N = 600, FOLDS = 5 };

static char names[N][24];
static const char *groups[N];
static int strata[N], fold[N];

/* 200 patients with 1 to 6 nodules; about a third of the nodules of stratum 1. */
static size_t fill(void) {
  size_t n = 0;
  for (int patient = 0; patient < 200; patient++)
    for (int k = 0; k < 1 + patient * 7 % 5 && n < N; k++, n++) {
      snprintf(names[n], sizeof names[n], "patient-%03d", patient * 37 % 200);
      groups[n] = names[n];
      strata[n] = (patient * 13 + k) % 3 == 0;
    }
  return n;
}

static void test_patients_stay_whole_and_classes_even(void **state) {
  (void)state;
  size_t n = fill(), count[FOLDS][2] = {{0}}, total[2] = {0};
  assert_ok(ct_folds_by_group(groups, strata, n, FOLDS, 1, fold, &test_err));
  for (size_t i = 0; i < n; i++) {
    assert_in_range(fold[i], 0, FOLDS - 1);
    count[fold[i]][strata[i]]++;
    total[strata[i]]++;
    for (size_t j = 0; j < i; j++)
      if (strcmp(groups[i], groups[j]) == 0) assert_int_equal(fold[i], fold[j]);
  }
  for (int f = 0; f < FOLDS; f++)
    for (int s = 0; s < 2; s++) {
      double share = (double)total[s] / (double)FOLDS;
      assert_true((double)count[f][s] > share - 3 && (double)count[f][s] < share + 3);
    }
}

static void test_order_does_not_matter_but_the_seed_does(void **state) {
  (void)state;
  size_t n = fill(), differ = 0;
  int first[N], other[N];
  assert_ok(ct_folds_by_group(groups, strata, n, FOLDS, 7, first, &test_err));
  assert_ok(ct_folds_by_group(groups, strata, n, FOLDS, 8, other, &test_err));
  for (size_t i = 0; i < n; i++) differ += first[i] != other[i];
  assert_true(differ > n / 2);
  const char *reversed[N];
  int reversed_strata[N];
  for (size_t i = 0; i < n; i++) {
    reversed[i] = groups[n - 1 - i];
    reversed_strata[i] = strata[n - 1 - i];
  }
  assert_ok(ct_folds_by_group(reversed, reversed_strata, n, FOLDS, 7, fold, &test_err));
  for (size_t i = 0; i < n; i++) assert_int_equal(fold[i], first[n - 1 - i]);
}

static void test_items_are_stratified(void **state) {
  (void)state;
  size_t n = fill(), count[FOLDS][2] = {{0}}, total[2] = {0}, split = 0;
  assert_ok(ct_folds_by_item(groups, strata, n, FOLDS, 1, fold, &test_err));
  for (size_t i = 0; i < n; i++) {
    count[fold[i]][strata[i]]++;
    total[strata[i]]++;
    for (size_t j = 0; j < i; j++) split += strcmp(groups[i], groups[j]) == 0 && fold[i] != fold[j];
  }
  assert_true(split > 0); /* patients do leak, as said */
  for (int f = 0; f < FOLDS; f++)
    for (int s = 0; s < 2; s++)
      assert_in_range(count[f][s], total[s] / FOLDS, total[s] / FOLDS + 1);
}

static void test_what_cannot_be_folded(void **state) {
  (void)state;
  const char *two[] = {"a", "b"};
  int stratum[] = {0, CT_MAX_STRATA};
  assert_fails(ct_folds_by_group(two, stratum, 2, 2, 1, fold, &test_err), LC_ERR_USAGE,
               "item 1 is of stratum 16");
  stratum[1] = 0;
  assert_fails(ct_folds_by_group(two, stratum, 2, 3, 1, fold, &test_err), LC_ERR_USAGE,
               "2 groups cannot fill 3 folds");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_patients_stay_whole_and_classes_even),
      cmocka_unit_test(test_order_does_not_matter_but_the_seed_does),
      cmocka_unit_test(test_items_are_stratified),
      cmocka_unit_test(test_what_cannot_be_folded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
