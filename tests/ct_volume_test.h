/* Volume files of a linear field in patient millimetres, written here from the descriptions of the
 * formats and not by ITK. */
#pragma once

#include "tests/lc_test.h"

#include <math.h>
#include <zlib.h>

/* A grid: LPS mm of the first voxel, and from index to index along i, j, k. */
struct grid {
  const char *name;
  int size[3];
  double origin[3], step[3][3];
};

/* Linear, but for air in front of the cubes that are looked at. */
static inline double field(const double lps[3]) {
  double slope = 6 * lps[0] + 4 * lps[1] + 3 * lps[2];
  return lps[1] < -13 ? slope / 4 - 950 : slope;
}

static inline void grid_position(const struct grid *grid, const int voxel[3], double lps[3]) {
  for (int x = 0; x < 3; x++) {
    lps[x] = grid->origin[x];
    for (int a = 0; a < 3; a++) lps[x] += voxel[a] * grid->step[a][x];
  }
}

/* 24 x 20 x 16 voxels of 1.5, 2 and 2.5 mm about the point 0, 0, 0, turned by angles about z and x,
 * then with their axes in another order and direction. */
static inline struct grid make_grid(const char *name, double about_z, double about_x,
                                    const int order[3], const int sign[3]) {
  const int size[3] = {24, 20, 16};
  const double spacing[3] = {1.5, 2, 2.5}, c = cos(about_z), s = sin(about_z), d = cos(about_x),
               t = sin(about_x);
  const double axis[3][3] = {{c, s * d, s * t}, {-s, c * d, c * t}, {0, -t, d}};
  struct grid grid = {.name = name};
  for (int a = 0; a < 3; a++) {
    grid.size[a] = size[order[a]];
    for (int x = 0; x < 3; x++) {
      grid.step[a][x] = sign[a] * spacing[order[a]] * axis[order[a]][x];
      grid.origin[x] -= 0.5 * (grid.size[a] - 1) * grid.step[a][x];
    }
  }
  return grid;
}

static inline size_t grid_count(const struct grid *grid) {
  return (size_t)grid->size[0] * (size_t)grid->size[1] * (size_t)grid->size[2];
}

/* The field's values as one of "int16", "int32", "float", "double", "uint16" or "uint8": free it.
 * What is stored is (value - intercept) / slope. big: bytes in the other order. */
static inline uint8_t *grid_voxels(const struct grid *grid, const char *type, double slope,
                                   double intercept, int big, size_t *bytes) {
  size_t width = !strcmp(type, "uint8")    ? 1
                 : strstr(type, "16")      ? 2
                 : !strcmp(type, "double") ? 8
                                           : 4;
  uint8_t *out = calloc(grid_count(grid), width), *to = out;
  if (!out) abort();
  for (int k = 0; k < grid->size[2]; k++)
    for (int j = 0; j < grid->size[1]; j++)
      for (int i = 0; i < grid->size[0]; i++, to += width) {
        double lps[3];
        grid_position(grid, (const int[3]){i, j, k}, lps);
        double value = (field(lps) - intercept) / slope;
        int32_t whole = (int32_t)lrint(value);
        float single = (float)value;
        if (!strcmp(type, "double"))
          memcpy(to, &value, 8);
        else if (!strcmp(type, "float"))
          memcpy(to, &single, 4);
        else
          memcpy(to, &whole, width); /* little-endian */
        for (size_t b = 0; big && b < width / 2; b++) {
          uint8_t kept = to[b];
          to[b] = to[width - 1 - b];
          to[width - 1 - b] = kept;
        }
      }
  *bytes = grid_count(grid) * width;
  return out;
}

static inline void write_bytes(const char *path, const void *head, size_t n, const void *data,
                               size_t m) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(head, 1, n, file) != n || fwrite(data, 1, m, file) != m || fclose(file) != 0)
    abort();
}

/* zlib's own format, or gzip's. */
static inline uint8_t *packed(const uint8_t *data, size_t n, int gzip, size_t *m) {
  z_stream stream = {0};
  if (deflateInit2(&stream, 6, Z_DEFLATED, gzip ? 31 : 15, 8, Z_DEFAULT_STRATEGY) != Z_OK) abort();
  uint8_t *out = malloc(n + 1000);
  stream.next_in = (uint8_t *)(uintptr_t)data;
  stream.avail_in = (uInt)n;
  stream.next_out = out;
  stream.avail_out = (uInt)(n + 1000);
  if (!out || deflate(&stream, Z_FINISH) != Z_STREAM_END) abort();
  *m = stream.total_out;
  deflateEnd(&stream);
  return out;
}

/* "Key = Value" lines of the MetaImage header but the last two. */
static inline size_t meta_header(const struct grid *grid, const char *type, char *out,
                                 size_t size) {
  size_t used = (size_t)snprintf(out, size,
                                 "ObjectType = Image\nNDims = 3\nBinaryData = True\n"
                                 "BinaryDataByteOrderMSB = False\nTransformMatrix =");
  double length[3];
  for (int a = 0; a < 3; a++) {
    const double *s = grid->step[a];
    length[a] = sqrt(s[0] * s[0] + s[1] * s[1] + s[2] * s[2]);
    for (int x = 0; x < 3; x++)
      used += (size_t)snprintf(out + used, size - used, " %.17g", s[x] / length[a]);
  }
  return used +
         (size_t)snprintf(out + used, size - used,
                          "\nOffset = %.17g %.17g %.17g\nElementSpacing = %.17g %.17g %.17g\n"
                          "DimSize = %d %d %d\nElementType = %s\n",
                          grid->origin[0], grid->origin[1], grid->origin[2], length[0], length[1],
                          length[2], grid->size[0], grid->size[1], grid->size[2], type);
}

/* path without ending: writes path.mha, or path.mhd with path.raw or path.zraw. */
static inline void write_meta(const struct grid *grid, const char *stem, int apart, int compressed,
                              const char *type) {
  const char *meta = !strcmp(type, "int16")   ? "MET_SHORT"
                     : !strcmp(type, "int32") ? "MET_INT"
                     : !strcmp(type, "float") ? "MET_FLOAT"
                                              : "MET_DOUBLE";
  char head[2048], path[512], data_path[512];
  size_t n, m = 0, used = meta_header(grid, meta, head, sizeof head);
  uint8_t *data = grid_voxels(grid, type, 1, 0, 0, &n), *zip = NULL;
  if (compressed) {
    zip = packed(data, n, 0, &m);
    used += (size_t)snprintf(head + used, sizeof head - used,
                             "CompressedData = True\nCompressedDataSize = %zu\n", m);
  }
  snprintf(path, sizeof path, "%s.%s", stem, apart ? "mhd" : "mha");
  snprintf(data_path, sizeof data_path, "%s.%s", stem, compressed ? "zraw" : "raw");
  used += (size_t)snprintf(head + used, sizeof head - used, "ElementDataFile = %s\n",
                           apart ? strrchr(data_path, '/') + 1 : "LOCAL");
  write_bytes(path, head, used, zip ? zip : data, apart ? 0 : zip ? m : n);
  if (apart) write_bytes(data_path, "", 0, zip ? zip : data, zip ? m : n);
  free(data);
  free(zip);
}

/* What a NIfTI file says beside its grid. */
struct nifti {
  int q, s;         /* codes */
  int unit;         /* 2: mm */
  const char *type; /* int16, ... */
  float slope, intercept;
  int big, compressed;
  double off; /* mm that the qform's origin is off */
  int times;  /* dim[4], 0 for three dimensions */
};

static inline void nifti_put(uint8_t *head, size_t at, const void *value, size_t width, int big) {
  for (size_t b = 0; b < width; b++)
    head[at + b] = ((const uint8_t *)value)[big ? width - 1 - b : b];
}

static inline void nifti_short(uint8_t *head, size_t at, int value, int big) {
  int16_t number = (int16_t)value;
  nifti_put(head, at, &number, 2, big);
}

static inline void nifti_float(uint8_t *head, size_t at, double value, int big) {
  float number = (float)value;
  nifti_put(head, at, &number, 4, big);
}

/* Quaternion of a rotation (nifti_mat44_to_quatern, the case of a positive trace is enough here
 * after the third axis is turned to make it a rotation). */
static inline void nifti_quaternion(const double ras[3][3], double out[4], double *handed) {
  double r[3][3], det = 0;
  for (int a = 0; a < 3; a++)
    for (int x = 0; x < 3; x++) r[x][a] = ras[a][x];
  for (int i = 0; i < 3; i++)
    det +=
        r[0][i] * (r[1][(i + 1) % 3] * r[2][(i + 2) % 3] - r[1][(i + 2) % 3] * r[2][(i + 1) % 3]);
  *handed = det < 0 ? -1 : 1;
  for (int x = 0; x < 3; x++) r[x][2] *= *handed;
  /* The largest of the four squares is divided by. */
  double squares[4] = {1 + r[0][0] + r[1][1] + r[2][2], 1 + r[0][0] - r[1][1] - r[2][2],
                       1 - r[0][0] + r[1][1] - r[2][2], 1 - r[0][0] - r[1][1] + r[2][2]};
  int top = 0;
  for (int i = 1; i < 4; i++)
    if (squares[i] > squares[top]) top = i;
  double h = 0.5 * sqrt(squares[top]), f = 0.25 / h;
  const double a[4][4] = {
      {h, f * (r[2][1] - r[1][2]), f * (r[0][2] - r[2][0]), f * (r[1][0] - r[0][1])},
      {f * (r[2][1] - r[1][2]), h, f * (r[0][1] + r[1][0]), f * (r[0][2] + r[2][0])},
      {f * (r[0][2] - r[2][0]), f * (r[0][1] + r[1][0]), h, f * (r[1][2] + r[2][1])},
      {f * (r[1][0] - r[0][1]), f * (r[0][2] + r[2][0]), f * (r[1][2] + r[2][1]), h}};
  for (int i = 0; i < 4; i++) out[i] = a[top][0] < 0 ? -a[top][i] : a[top][i];
}

static inline void write_nifti(const struct grid *grid, const char *path, struct nifti how) {
  static const struct {
    const char *name;
    int code, bits;
  } types[] = {{"int16", 4, 16},   {"int32", 8, 32},    {"float", 16, 32},
               {"double", 64, 64}, {"uint16", 512, 16}, {"uint8", 2, 8}};
  uint8_t head[352] = {0};
  double ras[3][3], unit[3][3], q[4], handed;
  double scale = how.unit == 1 ? 1e-3 : how.unit == 3 ? 1e3 : 1; /* from mm */
  int32_t length = 348;
  nifti_put(head, 0, &length, 4, how.big);
  nifti_short(head, 40, how.times ? 4 : 3, how.big);
  for (size_t a = 0; a < 7; a++)
    nifti_short(head, 42 + 2 * a,
                a < 3                 ? grid->size[a]
                : a == 3 && how.times ? how.times
                                      : 1,
                how.big);
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (!strcmp(types[i].name, how.type)) {
      nifti_short(head, 70, types[i].code, how.big);
      nifti_short(head, 72, types[i].bits, how.big);
    }
  for (int a = 0; a < 3; a++) {
    double mm = 0;
    for (int x = 0; x < 3; x++) {
      ras[a][x] = (x < 2 ? -1 : 1) * grid->step[a][x];
      mm += ras[a][x] * ras[a][x];
    }
    for (int x = 0; x < 3; x++) unit[a][x] = ras[a][x] / sqrt(mm);
    nifti_float(head, 80 + 4 * (size_t)a, scale * sqrt(mm), how.big);
  }
  nifti_quaternion((const double(*)[3])unit, q, &handed);
  nifti_float(head, 76, handed, how.big);
  nifti_float(head, 108, 352, how.big);
  nifti_float(head, 112, (double)how.slope, how.big);
  nifti_float(head, 116, (double)how.intercept, how.big);
  head[123] = (uint8_t)how.unit;
  nifti_short(head, 252, how.q, how.big);
  nifti_short(head, 254, how.s, how.big);
  for (size_t x = 0; x < 3; x++) {
    double at = scale * (x < 2 ? -1 : 1) * grid->origin[x];
    if (how.q) {
      nifti_float(head, 256 + 4 * x, q[x + 1], how.big);
      nifti_float(head, 268 + 4 * x, at + scale * how.off, how.big);
    }
    for (size_t a = 0; how.s && a < 3; a++)
      nifti_float(head, 280 + 16 * x + 4 * a, scale * ras[a][x], how.big);
    if (how.s) nifti_float(head, 292 + 16 * x, at, how.big);
  }
  memcpy(head + 344, "n+1", 4);
  size_t n, m;
  double slope = how.slope != 0 ? (double)how.slope : 1;
  uint8_t *data =
      grid_voxels(grid, how.type, slope, how.slope != 0 ? (double)how.intercept : 0, how.big, &n);
  if (how.compressed) {
    uint8_t *whole = malloc(sizeof head + n);
    if (!whole) abort();
    memcpy(whole, head, sizeof head);
    memcpy(whole + sizeof head, data, n);
    uint8_t *zip = packed(whole, sizeof head + n, 1, &m);
    write_bytes(path, "", 0, zip, m);
    free(whole);
    free(zip);
  } else {
    write_bytes(path, head, sizeof head, data, n);
  }
  free(data);
}

/* space: "left-posterior-superior" and so on, with the signs that turn LPS into it; NULL: none. */
static inline void write_nrrd(const struct grid *grid, const char *stem, const char *space,
                              int apart, int compressed) {
  char head[2048], path[512], data_path[512];
  int sign[3] = {space && strstr(space, "right") ? -1 : 1,
                 space && strstr(space, "anterior") ? -1 : 1, 1};
  size_t n, m = 0, used;
  uint8_t *data = grid_voxels(grid, "int16", 1, 0, 0, &n), *zip = NULL;
  if (compressed) zip = packed(data, n, 1, &m);
  snprintf(path, sizeof path, "%s.%s", stem, apart ? "nhdr" : "nrrd");
  snprintf(data_path, sizeof data_path, "%s.%s", stem, compressed ? "raw.gz" : "raw");
  used = (size_t)snprintf(head, sizeof head,
                          "NRRD0004\n# made by a test\ntype: short\ndimension: 3\n"
                          "sizes: %d %d %d\nendian: little\nencoding: %s\n",
                          grid->size[0], grid->size[1], grid->size[2], compressed ? "gzip" : "raw");
  if (space) used += (size_t)snprintf(head + used, sizeof head - used, "space: %s\n", space);
  used += (size_t)snprintf(head + used, sizeof head - used, "space directions:");
  for (int a = 0; a < 3; a++)
    used += (size_t)snprintf(head + used, sizeof head - used, " (%.17g,%.17g,%.17g)",
                             sign[0] * grid->step[a][0], sign[1] * grid->step[a][1],
                             sign[2] * grid->step[a][2]);
  used += (size_t)snprintf(
      head + used, sizeof head - used, "\nspace origin: (%.17g,%.17g,%.17g)\n%s%s%s\n",
      sign[0] * grid->origin[0], sign[1] * grid->origin[1], sign[2] * grid->origin[2],
      apart ? "data file: " : "", apart ? strrchr(data_path, '/') + 1 : "", apart ? "\n" : "");
  write_bytes(path, head, used, zip ? zip : data, apart ? 0 : zip ? m : n);
  if (apart) write_bytes(data_path, "", 0, zip ? zip : data, zip ? m : n);
  free(data);
  free(zip);
}
