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
/* Adds regular files below a folder, or the file itself; links below it are not followed. wanted:
 * which of those below a folder, or NULL for all. LC_ERR_NOT_FOUND. */
LC_MUST_CHECK lc_status ct_files_walk(struct ct_files *files, const char *path,
                                      bool (*wanted)(const char *path), struct lc_error *err);
void ct_files_free(struct ct_files *files);

LC_API_END
#endif
