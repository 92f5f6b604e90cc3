/* Rescaling that is missing, empty or no number; files that cannot be read, and what becomes of the
 * series that lack them. */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "ct_io/dicom_file/ct_source.h"
#include "tests/ct_dicom_field.h"

/* What is done to the rescaling of which slices; -1: all. */
struct change {
  int slice;
  const char *slope, *intercept; /* NULL: left alone; "-": removed */
};

static bool change_rescale(struct dcm_set *set, int k, void *context) {
  const struct change *change = context;
  const char *const values[] = {change->intercept, change->slope};
  for (uint32_t i = 0; i < 2; i++) {
    if (!values[i] || (change->slice >= 0 && change->slice != k)) continue;
    if (strcmp(values[i], "-") == 0)
      dcm_remove(set, 0x00281052 + i);
    else
      dcm_text(set, 0x00281052 + i, "DS", values[i]);
  }
  return true;
}

static struct field_series changed(struct change *change) {
  struct field_series s = field_series_default();
  s.edit = change_rescale;
  s.context = change;
  return s;
}

static void a_slope_that_is_not_given_is_one(void **state) {
  (void)state;
  static const char *const absent[] = {"-", "", "  "};
  for (int i = 0; i < 6; i++) {
    struct change change = {-1, absent[i / 2], NULL};
    struct field_series s = changed(&change);
    struct ct_index index;
    s.is_signed = i % 2;
    field_write(&s, field_folder);
    field_scan(&index, field_folder, NULL);
    assert_int_equal(index.n_series, 1);
    field_verdict(&index.series[0], CT_USABLE, "");
    field_check(&index.series[0], 0);
    ct_index_free(&index);
  }
}

static void one_slice_without_slope_is_as_the_others(void **state) {
  (void)state;
  struct change change = {7, "-", NULL};
  struct field_series s = changed(&change);
  struct ct_index index;
  field_write(&s, field_folder);
  field_scan(&index, field_folder, NULL);
  assert_int_equal(index.series[0].n_slices, 20);
  field_verdict(&index.series[0], CT_USABLE, "");
  field_check(&index.series[0], 0);
  ct_index_free(&index);
}

static void numbers_as_scanners_write_them(void **state) {
  (void)state;
  static const char *const slopes[] = {"1.000000e+00", "+1", " 1.0 ", "1."};
  static const char *const intercepts[] = {"-1.024E3", "-1024.", " -1024", "-1024.000"};
  for (int i = 0; i < 4; i++) {
    struct change change = {-1, slopes[i], intercepts[i]};
    struct field_series s = changed(&change);
    struct ct_index index;
    field_write(&s, field_folder);
    field_scan(&index, field_folder, NULL);
    field_verdict(&index.series[0], CT_USABLE, "");
    field_check(&index.series[0], 0);
    ct_index_free(&index);
  }
}

static void what_is_no_number_refuses_the_slice(void **state) {
  (void)state;
  static const struct change changes[] = {{5, NULL, "-1024,0"}, {5, "1,0", NULL},
                                          {5, "1\\2", NULL},    {5, "nan", NULL},
                                          {5, NULL, "inf"},     {5, NULL, "-1024 HU"}};
  const struct ct_index_rules allow = {.allow_missing = true};
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    struct change change = changes[i];
    struct field_series s = changed(&change);
    struct ct_index index;
    char path[LC_PATH_SIZE];
    field_write(&s, field_folder);
    field_file(&s, field_folder, 5, path);
    field_scan(&index, field_folder, NULL);
    assert_int_equal(index.n_problems, 1);
    assert_string_equal(index.problems[0].path, path);
    assert_non_null(strstr(index.problems[0].message, "is not a number"));
    assert_non_null(
        strstr(index.problems[0].message, change.slope ? "RescaleSlope" : "RescaleIntercept"));
    assert_int_equal(index.series[0].n_slices, 19);
    field_verdict(&index.series[0], CT_REFUSED, strrchr(path, '/') + 1);
    ct_index_free(&index);
    field_scan(&index, field_folder, &allow);
    field_verdict(&index.series[0], CT_REPAIRED, "slices may be missing, as allowed");
    field_check_slab(&index.series[0], 0, 5, 0, 1);
    field_check_slab(&index.series[0], 5, 14, 0, 1);
    ct_index_free(&index);
  }
}

static void when_no_slice_has_a_number_the_first_is_the_error(void **state) {
  (void)state;
  struct change change = {-1, NULL, "-1024,0"};
  struct field_series s = changed(&change);
  struct ct_index index;
  const char *path = field_folder;
  field_write(&s, field_folder);
  assert_fails(ct_index_scan(&index, &path, 1, NULL, NULL, &test_err), LC_ERR_FORMAT,
               "a001.dcm: RescaleIntercept \"-1024,0\" is not a number");
}

/* Stored values are the field itself: --assume-hu makes Hounsfield units of them. */
static void without_rescaling_units_are_unknown(void **state) {
  (void)state;
  static const struct change changes[] = {{-1, "-", "-"}, {-1, "", ""}, {-1, NULL, "-"}};
  const struct ct_index_rules assume = {.assume_hu = true};
  for (int i = 0; i < 3; i++) {
    struct change change = changes[i];
    struct field_series s = changed(&change);
    struct ct_index index;
    const struct ct_series *chosen;
    s.intercept = 0;
    field_write(&s, field_folder);
    field_scan(&index, field_folder, NULL);
    field_verdict(&index.series[0], CT_REFUSED, "no RescaleIntercept: Hounsfield units unknown");
    field_verdict(&index.series[0], CT_REFUSED, "--assume-hu");
    assert_fails(ct_index_choose(&index, NULL, &chosen, &test_err), LC_ERR_GEOMETRY,
                 "Hounsfield units unknown");
    ct_index_free(&index);
    field_scan(&index, field_folder, &assume);
    field_verdict(&index.series[0], CT_REPAIRED, "stored values assumed to be Hounsfield units");
    field_verdict(&index.series[0], CT_REPAIRED, "20 slices");
    field_check(&index.series[0], 0);
    ct_index_free(&index);
  }
}

/* Nobody can vouch for one slice that differs from its neighbours in what it says. */
static void mixed_rescaling_is_refused_whatever_is_assumed(void **state) {
  (void)state;
  struct change change = {3, "-", "-"};
  const struct ct_index_rules assume = {.assume_hu = true};
  struct field_series s = changed(&change);
  struct ct_index index;
  field_write(&s, field_folder);
  field_scan(&index, field_folder, &assume);
  field_verdict(&index.series[0], CT_REFUSED, "1 of 20 slices lack RescaleIntercept");
  ct_index_free(&index);
}

static bool of_another_patient(struct dcm_set *set, int k, void *context) {
  (void)context;
  if (k == 7) dcm_text(set, 0x00100020, "LO", "ANOTHER");
  return true;
}

static void slices_of_two_patients_are_refused(void **state) {
  (void)state;
  struct field_series s = field_series_default();
  struct ct_index index;
  s.edit = of_another_patient;
  field_write(&s, field_folder);
  field_scan(&index, field_folder, NULL);
  field_verdict(&index.series[0], CT_REFUSED, "slices of several patients");
  ct_index_free(&index);
}

static bool every_second(struct dcm_set *set, int k, void *context) {
  (void)context;
  dcm_text(set, 0x00180050, "DS", "2");
  return k % 2 == 0;
}

/* No gap is left where slices are left out evenly: but the numbers, and the thickness, tell. */
static void slices_left_out_evenly_are_told(void **state) {
  (void)state;
  struct field_series s = field_series_default();
  struct ct_index index;
  s.edit = every_second;
  field_write(&s, field_folder);
  field_scan(&index, field_folder, NULL);
  assert_int_equal(index.series[0].n_slices, 10);
  field_verdict(&index.series[0], CT_REPAIRED,
                "slices of 2.00 mm lie 4.00 mm apart and their InstanceNumbers go up by 2");
  ct_index_free(&index);
}

/* A slope alone is not applied to what is said to be Hounsfield units. */
static void assumed_units_have_no_slope(void **state) {
  (void)state;
  struct change change = {-1, "2", "-"};
  const struct ct_index_rules assume = {.assume_hu = true};
  struct field_series s = changed(&change);
  struct ct_index index;
  s.intercept = 0;
  field_write(&s, field_folder);
  field_scan(&index, field_folder, &assume);
  field_verdict(&index.series[0], CT_REPAIRED, "stored values assumed to be Hounsfield units");
  field_check(&index.series[0], 0);
  ct_index_free(&index);
}

static void a_slope_of_nothing_is_refused(void **state) {
  (void)state;
  static const char *const slopes[] = {"0", "1e-9", "1e9"};
  for (int i = 0; i < 3; i++) {
    struct change change = {2, slopes[i], NULL};
    struct field_series s = changed(&change);
    struct ct_index index;
    field_write(&s, field_folder);
    field_scan(&index, field_folder, NULL);
    field_verdict(&index.series[0], CT_REFUSED, "do not give Hounsfield units");
    ct_index_free(&index);
  }
}

/* Where an enhanced image has its rescaling. */
static struct {
  const char *top_slope, *top_intercept;
  bool shared, own;
} enhanced;

static struct dcm_set *item_of(struct dcm_set *set, uint32_t tag) {
  for (size_t i = 0; i < set->n; i++)
    if (set->elements[i].tag == tag) return &set->elements[i].items[0];
  fail_msg("no item");
  return NULL;
}

static void finish_enhanced(struct dcm_set *set) {
  if (!enhanced.shared) dcm_remove(item_of(set, 0x52009229), 0x00289145);
  if (enhanced.top_slope) dcm_text(set, 0x00281053, "DS", enhanced.top_slope);
  if (enhanced.top_intercept) dcm_text(set, 0x00281052, "DS", enhanced.top_intercept);
}

static bool own_rescale(struct dcm_set *frame, int k, void *context) {
  (void)k, (void)context;
  if (!enhanced.own) return true;
  struct dcm_set *item = dcm_item(frame, 0x00289145);
  dcm_text(item, 0x00281052, "DS", "-1024");
  dcm_text(item, 0x00281053, "DS", "");
  return true;
}

static void enhanced_frames_find_their_rescaling(void **state) {
  (void)state;
  char path[LC_PATH_SIZE];
  snprintf(path, sizeof path, "%s/enhanced", field_folder);
  for (int which = 0; which < 6; which++) {
    struct field_series s = field_series_default();
    struct ct_index index;
    memset(&enhanced, 0, sizeof enhanced);
    s.edit = own_rescale;
    if (which == 0) enhanced.shared = true;
    if (which == 1) enhanced.own = true;
    if (which == 2) enhanced.top_intercept = "-1024", enhanced.top_slope = "1";
    if (which == 3) enhanced.top_intercept = "-1024";
    if (which == 4) enhanced.shared = true, enhanced.top_intercept = "0", enhanced.top_slope = "2";
    field_write_enhanced(&s, path, finish_enhanced);
    field_scan(&index, path, NULL);
    assert_int_equal(index.n_series, 1);
    assert_int_equal(index.series[0].n_slices, 20);
    if (which < 5) {
      field_verdict(&index.series[0], CT_USABLE, "");
      field_check(&index.series[0], 0);
    } else { /* nowhere */
      field_verdict(&index.series[0], CT_REFUSED, "no RescaleIntercept");
    }
    ct_index_free(&index);
  }
  enhanced.top_intercept = "-1024,0";
  struct field_series s = field_series_default();
  struct ct_index index;
  const char *paths = path;
  field_write_enhanced(&s, path, finish_enhanced);
  assert_fails(ct_index_scan(&index, &paths, 1, NULL, NULL, &test_err), LC_ERR_FORMAT,
               "RescaleIntercept \"-1024,0\" is not a number");
}

/* Puts something in the place of the file of slice 8, whose text is in `words`. */
static void lose(const struct field_series *s, const char *how) {
  char path[LC_PATH_SIZE];
  field_file(s, field_folder, 8, path);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(symlink(how, path), 0);
}

static void check_lost(const struct field_series *s, const char *words) {
  const struct ct_index_rules allow = {.allow_missing = true};
  struct ct_index index;
  char path[LC_PATH_SIZE];
  field_file(s, field_folder, 8, path);
  field_scan(&index, field_folder, NULL);
  assert_int_equal(index.n_unreadable, 1);
  assert_string_equal(index.problems[0].path, path);
  if (!strstr(index.problems[0].message, words) || !strstr(index.problems[0].message, path))
    fail_msg("%s, expected \"%s\"", index.problems[0].message, words);
  field_verdict(&index.series[0], CT_REFUSED, strrchr(path, '/') + 1);
  field_verdict(&index.series[0], CT_REFUSED, "--allow-missing");
  assert_fails(ct_index_check_readable(&index, &test_err), LC_ERR_PARTIAL, path);
  ct_index_free(&index);
  field_scan(&index, field_folder, &allow);
  field_verdict(&index.series[0], CT_REPAIRED, "1 file cannot be read, first a012.dcm");
  field_check_slab(&index.series[0], 0, 8, 0, 1);
  field_check_slab(&index.series[0], 8, 11, 0, 1);
  ct_index_free(&index);
}

static void links_to_nowhere_are_lost_slices(void **state) {
  (void)state;
  struct field_series s = field_series_default();
  field_write(&s, field_folder);
  lose(&s, "/nowhere/at/all.dcm");
  check_lost(&s, "a link to a file that is not there");
  lose(&s, "a012.dcm");
  check_lost(&s, "Too many levels of symbolic links");
}

static void a_file_without_permission_is_a_lost_slice(void **state) {
  (void)state;
  struct field_series s = field_series_default();
  char path[LC_PATH_SIZE];
  field_write(&s, field_folder);
  field_file(&s, field_folder, 8, path);
  if (geteuid() == 0) skip(); /* permissions do not bind */
  assert_int_equal(chmod(path, 0), 0);
  check_lost(&s, "Permission denied");
}

static void without_descriptors_the_cause_is_said(void **state) {
  (void)state;
  struct field_series s = field_series_default();
  struct ct_index index;
  struct rlimit before, none;
  char path[LC_PATH_SIZE];
  const char *paths = path;
  field_write(&s, field_folder);
  field_file(&s, field_folder, 8, path);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = (struct rlimit){0, before.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  lc_status status = ct_index_scan(&index, &paths, 1, NULL, NULL, &test_err);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(status, LC_ERR_NOT_FOUND);
  assert_non_null(strstr(test_err.message, path));
  assert_non_null(strstr(test_err.message, "Too many open files"));
}

/* A read that fails is no end of the file. */
static void a_failing_disk_is_no_shorter_file(void **state) {
  (void)state;
  static struct ct_source source;
  struct field_series s = field_series_default();
  char path[LC_PATH_SIZE];
  uint8_t bytes[16];
  field_write(&s, field_folder);
  field_file(&s, field_folder, 8, path);
  assert_ok(ct_source_open(&source, path, &test_err));
  assert_int_equal(ct_source_read(&source, source.size - 8, bytes, sizeof bytes), 8);
  assert_ok(ct_source_check(&source, &test_err));
  int folder = open(field_folder, O_RDONLY | O_CLOEXEC); /* what cannot be read */
  assert_true(folder >= 0 && dup2(folder, source.file) == source.file);
  close(folder);
  source.window_length = 0;
  assert_int_equal(ct_source_read(&source, 0, bytes, sizeof bytes), 0);
  assert_fails(ct_source_check(&source, &test_err), LC_ERR_NOT_FOUND,
               "cannot be read: Is a directory");
  ct_source_close(&source);
}

/* Links to files are read, those to folders are not, whatever they lead to. */
static void links_to_files_are_followed(void **state) {
  (void)state;
  struct field_series s = field_series_default();
  struct ct_index index;
  char real[LC_PATH_SIZE], links[LC_PATH_SIZE], from[LC_PATH_SIZE], to[LC_PATH_SIZE];
  snprintf(real, sizeof real, "%s/store", field_folder);
  snprintf(links, sizeof links, "%s/links", field_folder);
  assert_int_equal(mkdir(real, 0777) + mkdir(links, 0777), 0);
  field_write(&s, real);
  for (int k = 0; k < 20; k++) {
    field_file(&s, real, k, from);
    field_file(&s, links, k, to);
    assert_int_equal(symlink(from, to), 0);
  }
  snprintf(to, sizeof to, "%s/loop", links);
  assert_int_equal(symlink("..", to), 0);
  field_scan(&index, links, NULL);
  assert_int_equal(index.n_series, 1);
  assert_int_equal(index.n_problems, 0);
  field_verdict(&index.series[0], CT_USABLE, "");
  field_check(&index.series[0], 0);
  ct_index_free(&index);
  field_scan(&index, field_folder, NULL); /* each object twice */
  assert_int_equal(index.series[0].n_slices, 20);
  field_verdict(&index.series[0], CT_REPAIRED, "SOPInstanceUID repeated in 20 more files");
  field_check(&index.series[0], 0);
  ct_index_free(&index);
}

/* Only the series beside a file that says nothing of itself must be feared to lack it. */
static void a_lost_file_concerns_the_series_beside_it(void **state) {
  (void)state;
  struct field_series s = field_series_default(), other = field_series_default();
  struct ct_index index;
  char folder[LC_PATH_SIZE], path[LC_PATH_SIZE];
  field_write(&s, field_folder);
  snprintf(folder, sizeof folder, "%s/other", field_folder);
  assert_int_equal(mkdir(folder, 0777), 0);
  other.series_uid = "2.25.1005";
  field_write(&other, folder);
  snprintf(path, sizeof path, "%s/lost", folder);
  assert_int_equal(symlink("/nowhere", path), 0);
  field_scan(&index, field_folder, NULL);
  assert_int_equal(index.n_series, 2);
  field_verdict(&index.series[0], CT_USABLE, "");
  field_verdict(&index.series[1], CT_REFUSED, "first lost: slices may be missing");
  ct_index_free(&index);
  /* Beside two series, the one with a hole. */
  for (int k = 0; k < 20; k++) {
    field_file(&s, field_folder, k, path);
    assert_int_equal(unlink(path), 0);
  }
  s.prefix = "s";
  field_write(&s, folder);
  field_file(&s, folder, 4, path);
  assert_int_equal(unlink(path), 0);
  field_scan(&index, field_folder, NULL);
  field_verdict(&index.series[0], CT_REFUSED, "first lost: slices may be missing");
  field_verdict(&index.series[1], CT_USABLE, "");
  ct_index_free(&index);
}

/* A series over several folders, one of which cannot be looked into. */
static void a_lost_folder_concerns_the_series_around_it(void **state) {
  (void)state;
  struct field_series s = field_series_default();
  struct ct_index index;
  char folders[2][LC_PATH_SIZE], from[LC_PATH_SIZE], to[LC_PATH_SIZE];
  for (int f = 0; f < 2; f++) {
    snprintf(folders[f], sizeof folders[f], "%s/%d", field_folder, f);
    assert_int_equal(mkdir(folders[f], 0777), 0);
  }
  field_write(&s, folders[0]);
  for (int k = 6; k < 12; k++) {
    field_file(&s, folders[0], k, from);
    field_file(&s, folders[1], k, to);
    assert_int_equal(unlink(from), 0);
    if (k == 11) assert_int_equal(symlink("/nowhere", to), 0);
  }
  field_scan(&index, field_folder, NULL);
  field_verdict(&index.series[0], CT_REFUSED, "slices may be missing");
  ct_index_free(&index);
}

static void paths_over_the_limit_are_named(void **state) {
  (void)state;
  struct field_series s = field_series_default();
  struct ct_index index;
  char name[201], start[LC_PATH_SIZE];
  memset(name, 'd', 200);
  name[200] = '\0';
  field_write(&s, field_folder);
  assert_non_null(getcwd(start, sizeof start));
  assert_int_equal(chdir(field_folder), 0);
  for (int depth = 0; depth < 25; depth++) {
    assert_int_equal(mkdir(name, 0777), 0);
    assert_int_equal(chdir(name), 0);
  }
  FILE *deep = fopen("deep.dcm", "w");
  assert_non_null(deep);
  fclose(deep);
  assert_int_equal(chdir(start), 0);
  field_scan(&index, field_folder, NULL);
  assert_int_equal(index.n_unreadable, 1);
  assert_non_null(strstr(index.problems[0].message, "File name too long"));
  field_check(&index.series[0], 0); /* no hole, and none was beside it */
  ct_index_free(&index);
  char command[300]; /* deeper than a path can say */
  snprintf(command, sizeof command, "rm -rf '%s/%s'", field_folder, name);
  assert_int_equal(system(command), 0); /* NOLINT(bugprone-command-processor): fixed command */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      field_test(a_slope_that_is_not_given_is_one),
      field_test(one_slice_without_slope_is_as_the_others),
      field_test(numbers_as_scanners_write_them),
      field_test(what_is_no_number_refuses_the_slice),
      field_test(when_no_slice_has_a_number_the_first_is_the_error),
      field_test(without_rescaling_units_are_unknown),
      field_test(mixed_rescaling_is_refused_whatever_is_assumed),
      field_test(slices_of_two_patients_are_refused),
      field_test(slices_left_out_evenly_are_told),
      field_test(assumed_units_have_no_slope),
      field_test(a_slope_of_nothing_is_refused),
      field_test(enhanced_frames_find_their_rescaling),
      field_test(links_to_nowhere_are_lost_slices),
      field_test(a_file_without_permission_is_a_lost_slice),
      field_test(without_descriptors_the_cause_is_said),
      field_test(a_failing_disk_is_no_shorter_file),
      field_test(links_to_files_are_followed),
      field_test(a_lost_file_concerns_the_series_beside_it),
      field_test(a_lost_folder_concerns_the_series_around_it),
      field_test(paths_over_the_limit_are_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
