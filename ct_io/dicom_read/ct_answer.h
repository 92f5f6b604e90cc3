/* Headers on their way out of a helper process. What comes out is taken for what it may be, the
 * word of whoever wrote the file: texts end and are printable, numbers lie where ct_header_parse
 * leaves them.
 *
 * Thread-safety: pure functions. */
#pragma once

#include "common/lc_wire.h"
#include "ct_io/dicom_read/ct_remote.h"

void ct_answer_put_header(struct lc_wire *answer, const struct ct_header_item *item);
/* Fills all of the item but its path. LC_ERR_FORMAT, naming it, for what makes no sense. */
LC_MUST_CHECK lc_status ct_answer_get_header(struct lc_wire *answer, struct ct_header_item *item,
                                             struct lc_error *err);
