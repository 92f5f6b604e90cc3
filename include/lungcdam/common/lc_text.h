/* Growing text and small text helpers. Thread-safety: one struct, one thread. */
#ifndef LC_TEXT_H
#define LC_TEXT_H

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_API_BEGIN

/* A zeroed struct is an empty text. `failed` is set, and stays set, when memory ran out. */
struct lc_text {
  char *data; /* zero-terminated, or NULL while empty */
  size_t length;
  size_t capacity;
  bool failed;
};

void lc_text_free(struct lc_text *text);
LC_PRINTF(2, 3) void lc_text_add(struct lc_text *text, const char *fmt, ...);
void lc_text_add_bytes(struct lc_text *text, const char *bytes, size_t count);
/* The text, "" while empty. */
const char *lc_text_get(const struct lc_text *text);

/* Number of single-character edits between two words (Levenshtein 1966). */
size_t lc_text_distance(const char *a, const char *b);
/* The nearest of n words, or NULL when none is within a third of the word's length plus one. */
const char *lc_text_nearest(const char *word, const char *const *words, size_t n);

/* Strict numbers: the whole text, in the C locale, finite. */
bool lc_text_to_double(const char *text, double *value);
bool lc_text_to_long(const char *text, long long *value);

/* Copies with truncation; always terminated. */
void lc_text_copy(char *out, size_t size, const char *text);

/* Puts '?' for control characters, and for bytes that are not UTF-8: what others wrote must not
 * steer a terminal or break the line of a table. */
void lc_text_printable(char *text);

LC_API_END
#endif
