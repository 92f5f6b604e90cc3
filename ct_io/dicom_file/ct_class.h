/* The SOP class of a DICOM object, without parsing it. Used only inside ct_io.
 *
 * Thread-safety: pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/lc_api.h"

LC_C_BEGIN

#define CT_CLASS_SIZE 65 /* of a UID with its zero */

/* By the first bytes of its file, of which some hundreds are enough; false where they are of no
 * object, or end before. */
bool ct_class_of(const char *first, size_t n, char uid[CT_CLASS_SIZE]);

LC_C_END
