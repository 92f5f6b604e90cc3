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

/* Whether a JPEG 2000 or HTJ2K stream (a code stream, or JP2 boxes around one) has one component of
 * rows x columns samples, in tiles and code blocks as the standard allows (ISO/IEC 15444-1 A.5.1,
 * A.6.1): decoders take memory by these words. kind ("HTJ2K") and name are for messages.
 * LC_ERR_FORMAT, or LC_ERR_UNSUPPORTED for more than 16 bits a sample. */
LC_MUST_CHECK lc_status ct_j2k_check(const uint8_t *stream, size_t length, int rows, int columns,
                                     const char *kind, const char *name, struct lc_error *err);

LC_C_END
