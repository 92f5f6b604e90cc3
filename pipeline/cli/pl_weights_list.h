/* The models that have a name, for people and as JSON. Thread-safety: as pl_model_find.h. */
#pragma once

#include "pipeline/report/pl_table.h"

/* One row a file of the folders of pl_model_find.h, in the order in which they are searched: name,
 * shape, outputs, size, hash, what it is for, place. A file that cannot be used has its reason in
 * the row; one that an earlier folder hides says by what. A folder that cannot be read is named in
 * a log line. On the terminal the last line says what is used without --weights. */
LC_MUST_CHECK lc_status pl_weights_list(enum pl_table_form form, FILE *out, struct lc_error *err);
