/* A slice in High-Throughput JPEG 2000: decoded to the voxels it was made from.
 *
 * tests/unit/ct_io/htj2k_64.j2c is a 64 x 64 image of 12 bits whose pixel i is i % 997 + 524,
 * compressed reversibly by ojph_compress. */
#include "ct_io/dicom_file/ct_syntax.h"
#include "ct_io/dicom_read/ct_decode.h"
#include "ct_io/dicom_read/ct_index.h"
#include "tests/lc_test.h"

#include "common/lc_file.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/dicom_write/ct_write.h"

enum { SIDE = 64 };

static void put(FILE *file, const void *bytes, size_t count) {
  assert_int_equal(fwrite(bytes, 1, count, file), count);
}

static void put_item(FILE *file, const void *bytes, uint32_t length) {
  uint32_t even = length + (length & 1);
  put(file, "\xfe\xff\x00\xe0", 4);
  put(file, &even, 4);
  put(file, bytes, length);
  if (length & 1) put(file, "", 1);
}

/* The slice at `from` with its transfer syntax and pixels exchanged. */
static void encapsulate(const char *from, const char *to) {
  static const char syntax[] = "1.2.840.10008.1.2.4.201"; /* 23 characters: padded to 24 */
  static const char pixels[] = "\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff";
  char *slice, *stream;
  size_t size, length;
  assert_ok(lc_file_read(from, 1 << 20, &slice, &size, &test_err));
  assert_ok(lc_file_read(LC_TEST_SOURCE_DIR "/tests/unit/ct_io/htj2k_64.j2c", 1 << 20, &stream,
                         &length, &test_err));
  FILE *file = fopen(to, "wb");
  assert_non_null(file);
  size_t at = 132, end = size - SIDE * SIDE * 2 - 12;
  while (memcmp(slice + at, "\x02\x00\x10\x00UI", 6) != 0) at++;
  put(file, slice, at);
  put(file, "\x02\x00\x10\x00UI\x18\x00", 8);
  put(file, syntax, 24);
  at += 8 + (size_t)(unsigned char)slice[at + 6];
  put(file, slice + at, end - at);
  put(file, pixels, 12);
  put_item(file, "", 0);
  put_item(file, stream, (uint32_t)length);
  put(file, "\xfe\xff\xdd\xe0\0\0\0\0", 8);
  fclose(file);
  free(slice);
  free(stream);
}

static void test_htj2k(void **state) {
  (void)state;
  struct ct_write_header header = {.patient_id = "HTJ2K",
                                   .study_instance_uid = "2.25.1",
                                   .series_instance_uid = "2.25.2",
                                   .frame_of_reference_uid = "2.25.4",
                                   .slice_thickness_mm = 1};
  struct ct_volume volume = {.size = {SIDE, SIDE, 1},
                             .spacing_mm = {1, 1, 1},
                             .direction = {1, 0, 0, 0, 1, 0, 0, 0, 1}},
                   decoded;
  struct ct_index found;
  char folder[256], plain[300], compressed[300];
  const char *paths = compressed;
  volume.hu = calloc(SIDE * SIDE, sizeof *volume.hu);
  assert_non_null(volume.hu);
  for (int i = 0; i < SIDE * SIDE; i++) volume.hu[i] = (int16_t)(i % 997 - 500);
  snprintf(plain, sizeof plain, "%s/plain.dcm", lc_test_folder(folder));
  snprintf(compressed, sizeof compressed, "%s/htj2k.dcm", folder);
  assert_ok(ct_write_slice(&header, &volume, 0, "2.25.3", plain, &test_err));
  encapsulate(plain, compressed);
  assert_ok(ct_index_scan(&found, &paths, 1, NULL, NULL, &test_err));
  assert_string_equal(ct_transfer_syntax_name(found.series[0].slices[0].transfer_syntax_uid),
                      "HTJ2K Lossless");
  assert_false(found.series[0].lossy);
  lc_status status = ct_volume_decode(&decoded, &found.series[0], 0, 1, NULL, &test_err);
  if (status == LC_ERR_UNSUPPORTED) {
    assert_non_null(strstr(test_err.message, "built without OpenJPH"));
  } else {
    assert_ok(status);
    assert_memory_equal(decoded.hu, volume.hu, SIDE * SIDE * sizeof *volume.hu);
    ct_volume_free(&decoded);
  }
  ct_index_free(&found);
  free(volume.hu);
  assert_ok(lc_folder_remove(folder, &test_err));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_htj2k)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
