/* Finds the documentation from the place of the running program. */
#include "pipeline/cli/pl_cli.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool pl_docs_folder(struct lc_text *folder) {
  char program[LC_PATH_SIZE], candidate[2 * LC_PATH_SIZE], found[PATH_MAX];
  if (!lc_program_folder(program)) return false;
  /* A build folder has the layout of an installation by links to the source. */
  static const char *const places[] = {LUNGCDAM_DOC "/docs", "../share/doc/lungcdam/docs"};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    snprintf(candidate, sizeof candidate, "%s/%s/exit-codes.md", program, places[i]);
    if (!realpath(candidate, found)) continue;
    lc_text_add_bytes(folder, found, (size_t)(strrchr(found, '/') - found));
    return !folder->failed;
  }
  return false;
}
