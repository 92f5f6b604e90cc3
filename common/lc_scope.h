/* What a function holds is freed at the end of its scope, whichever way it returns: LC_TRY then
 * serves in it as anywhere.
 *
 *   LC_FREED char *bytes = NULL;
 *   LC_SCOPED(lc_text_free) struct lc_text text = {0};
 *
 * Give each a value at once. Thread-safety: nothing is shared. */
#pragma once

#include <dirent.h>
#include <stdlib.h>

#include "common/lc_arena.h" /* lc_alloc, whose blocks they are as a rule */

/* Calls free_it(&variable) at the end of the variable's scope. */
#define LC_SCOPED(free_it) __attribute__((cleanup(free_it)))

/* Frees what a pointer points to. */
static inline void lc_free_scoped(void *pointer_to_pointer) {
  free(*(void **)pointer_to_pointer);
}
#define LC_FREED LC_SCOPED(lc_free_scoped)
/* Closes a folder that is being read. */
static inline void lc_close_folder(DIR **stream) {
  if (*stream) closedir(*stream);
}
