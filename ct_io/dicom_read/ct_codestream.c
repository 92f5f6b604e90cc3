/* Reads the precision of JPEG streams and measures the segments of RLE frames. */
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
    if (marker == 0xda || marker == 0xd9) return 0; /* samples before any frame header */
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
