/* Makes pseudonyms of patients for logs and messages by a keyed hash. */
#include "common/lc_identity.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/lc_text.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool shown, have_key;
static uint8_t own_key[LC_IDENTITY_KEY];

void lc_identity_show(void) {
  shown = true;
}

void lc_identity_set_key(const uint8_t key[LC_IDENTITY_KEY]) {
  memcpy(own_key, key, sizeof own_key);
  have_key = true;
}

bool lc_identity_draw_key(uint8_t key[LC_IDENTITY_KEY]) {
  return getrandom(key, LC_IDENTITY_KEY, 0) == LC_IDENTITY_KEY;
}

static void draw_once(void) {
  if (!have_key) have_key = lc_identity_draw_key(own_key);
}

const char *lc_identity(char out[LC_IDENTITY_SIZE], const char *value) {
  enum { SHOWN_BYTES = 6 };
  uint8_t digest[EVP_MAX_MD_SIZE];
  if (shown || !*value) {
    lc_text_copy(out, LC_IDENTITY_SIZE, value);
    return out;
  }
  pthread_once(&once, draw_once);
  lc_text_copy(out, LC_IDENTITY_SIZE, "id-withheld");
  if (!have_key || !HMAC(EVP_sha256(), own_key, sizeof own_key, (const unsigned char *)value,
                         strlen(value), digest, NULL))
    return out;
  int used = 3;
  for (int i = 0; i < SHOWN_BYTES; i++)
    used += snprintf(out + used, (size_t)(LC_IDENTITY_SIZE - used), "%02x", digest[i]);
  return out;
}
