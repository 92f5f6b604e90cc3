/* Pixel data that codecs read with a warning at most, though it lacks something or says otherwise
 * than the header; and padding that lies in the range of tissue. */
#include "tests/ct_dicom_field.h"
#include "tests/ct_dicom_test.h"
#include "tests/ct_jpeg2000_test.h"

/* One slice at z = 0 whose file is made by the test. */
static struct field_series one(void) {
  struct field_series s = field_series_default();
  s.slices = 1;
  s.origin[2] = 0;
  return s;
}

static const char *path_of_slice(void) {
  static char path[LC_PATH_SIZE];
  snprintf(path, sizeof path, "%s/one.dcm", field_folder);
  return path;
}

static void describe_one(const struct field_series *s, struct dcm_set *set) {
  size_t n;
  uint8_t *pixels = field_pixels(s, 0, &n);
  field_describe(s, set, 0);
  dcm_put(set, 0x7fe00010, "OW", pixels, n);
  free(pixels);
}

/* What reading the one slice comes to: scanning goes well, decoding fails with these words. */
static void check_refused(const char *words) {
  struct ct_index index;
  struct ct_volume volume;
  field_scan(&index, path_of_slice(), NULL);
  assert_fails(ct_volume_decode(&volume, &index.series[0], 0, 1, NULL, &test_err), LC_ERR_FORMAT,
               words);
  assert_non_null(strstr(test_err.message, path_of_slice()));
  assert_null(volume.hu);
  ct_index_free(&index);
}

static void check_read(double offset) {
  struct ct_index index;
  field_scan(&index, path_of_slice(), NULL);
  assert_int_equal(index.n_series, 1);
  field_check(&index.series[0], offset);
  ct_index_free(&index);
}

static void write_rle(const struct field_series *s, size_t keep, size_t at, uint32_t value) {
  struct dcm_set set = {.n = 0};
  describe_one(s, &set);
  struct dcm_bytes frame = field_rle(s, &set);
  if (keep > 0 && keep < 100) frame.n = frame.n * keep / 100;
  for (int b = 0; b < 4 && at > 0; b++) frame.at[at + (size_t)b] = (uint8_t)(value >> 8 * b);
  if (at == 0 && value) frame.at[0] = (uint8_t)value;
  dcm_write_frames(&set, dcm_syntax(DCM_RLE), &frame, 1, path_of_slice());
  free(frame.at);
  dcm_free(&set);
}

static void rle_frames_that_lack_something(void **state) {
  (void)state;
  struct field_series s = one();
  write_rle(&s, 100, 0, 0);
  check_read(0);
  static const size_t shares[] = {90, 50, 20};
  for (int i = 0; i < 3; i++) {
    write_rle(&s, shares[i], 0, 0);
    check_refused("RLE segment");
  }
  write_rle(&s, 1, 0, 0); /* no header */
  check_refused("RLE frame of 0 segments, expected 2");
  write_rle(&s, 100, 0, 1);
  check_refused("RLE frame of 1 segments, expected 2");
  write_rle(&s, 100, 0, 3);
  check_refused("RLE frame of 3 segments, expected 2");
  write_rle(&s, 100, 8, 66); /* the second segment starts within the first */
  check_refused("RLE segment 1 unfolds to");
  write_rle(&s, 100, 8, 60000);
  check_refused("RLE segment 1 at bytes 64 to 60000");
  write_rle(&s, 100, 4, 10);
  check_refused("RLE segment 1 at bytes 10");
}

/* The header has a column, or a row, less than the frame: rows would be sheared. */
static void a_frame_of_another_size(void **state) {
  (void)state;
  for (uint32_t side = 0; side < 2; side++) {
    struct field_series s = one();
    struct dcm_set set = {.n = 0};
    describe_one(&s, &set);
    struct dcm_bytes frame = field_rle(&s, &set);
    dcm_short(&set, 0x00280010 + side, "US", side ? 19 : 23);
    dcm_write_frames(&set, dcm_syntax(DCM_RLE), &frame, 1, path_of_slice());
    free(frame.at);
    dcm_free(&set);
    check_refused(side ? "unfolds to more than 456 bytes" : "unfolds to more than 460 bytes");
  }
}

/* Compresses with a tool of DCMTK and writes the first `keep` hundredths of its frame. */
static void write_with(const char *tool, const char *syntax, const struct field_series *s,
                       size_t keep) {
  char plain[LC_PATH_SIZE], packed[LC_PATH_SIZE], command[3 * LC_PATH_SIZE], text[1024], *bytes;
  struct dcm_set set = {.n = 0};
  size_t n;
  snprintf(plain, sizeof plain, "%s.plain", field_folder);
  snprintf(packed, sizeof packed, "%s.packed", field_folder);
  describe_one(s, &set);
  dcm_write_as(&set, DCM_EXPLICIT, dcm_syntax(DCM_EXPLICIT), plain);
  snprintf(command, sizeof command, "%s '%s' '%s'", tool, plain, packed);
  if (run_command(command, text, sizeof text) != 0) fail_msg("%s: %s", command, text);
  assert_ok(lc_file_read(packed, 1 << 20, &bytes, &n, &test_err));
  size_t start = n;
  for (size_t i = 0; i + 3 < n; i++) /* the start of an image behind an item's length */
    if ((uint8_t)bytes[i] == 0xff && (uint8_t)bytes[i + 1] == 0xd8) {
      start = i;
      break;
    }
  assert_true(start + 16 < n);
  struct dcm_bytes frame = {(uint8_t *)bytes + start, (n - 8 - start) * keep / 100, 0};
  dcm_remove(&set, 0x7fe00010);
  dcm_write_frames(&set, syntax, &frame, 1, path_of_slice());
  free(bytes);
  dcm_free(&set);
  unlink(plain);
  unlink(packed);
}

static void jpeg_streams_that_are_cut_short(void **state) {
  (void)state;
  static const struct {
    const char *tool, *syntax, *name;
  } codecs[] = {{"dcmcjpeg", "1.2.840.10008.1.2.4.70", "JPEG Lossless SV1"},
                {"dcmcjpls", "1.2.840.10008.1.2.4.80", "JPEG-LS Lossless"}};
  static const size_t shares[] = {95, 60, 20};
  for (int c = 0; c < 2; c++) {
    struct field_series s = one();
    need_program(codecs[c].tool);
    write_with(codecs[c].tool, codecs[c].syntax, &s, 100);
    check_read(0);
    for (int i = 0; i < 3; i++) {
      write_with(codecs[c].tool, codecs[c].syntax, &s, shares[i]);
      check_refused(codecs[c].name);
    }
  }
}

/* Uncompressed and deflated files that end early. */
static void files_that_are_cut_short(void **state) {
  (void)state;
  static const enum dcm_coding codings[] = {DCM_IMPLICIT, DCM_EXPLICIT, DCM_BIG, DCM_DEFLATED,
                                            DCM_RLE};
  for (int c = 0; c < 5; c++)
    for (size_t cut = 1; cut <= 400; cut += 133) {
      struct field_series s = one();
      struct ct_index index;
      struct ct_volume volume;
      const char *path = path_of_slice();
      char *bytes;
      size_t n;
      s.coding = codings[c];
      if (codings[c] == DCM_RLE) {
        write_rle(&s, 100, 0, 0);
      } else {
        struct dcm_set set = {.n = 0};
        describe_one(&s, &set);
        dcm_write_as(&set, codings[c], dcm_syntax(codings[c]), path);
        dcm_free(&set);
      }
      check_read(0);
      assert_ok(lc_file_read(path, 1 << 20, &bytes, &n, &test_err));
      struct dcm_bytes shorter = {(uint8_t *)bytes, n - cut, 0};
      /* The end of a deflated stream is a pad byte; that of RLE is a delimiter. */
      if (codings[c] == DCM_DEFLATED || codings[c] == DCM_RLE) shorter.n -= 16;
      dcm_save(&shorter, path);
      free(bytes);
      lc_status status = ct_index_scan(&index, &path, 1, NULL, NULL, &test_err);
      if (status == LC_OK) {
        status = ct_volume_decode(&volume, &index.series[0], 0, 1, NULL, &test_err);
        ct_index_free(&index);
      }
      if (status != LC_ERR_FORMAT || !strstr(test_err.message, path))
        fail_msg("coding %d, %zu bytes less: %s", codings[c], cut, test_err.message);
    }
}

/* Streams of 16 bits under a header of 12: JPEG and JPEG-LS copy cells whose upper bits count when
 * there is something in them. */
static void jpeg_streams_of_more_bits(void **state) {
  (void)state;
  static const char *const tools[] = {"dcmcjpeg", "dcmcjpls"};
  static const char *const syntaxes[] = {"1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"};
  for (int i = 0; i < 6; i++) {
    struct field_series s = one();
    need_program(tools[i % 2]);
    s.is_signed = i / 2 == 1;
    s.offset = i / 2 == 2 ? 300 : 6000; /* within the twelve bits, or beyond */
    struct field_series told = s;
    told.stored = 12;
    told.high_bit = 11;
    /* Cells of 16 bits, described as 12. */
    char plain[LC_PATH_SIZE], command[3 * LC_PATH_SIZE], text[1024];
    struct dcm_set set = {.n = 0};
    size_t n;
    uint8_t *pixels = field_pixels(&s, 0, &n);
    field_describe(&told, &set, 0);
    dcm_put(&set, 0x7fe00010, "OW", pixels, n);
    free(pixels);
    snprintf(plain, sizeof plain, "%s.plain", field_folder);
    dcm_write_as(&set, DCM_EXPLICIT, dcm_syntax(DCM_EXPLICIT), plain);
    dcm_free(&set);
    snprintf(command, sizeof command, "%s '%s' '%s'", tools[i % 2], plain, path_of_slice());
    if (run_command(command, text, sizeof text) != 0) fail_msg("%s: %s", command, text);
    unlink(plain);
    struct ct_index index;
    field_scan(&index, path_of_slice(), NULL);
    assert_string_equal(index.series[0].slices[0].transfer_syntax_uid, syntaxes[i % 2]);
    ct_index_free(&index);
    check_read(s.offset);
  }
}

/* A JPEG 2000 stream of `precision` bits under a header of 12. */
static void write_jpeg2000(const struct field_series *s, int precision, bool stream_signed,
                           bool header_signed, size_t keep) {
  struct dcm_set set = {.n = 0};
  struct field_series told = *s;
  long values[24 * 20];
  told.is_signed = header_signed;
  told.stored = 12;
  told.high_bit = 11;
  for (int j = 0; j < s->rows; j++)
    for (int i = 0; i < s->columns; i++) {
      double mm[3];
      field_place(s, i, j, 0, mm);
      values[j * s->columns + i] = lround(field_hu(mm) + s->offset - s->intercept);
    }
  field_describe(&told, &set, 0);
  struct dcm_bytes frame = jpeg2000_encode(values, s->rows, s->columns, precision, stream_signed);
  frame.n = frame.n * keep / 100;
  dcm_write_frames(&set, "1.2.840.10008.1.2.4.90", &frame, 1, path_of_slice());
  free(frame.at);
  dcm_free(&set);
}

static void jpeg2000_streams_of_more_bits(void **state) {
  (void)state;
  struct field_series s = one();
  s.offset = 6000; /* 6600 stored: 13 bits */
  for (int i = 0; i < 8; i++) {
    write_jpeg2000(&s, i & 4 ? 14 : 16, i & 1, i & 2, 100);
    check_read(s.offset);
  }
  s.intercept = 0;
  s.offset = 0; /* below 0, with a sign in the stream alone */
  write_jpeg2000(&s, 16, true, false, 100);
  check_read(0);
  write_jpeg2000(&s, 12, true, false, 100);
  check_read(0);
}

static void jpeg2000_streams_that_are_cut_short(void **state) {
  (void)state;
  static const size_t shares[] = {95, 60, 20};
  struct field_series s = one();
  for (int i = 0; i < 3; i++) {
    write_jpeg2000(&s, 12, false, false, shares[i]);
    check_refused("JPEG 2000");
  }
}

static bool edit_photometric(struct dcm_set *set, int k, void *context) {
  (void)k;
  dcm_text(set, 0x00280004, "CS", context);
  return true;
}

static void pixels_that_are_indices_of_colours(void **state) {
  (void)state;
  static const char *const words[] = {"PALETTE COLOR", "palette", "MONOCHROME1", "MONOCHROME2"};
  for (int i = 0; i < 4; i++) {
    struct field_series s = field_series_default();
    struct ct_index index;
    char value[32];
    snprintf(value, sizeof value, "%s", words[i]);
    s.edit = edit_photometric;
    s.context = value;
    field_write(&s, field_folder);
    field_scan(&index, field_folder, NULL);
    if (i < 2)
      field_verdict(&index.series[0], CT_REFUSED, "pixels are no Hounsfield units");
    else
      field_check(&index.series[0], 0);
    ct_index_free(&index);
  }
}

/* Padding: its values, and where it is in a slice of 24 x 20 pixels. */
struct padding {
  const char *vr;
  long value, limit; /* limit 0: not given */
  bool corner, inside;
};

static bool is_corner(int i, int j) {
  return i + j < 6;
}

static bool is_inside(int i, int j) {
  return i >= 8 && i < 12 && j >= 9 && j < 13;
}

/* Writes the field with stored `value` in the corner and inside, as far as it is there. */
static void write_padded(const struct field_series *s, const struct padding *p) {
  struct dcm_set set = {.n = 0};
  size_t n;
  uint8_t *pixels = field_pixels(s, 0, &n);
  for (int j = 0; j < s->rows; j++)
    for (int i = 0; i < s->columns; i++) {
      if (!(p->corner && is_corner(i, j)) && !(p->inside && is_inside(i, j))) continue;
      long value = p->limit && (i + j) % 2 ? p->limit : p->value;
      pixels[2 * (j * s->columns + i)] = (uint8_t)(value & 0xff);
      pixels[2 * (j * s->columns + i) + 1] = (uint8_t)(value >> 8 & 0xff);
    }
  field_describe(s, &set, 0);
  dcm_put(&set, 0x7fe00010, "OW", pixels, n);
  dcm_short(&set, 0x00280120, p->vr, p->value);
  if (p->limit) dcm_short(&set, 0x00280121, p->vr, p->limit);
  dcm_write_as(&set, DCM_EXPLICIT, dcm_syntax(DCM_EXPLICIT), path_of_slice());
  free(pixels);
  dcm_free(&set);
}

/* corner, inside: HU expected there; NAN: the padding's own value. */
static void check_padded(const struct field_series *s, const struct padding *p, double corner,
                         double inside) {
  struct ct_index index;
  struct ct_volume volume;
  write_padded(s, p);
  field_scan(&index, path_of_slice(), NULL);
  assert_ok(ct_volume_decode(&volume, &index.series[0], 0, 1, NULL, &test_err));
  for (int j = 0; j < s->rows; j++)
    for (int i = 0; i < s->columns; i++) {
      double mm[3], own = (double)p->value * s->slope + s->intercept, expected;
      field_place(s, i, j, 0, mm);
      expected = field_hu(mm) + s->offset;
      if (p->corner && is_corner(i, j)) expected = isnan(corner) ? own : corner;
      if (p->inside && is_inside(i, j)) expected = isnan(inside) ? own : inside;
      double hu = volume.hu[j * s->columns + i];
      if (!(fabs(hu - expected) <= 1))
        fail_msg("padding %ld, pixel (%d, %d): %g HU, expected %g", p->value, i, j, hu, expected);
    }
  ct_volume_free(&volume);
  ct_index_free(&index);
}

/* 0 with an intercept of 0 is water. */
static void padding_in_the_range_of_tissue(void **state) {
  (void)state;
  struct field_series s = one();
  s.intercept = 0;
  s.offset = 500; /* nothing else is 0 */
  static const struct padding inside = {"SS", 0, 0, false, true}, both = {"SS", 0, 0, true, true},
                              corner = {"SS", 0, 0, true, false};
  check_padded(&s, &inside, NAN, NAN);
  check_padded(&s, &both, -1000, NAN);
  check_padded(&s, &corner, -1000, NAN);
  s.offset = 0; /* the field passes 0 here and there */
  s.is_signed = true;
  check_padded(&s, &inside, NAN, NAN);
}

static void padding_that_nothing_else_has(void **state) {
  (void)state;
  static const struct padding signed_air = {"SS", -1024, 0, true, true},
                              lowest = {"SS", -32768, 0, true, true},
                              as_unsigned = {"US", 63488, 0, true, true}, /* -2048 */
      range = {"SS", -3024, -1024, true, true}, turned = {"SS", -1024, -3024, true, true};
  const struct padding *const cases[] = {&signed_air, &lowest, &as_unsigned, &range, &turned};
  struct field_series s = one();
  s.intercept = 0;
  for (int i = 0; i < 5; i++) check_padded(&s, cases[i], -1000, -1000);
  s = one(); /* intercept -1024, unsigned: 0 is -1024 HU, 65535 beyond the scale */
  s.is_signed = false;
  static const struct padding zero = {"US", 0, 0, true, true}, top = {"US", 65535, 0, true, true};
  check_padded(&s, &zero, -1000, -1000);
  check_padded(&s, &top, -1000, -1000);
}

/* A range that holds what lungs have: believed in the corner alone. */
static void a_range_of_padding_that_reaches_into_tissue(void **state) {
  (void)state;
  static const struct padding range = {"SS", -1100, -700, true, true};
  struct field_series s = one();
  struct ct_index index;
  struct ct_volume volume;
  s.intercept = 0;
  write_padded(&s, &range);
  field_scan(&index, path_of_slice(), NULL);
  assert_ok(ct_volume_decode(&volume, &index.series[0], 0, 1, NULL, &test_err));
  assert_int_equal(volume.hu[0], -1000);
  assert_int_equal(volume.hu[1], -1000);
  assert_int_equal(volume.hu[10 * 20 + 9], -700);
  assert_int_equal(volume.hu[10 * 20 + 10], -1024);
  ct_volume_free(&volume);
  ct_index_free(&index);
}

/* One that holds what a patient is made of: not believed anywhere, all voxels are the field's. */
static void a_range_of_padding_that_swallows_the_patient(void **state) {
  static const struct padding ranges[] = {{"SS", -2000, 500, false, false},
                                          {"SS", 500, -2000, false, false},
                                          {"SS", -150, 250, false, false},
                                          {"SS", -3024, 3071, false, false}};
  struct field_series s = one();
  (void)state;
  s.intercept = 0;
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
    check_padded(&s, &ranges[i], NAN, NAN);
}

/* More pixels than the header makes rows of: it is another image's, or something stands before it.
 */
static void pixels_that_are_too_many(void **state) {
  static const int more[] = {2, 16, 18, 40, 480, 960}; /* bytes; a row has 40, the slice 960 */
  (void)state;
  for (size_t i = 0; i < sizeof more / sizeof *more; i++)
    for (int multi = 0; multi < 2; multi++) {
      struct field_series s = one();
      struct ct_index index;
      struct dcm_set set = {.n = 0};
      size_t n;
      uint8_t *pixels = field_pixels(&s, 0, &n);
      uint8_t *all = calloc(1, n + 960);
      assert_non_null(all);
      memcpy(all, pixels, n);
      field_describe(&s, &set, 0);
      if (multi) dcm_print(&set, 0x00280008, "IS", "1");
      dcm_put(&set, 0x7fe00010, "OW", all, n + (size_t)more[i]);
      dcm_write_as(&set, multi ? DCM_IMPLICIT : DCM_EXPLICIT,
                   dcm_syntax(multi ? DCM_IMPLICIT : DCM_EXPLICIT), path_of_slice());
      free(pixels);
      free(all);
      dcm_free(&set);
      const char *path = path_of_slice();
      if (more[i] > 16) {
        char words[80];
        snprintf(words, sizeof words, "%zu bytes of pixel data, expected %zu", n + (size_t)more[i],
                 n);
        assert_fails(ct_index_scan(&index, &path, 1, NULL, NULL, &test_err), LC_ERR_FORMAT, words);
        continue;
      }
      field_scan(&index, path, NULL);
      field_check(&index.series[0], 0);
      ct_index_free(&index);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      field_test(rle_frames_that_lack_something),
      field_test(a_frame_of_another_size),
      field_test(jpeg_streams_that_are_cut_short),
      field_test(files_that_are_cut_short),
      field_test(pixels_that_are_too_many),
      field_test(jpeg_streams_of_more_bits),
      field_test(jpeg2000_streams_of_more_bits),
      field_test(jpeg2000_streams_that_are_cut_short),
      field_test(pixels_that_are_indices_of_colours),
      field_test(padding_in_the_range_of_tissue),
      field_test(padding_that_nothing_else_has),
      field_test(a_range_of_padding_that_reaches_into_tissue),
      field_test(a_range_of_padding_that_swallows_the_patient),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
