/* The bytes of one file, or what they unfold to, read by position. Used only inside this room.
 *
 * A failure of the system is kept apart from the end of the file: a header that stops because a
 * disk failed is no shorter header. Thread-safety: one source, one thread. */
#pragma once

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_C_BEGIN

struct ct_source {
  int file;         /* descriptor; -1: closed */
  const char *path; /* borrowed */
  uint64_t size;
  int error;         /* errno of the first read that failed; 0 while all went well */
  uint8_t *inflated; /* NULL, or the bytes that are read in place of the file's; owned */
  uint64_t window_start;
  size_t window_length;
  uint8_t window[32768];
};

/* Opens a regular file. LC_ERR_NOT_FOUND names the file and the cause. */
LC_MUST_CHECK lc_status ct_source_open(struct ct_source *source, const char *path,
                                       struct lc_error *err);
/* The same for one that is open; takes the descriptor over, also when it fails. */
LC_MUST_CHECK lc_status ct_source_adopt(struct ct_source *source, int file, const char *path,
                                        struct lc_error *err);
void ct_source_close(struct ct_source *source);
/* From now on the source is what the bytes from `at` to its end unfold to (RFC 1951). LC_ERR_FORMAT
 * when that is more than `most` bytes. */
LC_MUST_CHECK lc_status ct_source_inflate(struct ct_source *source, uint64_t at, size_t most,
                                          struct lc_error *err);

/* Copies up to count bytes from a position; fewer at the end of the file or where a read failed. */
size_t ct_source_read(struct ct_source *source, uint64_t at, void *out, size_t count);
/* LC_ERR_NOT_FOUND when any read so far failed. */
LC_MUST_CHECK lc_status ct_source_check(const struct ct_source *source, struct lc_error *err);

LC_C_END
