/* What stands in log lines and messages where the identity of a patient would: PatientID, name,
 * accession number, birth date. By default a pseudonym, "id-" and 12 hexadecimal digits of
 * HMAC-SHA256 (RFC 2104) of the value, which is the same for the same value and key, and tells
 * nothing without the key. The key is drawn when it is first needed, so that another run of the
 * program has other pseudonyms, unless one is given.
 *
 * Thread-safety: settings are for start-up; lc_identity may be called from any thread after. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/lc_api.h"

LC_C_BEGIN

#define LC_IDENTITY_SIZE 65
#define LC_IDENTITY_KEY 32

/* Values are shown as they are (--log-identity). */
void lc_identity_show(void);
/* The key of the pseudonyms from now on. */
void lc_identity_set_key(const uint8_t key[LC_IDENTITY_KEY]);
/* Draws a key. False when the system gives none. */
bool lc_identity_draw_key(uint8_t key[LC_IDENTITY_KEY]);
/* The pseudonym, or the value; "" for "". Returns out. */
const char *lc_identity(char out[LC_IDENTITY_SIZE], const char *value);

LC_C_END
