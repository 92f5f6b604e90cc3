/* Reads a file by position through a small window, and remembers the first failure of the system;
 * unfolds deflated bytes. */
#include "ct_io/dicom_file/ct_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/lc_arena.h"

lc_status ct_source_open(struct ct_source *source, const char *path, struct lc_error *err) {
  /* Nothing but a regular file is read, and opening anything else must not wait. */
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  source->file = -1;
  source->inflated = NULL;
  if (file < 0) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: cannot be opened: %s", path, strerror(errno));
  return ct_source_adopt(source, file, path, err);
}

lc_status ct_source_adopt(struct ct_source *source, int file, const char *path,
                          struct lc_error *err) {
  struct stat info;
  source->file = file;
  source->path = path;
  source->error = 0;
  source->inflated = NULL;
  source->size = source->window_start = source->window_length = 0;
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
  free(source->inflated);
  source->inflated = NULL;
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
  if (source->inflated) {
    memcpy(out, source->inflated + at, count);
    return count;
  }
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

/* Room for more; a stream that unfolds too far is found before it has taken much of it. */
static lc_status grow(uint8_t **bytes, size_t *room, const char *path, struct lc_error *err) {
  size_t wanted = *room ? *room + *room / 2 : (size_t)1 << 20;
  uint8_t *grown = realloc(*bytes, wanted);
  if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  *bytes = grown;
  *room = wanted;
  return LC_OK;
}

enum { PACKED = 16384 };

/* packed[PACKED]: room for what is read. */
static lc_status inflate_all(struct ct_source *source, uint64_t at, size_t most, z_stream *stream,
                             uint8_t *packed, uint8_t **bytes, size_t *size, struct lc_error *err) {
  size_t room = 0;
  int result = Z_OK;
  while (result == Z_OK) {
    if (stream->avail_in == 0) {
      stream->next_in = packed;
      stream->avail_in = (uInt)ct_source_read(source, at, packed, PACKED);
      if (stream->avail_in == 0) break;
      at += stream->avail_in;
    }
    if (*size == room) LC_TRY(grow(bytes, &room, source->path, err));
    size_t left = room - *size;
    stream->next_out = *bytes + *size;
    stream->avail_out = (uInt)left;
    result = inflate(stream, Z_NO_FLUSH);
    *size += left - stream->avail_out;
    if (*size > most)
      LC_FAIL(err, LC_ERR_FORMAT, "%s: deflated data set unfolds to more than %zu bytes",
              source->path, most);
  }
  if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
    LC_FAIL(err, result == Z_MEM_ERROR ? LC_ERR_MEMORY : LC_ERR_FORMAT,
            "%s: deflated data set cannot be inflated: %s", source->path,
            stream->msg ? stream->msg : zError(result));
  return LC_OK;
}

lc_status ct_source_inflate(struct ct_source *source, uint64_t at, size_t most,
                            struct lc_error *err) {
  z_stream stream = {0};
  uint8_t packed[PACKED], *bytes = NULL;
  size_t size = 0;
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", source->path);
  lc_status status = inflate_all(source, at, most, &stream, packed, &bytes, &size, err);
  inflateEnd(&stream);
  if (status == LC_OK && !bytes) /* nothing there, and not the file's own bytes in its place */
    status = lc_alloc(&bytes, 1, 1, err);
  if (status != LC_OK) {
    free(bytes);
    return status;
  }
  source->inflated = bytes;
  source->size = size;
  return LC_OK;
}
