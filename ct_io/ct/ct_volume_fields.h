/* Headers made of lines "name: value" or "name = value", as MetaImage and NRRD have them. Used only
 * inside this folder.
 *
 * Thread-safety: one struct, one thread. */
#pragma once

#include <stdint.h>

#include "common/lc_status.h"

/* Longest header that is looked at. */
#define CT_FIELDS_BYTES 65536

struct ct_fields {
  char *text; /* lines, zero-terminated each */
  struct ct_field {
    const char *name, *value;
  } fields[256];
  size_t n;
  uint64_t bytes; /* of the file until the header ends */
};

/* Reads lines up to and with the field `last`, or without it to the first empty line or the end.
 * separators: the characters that end a name. Comments (#) and lines without a separator are left
 * out. LC_ERR_FORMAT when the file cannot be read, the header does not end, or a field stands there
 * twice. */
LC_MUST_CHECK lc_status ct_fields_read(struct ct_fields *fields, const char *path,
                                       const char *separators, const char *last,
                                       struct lc_error *err);
void ct_fields_free(struct ct_fields *fields);
/* The value of the first of up to three names (NULL for none) in any case, or NULL. */
const char *ct_fields_get(const struct ct_fields *fields, const char *a, const char *b,
                          const char *c);
/* Whole numbers separated by blanks: how many there are, of which at most `most` are kept; -1 when
 * something else is among them. */
long long ct_fields_numbers(const char *value, long long *numbers, long long most);
