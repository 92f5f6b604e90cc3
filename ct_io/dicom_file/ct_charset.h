/* Texts in the character sets of DICOM (PS3.5 section 6.1, PS3.3 C.12.1.1.2) in UTF-8. Used only
 * inside this room.
 *
 * Thread-safety: any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/lc_api.h"

LC_C_BEGIN

/* Converts a value whose SpecificCharacterSet is `charset` (terms separated by backslashes), with
 * the escape sequences of ISO 2022 in it, by the C library's iconv: of Japanese sets DCMTK's iconv
 * lacks some. False when a set is not known or a character is not in it; out is then undefined. */
bool ct_charset_convert(const char *charset, const char *text, char *out, size_t size);

/* Loads the tables of all sets, so that converting opens no file. */
void ct_charset_prepare(void);

LC_C_END
