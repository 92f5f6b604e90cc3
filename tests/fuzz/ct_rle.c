/* RLE frames. */
#include "tests/fuzz/ct_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const syntaxes[] = {
      "1.2.840.10008.1.2.5",
  };
  return fuzz_codec(syntaxes, sizeof syntaxes / sizeof *syntaxes, data, size);
}
