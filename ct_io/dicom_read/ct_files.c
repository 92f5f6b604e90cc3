/* Lists the files below a folder in the order of their names, without following links (fts). */
#include "ct_io/dicom_read/ct_files.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/lc_log.h"

lc_status ct_files_add(struct ct_files *files, const char *path, struct lc_error *err) {
  if (files->count == files->capacity) {
    size_t capacity = files->capacity ? 2 * files->capacity : 256;
    char **grown = realloc(files->paths, capacity * sizeof *grown);
    if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "out of memory for %zu file names", capacity);
    files->paths = grown;
    files->capacity = capacity;
  }
  char *copy = strdup(path);
  if (!copy) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  files->paths[files->count++] = copy;
  return LC_OK;
}

void ct_files_free(struct ct_files *files) {
  for (size_t i = 0; i < files->count; i++) free(files->paths[i]);
  free(files->paths);
  memset(files, 0, sizeof *files);
}

static int by_name(const FTSENT **a, const FTSENT **b) {
  return strcmp((*a)->fts_name, (*b)->fts_name);
}

lc_status ct_files_walk(struct ct_files *files, const char *path, bool (*wanted)(const char *path),
                        struct lc_error *err) {
  struct stat info;
  if (stat(path, &info) != 0)
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: %s, expected a folder or file", path, strerror(errno));
  char *copy = strdup(path);
  if (!copy) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  char *roots[] = {copy, NULL};
  FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
  lc_status status = LC_OK;
  if (!tree) {
    free(copy);
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
  }
  for (FTSENT *entry = fts_read(tree); entry && status == LC_OK; entry = fts_read(tree)) {
    bool taken = !wanted || entry->fts_level == FTS_ROOTLEVEL || wanted(entry->fts_path);
    if (entry->fts_info == FTS_F && taken)
      status = ct_files_add(files, entry->fts_path, err);
    else if (entry->fts_info == FTS_SL)
      lc_log(LC_LOG_DEBUG, "%s: link not followed", entry->fts_path);
    else if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR)
      lc_log(LC_LOG_WARNING, "%s: %s", entry->fts_path, strerror(entry->fts_errno));
  }
  fts_close(tree);
  free(copy);
  return status;
}
