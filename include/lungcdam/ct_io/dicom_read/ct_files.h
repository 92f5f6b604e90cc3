/* The files below some folders, in the order of their names.
 *
 * Thread-safety: distinct lists may be used from distinct threads. */
#ifndef CT_FILES_H
#define CT_FILES_H

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_API_BEGIN

struct ct_files {
  char **paths;
  size_t count, capacity;
};

/* Adds one path, copied. */
LC_MUST_CHECK lc_status ct_files_add(struct ct_files *files, const char *path,
                                     struct lc_error *err);
/* Adds regular files below a folder, or the file itself. Links below it are followed when they lead
 * to regular files; those to folders are not, which is logged. wanted: which of those below a
 * folder, or NULL for all. lost: takes one message for each file or folder that could not be looked
 * at (no permission, a link to nowhere, a path too long), in pairs of path and message; NULL: they
 * are logged. LC_ERR_NOT_FOUND when path itself is not there. */
LC_MUST_CHECK lc_status ct_files_walk(struct ct_files *files, const char *path,
                                      bool (*wanted)(const char *path), struct ct_files *lost,
                                      struct lc_error *err);
void ct_files_free(struct ct_files *files);

LC_API_END
#endif
