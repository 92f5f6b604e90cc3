/* Deflated data sets: an input that begins with an odd byte is the deflated bytes, another is a
 * data set that is deflated here. */
#include "tests/fuzz/ct_codec.h"

#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_bytes in = {data, size};
  bool raw = fuzz_byte(&in) % 2;
  struct fuzz_dicom out = {malloc(2 * in.size + FUZZ_HEADER), 0};
  z_stream deflated = {.next_in = (Bytef *)in.data, .avail_in = (uInt)in.size};
  if (!out.at) abort();
  fuzz_meta(&out, "1.2.840.10008.1.2.1.99");
  deflated.next_out = out.at + out.n;
  deflated.avail_out = (uInt)(2 * in.size + FUZZ_HEADER - out.n);
  if (raw) {
    if (in.size > 0) memcpy(out.at + out.n, in.data, in.size);
    out.n += in.size;
  } else if (deflateInit2(&deflated, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK) {
    if (deflate(&deflated, Z_FINISH) != Z_STREAM_END) abort();
    out.n += deflated.total_out;
    deflateEnd(&deflated);
  }
  fuzz_decode(fuzz_file(out.at, out.n, ".dcm"));
  free(out.at);
  return 0;
}
