/* DICOM objects of nodules that are damaged: bytes changed, moved and cut off, by the seed of each
 * variant. Each is read or refused by name; what is read can be placed and measured. */
#include "tests/lc_test.h"

#include "common/lc_file.h"
#include "common/lc_log.h"
#include "common/lc_random.h"
#include "ct_io/nodule/ct_nodule.h"
#include "ct_io/nodule/ct_nodule_finder.h"

enum { VARIANTS = 50, SLICES = 12 };
static struct ct_slice slices[SLICES];
static struct ct_series series = {.slices = slices,
                                  .n_slices = SLICES,
                                  .rows = 31,
                                  .columns = 33,
                                  .pixel_spacing_mm = {0.7, 0.8},
                                  .slice_spacing_mm = 1.25,
                                  .orientation = {1, 0, 0, 0, 1, 0},
                                  .normal = {0, 0, 1},
                                  .series_instance_uid = "2.25.11",
                                  .frame_of_reference_uid = "2.25.12"};
static char path[300];
static size_t n_read, n_refused;

/* Some bytes, a number that may be a length, a piece that moves, or the end. The preamble stays. */
static size_t damage(char *bytes, size_t n, struct lc_random *random) {
  uint32_t kind = lc_random_below(random, 4), first = 132;
  for (uint32_t i = 0; kind == 0 && i < 1 + lc_random_below(random, 20); i++)
    bytes[first + lc_random_below(random, (uint32_t)n - first)] =
        (char)lc_random_below(random, 256);
  if (kind == 1) {
    static const uint32_t lengths[] = {0, 1, 0xffff, 0x7fffffff, 0xffffffff, 0xfffffffe};
    memcpy(bytes + first + lc_random_below(random, (uint32_t)n - first - 4),
           &lengths[lc_random_below(random, 6)], 4);
  }
  if (kind == 2) {
    uint32_t size = 1 + lc_random_below(random, 200);
    memmove(bytes + first + lc_random_below(random, (uint32_t)n - first - size),
            bytes + first + lc_random_below(random, (uint32_t)n - first - size), size);
  }
  return kind == 3 ? first + lc_random_below(random, (uint32_t)n - first) : n;
}

/* Digits, dots and signs stay what they are, so that more of the file is looked at than its
 * structure. */
static void change_digits(char *bytes, size_t n, struct lc_random *random) {
  static const char others[] = "0123456789.-eE\\ ";
  for (int changed = 0, tries = 0; changed < 12 && tries < 20000; tries++) {
    uint32_t at = 300 + lc_random_below(random, (uint32_t)n - 300);
    if (bytes[at] < '0' || bytes[at] > '9') continue;
    bytes[at] = others[lc_random_below(random, sizeof others - 1)];
    changed++;
  }
}

static void use(struct ct_annotation *annotation) {
  struct ct_nodule_list list;
  struct lc_error why;
  if (ct_nodules_from_annotation(&list, annotation, &series, NULL, &why) != LC_OK) return;
  for (size_t i = 0; i < list.n_nodules; i++) {
    struct ct_consensus consensus;
    if (list.nodules[i].n_marks == 0) continue;
    assert_ok(ct_nodule_consensus(&consensus, &list.nodules[i], &series, 0.5, &test_err));
    if (consensus.n_inside == 0) fail_msg("%s: a nodule without voxels", path);
    ct_consensus_free(&consensus);
  }
  ct_nodule_list_free(&list);
}

static void read_variant(const char *bytes, size_t n) {
  struct ct_nodule_finder finder = {0};
  struct ct_annotation *annotation;
  assert_ok(lc_file_write(path, bytes, n, &test_err));
  lc_status status = ct_nodule_finder_find(&finder, path, &series, &annotation, &test_err);
  if (status == LC_OK) {
    n_read++;
    use(annotation);
  } else {
    n_refused++;
    if (status != LC_ERR_FORMAT && status != LC_ERR_MISMATCH && status != LC_ERR_NO_NODULES)
      fail_msg("%s: %s", lc_status_name(status), test_err.message);
    if (!strstr(test_err.message, "variant.dcm"))
      fail_msg("does not name the file: %s", test_err.message);
  }
  ct_nodule_finder_free(&finder);
}

static void test_variants(void **state) {
  static const char *const names[] = {"seg_binary",     "seg_fractional", "seg_labels",
                                      "seg_oblique",    "rtstruct",       "report_segments",
                                      "report_regions", "cad_report"};
  char folder[256], from[400];
  (void)state;
  lc_log_set_level(LC_LOG_ERROR);
  snprintf(path, sizeof path, "%s/variant.dcm", lc_test_folder(folder));
  for (int k = 0; k < SLICES; k++) {
    slices[k] = (struct ct_slice){
        .path = path, .position_mm = {-20, 15, -100 + 1.25 * k}, .along_mm = -100 + 1.25 * k};
    snprintf(slices[k].sop_instance_uid, CT_UID_SIZE, "2.25.%d", 1000 + k);
  }
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char *original, *bytes;
    size_t n;
    snprintf(from, sizeof from, LC_TEST_SOURCE_DIR "/tests/nodule_objects/%s.dcm", names[i]);
    assert_ok(lc_file_read(from, 1 << 20, &original, &n, &test_err));
    bytes = malloc(n);
    assert_non_null(bytes);
    n_read = n_refused = 0;
    for (uint64_t variant = 0; variant < VARIANTS; variant++) {
      struct lc_random random;
      lc_random_init(&random, 1, names[i], variant);
      memcpy(bytes, original, n);
      if (variant % 3 == 0) change_digits(bytes, n, &random);
      read_variant(bytes, variant % 3 == 0 ? n : damage(bytes, n, &random));
    }
    printf("%s: %zu read, %zu refused\n", names[i], n_read, n_refused);
    if (n_refused == 0) fail_msg("%s: no variant is refused", names[i]);
    free(bytes);
    free(original);
  }
  assert_ok(lc_folder_remove(folder, &test_err));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_variants)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
