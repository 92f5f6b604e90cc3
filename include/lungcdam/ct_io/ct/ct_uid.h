/* Deterministic unique identifiers: the same inputs give the same UID on every machine.
 *
 * Form: "2.25." and a 128-bit unsigned decimal (PS3.5 B.2), the number being the first 16 bytes of
 * a SHA-256 with the version and variant bits of a name-based UUID (RFC 9562 version 8) set.
 *
 * Thread-safety: pure functions. */
#ifndef CT_UID_H
#define CT_UID_H

#include "common/lc_api.h"
#include "ct_io/ct/ct_series.h"

LC_API_BEGIN

/* parts: texts that name the object (source UIDs, weights hash, configuration hash, role). root
 * NULL: "2.25"; otherwise the user's root, and the number is shortened to fit 64 characters. */
LC_MUST_CHECK lc_status ct_uid_make(char uid[CT_UID_SIZE], const char *root,
                                    const char *const *parts, size_t n_parts, struct lc_error *err);

/* 1 to 64 characters, digits and dots, no empty component, no leading zero. */
bool ct_uid_valid(const char *uid);
/* 1 to 64 letters, digits, dots, dashes and underscores, not punctuation alone. Some anonymisers
 * write letters; such a UID is read with a warning and can name a file. */
bool ct_uid_plausible(const char *uid);

LC_API_END
#endif
