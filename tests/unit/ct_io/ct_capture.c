/* Secondary captures from a written source slice: valid, linked to their source, reproducible, and
 * whole or not there. */
#include "tests/ct_dicom_test.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "common/lc_file.h"
#include "ct_io/dicom_write/ct_capture.h"
#include "ct_io/dicom_write/ct_write.h"

static char folder[256], source_path[LC_PATH_SIZE];
static struct ct_slice source_slice;
static struct ct_series source;

static void write_source(void) {
  static int16_t hu[16 * 16];
  struct ct_volume volume = {.hu = hu,
                             .size = {16, 16, 1},
                             .spacing_mm = {0.7, 0.7, 1.25},
                             .origin_mm = {-5, -5, 100},
                             .direction = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
  struct ct_write_header header = {.patient_id = "PHANTOM-0007",
                                   .patient_name = "M\303\274ller^Eva", /* in UTF-8 */
                                   .patient_sex = "F",
                                   .study_instance_uid = "2.25.1000",
                                   .series_instance_uid = "2.25.1001",
                                   .frame_of_reference_uid = "2.25.1002",
                                   .study_date = "20000102",
                                   .study_time = "101112",
                                   .study_id = "77",
                                   .manufacturer = "Scanner Works",
                                   .model_name = "One",
                                   .software_version = "9.9",
                                   .kvp = 120};
  assert_ok(ct_write_slice(&header, &volume, 0, "2.25.1003", source_path, &test_err));
}

static int set_up(void **state) {
  (void)state;
  lc_test_folder(folder);
  assert_ok(lc_path_join(source_path, folder, "source.dcm", &test_err));
  write_source();
  source = (struct ct_series){.study_instance_uid = "2.25.1000",
                              .series_instance_uid = "2.25.1001",
                              .frame_of_reference_uid = "2.25.1002",
                              .slices = &source_slice,
                              .n_slices = 1};
  source_slice = (struct ct_slice){.path = source_path,
                                   .sop_instance_uid = "2.25.1003",
                                   .sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                   .transfer_syntax_uid = "1.2.840.10008.1.2.1"};
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  return lc_folder_remove(folder, NULL) != LC_OK;
}

static uint8_t pixels[448 * 448 * 3];
static const size_t first_slice = 0;

static struct ct_capture make_capture(size_t rows, size_t columns) {
  for (size_t i = 0; i < rows * columns * 3; i++) pixels[i] = (uint8_t)(i * 7 + i / 251);
  return (struct ct_capture){
      .about =
          {
              .source = &source,
              .series_instance_uid = "2.25.2001",
              .sop_instance_uid = "2.25.2002",
              .series_number = 9100,
              .instance_number = 3,
              .series_description = "lungcdam CDAM malignancy (research use only)",
              .image_comments = "nodule-1 axial, malignancy 0.81",
              .derivation_description = "CDAM of vit_small_patch8, weights 0123456789abcdef",
              .software_version = "0.1.0 (abcdef)",
              .is_class_activation = true,
              .source_slices = &first_slice,
              .n_source_slices = 1,
          },
      .rgb = pixels,
      .rows = rows,
      .columns = columns,
  };
}

static const char *place(const char *name) {
  static char paths[4][LC_PATH_SIZE];
  static int turn;
  char *path = paths[turn++ % 4];
  assert_ok(lc_path_join(path, folder, name, &test_err));
  return path;
}

static void test_dciodvfy_accepts_any_size(void **state) {
  (void)state;
  need_program("dciodvfy");
  const size_t sizes[][2] = {{448, 448}, {3, 5}, {1, 1}, {100, 311}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct ct_capture capture = make_capture(sizes[i][0], sizes[i][1]);
    const char *path = place("size.dcm");
    assert_ok(ct_capture_write(&capture, path, &test_err));
    assert_valid_dicom(path, "SCImage");
  }
}

static void test_pixels_are_the_picture(void **state) {
  (void)state;
  struct ct_capture capture = make_capture(3, 5); /* 45 bytes, padded to 46 */
  const char *path = place("odd.dcm");
  assert_ok(ct_capture_write(&capture, path, &test_err));
  char *bytes;
  size_t count;
  assert_ok(lc_file_read(path, 1 << 20, &bytes, &count, &test_err));
  assert_int_equal(count % 2, 0);
  assert_memory_equal(bytes + count - 46, pixels, 45);
  assert_int_equal(bytes[count - 1], 0);
  free(bytes);
}

static void test_linked_to_its_source(void **state) {
  (void)state;
  need_program("dcmdump");
  struct ct_capture capture = make_capture(8, 8);
  const char *path = place("linked.dcm");
  assert_ok(ct_capture_write(&capture, path, &test_err));
  const char *same[] = {
      "PatientID", "PatientName", "PatientSex",  "StudyInstanceUID",    "StudyID",
      "StudyDate", "StudyTime",   "ContentDate", "FrameOfReferenceUID", "SpecificCharacterSet"};
  for (size_t i = 0; i < sizeof same / sizeof *same; i++)
    assert_string_equal(dicom_value(path, same[i]), dicom_value(source_path, same[i]));
  const char *expected[][2] = {
      {"PatientName", "M\303\274ller^Eva"},
      {"SOPInstanceUID", "2.25.2002"},
      {"SeriesNumber", "9100"},
      {"InstanceNumber", "3"},
      {"ConversionType", "WSD"},
      {"BurnedInAnnotation", "YES"},
      {"ImageComments", "Research use only. nodule-1 axial, malignancy 0.81"},
      {"PhotometricInterpretation", "RGB"},
  };
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
    assert_string_equal(dicom_value(path, expected[i][0]), expected[i][1]);
  const char *lines[] = {"CS [DERIVED\\SECONDARY]",
                         "(0020,000e) UI [2.25.2001]",
                         "UI [2.25.1001]", /* the source series, in Referenced Series Sequence */
                         "UI [2.25.1003]", /* the source slice */
                         "SH [121322]",
                         "SH [109101]",
                         "LO [Scanner Works]",
                         "SH [109102]",
                         "SH [113085]",
                         "SH [130402]"};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    if (dicom_count(path, lines[i]) == 0) fail_msg("%s: no \"%s\"", path, lines[i]);
  capture.about.is_class_activation = false;
  assert_ok(ct_capture_write(&capture, path, &test_err));
  assert_int_equal(dicom_count(path, "130402"), 0);
}

static void test_same_bytes(void **state) {
  (void)state;
  struct ct_capture capture = make_capture(32, 48);
  const char *paths[2] = {place("a.dcm"), place("b.dcm")};
  char *bytes[2];
  size_t counts[2];
  for (int i = 0; i < 2; i++) {
    assert_ok(ct_capture_write(&capture, paths[i], &test_err));
    assert_ok(lc_file_read(paths[i], 1 << 20, &bytes[i], &counts[i], &test_err));
    if (i == 0) sleep(1); /* a time stamp of whole seconds would show */
  }
  assert_int_equal(counts[0], counts[1]);
  assert_memory_equal(bytes[0], bytes[1], counts[0]);
  free(bytes[0]);
  free(bytes[1]);
}

static void test_refusals_leave_nothing(void **state) {
  (void)state;
  const char *path = place("refused.dcm");
  struct ct_capture good = make_capture(8, 8), bad = good;
  bad.about.series_description = "lungcdam CDAM";
  assert_fails(ct_capture_write(&bad, path, &test_err), LC_ERR_USAGE, "research use only");
  bad = good;
  bad.about.series_description =
      "a description that says research use only but is much longer than a LO may be";
  assert_fails(ct_capture_write(&bad, path, &test_err), LC_ERR_USAGE, "at most 64");
  bad = good;
  snprintf(bad.about.series_instance_uid, CT_UID_SIZE, "2.25.1001");
  assert_fails(ct_capture_write(&bad, path, &test_err), LC_ERR_USAGE, "source series");
  bad = good;
  bad.about.n_source_slices = 0;
  assert_fails(ct_capture_write(&bad, path, &test_err), LC_ERR_USAGE, "at least one");

  struct ct_slice other_slice = source_slice;
  struct ct_series other = source;
  other.slices = &other_slice;
  bad = good;
  bad.about.source = &other;
  snprintf(other_slice.sop_instance_uid, CT_UID_SIZE, "2.25.9");
  assert_fails(ct_capture_write(&bad, path, &test_err), LC_ERR_MISMATCH,
               "holds SOP instance 2.25.1003, expected 2.25.9");
  other_slice.path = (char *)(uintptr_t) "/nowhere/source.dcm";
  assert_fails(ct_capture_write(&bad, path, &test_err), LC_ERR_NOT_FOUND, "/nowhere/source.dcm");
  assert_false(lc_file_exists(path));
  assert_fails(ct_capture_write(&good, "/nowhere/a.dcm", &test_err), LC_ERR_NOT_WRITABLE,
               "/nowhere/a.dcm");
}

static void test_broken_source(void **state) {
  (void)state;
  const char *path = place("broken.dcm");
  struct ct_capture bad = make_capture(8, 8);
  struct ct_slice other_slice = source_slice;
  struct ct_series other = source;
  other.slices = &other_slice;
  bad.about.source = &other;
  other_slice.path = (char *)(uintptr_t)place("text.dcm");
  assert_ok(lc_file_write(other_slice.path, "not a DICOM file\n", 17, &test_err));
  lc_status status = ct_capture_write(&bad, path, &test_err);
  assert_true(status == LC_ERR_FORMAT || status == LC_ERR_MISMATCH);
  assert_non_null(strstr(test_err.message, "text.dcm"));
  assert_false(lc_file_exists(path));
}

static bool put_text(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  if (!file) return false;
  bool written = fputs(text, file) >= 0;
  return fclose(file) == 0 && written;
}

/* A name space of this process in which it may mount, also without being root. */
static bool own_name_space(void) {
  char user[64], group[64];
  snprintf(user, sizeof user, "0 %ld 1", (long)geteuid());
  snprintf(group, sizeof group, "0 %ld 1", (long)getegid());
  if (unshare(CLONE_NEWNS) != 0 &&
      (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !put_text("/proc/self/uid_map", user) ||
       !put_text("/proc/self/setgroups", "deny") || !put_text("/proc/self/gid_map", group)))
    return false;
  return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* Writes to a file system of 64 KiB. 0 when that fails as it should, 77 when none can be made. */
static int write_to_full_disk(void) {
  char small[LC_PATH_SIZE], path[LC_PATH_SIZE], command[LC_PATH_SIZE + 16], listing[512];
  if (lc_path_join(small, folder, "small", NULL) != LC_OK) return 1;
  if (lc_path_join(path, small, "a.dcm", NULL) != LC_OK) return 1;
  if (lc_folder_make(small, NULL) != LC_OK || !own_name_space()) return 77;
  if (mount("tmpfs", small, "tmpfs", 0, "size=64k") != 0) return 77;
  struct ct_capture capture = make_capture(448, 448);
  lc_status status = ct_capture_write(&capture, path, &test_err);
  snprintf(command, sizeof command, "ls -A '%s'", small);
  run_command(command, listing, sizeof listing);
  return status == LC_ERR_NO_SPACE && listing[0] == '\0' ? 0 : 2;
}

static void test_full_disk(void **state) {
  (void)state;
  fflush(NULL);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) _exit(write_to_full_disk());
  int how;
  assert_int_equal(waitpid(child, &how, 0), child);
  assert_true(WIFEXITED(how));
  if (WEXITSTATUS(how) == 77) {
    print_message("skipped: no right to mount a small file system\n");
    skip();
  }
  assert_int_equal(WEXITSTATUS(how), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_dciodvfy_accepts_any_size),
      cmocka_unit_test(test_pixels_are_the_picture),
      cmocka_unit_test(test_linked_to_its_source),
      cmocka_unit_test(test_same_bytes),
      cmocka_unit_test(test_refusals_leave_nothing),
      cmocka_unit_test(test_broken_source),
      cmocka_unit_test(test_full_disk),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
