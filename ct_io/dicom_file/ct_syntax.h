/* The transfer syntaxes that can be read (PS3.5, PS3.6 annex A).
 *
 * Thread-safety: no state. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/lc_api.h"

LC_C_BEGIN

/* "Explicit VR Little Endian" for "1.2.840.10008.1.2.1"; the UID itself when unknown. */
const char *ct_transfer_syntax_name(const char *uid);
bool ct_transfer_syntax_known(const char *uid);
/* The UID of each that is known, one after the other; NULL after the last. */
const char *ct_transfer_syntax_at(size_t index);
/* True for transfer syntaxes that lose information. */
bool ct_transfer_syntax_lossy(const char *uid);

LC_C_END
