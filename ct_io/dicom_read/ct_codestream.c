/* Reads the precision of JPEG streams, measures the segments of RLE frames, and checks the main
 * headers of JPEG 2000 streams. */
#include "ct_io/dicom_read/ct_codestream.h"

int ct_jpeg_precision(const uint8_t *stream, size_t length) {
  size_t at = 2; /* behind the start of the image */
  while (at + 5 <= length) {
    if (stream[at] != 0xff) return 0;
    uint8_t marker = stream[at + 1];
    if (marker == 0xff) { /* fill byte */
      at++;
      continue;
    }
    bool frame =
        (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) ||
        marker == 0xf7;
    if (frame) return stream[at + 4];
    /* Samples before any frame header; a marker without length, at which DCMTK stands for ever. */
    if (marker == 0xda || marker == 0xd9 || marker == 0x01) return 0;
    at += 2 + ((size_t)stream[at + 2] << 8 | stream[at + 3]);
  }
  return 0;
}

static uint32_t number(const uint8_t *b) {
  return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Bytes that a segment unfolds to, up to one more than wanted. */
static size_t unfolded(const uint8_t *bytes, size_t length, size_t wanted) {
  size_t total = 0, at = 0;
  while (at < length && total < wanted) {
    uint8_t code = bytes[at++];
    size_t run = code < 128 ? (size_t)code + 1 : code > 128 ? 257 - (size_t)code : 0;
    size_t stored = code < 128 ? run : code > 128 ? 1 : 0;
    if (stored > length - at) return total + (code < 128 ? length - at : 0);
    at += stored;
    total += run;
  }
  /* Segments are filled up to an even length, by some writers to more. */
  for (size_t i = at + 1; i < length && total == wanted; i++)
    total += bytes[i] != 0 && bytes[i] != 128;
  return total;
}

lc_status ct_rle_check(const uint8_t *stream, size_t length, size_t n_samples, int sample_bytes,
                       const char *name, struct lc_error *err) {
  enum { HEADER = 64 };
  if (length < HEADER || number(stream) != (uint32_t)sample_bytes)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: RLE frame of %u segments, expected %d", name,
            length < HEADER ? 0 : number(stream), sample_bytes);
  for (int i = 0; i < sample_bytes; i++) {
    size_t start = number(stream + 4 + 4 * i);
    size_t end = i + 1 < sample_bytes ? number(stream + 8 + 4 * i) : length;
    if (start < HEADER || end < start || end > length)
      LC_FAIL(err, LC_ERR_FORMAT, "%s: RLE segment %d at bytes %zu to %zu of a frame of %zu", name,
              i + 1, start, end, length);
    size_t got = unfolded(stream + start, end - start, n_samples);
    if (got != n_samples)
      LC_FAIL(err, LC_ERR_FORMAT, "%s: RLE segment %d unfolds to %s%zu bytes, expected %zu", name,
              i + 1, got > n_samples ? "more than " : "", got > n_samples ? n_samples : got,
              n_samples);
  }
  return LC_OK;
}

/* Numbers of JPEG 2000 have the high byte first. */
static uint32_t big(const uint8_t *b, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes; i++) value = value << 8 | b[i];
  return value;
}

/* The code stream within JP2 boxes; the stream itself where there are none. */
static void unbox(const uint8_t **stream, size_t *length) {
  const uint8_t *b = *stream;
  size_t left = *length;
  if (left < 12 || big(b + 4, 4) != 0x6a502020) return; /* "jP  " */
  while (left >= 8) {
    size_t head = 8;
    uint64_t size = big(b, 4);
    if (size == 1 && left >= 16) {
      size = (uint64_t)big(b + 8, 4) << 32 | big(b + 12, 4);
      head = 16;
    }
    if (size == 0 || size > left) size = left;
    if (size < head) return;
    if (big(b + 4, 4) == 0x6a703263) { /* "jp2c" */
      *stream = b + head;
      *length = (size_t)size - head;
      return;
    }
    b += size;
    left -= (size_t)size;
  }
}

struct j2k {
  int rows, columns;
  const char *kind, *name;
  struct lc_error *err;
};

/* The marker segment SIZ; b is behind its length. */
static lc_status check_size(const struct j2k *j, const uint8_t *b, size_t n) {
  if (n < 36) LC_FAIL(j->err, LC_ERR_FORMAT, "%s: %s header ends early", j->name, j->kind);
  uint32_t end[] = {big(b + 2, 4), big(b + 6, 4)}, start[] = {big(b + 10, 4), big(b + 14, 4)};
  uint32_t tile[] = {big(b + 18, 4), big(b + 22, 4)}, first[] = {big(b + 26, 4), big(b + 30, 4)};
  uint32_t components = big(b + 34, 2), side[] = {(uint32_t)j->columns, (uint32_t)j->rows};
  uint64_t tiles = 1;
  if (components != 1 || n < 39 || end[0] <= start[0] || end[1] <= start[1] ||
      end[0] - start[0] != side[0] || end[1] - start[1] != side[1])
    LC_FAIL(j->err, LC_ERR_FORMAT, "%s: %s image of %u x %u, %u components; expected %d x %d, 1",
            j->name, j->kind, end[0] - start[0], end[1] - start[1], components, j->columns,
            j->rows);
  if (b[37] != 1 || b[38] != 1)
    LC_FAIL(j->err, LC_ERR_FORMAT,
            "%s: %s image with a sample every %u x %u pixels, expected 1 x 1", j->name, j->kind,
            b[37], b[38]);
  if ((b[36] & 0x7f) >= 16)
    LC_FAIL(j->err, LC_ERR_UNSUPPORTED, "%s: %s image of %d bits, at most 16", j->name, j->kind,
            (b[36] & 0x7f) + 1);
  for (int i = 0; i < 2; i++) {
    if (first[i] > start[i] || (uint64_t)first[i] + tile[i] <= start[i])
      LC_FAIL(j->err, LC_ERR_FORMAT, "%s: %s image with tiles of %u x %u from %u, %u", j->name,
              j->kind, tile[0], tile[1], first[0], first[1]);
    tiles *= ((uint64_t)end[i] - first[i] + tile[i] - 1) / tile[i];
  }
  /* Decoders keep a record of each tile. */
  if (tiles > 65535 || tiles > 1 + (uint64_t)side[0] * side[1] / 256)
    LC_FAIL(j->err, LC_ERR_FORMAT, "%s: %s image of %d x %d pixels in %llu tiles", j->name, j->kind,
            j->columns, j->rows, (unsigned long long)tiles);
  return LC_OK;
}

/* What COD and COC say alike; b starts at the number of decomposition levels. */
static lc_status check_coding(const struct j2k *j, const uint8_t *b, size_t n) {
  if (n < 5) LC_FAIL(j->err, LC_ERR_FORMAT, "%s: %s header ends early", j->name, j->kind);
  if (b[0] > 32 || b[1] > 8 || b[2] > 8 || b[1] + b[2] > 8)
    LC_FAIL(j->err, LC_ERR_FORMAT,
            "%s: %s image of %u decomposition levels, code blocks of exponents %u and %u; expected "
            "at most 32, and 8 in all",
            j->name, j->kind, b[0], b[1], b[2]);
  return LC_OK;
}

lc_status ct_j2k_check(const uint8_t *stream, size_t length, int rows, int columns,
                       const char *kind, const char *name, struct lc_error *err) {
  const struct j2k j = {rows, columns, kind, name, err};
  enum { SIZ = 0xff51, COD = 0xff52, COC = 0xff53, SOT = 0xff90 };
  bool sized = false;
  unbox(&stream, &length);
  for (size_t at = 2; at + 4 <= length;) {
    uint32_t marker = big(stream + at, 2), size = big(stream + at + 2, 2);
    const uint8_t *b = stream + at + 4;
    if (marker == SOT) break;
    if (marker < 0xff00 || size < 2 || size > length - at - 2)
      LC_FAIL(err, LC_ERR_FORMAT, "%s: %s header with marker %04x of %u bytes", name, kind, marker,
              size);
    size_t n = size - 2;
    if (marker == SIZ) LC_TRY(check_size(&j, b, n));
    if (marker == COD) LC_TRY(check_coding(&j, b + (n < 5 ? n : 5), n < 5 ? 0 : n - 5));
    if (marker == COC) LC_TRY(check_coding(&j, b + (n < 2 ? n : 2), n < 2 ? 0 : n - 2));
    sized = sized || marker == SIZ;
    at += 2 + size;
  }
  if (!sized) LC_FAIL(err, LC_ERR_FORMAT, "%s: %s stream without a size", name, kind);
  return LC_OK;
}
