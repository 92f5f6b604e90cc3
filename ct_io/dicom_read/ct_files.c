/* Lists the files below a folder in the order of their names (fts). */
#include "ct_io/dicom_read/ct_files.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
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

/* What could not be looked at, with its cause. */
static lc_status note_lost(struct ct_files *lost, const char *path, const char *why,
                           struct lc_error *err) {
  char message[4096 + 256]; /* a path may be longer */
  snprintf(message, sizeof message, "%.4000s%s: %s", path, strlen(path) > 4000 ? "..." : "", why);
  if (!lost) {
    lc_log(LC_LOG_WARNING, "%s", message);
    return LC_OK;
  }
  LC_TRY(ct_files_add(lost, path, err));
  return ct_files_add(lost, message, err);
}

/* A link: to a regular file it is one, and what it leads to otherwise is said. */
static lc_status add_link(struct ct_files *files, const char *path, struct ct_files *lost,
                          struct lc_error *err) {
  struct stat info;
  if (stat(path, &info) != 0) {
    if (errno == ENOMEM) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
    return note_lost(lost, path,
                     errno == ENOENT ? "a link to a file that is not there" : strerror(errno), err);
  }
  if (S_ISREG(info.st_mode)) return ct_files_add(files, path, err);
  if (S_ISDIR(info.st_mode))
    lc_log(LC_LOG_WARNING, "%s: a link to a folder is not followed: name the folder itself", path);
  else
    return note_lost(lost, path, "a link to a pipe, socket or device, expected a file", err);
  return LC_OK;
}

static lc_status add_entry(struct ct_files *files, const FTSENT *entry,
                           bool (*wanted)(const char *path), struct ct_files *lost,
                           struct lc_error *err) {
  const char *path = entry->fts_path;
  bool taken = !wanted || entry->fts_level == FTS_ROOTLEVEL || wanted(path);
  switch (entry->fts_info) {
  case FTS_F:
    return taken ? ct_files_add(files, path, err) : LC_OK;
  case FTS_SL:
  case FTS_SLNONE:
    return taken ? add_link(files, path, lost, err) : LC_OK;
  case FTS_DNR:
  case FTS_ERR:
  case FTS_NS:
    if (entry->fts_errno == ENOMEM) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
    return note_lost(lost, path, strerror(entry->fts_errno), err);
  case FTS_DEFAULT:
    return taken ? note_lost(lost, path, "a pipe, socket or device, expected a file", err) : LC_OK;
  default:
    return LC_OK; /* folders */
  }
}

lc_status ct_files_walk(struct ct_files *files, const char *path, bool (*wanted)(const char *path),
                        struct ct_files *lost, struct lc_error *err) {
  struct stat info;
  if (stat(path, &info) != 0)
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: %s, expected a folder or file", path, strerror(errno));
  char *copy = strdup(path);
  if (!copy) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  char *roots[] = {copy, NULL};
  FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
  lc_status status = LC_OK;
  if (!tree) {
    int why = errno;
    free(copy);
    LC_FAIL(err, why == ENOMEM ? LC_ERR_MEMORY : LC_ERR_NOT_FOUND, "%s: %s", path, strerror(why));
  }
  for (;;) {
    errno = 0;
    FTSENT *entry = fts_read(tree);
    if (!entry && errno)
      status = lc_fail(err, errno == ENOMEM ? LC_ERR_MEMORY : LC_ERR_NOT_FOUND, __FILE__, __LINE__,
                       "%s: cannot be listed to its end: %s", path, strerror(errno));
    if (!entry) break;
    status = add_entry(files, entry, wanted, lost, err);
    if (status != LC_OK) break;
  }
  fts_close(tree);
  free(copy);
  return status;
}
