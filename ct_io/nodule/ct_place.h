/* Where outlines lie in a series. Used only inside this room. Thread-safety: pure. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/ct/ct_series.h"
#include "ct_io/nodule/ct_mark.h"

LC_C_BEGIN

/* Slice of an outline: by its SOPInstanceUID, or else the slice within half a spacing of its z; -1
 * when there is none. */
long ct_outline_slice(const struct ct_series *series, const struct ct_outline *outline);

LC_C_END
