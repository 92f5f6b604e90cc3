/* DCMTK made ready, for C. Used only inside ct_io.
 *
 * Thread-safety: any thread. */
#pragma once

#include "common/lc_api.h"

LC_C_BEGIN

/* Loads the dictionary and the character sets of DICOM, and registers decoders: afterwards parsing
 * opens no file but that which is parsed. */
void ct_dcmtk_prepare(void);

LC_C_END
