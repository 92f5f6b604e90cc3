/* Reads a file by position through a small window, and remembers the first failure of the system.
 */
#include "ct_io/dicom_file/ct_source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

lc_status ct_source_open(struct ct_source *source, const char *path, struct lc_error *err) {
  struct stat info;
  source->path = path;
  source->error = 0;
  source->size = source->window_start = source->window_length = 0;
  /* Nothing but a regular file is read, and opening anything else must not wait. */
  source->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (source->file < 0)
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: cannot be opened: %s", path, strerror(errno));
  if (fstat(source->file, &info) != 0) {
    source->error = errno;
    ct_source_close(source);
    return ct_source_check(source, err);
  }
  if (!S_ISREG(info.st_mode)) {
    ct_source_close(source);
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: is not a regular file", path);
  }
  source->size = (uint64_t)info.st_size;
  return LC_OK;
}

void ct_source_close(struct ct_source *source) {
  if (source->file >= 0) close(source->file);
  source->file = -1;
}

static size_t read_all(struct ct_source *source, uint64_t at, uint8_t *out, size_t count) {
  size_t got = 0;
  while (got < count && !source->error) {
    ssize_t n = pread(source->file, out + got, count - got, (off_t)(at + got));
    if (n == 0) break;
    if (n > 0)
      got += (size_t)n;
    else if (errno != EINTR)
      source->error = errno;
  }
  return got;
}

size_t ct_source_read(struct ct_source *source, uint64_t at, void *out, size_t count) {
  if (at >= source->size || source->file < 0) return 0;
  if (count > source->size - at) count = (size_t)(source->size - at);
  if (count >= sizeof source->window) return read_all(source, at, out, count);
  if (at < source->window_start || at + count > source->window_start + source->window_length) {
    source->window_length = read_all(source, at, source->window, sizeof source->window);
    source->window_start = at;
    if (count > source->window_length) count = source->window_length;
  }
  memcpy(out, source->window + (at - source->window_start), count);
  return count;
}

lc_status ct_source_check(const struct ct_source *source, struct lc_error *err) {
  if (!source->error) return LC_OK;
  LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: cannot be read: %s", source->path, strerror(source->error));
}
