/* Writes zip archives of stored members byte by byte (PKWARE's APPNOTE.TXT), for tests and fuzzing
 * programs that must also write what no library would: members that overlap or lie about their
 * size. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { ZIP_MEMBERS = 64, ZIP_NAME = 64 };

struct zip_out {
  FILE *file;
  size_t n;
  struct {
    char name[ZIP_NAME];
    uint32_t crc, size, at;
  } members[ZIP_MEMBERS];
};

static inline void zip_put(struct zip_out *zip, uint32_t value, int bytes) {
  for (; bytes > 0; bytes--, value >>= 8) fputc((int)(value & 0xff), zip->file);
}

/* What the local and the central header share: from "version needed" to the length of the name. */
static inline void zip_put_common(struct zip_out *zip, size_t i) {
  zip_put(zip, 20, 2);
  zip_put(zip, 0, 8); /* no flags, stored, no time */
  zip_put(zip, zip->members[i].crc, 4);
  zip_put(zip, zip->members[i].size, 4);
  zip_put(zip, zip->members[i].size, 4);
  zip_put(zip, (uint32_t)strlen(zip->members[i].name), 2);
}

/* Another name for what the last member wrote, or an empty first one. */
static inline void zip_again(struct zip_out *zip, const char *name) {
  if (zip->n > 0) zip->members[zip->n] = zip->members[zip->n - 1];
  snprintf(zip->members[zip->n++].name, ZIP_NAME, "%s", name);
}

static inline void zip_member(struct zip_out *zip, const char *name, const void *bytes,
                              size_t size) {
  size_t i = zip->n;
  zip_again(zip, name);
  zip->members[i].crc = (uint32_t)crc32(0, bytes, (unsigned)size);
  zip->members[i].size = (uint32_t)size;
  zip->members[i].at = (uint32_t)ftell(zip->file);
  zip_put(zip, 0x04034b50, 4);
  zip_put_common(zip, i);
  zip_put(zip, 0, 2);
  fputs(zip->members[i].name, zip->file);
  fwrite(bytes, 1, size, zip->file);
}

/* Writes the directory; false when not all could be written. */
static inline int zip_end(struct zip_out *zip) {
  uint32_t start = (uint32_t)ftell(zip->file);
  for (size_t i = 0; i < zip->n; i++) {
    zip_put(zip, 0x02014b50, 4);
    zip_put(zip, 20, 2);
    zip_put_common(zip, i);
    zip_put(zip, 0, 4); /* no more fields, no comment */
    zip_put(zip, 0, 4);
    zip_put(zip, 0, 4);
    zip_put(zip, zip->members[i].at, 4);
    fputs(zip->members[i].name, zip->file);
  }
  uint32_t end = (uint32_t)ftell(zip->file);
  zip_put(zip, 0x06054b50, 4);
  zip_put(zip, 0, 4);
  zip_put(zip, (uint32_t)zip->n, 2);
  zip_put(zip, (uint32_t)zip->n, 2);
  zip_put(zip, end - start, 4);
  zip_put(zip, start, 4);
  zip_put(zip, 0, 2);
  return !ferror(zip->file);
}
