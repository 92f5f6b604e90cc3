/* Shared by the fuzzing programs of codecs: a small CT slice whose frame is the input, read as the
 * program reads it. The first four bytes of an input choose syntax, rows, columns and type of
 * sample, the rest is the code stream. */
#pragma once

#include "ct_io/dicom_read/ct_decode.h"
#include "ct_io/dicom_read/ct_index.h"
#include "tests/fuzz/lc_fuzz.h"

#include "ct_io/ct/ct_volume.h"

enum { FUZZ_HEADER = 2048 };

struct fuzz_dicom {
  uint8_t *at;
  size_t n;
};

static inline void fuzz_number(struct fuzz_dicom *out, size_t value, int bytes) {
  for (int i = 0; i < bytes; i++) out->at[out->n++] = (uint8_t)(value >> 8 * i);
}

/* An element in explicit little endian whose length has two bytes. */
static inline void fuzz_element(struct fuzz_dicom *out, unsigned group, unsigned element,
                                const char *vr, const void *value, size_t n) {
  fuzz_number(out, group, 2);
  fuzz_number(out, element, 2);
  memcpy(out->at + out->n, vr, 2);
  out->n += 2;
  fuzz_number(out, n + n % 2, 2);
  memcpy(out->at + out->n, value, n);
  out->n += n;
  if (n % 2) out->at[out->n++] = strcmp(vr, "UI") == 0 ? '\0' : ' ';
}

static inline void fuzz_text(struct fuzz_dicom *out, unsigned group, unsigned element,
                             const char *vr, const char *text) {
  fuzz_element(out, group, element, vr, text, strlen(text));
}

static inline void fuzz_us(struct fuzz_dicom *out, unsigned element, size_t value) {
  const uint8_t bytes[] = {(uint8_t)value, (uint8_t)(value >> 8)};
  fuzz_element(out, 0x28, element, "US", bytes, 2);
}

/* Preamble and meta header. */
static inline void fuzz_meta(struct fuzz_dicom *out, const char *syntax) {
  memset(out->at, 0, 128);
  memcpy(out->at + 128, "DICM", 4);
  out->n = 132;
  fuzz_text(out, 2, 0x02, "UI", "1.2.840.10008.5.1.4.1.1.2");
  fuzz_text(out, 2, 0x03, "UI", "1.2.3.4");
  fuzz_text(out, 2, 0x10, "UI", syntax);
}

/* Everything before the pixel data. */
static inline void fuzz_slice(struct fuzz_dicom *out, size_t rows, size_t columns, unsigned type) {
  static const size_t stored[] = {8, 12, 16, 10};
  fuzz_text(out, 8, 0x16, "UI", "1.2.840.10008.5.1.4.1.1.2");
  fuzz_text(out, 8, 0x18, "UI", "1.2.3.4");
  fuzz_text(out, 8, 0x60, "CS", "CT");
  fuzz_text(out, 0x18, 0x50, "DS", "1");
  fuzz_text(out, 0x20, 0x0d, "UI", "1.2");
  fuzz_text(out, 0x20, 0x0e, "UI", "1.2.3");
  fuzz_text(out, 0x20, 0x32, "DS", "0\\0\\0");
  fuzz_text(out, 0x20, 0x37, "DS", "1\\0\\0\\0\\1\\0");
  fuzz_text(out, 0x20, 0x52, "UI", "1.2.9");
  fuzz_us(out, 0x02, 1);
  fuzz_text(out, 0x28, 0x04, "CS", "MONOCHROME2");
  fuzz_us(out, 0x10, rows);
  fuzz_us(out, 0x11, columns);
  fuzz_text(out, 0x28, 0x30, "DS", "1\\1");
  fuzz_us(out, 0x100, type % 4 == 0 ? 8 : 16);
  fuzz_us(out, 0x101, stored[type % 4]);
  fuzz_us(out, 0x102, stored[type % 4] - 1);
  fuzz_us(out, 0x103, type / 4 % 2);
  fuzz_text(out, 0x28, 0x1052, "DS", "-1024");
  fuzz_text(out, 0x28, 0x1053, "DS", "1");
}

/* Reads the file; what decodes lies within the range of HU that is stated. */
static inline void fuzz_decode(const char *path) {
  struct ct_index index;
  struct ct_volume volume;
  struct lc_error err;
  if (ct_index_scan(&index, &path, 1, NULL, NULL, &err) != LC_OK) return;
  for (size_t i = 0; i < index.n_series; i++) {
    const struct ct_series *series = &index.series[i];
    if (series->verdict == CT_REFUSED || (long long)series->rows * series->columns > 1 << 20)
      continue;
    if (ct_volume_decode(&volume, series, 0, 1, NULL, &err) != LC_OK) continue;
    for (size_t v = 0; v < volume.size[0] * volume.size[1]; v++)
      if (volume.hu[v] < CT_LOWEST_HU) abort();
    ct_volume_free(&volume);
  }
  ct_index_free(&index);
}

/* syntaxes[n]: those that the codec reads. */
static inline int fuzz_codec(const char *const *syntaxes, size_t n, const uint8_t *data,
                             size_t size) {
  struct fuzz_bytes in = {data, size};
  struct fuzz_dicom out = {malloc(size + FUZZ_HEADER), 0};
  if (!out.at) abort();
  fuzz_meta(&out, syntaxes[fuzz_byte(&in) % n]);
  size_t rows = 1 + fuzz_byte(&in), columns = 1 + fuzz_byte(&in);
  unsigned type = fuzz_byte(&in);
  fuzz_slice(&out, rows, columns, type);
  fuzz_number(&out, 0x00107fe0, 4);
  memcpy(out.at + out.n, "OB\0\0\377\377\377\377", 8);
  out.n += 8;
  fuzz_number(&out, 0xe000fffe, 4); /* no table of offsets */
  fuzz_number(&out, 0, 4);
  size_t first = type & 8 ? in.size / 4 * 2 : in.size; /* one fragment, or two */
  for (size_t at = 0; at < in.size; at = at == 0 ? first : in.size) {
    size_t length = at == 0 ? first : in.size - first;
    if (length == 0) break;
    fuzz_number(&out, 0xe000fffe, 4);
    fuzz_number(&out, length + length % 2, 4);
    memcpy(out.at + out.n, in.data + at, length);
    out.n += length;
    if (length % 2) out.at[out.n++] = 0;
  }
  fuzz_number(&out, 0xe0ddfffe, 4);
  fuzz_number(&out, 0, 4);
  fuzz_decode(fuzz_file(out.at, out.n, ".dcm"));
  free(out.at);
  return 0;
}
