/* Writes files and folders whole or not at all (temporary name, fsync, rename), reads whole files,
 * and makes, removes and joins paths. */
#include "common/lc_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/lc_text.h"

lc_status lc_file_write_error(const char *path, int error_number, struct lc_error *err) {
  if (error_number == ENOSPC || error_number == EDQUOT)
    LC_FAIL(err, LC_ERR_NO_SPACE, "%s: the disk is full; nothing was kept of this output", path);
  LC_FAIL(err, LC_ERR_NOT_WRITABLE, "%s: cannot be written: %s", path, strerror(error_number));
}

static lc_status folder_of(char out[LC_PATH_SIZE], const char *path, struct lc_error *err) {
  char copy[LC_PATH_SIZE];
  if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
    LC_FAIL(err, LC_ERR_USAGE, "path of more than %d bytes: %.80s...", LC_PATH_SIZE - 1, path);
  snprintf(out, LC_PATH_SIZE, "%s", dirname(copy));
  return LC_OK;
}

static lc_status sync_path(const char *path, bool folder, struct lc_error *err) {
  int fd = open(path, folder ? O_RDONLY | O_DIRECTORY | O_CLOEXEC : O_RDONLY | O_CLOEXEC);
  if (fd < 0) return lc_file_write_error(path, errno, err);
  int failed = fsync(fd) != 0 ? errno : 0;
  close(fd);
  /* Some file systems cannot sync a folder; the rename is still atomic there. */
  if (failed && !(folder && (failed == EINVAL || failed == ENOTSUP)))
    return lc_file_write_error(path, failed, err);
  return LC_OK;
}

lc_status lc_output_begin(struct lc_output *output, const char *path, struct lc_error *err) {
  memset(output, 0, sizeof *output);
  char folder[LC_PATH_SIZE];
  LC_TRY(folder_of(folder, path, err));
  const char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  if (!*name) LC_FAIL(err, LC_ERR_USAGE, "%s: names a folder, expected a file", path);
  if (access(folder, W_OK | X_OK) != 0)
    LC_FAIL(err, LC_ERR_NOT_WRITABLE, "%s: folder %s cannot be written: %s", path, folder,
            strerror(errno));
  snprintf(output->path, sizeof output->path, "%s", path);
  int n = snprintf(output->temporary, sizeof output->temporary, "%s/.%s.%ld.partial", folder, name,
                   (long)getpid());
  if (n >= (int)sizeof output->temporary)
    LC_FAIL(err, LC_ERR_USAGE, "path of more than %d bytes: %.80s...", LC_PATH_SIZE - 1, path);
  unlink(output->temporary);
  return LC_OK;
}

lc_status lc_output_open(const struct lc_output *output, FILE **file, struct lc_error *err) {
  int fd = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
  if (*file) return LC_OK;
  int error_number = errno;
  if (fd >= 0) close(fd);
  return lc_file_write_error(output->path, error_number, err);
}

static lc_status commit(struct lc_output *output, bool sync, struct lc_error *err) {
  lc_status status = sync ? sync_path(output->temporary, false, err) : LC_OK;
  if (status == LC_OK && rename(output->temporary, output->path) != 0)
    status = lc_file_write_error(output->path, errno, err);
  if (status != LC_OK) {
    lc_output_abort(output);
    return status;
  }
  output->temporary[0] = '\0';
  if (!sync) return LC_OK;
  char folder[LC_PATH_SIZE];
  LC_TRY(folder_of(folder, output->path, err));
  return sync_path(folder, true, err);
}

lc_status lc_output_commit(struct lc_output *output, struct lc_error *err) {
  return commit(output, true, err);
}

lc_status lc_output_commit_soon(struct lc_output *output, struct lc_error *err) {
  return commit(output, false, err);
}

void lc_output_abort(struct lc_output *output) {
  if (output->temporary[0]) unlink(output->temporary);
  output->temporary[0] = '\0';
}

static lc_status write_file(const char *path, const void *bytes, size_t count, bool sync,
                            struct lc_error *err) {
  struct lc_output output;
  LC_TRY(lc_output_begin(&output, path, err));
  FILE *file;
  LC_TRY(lc_output_open(&output, &file, err));
  errno = 0;
  bool ok = fwrite(bytes, 1, count, file) == count;
  int error_number = errno;
  if (fclose(file) != 0 && ok) {
    ok = false;
    error_number = errno;
  }
  if (!ok) {
    lc_output_abort(&output);
    return lc_file_write_error(path, error_number, err);
  }
  return commit(&output, sync, err);
}

lc_status lc_file_write(const char *path, const void *bytes, size_t count, struct lc_error *err) {
  return write_file(path, bytes, count, true, err);
}

lc_status lc_file_write_soon(const char *path, const void *bytes, size_t count,
                             struct lc_error *err) {
  return write_file(path, bytes, count, false, err);
}

lc_status lc_folder_sync_all(const char *path, struct lc_error *err) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return lc_file_write_error(path, errno, err);
  int failed = syncfs(fd) != 0 ? errno : 0;
  close(fd);
  return failed ? lc_file_write_error(path, failed, err) : LC_OK;
}

lc_status lc_file_open(const char *path, FILE **file, struct lc_error *err) {
  struct stat info;
  *file = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  bool is_regular = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  if (is_regular) *file = fdopen(fd, "rb");
  if (*file) return LC_OK;
  int error_number = errno;
  if (fd >= 0) close(fd);
  if (fd >= 0 && !is_regular) LC_FAIL(err, LC_ERR_FORMAT, "%s: not a regular file", path);
  LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: cannot be read: %s", path, strerror(error_number));
}

bool lc_file_is_special(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

lc_status lc_file_read(const char *path, size_t limit, char **bytes, size_t *count,
                       struct lc_error *err) {
  *bytes = NULL;
  *count = 0;
  FILE *file;
  LC_TRY(lc_file_open(path, &file, err));
  lc_status status = LC_OK;
  char *data = NULL;
  struct stat info;
  if (fstat(fileno(file), &info) != 0)
    LC_FAIL_GOTO(done, err, LC_ERR_NOT_FOUND, "%s: cannot be read: %s", path, strerror(errno));
  if ((uintmax_t)info.st_size > limit)
    LC_FAIL_GOTO(done, err, LC_ERR_FORMAT, "%s: holds %jd bytes, at most %zu are accepted", path,
                 (intmax_t)info.st_size, limit);
  size_t size = (size_t)info.st_size;
  data = malloc(size + 1);
  if (!data) LC_FAIL_GOTO(done, err, LC_ERR_MEMORY, "%s: cannot allocate %zu bytes", path, size);
  if (fread(data, 1, size, file) != size)
    LC_FAIL_GOTO(done, err, LC_ERR_FORMAT, "%s: reading failed before its end", path);
  data[size] = '\0';
  *bytes = data;
  *count = size;
  data = NULL;
done:
  free(data);
  fclose(file);
  return status;
}

lc_status lc_folder_make(const char *path, struct lc_error *err) {
  char copy[LC_PATH_SIZE];
  if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
    LC_FAIL(err, LC_ERR_USAGE, "path of more than %d bytes: %.80s...", LC_PATH_SIZE - 1, path);
  for (char *p = copy + 1; *p; p++) {
    if (*p != '/') continue;
    *p = '\0';
    if (mkdir(copy, 0777) != 0 && errno != EEXIST) return lc_file_write_error(copy, errno, err);
    *p = '/';
  }
  if (mkdir(copy, 0777) != 0 && (errno != EEXIST || !lc_folder_exists(copy)))
    return lc_file_write_error(copy, errno == EEXIST ? ENOTDIR : errno, err);
  return LC_OK;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where) {
  (void)info, (void)kind, (void)where;
  return remove(path) != 0 && errno != ENOENT ? -1 : 0;
}

lc_status lc_folder_remove(const char *path, struct lc_error *err) {
  if (nftw(path, remove_entry, 32, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
    LC_FAIL(err, LC_ERR_NOT_WRITABLE, "%s: cannot be removed: %s", path, strerror(errno));
  return LC_OK;
}

bool lc_file_exists(const char *path) {
  struct stat info;
  if (stat(path, &info) == 0) return true;
  return errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG;
}

static bool cut_file_name(char *path) {
  char *slash = strrchr(path, '/');
  if (slash) slash[slash == path] = '\0';
  return slash != NULL;
}

bool lc_program_folder(char out[LC_PATH_SIZE]) {
  ssize_t length = readlink("/proc/self/exe", out, LC_PATH_SIZE - 1);
  if (length <= 0 || length == LC_PATH_SIZE - 1) return false;
  out[length] = '\0';
  return cut_file_name(out);
}

bool lc_library_folder(char out[LC_PATH_SIZE]) {
  static const char here;
  Dl_info info;
  if (!dladdr(&here, &info) || !info.dli_fname) return false;
  char *real = realpath(info.dli_fname, NULL);
  bool fits = real && strlen(real) < LC_PATH_SIZE;
  if (fits) lc_text_copy(out, LC_PATH_SIZE, real);
  free(real);
  return fits && cut_file_name(out);
}

bool lc_folder_exists(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

lc_status lc_path_join(char out[LC_PATH_SIZE], const char *folder, const char *name,
                       struct lc_error *err) {
  char joined[LC_PATH_SIZE]; /* out may be one of the two */
  size_t n = strlen(folder);
  const char *between = n > 0 && folder[n - 1] == '/' ? "" : "/";
  int length = snprintf(joined, sizeof joined, "%s%s%s", folder, between, name);
  if (length >= LC_PATH_SIZE)
    LC_FAIL(err, LC_ERR_USAGE, "path of more than %d bytes: %.80s...", LC_PATH_SIZE - 1, folder);
  memcpy(out, joined, (size_t)length + 1);
  return LC_OK;
}

lc_status lc_folder_publish(const char *finished, const char *target, bool replace,
                            struct lc_error *err) {
  LC_TRY(sync_path(finished, true, err));
  if (renameat2(AT_FDCWD, finished, AT_FDCWD, target, RENAME_NOREPLACE) != 0) {
    if (errno != EEXIST && errno != ENOTEMPTY) return lc_file_write_error(target, errno, err);
    if (!replace)
      LC_FAIL(err, LC_ERR_EXISTS, "%s: exists; --overwrite replaces it, --resume keeps it", target);
    if (renameat2(AT_FDCWD, finished, AT_FDCWD, target, RENAME_EXCHANGE) != 0)
      return lc_file_write_error(target, errno, err);
    LC_TRY(lc_folder_remove(finished, err));
  }
  char folder[LC_PATH_SIZE];
  LC_TRY(folder_of(folder, target, err));
  return sync_path(folder, true, err);
}
