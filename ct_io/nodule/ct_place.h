/* Where outlines lie in a series. Used only inside this room. Thread-safety: pure. */
#pragma once

#include "common/lc_api.h"
#include "ct_io/ct/ct_series.h"
#include "ct_io/nodule/ct_mark.h"

LC_C_BEGIN

/* How many slices have a SOPInstanceUID ("": none); the last of them, or -1. */
size_t ct_slices_named(const struct ct_series *series, const char *uid, long *named);
/* Slice of an outline: where it was placed, by its SOPInstanceUID, or else the slice within half a
 * spacing of its z; -1 when there is none. */
long ct_outline_slice(const struct ct_series *series, const struct ct_outline *outline);

/* Frees what a mark owns, or its outlines alone. */
void ct_mark_free(struct ct_mark *mark);
void ct_mark_clear_outlines(struct ct_mark *mark);

LC_C_END
