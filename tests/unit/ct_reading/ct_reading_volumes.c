/* One SeriesInstanceUID with several volumes in it, or with one that looks like several. Volumes
 * are told apart by their file names (a, b, c) and by 400 HU. */
#include "tests/ct_dicom_field.h"

#include "common/lc_identity.h"

/* What tells the second volume from the first, besides its places. */
struct mark {
  uint32_t tag; /* 0: nothing */
  const char *vr, *value;
};

struct volume {
  struct mark mark;
  double jitter_mm;
  int (*number)(int k); /* InstanceNumber of slice k */
  int (*acquisition)(int k);
};

static bool edit(struct dcm_set *set, int k, void *context) {
  const struct volume *v = context;
  if (v->mark.tag && strcmp(v->mark.vr, "UL") == 0)
    dcm_put(set, v->mark.tag, "UL", v->mark.value, 4);
  else if (v->mark.tag)
    dcm_text(set, v->mark.tag, v->mark.vr, v->mark.value);
  if (v->number) dcm_print(set, 0x00200013, "IS", "%d", v->number(k));
  if (v->acquisition) dcm_print(set, 0x00200012, "IS", "%d", v->acquisition(k));
  if (v->jitter_mm > 0)
    dcm_print(set, 0x00200032, "DS", "%g\\%g\\%g", -10.0, -12.0,
              -20 + 2 * k + (k % 2 ? v->jitter_mm : -v->jitter_mm));
  return true;
}

/* Volume `which` starts off_mm further along; its InstanceNumbers follow those of the others. */
static struct field_series volume(int which, double off_mm, struct volume *how) {
  static const char *const prefixes[] = {"a", "b", "c"};
  struct field_series s = field_series_default();
  s.prefix = prefixes[which];
  s.objects = which + 1;
  s.offset = 400 * which;
  s.origin[2] += off_mm;
  s.first_number = 1 + 100 * which;
  s.edit = edit;
  s.context = how;
  return s;
}

static char prefix_of(const struct ct_slice *slice) {
  return strrchr(slice->path, '/')[1];
}

/* Every part holds slices of one volume alone, in their order and with its voxels. */
static void check_parts(size_t n_parts, size_t n_slices) {
  struct ct_index index;
  field_scan(&index, field_folder, NULL);
  if (index.n_series != n_parts)
    fail_msg("%zu parts of %zu slices, expected %zu: %s", index.n_series, index.series[0].n_slices,
             n_parts, index.series[0].reason);
  for (size_t p = 0; p < n_parts; p++) {
    const struct ct_series *series = &index.series[p], *chosen;
    char name[CT_SERIES_NAME_SIZE], expected[32];
    assert_int_equal(series->n_slices, n_slices);
    assert_int_equal(series->part, p + 1);
    assert_int_equal(series->n_parts, n_parts);
    for (size_t k = 0; k < n_slices; k++)
      assert_int_equal(prefix_of(&series->slices[k]), 'a' + (int)p);
    field_check(series, 400.0 * (double)p);
    snprintf(expected, sizeof expected, n_parts > 1 ? "2.25.1001:%zu" : "2.25.1001", p + 1);
    ct_index_name(&index, series, name);
    assert_string_equal(name, expected);
    assert_ok(ct_index_choose(&index, name, &chosen, &test_err));
    assert_ptr_equal(chosen, series);
  }
  ct_index_free(&index);
}

static const struct mark marks[] = {
    {0x00200012, "IS", "2"},         /* AcquisitionNumber */
    {0x00209056, "SH", "second"},    /* StackID */
    {0x00209128, "UL", "\2\0\0"},    /* TemporalPositionIndex */
    {0x00200100, "IS", "2"},         /* TemporalPositionIdentifier */
    {0x00200052, "UI", "2.25.1003"}, /* FrameOfReferenceUID */
    {0x00180060, "DS", "80"},        /* KVP: two energies */
    {0x00181210, "SH", "SHARP"},     /* ConvolutionKernel */
};
enum { MARKS = sizeof marks / sizeof *marks };

static void volumes_that_attributes_name_are_split(void **state) {
  (void)state;
  static const double offsets[] = {1, 0.3, 0.02, 0, -0.7};
  for (int m = 0; m < MARKS; m++)
    for (int o = 0; o < 5; o++) {
      struct volume first = {.jitter_mm = 0}, second = {.mark = marks[m]};
      struct field_series a = volume(0, 0, &first), b = volume(1, offsets[o], &second);
      /* Their numbers run through both, as reconstructions of scanners do. */
      b.first_number = 1;
      field_write(&a, field_folder);
      field_write(&b, field_folder);
      check_parts(2, 20);
    }
}

static void jitter_does_not_mix_volumes(void **state) {
  (void)state;
  struct volume first = {.jitter_mm = 0.02}, second = {.mark = marks[0]};
  struct field_series a = volume(0, 0, &first), b = volume(1, 0, &second);
  a.edit = edit;
  field_write(&b, field_folder);
  /* The voxels are those of the even places: 0.06 HU off. */
  field_write(&a, field_folder);
  check_parts(2, 20);
}

static void jitter_alone_is_one_volume(void **state) {
  (void)state;
  struct volume first = {.jitter_mm = 0.02};
  struct field_series a = volume(0, 0, &first);
  field_write(&a, field_folder);
  check_parts(1, 20);
}

static void three_phases(void **state) {
  (void)state;
  static const double offsets[][3] = {{0, 0.7, 1.3}, {0, 0, 0}, {0, 0, 1}};
  for (int o = 0; o < 3; o++) {
    for (int which = 0; which < 3; which++) {
      static const char *const numbers[] = {"1", "2", "3"};
      struct volume how = {.mark = {0x00200012, "IS", numbers[which]}};
      struct field_series s = volume(which, offsets[o][which], &how);
      field_write(&s, field_folder);
    }
    check_parts(3, 20);
  }
}

static int down(int k) {
  return 120 - k;
}

/* No attribute names the phases: their InstanceNumbers run through the patient twice. */
static void phases_by_runs_of_instance_numbers(void **state) {
  (void)state;
  static const double offsets[] = {0, 0.3, 1};
  for (int o = 0; o < 3; o++)
    for (int turned = 0; turned < 2; turned++) {
      struct volume first = {.jitter_mm = 0}, second = {.number = turned ? down : NULL};
      struct field_series a = volume(0, 0, &first), b = volume(1, offsets[o], &second);
      field_write(&a, field_folder);
      field_write(&b, field_folder);
      check_parts(2, 20);
    }
}

static int each(int k) {
  return k + 1;
}

static int each_twice(int k) {
  return 100 + k;
}

/* A second volume that is shorter and starts elsewhere, or whose AcquisitionNumbers say nothing:
 * one a slice, in both. */
static void volumes_that_differ_in_length(void **state) {
  (void)state;
  static const double offsets[] = {4, 4.3, 5, 8.02};
  for (int o = 0; o < 4; o++)
    for (int numbered = 0; numbered < 2; numbered++) {
      struct volume first = {.acquisition = numbered ? each : NULL},
                    second = {.acquisition = numbered ? each_twice : NULL, .mark = marks[0]};
      struct field_series a = volume(0, 0, &first), b = volume(1, offsets[o], &second);
      struct ct_index index;
      b.slices = 14;
      field_write(&a, field_folder);
      field_write(&b, field_folder);
      field_scan(&index, field_folder, NULL);
      assert_int_equal(index.n_series, 2);
      for (int p = 0; p < 2; p++) {
        assert_int_equal(index.series[p].n_slices, p ? 14 : 20);
        field_verdict(&index.series[p], CT_USABLE, "");
        field_check(&index.series[p], 400 * p);
      }
      ct_index_free(&index);
    }
}

/* The same numbers twice: places name the volumes where they differ, and nothing where not. */
static void the_same_instance_numbers_twice(void **state) {
  (void)state;
  struct volume none = {.jitter_mm = 0};
  struct field_series a = volume(0, 0, &none), b = volume(1, 0.3, &none);
  struct ct_index index;
  b.first_number = 1;
  field_write(&a, field_folder);
  field_write(&b, field_folder);
  check_parts(2, 20);
  b = volume(1, 0, &none);
  b.first_number = 1;
  field_write(&b, field_folder);
  field_scan(&index, field_folder, NULL);
  assert_int_equal(index.n_series, 1);
  field_verdict(&index.series[0], CT_REFUSED, "20 of 40 slices repeat a position");
  ct_index_free(&index);
}

static int blocks(int k) {
  return k / 4 + 1;
}

static int halves(int k) {
  return k / 10 + 1;
}

static void step_and_shoot_is_one_volume(void **state) {
  (void)state;
  int (*const acquisitions[])(int k) = {each, blocks, halves};
  for (int i = 0; i < 3; i++) {
    struct volume how = {.acquisition = acquisitions[i]};
    struct field_series a = volume(0, 0, &how);
    field_write(&a, field_folder);
    check_parts(1, 20);
  }
}

/* Slices at places that a series already has, from another field, with other numbers. */
struct repeats {
  int n;            /* every fourth place, that many times */
  int first_number; /* of the first; they count by one */
  double offset;
  int acquisition; /* 0: that of a block before the place */
};

static bool only_some(struct dcm_set *set, int k, void *context) {
  const struct repeats *r = context;
  if (k % 4 != 3 || k / 4 >= r->n) return false;
  dcm_print(set, 0x00200013, "IS", "%d", r->first_number + k);
  dcm_print(set, 0x00200012, "IS", "%d", r->acquisition ? r->acquisition : k / 4 + 2);
  return true;
}

static void write_repeats(struct repeats *r, int (*acquisition)(int k)) {
  struct volume how = {.acquisition = acquisition};
  struct field_series a = volume(0, 0, &how), b = volume(1, 0, NULL);
  b.edit = only_some;
  b.context = r;
  b.offset = r->offset;
  field_write(&a, field_folder);
  field_write(&b, field_folder);
}

static void up_to_a_fifth_may_repeat(void **state) {
  (void)state;
  struct ct_index index;
  for (int i = 0; i < 4; i++) {
    struct repeats r = {.n = i < 3 ? 4 : 5, .first_number = i < 3 ? 100 : 1, .offset = 400};
    if (i % 2) r.acquisition = 1;
    if (i == 2) r = (struct repeats){.n = 1, .first_number = 100, .offset = 400, .acquisition = 9};
    char words[64];
    snprintf(words, sizeof words, r.n > 1 ? "%d slices repeat a position" : "%d slice repeats",
             r.n);
    write_repeats(&r, i % 2 ? NULL : blocks);
    field_scan(&index, field_folder, NULL);
    assert_int_equal(index.n_series, 1);
    if (i < 3) {
      assert_int_equal(index.series[0].n_slices, 20);
      field_verdict(&index.series[0], CT_REPAIRED, words);
      field_verdict(&index.series[0], CT_REPAIRED, "lowest InstanceNumber kept");
      field_check(&index.series[0], 0);
    } else { /* five of twenty */
      field_verdict(&index.series[0], CT_REFUSED, "5 of 25 slices repeat a position");
    }
    ct_index_free(&index);
    assert_ok(lc_folder_remove(field_folder, &test_err));
    assert_ok(lc_folder_make(field_folder, &test_err));
  }
}

/* The lower number is kept, whichever file comes first. */
static void the_lower_number_is_kept(void **state) {
  (void)state;
  struct ct_index index;
  struct repeats r = {.n = 3, .first_number = -50, .offset = 0, .acquisition = 1};
  write_repeats(&r, NULL);
  field_scan(&index, field_folder, NULL);
  assert_int_equal(index.series[0].n_slices, 20);
  for (size_t k = 0; k < 20; k++)
    assert_int_equal(prefix_of(&index.series[0].slices[k]), k % 4 == 3 && k < 12 ? 'b' : 'a');
  field_check(&index.series[0], 0);
  ct_index_free(&index);
}

/* With one number the pixels decide: equal ones are one slice, others are refused by name. */
static void equal_numbers_and_pixels(void **state) {
  (void)state;
  struct ct_index index;
  struct repeats r = {.n = 2, .first_number = 1, .offset = 0, .acquisition = 1};
  write_repeats(&r, NULL);
  field_scan(&index, field_folder, NULL);
  assert_int_equal(index.series[0].n_slices, 20);
  field_verdict(&index.series[0], CT_REPAIRED, "2 slices repeat a position");
  field_check(&index.series[0], 0);
  ct_index_free(&index);
  r.offset = 1;
  write_repeats(&r, NULL);
  field_scan(&index, field_folder, NULL);
  field_verdict(&index.series[0], CT_REFUSED,
                "a017.dcm and b017.dcm lie at -14.00 mm, have one InstanceNumber and differ");
  ct_index_free(&index);
}

/* Two stations of the table: one volume where their places agree, two where not. */
static void stations_that_overlap(void **state) {
  (void)state;
  struct volume first = {.jitter_mm = 0}, second = {.mark = marks[0]};
  struct field_series a = volume(0, 0, &first), b = volume(1, 34, &second);
  struct ct_index index;
  b.offset = 0;
  field_write(&a, field_folder);
  field_write(&b, field_folder);
  field_scan(&index, field_folder, NULL);
  assert_int_equal(index.n_series, 1);
  assert_int_equal(index.series[0].n_slices, 37);
  field_verdict(&index.series[0], CT_REPAIRED, "3 slices repeat a position");
  field_check(&index.series[0], 0);
  ct_index_free(&index);
  b = volume(1, 34.7, &second);
  field_write(&b, field_folder);
  check_parts(2, 20);
}

static const char *stack_of_frame[2];
static bool by_time;

static bool edit_frame(struct dcm_set *frame, int k, void *context) {
  (void)context;
  struct dcm_set *content = dcm_item(frame, 0x00209111);
  const uint8_t index[] = {(uint8_t)(k / 10 + 1), 0, 0, 0};
  if (by_time)
    dcm_put(content, 0x00209128, "UL", index, 4);
  else
    dcm_text(content, 0x00209056, "SH", stack_of_frame[k / 10]);
  dcm_remove(frame, 0x00209113);
  double z = -20 + 2 * (k % 10) + (k / 10 ? *(double *)context : 0);
  dcm_print(dcm_item(frame, 0x00209113), 0x00200032, "DS", "-10\\-12\\%g", z);
  return true;
}

/* Frames 1 to 10 and 11 to 20 of one file: their voxels are of places that they do not have, by 20
 * mm less what the second begins further along. */
static void stacks_and_times_of_enhanced_images(void **state) {
  (void)state;
  static double offsets[] = {0, 0.3, 1};
  char path[LC_PATH_SIZE];
  snprintf(path, sizeof path, "%s/enhanced", field_folder);
  stack_of_frame[0] = "1";
  stack_of_frame[1] = "2";
  for (int o = 0; o < 6; o++) {
    struct field_series s = field_series_default();
    struct ct_index index;
    const struct ct_series *chosen;
    double off = offsets[o % 3];
    by_time = o >= 3;
    s.edit = edit_frame;
    s.context = &off;
    field_write_enhanced(&s, path, NULL);
    field_scan(&index, field_folder, NULL);
    assert_int_equal(index.n_series, 2);
    for (int p = 0; p < 2; p++) {
      assert_int_equal(index.series[p].n_slices, 10);
      assert_int_equal(index.series[p].slices[0].frame, 10 * p);
      field_check(&index.series[p], p ? 3 * (20 - off) : 0);
    }
    assert_ok(ct_index_choose(&index, "2.25.1001:2", &chosen, &test_err));
    assert_int_equal(chosen->slices[0].frame, 10);
    ct_index_free(&index);
  }
}

static void names_of_parts(void **state) {
  (void)state;
  struct volume first = {.jitter_mm = 0}, second = {.mark = marks[0]};
  struct field_series a = volume(0, 0, &first), b = volume(1, 1, &second);
  struct ct_index index;
  const struct ct_series *chosen;
  field_write(&a, field_folder);
  field_write(&b, field_folder);
  field_scan(&index, field_folder, NULL);
  static const char *const ambiguous[] = {NULL, "2.25.1001", "2.25.1000/2.25.1001"};
  for (int i = 0; i < 3; i++) {
    assert_fails(ct_index_choose(&index, ambiguous[i], &chosen, &test_err), LC_ERR_AMBIGUOUS,
                 "2.25.1001:1 (FIELD, 20 slices), 2.25.1001:2 (FIELD, 20 slices)");
  }
  static const char *const missing[] = {"2.25.1001:3", "2.25.1001:0", "2.25.1001:x",
                                        "2.25.1001:",  "2.25.100",    "2.25.9/2.25.1001:1"};
  for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
    assert_fails(ct_index_choose(&index, missing[i], &chosen, &test_err), LC_ERR_NOT_FOUND,
                 "2.25.1001:2");
  assert_ok(ct_index_choose(&index, "2.25.1000/2.25.1001:2", &chosen, &test_err));
  assert_ptr_equal(chosen, &index.series[1]);
  ct_index_free(&index);
}

int main(void) {
  lc_identity_show();
  const struct CMUnitTest tests[] = {
      field_test(volumes_that_attributes_name_are_split),
      field_test(jitter_does_not_mix_volumes),
      field_test(jitter_alone_is_one_volume),
      field_test(three_phases),
      field_test(phases_by_runs_of_instance_numbers),
      field_test(volumes_that_differ_in_length),
      field_test(the_same_instance_numbers_twice),
      field_test(step_and_shoot_is_one_volume),
      field_test(up_to_a_fifth_may_repeat),
      field_test(the_lower_number_is_kept),
      field_test(equal_numbers_and_pixels),
      field_test(stations_that_overlap),
      field_test(stacks_and_times_of_enhanced_images),
      field_test(names_of_parts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
