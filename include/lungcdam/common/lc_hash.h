/* SHA-256 (FIPS 180-4) by OpenSSL's libcrypto. Thread-safety: one struct, one thread. */
#ifndef LC_HASH_H
#define LC_HASH_H

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_API_BEGIN

#define LC_SHA256_BYTES 32
#define LC_SHA256_HEX 65 /* 64 digits and the final zero */

struct lc_hash {
  void *state;
};

LC_MUST_CHECK lc_status lc_hash_begin(struct lc_hash *hash, struct lc_error *err);
void lc_hash_add(struct lc_hash *hash, const void *bytes, size_t count);
/* Adds the text and its final zero, so that "ab","c" differs from "a","bc". */
void lc_hash_add_text(struct lc_hash *hash, const char *text);
/* Writes the digest and frees the state. */
void lc_hash_end(struct lc_hash *hash, uint8_t digest[LC_SHA256_BYTES]);

void lc_hash_hex(const uint8_t digest[LC_SHA256_BYTES], char hex[LC_SHA256_HEX]);
LC_MUST_CHECK lc_status lc_hash_bytes_hex(const void *bytes, size_t count, char hex[LC_SHA256_HEX],
                                          struct lc_error *err);
LC_MUST_CHECK lc_status lc_hash_file_hex(const char *path, char hex[LC_SHA256_HEX],
                                         struct lc_error *err);

LC_API_END
#endif
