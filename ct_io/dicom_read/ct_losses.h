/* Which series may lack slices because files could not be read. Used only inside this room. */
#pragma once

#include "ct_io/dicom_read/ct_index.h"

/* Refuses every series of the index of which a file that could not be read is known or must be
 * feared to hold a slice; allowed: it is used, and its reason says so. Feared, where the file does
 * not tell its series: it lies in a folder with slices of the series, and either the system did not
 * let it be read and no other series lies there, or the series has a gap or a hole in its
 * InstanceNumbers; or the system did not let it be read, nothing lies beside it, and the series has
 * such a hole and lies in the folder around. */
LC_MUST_CHECK lc_status ct_index_find_losses(struct ct_index *index, bool allowed,
                                             struct lc_error *err);
