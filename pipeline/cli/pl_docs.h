/* Where the documentation of the running program lies. Thread-safety: distinct texts, distinct
 * threads. */
#pragma once

#include <stdbool.h>

#include "common/lc_text.h"

/* Appends the folder with cli.md, exit-codes.md and the others: share/doc/lungcdam/docs of the
 * installation that the running program belongs to (in a build folder, docs of the source). It is
 * found from the place of the program file, so an installation can be moved. False, with nothing
 * appended, when it is not there. */
bool pl_docs_folder(struct lc_text *folder);
