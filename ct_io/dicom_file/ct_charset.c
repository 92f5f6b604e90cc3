/* Follows the escape sequences of ISO 2022 in a text, and converts each stretch of one character
 * set with iconv. */
#include "ct_io/dicom_file/ct_charset.h"

#include <iconv.h>
#include <string.h>

/* A set of characters by its ISO registration number, with the escape sequence that selects it. */
struct set {
  const char *number; /* after "ISO_IR " or "ISO 2022 IR " */
  const char *escape; /* after ESC */
  const char *iconv;  /* NULL: ASCII */
  bool left;          /* bytes below 128 (G0); otherwise those from 128 on (G1) */
  char prefix;        /* of each pair of bytes for iconv, or 0 */
};

/* The left sets of two bytes are parts of EUC-JP once their high bits are set. The right half of
 * JIS X 0201 is the one-byte half of Shift JIS; its left half is ASCII but for two signs. */
static const struct set sets[] = {
    {"6", "(B", NULL, true, 0},
    {"14", "(J", NULL, true, 0},
    {"13", ")I", "SHIFT_JIS", false, 0},
    {"87", "$B", "EUC-JP", true, 0},
    {"87", "$@", "EUC-JP", true, 0},
    {"159", "$(D", "EUC-JP", true, '\x8f'},
    {"149", "$)C", "EUC-KR", false, 0},
    {"58", "$)A", "EUC-CN", false, 0},
    {"100", "-A", "ISO-8859-1", false, 0},
    {"101", "-B", "ISO-8859-2", false, 0},
    {"109", "-C", "ISO-8859-3", false, 0},
    {"110", "-D", "ISO-8859-4", false, 0},
    {"144", "-L", "ISO-8859-5", false, 0},
    {"127", "-G", "ISO-8859-6", false, 0},
    {"126", "-F", "ISO-8859-7", false, 0},
    {"138", "-H", "ISO-8859-8", false, 0},
    {"148", "-M", "ISO-8859-9", false, 0},
    {"203", "-b", "ISO-8859-15", false, 0},
    {"166", "-T", "TIS-620", false, 0},
};
#define N_SETS (sizeof sets / sizeof *sets)

/* The set that the first term of SpecificCharacterSet selects for the bytes from 128 on; NULL for
 * none. */
static const struct set *initial(const char *charset) {
  const char *number = NULL;
  if (strncmp(charset, "ISO_IR ", 7) == 0) number = charset + 7;
  if (strncmp(charset, "ISO 2022 IR ", 12) == 0) number = charset + 12;
  if (!number) return NULL;
  size_t length = strcspn(number, "\\ ");
  for (size_t i = 0; i < N_SETS; i++)
    if (!sets[i].left && strlen(sets[i].number) == length &&
        strncmp(number, sets[i].number, length) == 0)
      return &sets[i];
  return NULL;
}

static const struct set *selected(const char *after_escape) {
  for (size_t i = 0; i < N_SETS; i++)
    if (strncmp(after_escape, sets[i].escape, strlen(sets[i].escape)) == 0) return &sets[i];
  return NULL;
}

struct output {
  char *at;
  size_t room; /* without the final zero */
};

static bool convert(const char *name, char *in, size_t count, struct output *out) {
  iconv_t converter = iconv_open("UTF-8", name);
  if (converter == (iconv_t)-1) return false;
  size_t failed = iconv(converter, &in, &count, &out->at, &out->room);
  iconv_close(converter);
  return failed != (size_t)-1;
}

/* A stretch of one set that is not ASCII. */
static bool add_stretch(const struct set *set, const char *text, size_t count, struct output *out) {
  char bytes[512];
  size_t n = 0;
  if (!set || 2 * count > sizeof bytes) return false;
  for (size_t i = 0; i < count; i++) {
    if (set->prefix && i % 2 == 0) bytes[n++] = set->prefix;
    bytes[n++] = (char)(text[i] | (set->left ? 0x80 : 0));
  }
  return convert(set->iconv, bytes, n, out);
}

bool ct_charset_convert(const char *charset, const char *text, char *out, size_t size) {
  const struct set *const first = initial(charset);
  const struct set *left = &sets[0], *right = first;
  struct output output = {out, size - 1};
  while (*text) {
    if (*text == '\x1b') {
      const struct set *set = selected(text + 1);
      if (!set) return false;
      if (set->left)
        left = set;
      else
        right = set;
      text += 1 + strlen(set->escape);
      continue;
    }
    bool high = (*text & 0x80) != 0, wide = !high && left->iconv;
    size_t count = 0;
    if (high)
      while (text[count] & 0x80) count++;
    else if (wide)
      while (text[count] > ' ' && text[count] != '\x1b') count++;
    if (high || (wide && count)) {
      if (!add_stretch(high ? right : left, text, count, &output)) return false;
      text += count;
      continue;
    }
    /* Delimiters and line ends select the first sets again (PS3.5 section 6.1.2.5.3). */
    if (strchr("^=\\\r\n\f\t", *text)) {
      left = &sets[0];
      right = first;
    }
    if (output.room == 0) return false;
    *output.at++ = *text++;
    output.room--;
  }
  *output.at = '\0';
  return true;
}

void ct_charset_prepare(void) {
  static iconv_t open[N_SETS]; /* what is open stays in memory */
  for (size_t i = 0; i < N_SETS; i++)
    if (sets[i].iconv) open[i] = iconv_open("UTF-8", sets[i].iconv);
  (void)open;
}
