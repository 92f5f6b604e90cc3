/* What compressed frames say of themselves. Used only inside this room.
 *
 * Thread-safety: pure functions. */
#pragma once

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_C_BEGIN

/* Bits a sample of a JPEG or JPEG-LS stream, from its frame header (ITU-T T.81 B.2.2, T.87 C.2.2);
 * 0 when it has none. */
int ct_jpeg_precision(const uint8_t *stream, size_t length);

/* Whether an RLE frame (PS3.5 annex G) of n_samples samples of some bytes unfolds to exactly that:
 * decoders fill up what is missing. LC_ERR_FORMAT names the segment. */
LC_MUST_CHECK lc_status ct_rle_check(const uint8_t *stream, size_t length, size_t n_samples,
                                     int sample_bytes, const char *name, struct lc_error *err);

LC_C_END
