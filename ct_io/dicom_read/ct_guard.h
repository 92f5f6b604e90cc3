/* Bounds on what a DICOM file may ask of the parser, checked on its raw structure before DCMTK sees
 * it. Used only inside this room.
 *
 * Thread-safety: distinct files may be checked from distinct threads. */
#pragma once

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_C_BEGIN

/* Deepest nesting of sequences, and the most bytes a deflated data set may unfold to. The parser
 * recurses once a level and holds what it inflates. */
#define CT_MAX_NESTING 48
#define CT_MAX_INFLATED ((size_t)256 << 20)

/* Is this a DICOM file at all? By its first bytes: a preamble with DICM, or a data set that starts
 * with group 2 or 8. */
bool ct_guard_looks_like_dicom(const char *path);
/* LC_ERR_FORMAT when the elements before the pixel data nest too deeply or inflate too far, or when
 * there is no element where one should start. What is malformed otherwise passes: the parser says
 * that better. */
LC_MUST_CHECK lc_status ct_guard_check(const char *path, struct lc_error *err);

LC_C_END
