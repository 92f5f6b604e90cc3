/* Where the documentation of the running program lies. */
#ifndef PL_DOCS_H
#define PL_DOCS_H

#include <stdbool.h>

#include "lc_text.h"

/* Appends the folder with cli.md, exit-codes.md and the others: share/doc/lungcdam/docs of the
 * installation that the running program belongs to, or docs of the source tree it was built in.
 * Both are found from the place of the program file, so an installation can be moved. False, with
 * nothing appended, when neither is there. */
bool pl_docs_folder(struct lc_text *folder);

#endif
