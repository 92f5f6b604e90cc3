/* The calls that write: write, sync (fsync, fdatasync and syncfs), rename, truncate, close and
 * mkdir. The C library's streams make their calls behind our back, so that streams of files that
 * count get functions of their own. */
#include "fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static bool writing_fails(const char *name, int file) {
  return fault_is(fault_written, file) && fault_writing(name, "of a descriptor");
}

/* What fails has written half before. */
ssize_t write(int file, const void *bytes, size_t count) {
  NEXT(write);
  if (!writing_fails("write", file)) return next(file, bytes, count);
  int error = errno;
  ssize_t half = next(file, bytes, count / 2);
  errno = error;
  return half < 0 ? half : -1;
}

#define PWRITE(name, type)                                                                         \
  ssize_t name(int file, const void *bytes, size_t count, type at) {                               \
    NEXT(name);                                                                                    \
    if (!writing_fails("write", file)) return next(file, bytes, count, at);                        \
    int error = errno;                                                                             \
    ssize_t half = next(file, bytes, count / 2, at);                                               \
    errno = error;                                                                                 \
    return half < 0 ? half : -1;                                                                   \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int file, const struct iovec *parts, int n) {
  NEXT(writev);
  return writing_fails("write", file) ? -1 : next(file, parts, n);
}

#define SYNC(name)                                                                                 \
  int name(int file) {                                                                             \
    NEXT(name);                                                                                    \
    return fault_is(fault_watched, file) && fault_writing("sync", "of a descriptor") ? -1          \
                                                                                     : next(file); \
  }
SYNC(fsync)
SYNC(fdatasync)
SYNC(syncfs)

#define TRUNCATE(name, type)                                                                       \
  int name(int file, type size) {                                                                  \
    NEXT(name);                                                                                    \
    return writing_fails("truncate", file) ? -1 : next(file, size);                                \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

/* It is closed all the same, as a network's file system does it. */
int close(int file) {
  NEXT(close);
  bool failed = writing_fails("close", file);
  int error = errno;
  if (file >= 0 && file < FAULT_FILES) fault_watched[file] = fault_written[file] = false;
  int result = next(file);
  if (!failed) return result;
  errno = error;
  return -1;
}

int rename(const char *from, const char *to) {
  NEXT(rename);
  return fault_below(to) && fault_writing("rename", to) ? -1 : next(from, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
  NEXT(renameat2);
  if (fault_below(to) && fault_writing("rename", to)) return -1;
  return next(from_folder, from, to_folder, to, flags);
}

int mkdir(const char *path, mode_t mode) {
  NEXT(mkdir);
  return fault_below(path) && fault_writing("mkdir", path) ? -1 : next(path, mode);
}

/* -- streams ---------------------------------------------------------------------------------- */

struct stream {
  FILE *stream;
  int file;
};
static struct stream streams[FAULT_FILES];

static ssize_t stream_read(void *of, char *bytes, size_t count) {
  return read(((struct stream *)of)->file, bytes, count);
}

static ssize_t stream_write(void *of, const char *bytes, size_t count) {
  ssize_t done = write(((struct stream *)of)->file, bytes, count);
  return done < 0 ? 0 : done; /* an error, to the C library */
}

static int stream_seek(void *of, off64_t *at, int from) {
  off64_t now = lseek64(((struct stream *)of)->file, *at, from);
  if (now >= 0) *at = now;
  return now < 0 ? -1 : 0;
}

static int stream_close(void *of) {
  struct stream *it = of;
  it->stream = NULL;
  return close(it->file);
}

FILE *fault_stream(int file, const char *mode) {
  static const cookie_io_functions_t functions = {stream_read, stream_write, stream_seek,
                                                  stream_close};
  if (file < 0 || file >= FAULT_FILES) return NULL;
  struct stream *it = &streams[file];
  it->file = file;
  it->stream = fopencookie(it, mode, functions);
  return it->stream;
}

FILE *fdopen(int file, const char *mode) {
  NEXT(fdopen);
  return fault_is(fault_written, file) ? fault_stream(file, mode) : next(file, mode);
}

int fileno(FILE *stream) {
  NEXT(fileno);
  for (size_t i = 0; i < FAULT_FILES; i++)
    if (streams[i].stream == stream) return streams[i].file;
  return next(stream);
}
