/* Every way in which pixels are stored, by every codec: signedness, bits, slope, intercept, padding
 * and coding in all combinations. Each is two slices of a linear field, written here and read by
 * the program; each voxel is held to what its stored value stands for, and to the field within 1
 * HU. slow: 30 */
#include "tests/ct_dicom_field.h"
#include "tests/ct_dicom_test.h"
#include "tests/ct_jpeg2000_test.h"

enum { ROWS = 12, COLUMNS = 11, SLICES = 2, CELLS = ROWS * COLUMNS };

/* After those of ct_dicom_build.h. */
enum { JPEG2000 = DCM_CODINGS, JPEG_LOSSLESS, JPEG_LS, CODECS };

static const char *const codec_names[CODECS] = {"implicit",      "explicit", "big endian",
                                                "deflated",      "RLE",      "JPEG 2000",
                                                "JPEG lossless", "JPEG-LS"};

struct bits {
  int allocated, stored, high_bit;
  bool rubbish; /* bits above the stored ones are set, as by overlays */
};
static const struct bits layouts[] = {{8, 8, 7, false},   {16, 10, 9, false},  {16, 12, 11, false},
                                      {16, 12, 11, true}, {16, 12, 15, false}, {16, 15, 14, false},
                                      {16, 16, 15, false}};
static const double slopes[] = {1, 0.5, 1.6};
static const double intercepts[] = {0, -1024, -500.25};
enum padding { NONE, BEYOND, WITHIN, PADDINGS };

struct combination {
  bool is_signed;
  struct bits bits;
  double slope, intercept;
  enum padding padding;
  int codec;
  long centre; /* stored value about which the field varies */
  long pad;    /* stored value of the padding */
  bool padded; /* its pixels are air */
};

static char folder[256];
static int n_combinations, n_codec[CODECS];

static long lowest(const struct combination *c) {
  return c->is_signed ? -(1l << (c->bits.stored - 1)) : 0;
}

static long highest(const struct combination *c) {
  return c->is_signed ? (1l << (c->bits.stored - 1)) - 1 : (1l << c->bits.stored) - 1;
}

/* Stored values on both sides of where the sign bit turns, unless what they mean leaves the scale.
 */
static void choose_values(struct combination *c) {
  c->centre = c->is_signed ? 0 : 1l << (c->bits.stored - 1);
  double hu = (double)c->centre * c->slope + c->intercept;
  if (hu > 32000) c->centre = lround((3000 - c->intercept) / c->slope);
  if (hu < -950) c->centre = lround((-950 - c->intercept) / c->slope);
  if (c->centre > highest(c) - 45) c->centre = highest(c) - 45;
  c->pad = c->padding == WITHIN ? c->centre : lowest(c);
  double pad_hu = (double)c->pad * c->slope + c->intercept;
  c->padded = c->padding != NONE && (pad_hu <= -1000 || pad_hu > 3071);
}

/* The field: at most 44 stored values on either side of the centre; every seventh pixel is padding,
 * where there is any: in no corner, and no area. */
static long stored_at(const struct combination *c, int i, int j, int k, bool *is_pad) {
  double field = 0.8 * i + 1.1 * j + 2 * k - 11;
  *is_pad = c->padding != NONE && i > 0 && j > 0 && i + 1 < COLUMNS && j + 1 < ROWS &&
            (i + 3 * j) % 7 == 0;
  if (*is_pad) return c->pad;
  return c->centre + lround(field / c->slope);
}

/* HU as the standard has it, cut where the program says that it cuts. */
static double expected_at(const struct combination *c, int i, int j, int k, double *field) {
  bool is_pad;
  long stored = stored_at(c, i, j, k, &is_pad);
  if ((is_pad || (c->padding != NONE && stored == c->pad)) && c->padded) return *field = -1000;
  double hu = (double)stored * c->slope + c->intercept;
  *field =
      is_pad ? hu : (double)c->centre * c->slope + c->intercept + 0.8 * i + 1.1 * j + 2 * k - 11;
  *field = fmax(*field, -1024);
  return fmax(hu, -1024);
}

static struct field_series describe(const struct combination *c) {
  struct field_series s = field_series_default();
  s.rows = ROWS;
  s.columns = COLUMNS;
  s.slices = SLICES;
  s.is_signed = c->is_signed;
  s.allocated = c->bits.allocated;
  s.stored = c->bits.stored;
  s.high_bit = c->bits.high_bit;
  s.slope = c->slope;
  s.intercept = c->intercept;
  return s;
}

static void compress_with(const char *tool, const char *plain, const char *path) {
  char command[3 * LC_PATH_SIZE], text[1024];
  snprintf(command, sizeof command, "%s '%s' '%s'", tool, plain, path);
  if (run_command(command, text, sizeof text) != 0) fail_msg("%s: %s", command, text);
}

static void write_slice(const struct combination *c, int k, const char *path) {
  struct field_series s = describe(c);
  struct dcm_set set = {.n = 0};
  uint8_t cells[2 * CELLS];
  long values[CELLS];
  size_t n = 0, bytes = (size_t)c->bits.allocated / 8;
  uint32_t mask = (1u << c->bits.stored) - 1;
  for (int j = 0; j < ROWS; j++)
    for (int i = 0; i < COLUMNS; i++) {
      bool is_pad;
      long value = values[j * COLUMNS + i] = stored_at(c, i, j, k, &is_pad);
      assert_true(value >= lowest(c) && value <= highest(c));
      uint32_t cell = ((uint32_t)value & mask) << (c->bits.high_bit + 1 - c->bits.stored);
      if (c->bits.rubbish) cell |= (uint32_t)(i + j) << (c->bits.high_bit + 1);
      for (size_t b = 0; b < bytes; b++) cells[n++] = (uint8_t)(cell >> 8 * b);
    }
  field_describe(&s, &set, k);
  if (c->padding != NONE) dcm_short(&set, 0x00280120, c->is_signed ? "SS" : "US", c->pad);
  if (c->codec != JPEG2000) dcm_put(&set, 0x7fe00010, bytes == 1 ? "OB" : "OW", cells, n);
  if (c->codec < DCM_RLE) {
    dcm_write_as(&set, (enum dcm_coding)c->codec, dcm_syntax((enum dcm_coding)c->codec), path);
  } else if (c->codec == DCM_RLE || c->codec == JPEG2000) {
    bool rle = c->codec == DCM_RLE;
    struct dcm_bytes frame =
        rle ? field_rle(&s, &set)
            : jpeg2000_encode(values, ROWS, COLUMNS, c->bits.stored, c->is_signed);
    dcm_write_frames(&set, rle ? dcm_syntax(DCM_RLE) : "1.2.840.10008.1.2.4.90", &frame, 1, path);
    free(frame.at);
  } else {
    char plain[LC_PATH_SIZE];
    snprintf(plain, sizeof plain, "%s.plain", folder);
    dcm_write_as(&set, DCM_EXPLICIT, dcm_syntax(DCM_EXPLICIT), plain);
    compress_with(c->codec == JPEG_LS ? "dcmcjpls" : "dcmcjpeg", plain, path);
    unlink(plain);
  }
  dcm_free(&set);
}

static void check(const struct combination *c) {
  char path[LC_PATH_SIZE];
  struct ct_index index;
  struct ct_volume volume;
  for (int k = 0; k < SLICES; k++) {
    snprintf(path, sizeof path, "%s/%d.dcm", folder, k);
    write_slice(c, k, path);
  }
  char name[160];
  snprintf(name, sizeof name, "%s, %ssigned, %d/%d/%d%s, slope %g, intercept %g, padding %d",
           codec_names[c->codec], c->is_signed ? "" : "un", c->bits.allocated, c->bits.stored,
           c->bits.high_bit, c->bits.rubbish ? " and overlays" : "", c->slope, c->intercept,
           c->padding);
  field_scan(&index, folder, NULL);
  if (index.n_series != 1 || index.series[0].verdict != CT_USABLE)
    fail_msg("%s: %s", name, index.series[0].reason);
  if (ct_volume_decode(&volume, &index.series[0], 0, SLICES, NULL, &test_err) != LC_OK)
    fail_msg("%s: %s", name, test_err.message);
  for (int k = 0; k < SLICES; k++)
    for (int j = 0; j < ROWS; j++)
      for (int i = 0; i < COLUMNS; i++) {
        double field, expected = expected_at(c, i, j, k, &field);
        double hu = volume.hu[(k * ROWS + j) * COLUMNS + i];
        if (fabs(hu - expected) > 0.501 || fabs(hu - field) > (c->slope > 1 ? 1.301 : 1.001))
          fail_msg("%s: voxel (%d, %d, %d): %g HU, expected %g, field %g", name, i, j, k, hu,
                   expected, field);
      }
  ct_volume_free(&volume);
  ct_index_free(&index);
  n_combinations++;
  n_codec[c->codec]++;
}

/* What a codec can carry: external tools take few of the combinations, since each is a process. */
static bool carried(const struct combination *c) {
  if (c->codec < JPEG2000) return true;
  if (c->bits.rubbish || c->bits.high_bit + 1 != c->bits.stored) return false;
  return c->codec == JPEG2000 ||
         (c->slope != 0.5 && c->intercept != -500.25 && c->padding != WITHIN);
}

static void all_of(int codec) {
  lc_test_folder(folder);
  for (int is_signed = 0; is_signed < 2; is_signed++)
    for (size_t b = 0; b < sizeof layouts / sizeof *layouts; b++)
      for (size_t s = 0; s < 3; s++)
        for (size_t i = 0; i < 3; i++)
          for (int padding = 0; padding < PADDINGS; padding++) {
            struct combination c = {.is_signed = is_signed,
                                    .bits = layouts[b],
                                    .slope = slopes[s],
                                    .intercept = intercepts[i],
                                    .padding = (enum padding)padding,
                                    .codec = codec};
            choose_values(&c);
            if (carried(&c)) check(&c);
          }
  assert_ok(lc_folder_remove(folder, &test_err));
  print_message("%s: %d combinations, %d in all\n", codec_names[codec], n_codec[codec],
                n_combinations);
}

static void uncompressed(void **state) {
  (void)state;
  for (int codec = 0; codec < DCM_RLE; codec++) all_of(codec);
  assert_true(n_combinations >= 200);
}

static void rle(void **state) {
  (void)state;
  all_of(DCM_RLE);
}

static void jpeg2000(void **state) {
  (void)state;
  all_of(JPEG2000);
}

static void jpeg_lossless(void **state) {
  (void)state;
  need_program("dcmcjpeg");
  all_of(JPEG_LOSSLESS);
}

static void jpeg_ls(void **state) {
  (void)state;
  need_program("dcmcjpls");
  all_of(JPEG_LS);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(uncompressed), cmocka_unit_test(rle),
                                     cmocka_unit_test(jpeg2000), cmocka_unit_test(jpeg_lossless),
                                     cmocka_unit_test(jpeg_ls)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
