/* NIfTI-1 in one file (.nii, .nii.gz): nifti1.h of https://nifti.nimh.nih.gov/nifti-1. Place and
 * voxels come from here, not from ITK, which prefers one of qform and sform without a word
 * (itkNiftiImageIO.cxx, SetImageIOOrientationFromNIfTI), and in 5.2 does not convert the unit of
 * the origin, and refuses most files that have an sform alone. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "common/lc_log.h"
#include "ct_io/ct/ct_volume_header.h"

enum { HEADER = 348 };

static const char *const endings[] = {".nii.gz", ".nii", NULL};

static const struct {
  int code;
  struct ct_voxel_type type;
} types[] = {
    {2, {"uint8", 1, false, false}},      {4, {"int16", 2, false, true}},
    {8, {"int32", 4, false, true}},       {16, {"float32", 4, true, true}},
    {64, {"float64", 8, true, true}},     {256, {"int8", 1, false, true}},
    {512, {"uint16", 2, false, false}},   {768, {"uint32", 4, false, false}},
    {1024, {"int64", 8, false, true}},    {1280, {"uint64", 8, false, false}},
    {32, {"complex64", 0, false, false}}, {128, {"RGB", 0, false, false}},
    {2304, {"RGBA", 0, false, false}},
};

/* Fields in the byte order of the file. */
struct raw {
  uint8_t bytes[HEADER];
  bool swapped;
};

static uint32_t word(const struct raw *raw, size_t at, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes; i++)
    value |= (uint32_t)raw->bytes[at + i] << 8 * (raw->swapped ? bytes - 1 - i : i);
  return value;
}

static int whole(const struct raw *raw, size_t at) {
  return (int16_t)word(raw, at, 2);
}

static double real(const struct raw *raw, size_t at) {
  uint32_t bits = word(raw, at, 4);
  float value;
  memcpy(&value, &bits, sizeof value);
  return (double)value;
}

/* gzread takes files that are not compressed as they are. */
static lc_status read_raw(struct raw *raw, const char *path, struct lc_error *err) {
  gzFile file = gzopen(path, "rb");
  if (!file) LC_FAIL(err, LC_ERR_FORMAT, "%s: cannot be read", path);
  int got = gzread(file, raw->bytes, HEADER), code;
  char why[128];
  snprintf(why, sizeof why, "%s", gzerror(file, &code));
  gzclose(file);
  if (got < 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: cannot be unpacked: %s", path, why);
  if (got != HEADER) LC_FAIL(err, LC_ERR_FORMAT, "%s: no NIfTI header of %d bytes", path, HEADER);
  raw->swapped = false;
  uint32_t size = word(raw, 0, 4);
  raw->swapped = size != HEADER;
  if (size == 540 || word(raw, 0, 4) == 540)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: NIfTI-2 is not read, expected NIfTI-1", path);
  if (word(raw, 0, 4) != HEADER || memcmp(raw->bytes + 344, "n+1", 4) != 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: no NIfTI header in one file, expected n+1", path);
  return LC_OK;
}

static void read_type(struct ct_volume_header *header, const struct raw *raw) {
  int code = whole(raw, 70);
  snprintf(header->type.name, sizeof header->type.name, "%d", code);
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (types[i].code == code) header->type = types[i].type;
  double slope = real(raw, 112), intercept = real(raw, 116);
  if (!isfinite(slope) || !isfinite(intercept) || (slope == 0 && intercept != 0))
    ct_volume_refuse(header, "scl_slope %g and scl_inter %g do not give Hounsfield units", slope,
                     intercept);
  else if (slope != 0)
    header->slope = slope, header->intercept = intercept;
}

/* A quaternion and a sign as the three steps (nifti1.h, method 2), in RAS. */
static void qform(const struct raw *raw, double origin[3], double step[3][3]) {
  double b = real(raw, 256), c = real(raw, 260), d = real(raw, 264);
  double a = sqrt(fmax(0, 1 - (b * b + c * c + d * d)));
  if (b * b + c * c + d * d > 1) {
    double length = sqrt(b * b + c * c + d * d);
    b /= length, c /= length, d /= length;
  }
  const double r[3][3] = {
      {a * a + b * b - c * c - d * d, 2 * (b * c + a * d), 2 * (b * d - a * c)},
      {2 * (b * c - a * d), a * a + c * c - b * b - d * d, 2 * (c * d + a * b)},
      {2 * (b * d + a * c), 2 * (c * d - a * b), a * a + d * d - b * b - c * c}};
  for (int axis = 0; axis < 3; axis++)
    for (int x = 0; x < 3; x++)
      step[axis][x] = r[axis][x] * fabs(real(raw, 80 + 4 * (size_t)axis)) *
                      (axis == 2 && real(raw, 76) < 0 ? -1 : 1);
  for (size_t x = 0; x < 3; x++) origin[x] = real(raw, 268 + 4 * x);
}

static void sform(const struct raw *raw, double origin[3], double step[3][3]) {
  for (size_t x = 0; x < 3; x++) {
    for (size_t axis = 0; axis < 3; axis++) step[axis][x] = real(raw, 280 + 16 * x + 4 * axis);
    origin[x] = real(raw, 280 + 16 * x + 12);
  }
}

static double length_of(const double v[3]) {
  return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

/* Cosines within 0.001, the last voxel of each axis and the first within 0.01 mm as the axis goes.
 */
static bool agree(const double origin[2][3], double step[2][3][3], double scale) {
  for (int axis = 0; axis < 3; axis++)
    for (int x = 0; x < 3; x++) {
      double a = length_of(step[0][axis]), b = length_of(step[1][axis]);
      if (!(fabs(step[0][axis][x] / a - step[1][axis][x] / b) <= 1e-3 &&
            fabs(a - b) * scale <= 1e-3 && fabs(origin[0][x] - origin[1][x]) * scale <= 0.01))
        return false;
    }
  return true;
}

static void read_place(struct ct_volume_header *header, const struct raw *raw, const char *path) {
  static const double scales[] = {1, 1000, 1, 0.001}; /* unknown, m, mm, micrometre */
  double origin[2][3], step[2][3][3];
  unsigned unit = raw->bytes[123] & 7U;
  bool q = whole(raw, 252) > 0, s = whole(raw, 254) > 0;
  if (unit >= sizeof scales / sizeof *scales) {
    ct_volume_refuse(header, "xyzt_units is %u: millimetres unknown", unit);
    return;
  }
  if (unit == 0) lc_log(LC_LOG_DEBUG, "%s: xyzt_units unknown, taken as millimetres", path);
  if (!q && !s) {
    ct_volume_refuse(header, "NIfTI without qform and sform: sides unknown");
    return;
  }
  qform(raw, origin[0], step[0]);
  sform(raw, origin[1], step[1]);
  if (q && s && !agree((const double(*)[3])origin, step, scales[unit])) {
    ct_volume_refuse(header, "qform and sform disagree: sides or place unknown; keep the right one "
                             "alone");
    return;
  }
  header->placed = true;
  for (int x = 0; x < 3; x++) { /* RAS to LPS */
    double sign = (x < 2 ? -1 : 1) * scales[unit];
    header->origin_mm[x] = sign * origin[s][x];
    for (int axis = 0; axis < 3; axis++) header->step_mm[axis][x] = sign * step[s][axis][x];
  }
}

static lc_status read_header(struct ct_volume_header *header, const char *path,
                             struct lc_error *err) {
  struct raw raw = {.swapped = false};
  long long sizes[7], n;
  size_t length = strlen(path);
  LC_TRY(read_raw(&raw, path, err));
  n = whole(&raw, 40);
  if (n < 1 || n > 7)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: dim[0] is %lld, expected 1 to 7 dimensions", path, n);
  for (size_t i = 0; i < 7; i++) sizes[i] = whole(&raw, 42 + 2 * i);
  ct_volume_sizes(header, sizes, n);
  header->big_endian = raw.swapped;
  read_type(header, &raw);
  read_place(header, &raw, path);
  header->compressed = length > 3 && path[length - 3] == '.'; /* ".gz", not ".nii" */
  double offset = real(&raw, 108);
  if (!(offset >= HEADER + 4 && offset < 1e9))
    LC_FAIL(err, LC_ERR_FORMAT, "%s: vox_offset is %g, expected 352 or more", path, offset);
  *(header->compressed ? &header->packed_skip : &header->data_offset) = (uint64_t)offset;
  return LC_OK;
}

const struct ct_volume_format ct_volume_format_nifti = {.name = "NIfTI",
                                                        .endings = endings,
                                                        .by_region = true,
                                                        .read = read_header,
                                                        .voxels = ct_volume_nifti_read};
