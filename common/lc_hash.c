/* Computes SHA-256 of bytes, texts and files through OpenSSL's EVP interface. */
#include "common/lc_hash.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_file.h"

lc_status lc_hash_begin(struct lc_hash *hash, struct lc_error *err) {
  hash->state = NULL;
  EVP_MD_CTX *state = EVP_MD_CTX_new();
  if (!state || EVP_DigestInit_ex(state, EVP_sha256(), NULL) != 1) {
    EVP_MD_CTX_free(state);
    LC_FAIL(err, LC_ERR_INTERNAL, "SHA-256 is not available in this OpenSSL");
  }
  hash->state = state;
  return LC_OK;
}

void lc_hash_add(struct lc_hash *hash, const void *bytes, size_t count) {
  EVP_DigestUpdate(hash->state, bytes, count);
}

void lc_hash_add_text(struct lc_hash *hash, const char *text) {
  lc_hash_add(hash, text, strlen(text) + 1);
}

void lc_hash_end(struct lc_hash *hash, uint8_t digest[LC_SHA256_BYTES]) {
  EVP_DigestFinal_ex(hash->state, digest, NULL);
  EVP_MD_CTX_free(hash->state);
  hash->state = NULL;
}

void lc_hash_hex(const uint8_t digest[LC_SHA256_BYTES], char hex[LC_SHA256_HEX]) {
  for (int i = 0; i < LC_SHA256_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

lc_status lc_hash_bytes_hex(const void *bytes, size_t count, char hex[LC_SHA256_HEX],
                            struct lc_error *err) {
  struct lc_hash hash;
  uint8_t digest[LC_SHA256_BYTES];
  LC_TRY(lc_hash_begin(&hash, err));
  lc_hash_add(&hash, bytes, count);
  lc_hash_end(&hash, digest);
  lc_hash_hex(digest, hex);
  return LC_OK;
}

lc_status lc_hash_file_hex(const char *path, char hex[LC_SHA256_HEX], struct lc_error *err) {
  FILE *file;
  LC_TRY(lc_file_open(path, &file, err));
  struct lc_hash hash;
  lc_status status = lc_hash_begin(&hash, err);
  if (status != LC_OK) {
    fclose(file);
    return status;
  }
  static const size_t piece = 1 << 16;
  unsigned char buffer[1 << 16];
  size_t n;
  while ((n = fread(buffer, 1, piece, file)) > 0) lc_hash_add(&hash, buffer, n);
  bool failed = ferror(file) != 0;
  fclose(file);
  uint8_t digest[LC_SHA256_BYTES];
  lc_hash_end(&hash, digest);
  if (failed) LC_FAIL(err, LC_ERR_FORMAT, "%s: reading failed", path);
  lc_hash_hex(digest, hex);
  return LC_OK;
}
