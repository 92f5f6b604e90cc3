/* Objects that are there twice, and numbers that run against positions: what is kept, and what is
 * refused because nothing tells which is right. */
#include "tests/ct_dicom_field.h"

#include <sys/stat.h>

/* One object in two files: the same bytes, the same voxels otherwise stored, or others. */
static bool darker(struct dcm_set *set, int k, void *context) {
  (void)context;
  for (size_t i = 0; k == 4 && i < set->n; i++)
    if (set->elements[i].tag == 0x7fe00010) set->elements[i].bytes[200] ^= 1;
  return true;
}

static void copies_of_one_object(void **state) {
  (void)state;
  static const struct {
    enum dcm_coding coding;
    bool (*edit)(struct dcm_set *set, int k, void *context);
    ct_verdict verdict;
    const char *words;
  } cases[] = {
      {DCM_EXPLICIT, NULL, CT_REPAIRED, "SOPInstanceUID repeated in 20 more files"},
      {DCM_IMPLICIT, NULL, CT_REPAIRED, "SOPInstanceUID repeated in 20 more files"},
      {DCM_BIG, NULL, CT_REPAIRED, "SOPInstanceUID repeated in 20 more files"},
      {DCM_EXPLICIT, darker, CT_REFUSED,
       "a016.dcm and b016.dcm have one SOPInstanceUID and place, and other pixels"},
      {DCM_IMPLICIT, darker, CT_REFUSED,
       "a016.dcm and b016.dcm have one SOPInstanceUID and place, and other pixels"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct field_series first = field_series_default(), second = first;
    struct ct_index index;
    second.prefix = "b";
    second.coding = cases[i].coding;
    second.edit = cases[i].edit;
    field_write(&first, field_folder);
    field_write(&second, field_folder);
    field_scan(&index, field_folder, NULL);
    assert_int_equal(index.n_series, 1);
    field_verdict(&index.series[0], cases[i].verdict, cases[i].words);
    if (cases[i].verdict != CT_REFUSED) field_check(&index.series[0], 0);
    ct_index_free(&index);
  }
}

/* Neighbours that have each other's position, or number; blocks that are numbered anew. */
static bool number_as(struct dcm_set *set, int k, void *context) {
  const int *numbers = context;
  dcm_print(set, 0x00200013, "IS", "%d", numbers[k]);
  return true;
}

static void numbers_against_positions(void **state) {
  int numbers[20];
  static const struct {
    int swapped, block, step, n;
  } cases[] = {{5, 20, 1, 1},  {0, 20, -1, 1}, {18, 20, 2, 1},
               {-1, 20, 1, 0}, {-1, 10, 1, 0}, {-1, 5, 1, 0}};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct field_series s = field_series_default();
    struct ct_index index;
    for (int k = 0; k < 20; k++) numbers[k] = 100 + cases[i].step * (k % cases[i].block);
    if (cases[i].swapped >= 0) {
      int at = cases[i].swapped, first = numbers[at];
      numbers[at] = numbers[at + 1];
      numbers[at + 1] = first;
    }
    s.edit = number_as;
    s.context = numbers;
    field_write(&s, field_folder);
    field_scan(&index, field_folder, NULL);
    assert_int_equal(index.n_series, 1);
    if (cases[i].n)
      field_verdict(&index.series[0], CT_REPAIRED,
                    "InstanceNumber runs against the position at 1 place, first at");
    else
      field_verdict(&index.series[0], CT_USABLE, "");
    field_check(&index.series[0], 0);
    ct_index_free(&index);
  }
}

/* A pipe in a folder of slices is none, and may stand for one. */
static void pipes_are_no_slices(void **state) {
  struct field_series s = field_series_default();
  struct ct_index index;
  char path[LC_PATH_SIZE];
  (void)state;
  field_write(&s, field_folder);
  field_path(&s, field_folder, 7, path);
  assert_int_equal(unlink(path) + mkfifo(path, 0600), 0);
  field_scan(&index, field_folder, NULL);
  assert_int_equal(index.n_unreadable, 1);
  assert_non_null(strstr(index.problems[0].message, "a008.dcm: a pipe, socket or device"));
  field_verdict(&index.series[0], CT_REFUSED, "1 file cannot be read, first a008.dcm");
  ct_index_free(&index);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      field_test(copies_of_one_object),
      field_test(numbers_against_positions),
      field_test(pipes_are_no_slices),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
