/* Shared by the harnesses: the readers take paths, a fuzzer has bytes. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes the bytes to this process's own file and returns its path. */
static inline const char *fuzz_file(const uint8_t *data, size_t size) {
  static char path[256];
  if (!path[0]) {
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, sizeof path, "%s/lungcdam-fuzz-%d", folder, (int)getpid());
  }
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) abort();
  return path;
}
