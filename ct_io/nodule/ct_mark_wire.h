/* Annotations on their way out of a helper process, and the task that parses them there. What comes
 * out is taken for what it may be, the word of whoever wrote the file: texts end and are printable,
 * counts and numbers lie where ct_mark.h has them.
 *
 * Thread-safety: pure functions. */
#pragma once

#include "common/lc_helper.h"
#include "ct_io/nodule/ct_mark.h"

/* Largest coordinate of an outline, in pixels, and largest rating, of what is read. */
enum { CT_MAX_COORDINATE = 65535, CT_MAX_RATING = 6 };

/* Marks and points; not source, path, further files, and what only placing sets. */
void ct_annotation_put(struct lc_wire *answer, const struct ct_annotation *annotation);
/* Fills an empty annotation; path is copied. LC_ERR_FORMAT, naming it, for what makes no sense; the
 * annotation is then empty. */
LC_MUST_CHECK lc_status ct_annotation_get(struct lc_wire *answer, struct ct_annotation *annotation,
                                          const char *path, struct lc_error *err);

extern const struct lc_helper_task ct_task_lidc_xml;
