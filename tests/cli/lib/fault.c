/* A library for LD_PRELOAD that lets one call of the system fail, to see what the program makes of
 * it: LC_FAULT_CALL is open, stat, read, mmap, malloc, write, sync, rename, truncate, close or
 * mkdir (fault_write.c has those that write); LC_FAULT_AT is the number of the call, from 1, among
 * those that count; LC_FAULT_BELOW is a folder: only calls on what lies below it count (not for
 * malloc), and reads of files that another process opened and handed over. Calls are numbered over
 * all processes that share LC_FAULT_NUMBER, a file of eight bytes. With LC_FAULT_COUNT, a file,
 * nothing fails and the number of calls is written there at the end; LC_FAULT_SAY names the call
 * that fails on standard error. */
#include "fault.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long own_calls, *calls = &own_calls;
static long fail_at = -1;
static const char *call_name, *below, *count_file, *say;
bool fault_watched[FAULT_FILES], fault_written[FAULT_FILES];

__attribute__((constructor)) static void begin(void) {
  const char *at = getenv("LC_FAULT_AT");
  call_name = getenv("LC_FAULT_CALL");
  below = getenv("LC_FAULT_BELOW");
  count_file = getenv("LC_FAULT_COUNT");
  say = getenv("LC_FAULT_SAY");
  fail_at = at ? atol(at) : -1;
  const char *number = getenv("LC_FAULT_NUMBER");
  int file = number ? (int)syscall(SYS_openat, AT_FDCWD, number, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *shared =
      (void *)syscall(SYS_mmap, NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (shared != MAP_FAILED) calls = shared;
  close(file);
}

__attribute__((destructor)) static void end(void) {
  if (!count_file) return;
  long n = atomic_load(calls);
  const char *file = count_file;
  count_file = NULL;
  call_name = NULL;
  FILE *out = fopen(file, "w");
  if (!out) return;
  fprintf(out, "%ld\n", n);
  fclose(out);
}

bool fault_below(const char *path) {
  return !below || (path && strncmp(path, below, strlen(below)) == 0);
}

bool fault_here(const char *name, const char *path) {
  if (!call_name || strcmp(call_name, name) != 0) return false;
  bool now = atomic_fetch_add(calls, 1) + 1 == fail_at && !count_file;
  if (now && say) fprintf(stderr, "fault: %s %s\n", name, path);
  return now;
}

bool fault_writing(const char *name, const char *path) {
  static atomic_bool full;
  bool now = fault_here(name, path);
  if (now && fail_at % 2 != 0) full = true;
  bool stays = full && (strcmp(name, "write") == 0 || strcmp(name, "mkdir") == 0);
  if (!now && !stays) return false;
  errno = full ? ENOSPC : EIO;
  return true;
}

static int watch(int file, const char *path, bool written) {
  if (file < 0 || file >= FAULT_FILES) return file;
  fault_watched[file] = fault_below(path);
  fault_written[file] = fault_watched[file] && written;
  return file;
}

#define OPEN(name)                                                                                 \
  int name(const char *path, int flags, ...) {                                                     \
    NEXT(name);                                                                                    \
    va_list args;                                                                                  \
    va_start(args, flags);                                                                         \
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;                      \
    va_end(args);                                                                                  \
    if (fault_below(path) && fault_here("open", path)) {                                           \
      errno = EMFILE;                                                                              \
      return -1;                                                                                   \
    }                                                                                              \
    return watch(next(path, flags, mode), path, (flags & O_ACCMODE) != O_RDONLY);                  \
  }
OPEN(open)
OPEN(open64)

static FILE *open_written(const char *path, const char *mode) {
  int flags =
      O_CREAT | (strchr(mode, '+') ? O_RDWR : O_WRONLY) | (strchr(mode, 'e') ? O_CLOEXEC : 0);
  flags |= mode[0] == 'a' ? O_APPEND : O_TRUNC;
  int file = (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0666);
  return file < 0 ? NULL : fault_stream(watch(file, path, true), mode);
}

/* What checked builds call when no mode can be needed. */
#define OPEN_CHECKED(name, plain)                                                                  \
  int name(const char *path, int flags);                                                           \
  int name(const char *path, int flags) {                                                          \
    return plain(path, flags);                                                                     \
  }
OPEN_CHECKED(__open_2, open)
OPEN_CHECKED(__open64_2, open64)

#define FOPEN(name)                                                                                \
  FILE *name(const char *path, const char *mode) {                                                 \
    NEXT(name);                                                                                    \
    if (fault_below(path) && fault_here("open", path)) {                                           \
      errno = EMFILE;                                                                              \
      return NULL;                                                                                 \
    }                                                                                              \
    bool written = below && mode[0] != 'r' && fault_below(path);                                   \
    if (written) return open_written(path, mode);                                                  \
    FILE *file = next(path, mode);                                                                 \
    if (file) watch(fileno(file), path, false);                                                    \
    return file;                                                                                   \
  }
FOPEN(fopen)
FOPEN(fopen64)

DIR *opendir(const char *path) {
  NEXT(opendir);
  if (fault_below(path) && fault_here("open", path)) {
    errno = EMFILE;
    return NULL;
  }
  return next(path);
}

#define STAT(name, type)                                                                           \
  int name(const char *path, struct type *info) {                                                  \
    NEXT(name);                                                                                    \
    if (fault_below(path) && fault_here("stat", path)) {                                           \
      errno = EIO;                                                                                 \
      return -1;                                                                                   \
    }                                                                                              \
    return next(path, info);                                                                       \
  }
STAT(stat, stat)
STAT(lstat, stat)
STAT(stat64, stat64)
STAT(lstat64, stat64)

#define FSTAT(name, type)                                                                          \
  int name(int file, struct type *info) {                                                          \
    NEXT(name);                                                                                    \
    if (fault_is(fault_watched, file) && fault_here("stat", "of a descriptor")) {                  \
      errno = EIO;                                                                                 \
      return -1;                                                                                   \
    }                                                                                              \
    return next(file, info);                                                                       \
  }
FSTAT(fstat, stat)
FSTAT(fstat64, stat64)

static bool read_fails(int file) {
  if (!fault_is(fault_watched, file) || !fault_here("read", "of a descriptor")) return false;
  errno = EIO;
  return true;
}

ssize_t read(int file, void *buffer, size_t count) {
  NEXT(read);
  return read_fails(file) ? -1 : next(file, buffer, count);
}

ssize_t pread(int file, void *buffer, size_t count, off_t at) {
  NEXT(pread);
  return read_fails(file) ? -1 : next(file, buffer, count, at);
}

ssize_t pread64(int file, void *buffer, size_t count, off64_t at) {
  NEXT(pread64);
  return read_fails(file) ? -1 : next(file, buffer, count, at);
}

ssize_t recvmsg(int socket, struct msghdr *message, int flags) {
  NEXT(recvmsg);
  ssize_t got = next(socket, message, flags);
  struct cmsghdr *rights = got > 0 ? CMSG_FIRSTHDR(message) : NULL;
  if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) return got;
  for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= rights->cmsg_len; i++) {
    int file;
    struct stat info;
    memcpy(&file, CMSG_DATA(rights) + i * sizeof file, sizeof file);
    bool regular = syscall(SYS_newfstatat, file, "", &info, AT_EMPTY_PATH) == 0 &&
                   S_ISREG(info.st_mode) && info.st_nlink > 0; /* no shared memory */
    if (file >= 0 && file < FAULT_FILES) fault_watched[file] = regular;
  }
  return got;
}

size_t fread(void *buffer, size_t size, size_t count, FILE *file) {
  NEXT(fread);
  if (!read_fails(fileno(file))) return next(buffer, size, count, file);
  file->_flags |= 0x20; /* _IO_ERR_SEEN: ferror says so */
  return 0;
}

void *mmap(void *where, size_t length, int protection, int flags, int file, off_t at) {
  NEXT(mmap);
  if (fault_is(fault_watched, file) && fault_here("mmap", "of a descriptor")) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return next(where, length, protection, flags, file, at);
}

void *mmap64(void *where, size_t length, int protection, int flags, int file, off64_t at) {
  NEXT(mmap64);
  if (fault_is(fault_watched, file) && fault_here("mmap", "of a descriptor")) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return next(where, length, protection, flags, file, at);
}

/* glibc's own names: dlsym itself allocates. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static bool memory_fails(void) {
  if (!fault_here("malloc", "")) return false;
  errno = ENOMEM;
  return true;
}

void *malloc(size_t size) {
  return memory_fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  return memory_fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
  return memory_fails() ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  return memory_fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
  void *memory = memory_fails() ? NULL : __libc_memalign(alignment, size);
  if (!memory) return ENOMEM;
  *out = memory;
  return 0;
}
