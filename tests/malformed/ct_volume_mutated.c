/* Headers of MetaImage, NIfTI and NRRD with one byte changed, everywhere: each is read or refused
 * by name, and nothing is printed. */
#include "ct_io/dicom_read/ct_decode.h"
#include "tests/ct_volume_test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "common/lc_file.h"
#include "common/lc_log.h"
#include "ct_io/ct/ct_volume_file.h"

static char folder[256];
static size_t n_read, n_refused, n_failed;

static int make_folder(void **state) {
  (void)state;
  lc_log_set_level(LC_LOG_SILENT);
  lc_test_folder(folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  return lc_folder_remove(folder, NULL) == LC_OK ? 0 : -1;
}

static void look_at(const char *path) {
  struct ct_series series;
  struct ct_volume volume;
  test_err.message[0] = '\0';
  if (ct_volume_file_open(&series, path, &test_err) != LC_OK) {
    assert_true(test_err.message[0]);
    n_failed++;
    return;
  }
  assert_true(series.n_slices > 0);
  lc_status status = ct_volume_decode(&volume, &series, 0, 1, NULL, &test_err);
  if (status == LC_OK) ct_volume_free(&volume);
  if (status != LC_OK) assert_true(test_err.message[0]);
  n_read += status == LC_OK;
  n_refused += status != LC_OK;
  ct_series_free(&series);
}

/* Changes each of the first n bytes in turn. */
static void change_all(const char *name, size_t n) {
  static const uint8_t changes[] = {0x01, 0x10, 0x80, 0xff};
  char path[400], *bytes;
  size_t count;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_ok(lc_file_read(path, 1 << 20, &bytes, &count, &test_err));
  if (n > count) n = count;
  for (size_t i = 0; i < n; i++)
    for (size_t c = 0; c < sizeof changes; c++) {
      bytes[i] = (char)((uint8_t)bytes[i] ^ changes[c]);
      write_bytes(path, bytes, count, "", 0);
      look_at(path);
      bytes[i] = (char)((uint8_t)bytes[i] ^ changes[c]);
    }
  free(bytes);
  assert_int_equal(unlink(path), 0);
}

static void every_byte(void **state) {
  static const int order[3] = {0, 1, 2}, sign[3] = {1, 1, 1};
  const struct grid grid = make_grid("plain", 0, 0, order, sign);
  char stem[300], path[400];
  (void)state;
  snprintf(stem, sizeof stem, "%s/it", folder);
  snprintf(path, sizeof path, "%s.nii", stem);
  /* What the readers print goes to a file, which stays empty. */
  char printed[400];
  snprintf(printed, sizeof printed, "%s/printed", folder);
  fflush(NULL);
  int out = dup(1), err = dup(2), file = open(printed, O_CREAT | O_WRONLY | O_TRUNC, 0600);
  assert_true(file >= 0 && dup2(file, 1) == 1 && dup2(file, 2) == 2);
  write_meta(&grid, stem, 1, 0, "int16");
  change_all("it.mhd", 400);
  write_meta(&grid, stem, 0, 1, "int16");
  change_all("it.mha", 400);
  write_nrrd(&grid, stem, "left-posterior-superior", 0, 1);
  change_all("it.nrrd", 300);
  write_nifti(&grid, path, (struct nifti){.q = 1, .s = 1, .unit = 2, .type = "int16"});
  change_all("it.nii", 352);
  fflush(NULL);
  dup2(out, 1), dup2(err, 2);
  close(out), close(err), close(file);
  struct stat info;
  assert_int_equal(stat(printed, &info), 0);
  assert_int_equal(info.st_size, 0);
  printf("%zu read, %zu refused, %zu failed\n", n_read, n_refused, n_failed);
  assert_true(n_read > 100 && n_refused > 100 && n_failed > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_byte)};
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
