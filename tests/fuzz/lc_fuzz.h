/* Shared by the fuzzing programs: the readers take paths, a fuzzer has bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A path in TMPDIR, which fuzz.sh puts in memory, that only this process uses. */
static inline const char *fuzz_path(const char *ending) {
  static char path[256];
  const char *folder = getenv("TMPDIR");
  snprintf(path, sizeof path, "%s/fuzz-%d%s", folder ? folder : "/tmp", (int)getpid(), ending);
  return path;
}

static inline void fuzz_write(const char *path, const void *data, size_t size) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) abort();
}

/* Writes the bytes to this process's own file and returns its path. */
static inline const char *fuzz_file(const uint8_t *data, size_t size, const char *ending) {
  const char *path = fuzz_path(ending);
  fuzz_write(path, data, size);
  return path;
}

/* What steers a program is taken from the front of its input; zeros when that is used up. */
struct fuzz_bytes {
  const uint8_t *data;
  size_t size;
};

static inline uint8_t fuzz_byte(struct fuzz_bytes *in) {
  if (in->size == 0) return 0;
  in->size--;
  return *in->data++;
}

static inline unsigned fuzz_short(struct fuzz_bytes *in) {
  unsigned low = fuzz_byte(in);
  return low | (unsigned)fuzz_byte(in) << 8;
}

/* The compiler keeps what computed this. */
static inline void fuzz_use(double value) {
  static volatile double sink;
  sink = value;
  (void)sink;
}
