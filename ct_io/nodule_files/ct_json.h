/* JSON that strangers wrote: read with limits, its numbers checked. Used only inside this folder.
 *
 * Thread-safety: distinct files, distinct threads. */
#pragma once

#include <jansson.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_C_BEGIN

#define CT_JSON_BYTES ((size_t)16 << 20) /* largest file */
#define CT_JSON_DEPTH 32                 /* of arrays and objects */

/* Reads an object. A byte order mark is passed over. Free with json_decref. LC_ERR_FORMAT with file
 * and line. */
LC_MUST_CHECK lc_status ct_json_read(json_t **root, const char *path, struct lc_error *err);
/* Whether a value is an array of n finite numbers. */
bool ct_json_numbers(const json_t *value, double *out, size_t n);
/* The text of a member, or "" where it is none. */
const char *ct_json_text(const json_t *object, const char *key);

LC_C_END
