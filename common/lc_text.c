/* Implements growing texts, the edit distance that finds the nearest word (Levenshtein), and strict
 * parsing of numbers. */
#include "common/lc_text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void lc_text_free(struct lc_text *text) {
  free(text->data);
  memset(text, 0, sizeof *text);
}

static bool reserve(struct lc_text *text, size_t more) {
  size_t need = text->length + more + 1;
  if (text->failed) return false;
  if (need <= text->capacity) return true;
  size_t capacity = text->capacity ? text->capacity : 128;
  while (capacity < need) capacity *= 2;
  char *data = realloc(text->data, capacity);
  if (!data) {
    text->failed = true;
    return false;
  }
  text->data = data;
  text->capacity = capacity;
  return true;
}

void lc_text_add_bytes(struct lc_text *text, const char *bytes, size_t count) {
  if (!reserve(text, count)) return;
  memcpy(text->data + text->length, bytes, count);
  text->length += count;
  text->data[text->length] = '\0';
}

void lc_text_add(struct lc_text *text, const char *fmt, ...) {
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  if (n >= 0 && reserve(text, (size_t)n)) {
    vsnprintf(text->data + text->length, (size_t)n + 1, fmt, again);
    text->length += (size_t)n;
  }
  va_end(again);
}

const char *lc_text_get(const struct lc_text *text) {
  return text->data ? text->data : "";
}

#define WORD_LIMIT 128

size_t lc_text_distance(const char *a, const char *b) {
  size_t row[WORD_LIMIT + 1];
  size_t na = strlen(a), nb = strlen(b);
  if (na > WORD_LIMIT) na = WORD_LIMIT;
  if (nb > WORD_LIMIT) nb = WORD_LIMIT;
  for (size_t j = 0; j <= nb; j++) row[j] = j;
  for (size_t i = 1; i <= na; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= nb; j++) {
      size_t change = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
      row[j] = change < other ? change : other;
    }
  }
  return row[nb];
}

const char *lc_text_nearest(const char *word, const char *const *words, size_t n) {
  const char *best = NULL;
  size_t best_distance = strlen(word) / 3 + 2;
  for (size_t i = 0; i < n; i++) {
    size_t distance = lc_text_distance(word, words[i]);
    if (distance < best_distance) {
      best_distance = distance;
      best = words[i];
    }
  }
  return best;
}

bool lc_text_to_double(const char *text, double *value) {
  char *end;
  if (!*text || isspace((unsigned char)*text)) return false;
  errno = 0;
  double parsed = strtod(text, &end);
  if (*end || end == text || !isfinite(parsed)) return false;
  *value = parsed;
  return true;
}

bool lc_text_to_long(const char *text, long long *value) {
  char *end;
  if (!*text || isspace((unsigned char)*text)) return false;
  errno = 0;
  long long parsed = strtoll(text, &end, 10);
  if (*end || end == text || errno == ERANGE) return false;
  *value = parsed;
  return true;
}

void lc_text_copy(char *out, size_t size, const char *text) {
  snprintf(out, size, "%s", text);
}

/* Bytes of the UTF-8 character that starts here (RFC 3629), and its code; 0 for none. */
static size_t utf8_length(const unsigned char *c, unsigned *code) {
  static const unsigned lowest[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t length = *c < 0x80 ? 1 : *c < 0xc2 ? 0 : *c < 0xe0 ? 2 : *c < 0xf0 ? 3 : *c < 0xf5 ? 4 : 0;
  if (length < 2) {
    *code = *c;
    return length;
  }
  *code = *c & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; i++) {
    if ((c[i] & 0xc0) != 0x80) return 0;
    *code = *code << 6 | (c[i] & 0x3fu);
  }
  bool surrogate = *code >= 0xd800 && *code < 0xe000;
  return *code < lowest[length] || *code > 0x10ffff || surrogate ? 0 : length;
}

/* C0, DEL and C1; and what turns the direction of a line. */
static bool controls(unsigned code) {
  return code < ' ' || (code >= 0x7f && code < 0xa0) || (code >= 0x202a && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0x2028 || code == 0x2029;
}

void lc_text_printable(char *text) {
  char *out = text;
  while (*text) {
    unsigned code;
    size_t length = utf8_length((const unsigned char *)text, &code);
    if (length == 0 || controls(code)) {
      *out++ = '?';
      text += length ? length : 1;
    } else {
      memmove(out, text, length);
      out += length;
      text += length;
    }
  }
  *out = '\0';
}
