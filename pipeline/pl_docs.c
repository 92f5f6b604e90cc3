/* The documentation is looked for from the place of the running program. */
#include "pl_docs.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* From the folder of the program: bin/ of an installation, build/PRESET/pipeline/ of a source tree.
 */
static const char *const places[] = {"../share/doc/lungcdam/docs", "../../../docs"};

bool pl_docs_folder(struct lc_text *folder) {
  char program[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length <= 0 || (size_t)length >= sizeof program - 1) return false;
  program[length] = '\0';
  char *slash = strrchr(program, '/');
  if (!slash) return false;
  *slash = '\0';
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    char candidate[2 * PATH_MAX];
    char found[PATH_MAX];
    snprintf(candidate, sizeof candidate, "%s/%s/exit-codes.md", program, places[i]);
    if (!realpath(candidate, found)) continue;
    lc_text_add_bytes(folder, found, (size_t)(strrchr(found, '/') - found));
    return !folder->failed;
  }
  return false;
}
