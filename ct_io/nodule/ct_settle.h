/* What reading a set of annotations and bringing them to their series share. Used only inside this
 * folder. Thread-safety: one set, one thread. */
#pragma once

#include "ct_io/nodule/ct_annotation_set.h"

LC_C_BEGIN

/* Logs a problem and keeps it. */
LC_MUST_CHECK lc_status ct_annotation_set_note(struct ct_annotation_set *set, lc_status status,
                                               const char *message, struct lc_error *err);
/* Sorts by series and study, and merges what names the same, in the order of reading. */
LC_MUST_CHECK lc_status ct_annotation_set_merge(struct ct_annotation_set *set,
                                                struct lc_error *err);

LC_C_END
