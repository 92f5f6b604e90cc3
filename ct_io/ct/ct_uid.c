/* Checks UIDs and makes deterministic ones: the SHA-256 of the given texts becomes the decimal
 * number behind "2.25." or another root. */
#include "ct_io/ct/ct_uid.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/lc_hash.h"

#define UID_DIGITS 39     /* decimal digits of a 128-bit number */
#define UID_MIN_DIGITS 20 /* fewer leave too small a space for a name-based number */

bool ct_uid_valid(const char *uid) {
  if (!uid || !*uid || strlen(uid) > CT_UID_SIZE - 1) return false;
  bool at_start = true;
  for (const char *p = uid; *p; p++) {
    if (*p == '.') {
      if (at_start) return false;
      at_start = true;
      continue;
    }
    if (!isdigit((unsigned char)*p)) return false;
    if (at_start && *p == '0' && p[1] != '.' && p[1] != '\0') return false;
    at_start = false;
  }
  return !at_start;
}

bool ct_uid_plausible(const char *uid) {
  static const char most[] = "0123456789.-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  size_t length = strlen(uid);
  return length > 0 && length < CT_UID_SIZE && strspn(uid, ".-_") < length &&
         strspn(uid, most) == length;
}

/* SHA-256 is as good as any source of a "custom" UUID: only version and variant are fixed. */
static void digest_to_uuid(uint8_t digest[LC_SHA256_BYTES]) {
  digest[6] = (uint8_t)((digest[6] & 0x0f) | 0x80); /* version 8 */
  digest[8] = (uint8_t)((digest[8] & 0x3f) | 0x80); /* variant 10xx */
}

/* Decimal digits of the number in the first 16 bytes, most significant first; only the last
 * `available` of them, without leading zeroes. */
static void decimal(const uint8_t bytes[16], size_t available, char out[UID_DIGITS + 1]) {
  unsigned __int128 value = 0;
  for (int i = 0; i < 16; i++) value = (value << 8) | bytes[i];
  char digits[UID_DIGITS];
  size_t n = 0;
  do {
    digits[n++] = (char)('0' + (int)(value % 10));
    value /= 10;
  } while (value && n < available);
  while (n > 1 && digits[n - 1] == '0') n--;
  for (size_t i = 0; i < n; i++) out[i] = digits[n - 1 - i];
  out[n] = '\0';
}

lc_status ct_uid_make(char uid[CT_UID_SIZE], const char *root, const char *const *parts,
                      size_t n_parts, struct lc_error *err) {
  const char *prefix = root ? root : "2.25";
  if (!ct_uid_valid(prefix))
    LC_FAIL(err, LC_ERR_USAGE, "UID root \"%s\": expected digits and dots, such as 1.2.826.0.1",
            prefix);
  size_t length = strlen(prefix);
  if (length > CT_UID_SIZE - 1 - 1 - UID_MIN_DIGITS)
    LC_FAIL(err, LC_ERR_USAGE, "UID root \"%s\": %zu characters leave too few of 64, at most %d",
            prefix, length, CT_UID_SIZE - 1 - 1 - UID_MIN_DIGITS);
  if (n_parts == 0)
    LC_FAIL(err, LC_ERR_USAGE, "a UID needs at least one text that names the object");

  struct lc_hash hash;
  LC_TRY(lc_hash_begin(&hash, err));
  bool missing = false;
  for (size_t i = 0; i < n_parts; i++) {
    missing = missing || !parts[i];
    lc_hash_add_text(&hash, parts[i] ? parts[i] : "");
  }
  uint8_t digest[LC_SHA256_BYTES];
  lc_hash_end(&hash, digest);
  if (missing) LC_FAIL(err, LC_ERR_USAGE, "a text that names the object of a UID is missing");

  digest_to_uuid(digest);
  size_t available = CT_UID_SIZE - 1 - length - 1;
  char digits[UID_DIGITS + 1];
  decimal(digest, available < UID_DIGITS ? available : UID_DIGITS, digits);
  snprintf(uid, CT_UID_SIZE, "%s.%s", prefix, digits);
  return LC_OK;
}
