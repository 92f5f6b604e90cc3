/* Escapes text for HTML and embeds pictures as base64. */
#include "pipeline/report/pl_html.h"

void pl_html_escape(struct lc_text *out, const char *text) {
  for (; *text; text++) switch (*text) {
    case '&':
      lc_text_add(out, "&amp;");
      break;
    case '<':
      lc_text_add(out, "&lt;");
      break;
    case '>':
      lc_text_add(out, "&gt;");
      break;
    case '"':
      lc_text_add(out, "&quot;");
      break;
    default:
      lc_text_add_bytes(out, text, 1);
    }
}

void pl_base64(struct lc_text *out, const unsigned char *bytes, size_t n) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < n; i += 3) {
    unsigned word = (unsigned)bytes[i] << 16;
    if (i + 1 < n) word |= (unsigned)bytes[i + 1] << 8;
    if (i + 2 < n) word |= bytes[i + 2];
    char four[4] = {digits[word >> 18], digits[word >> 12 & 63],
                    i + 1 < n ? digits[word >> 6 & 63] : '=', i + 2 < n ? digits[word & 63] : '='};
    lc_text_add_bytes(out, four, 4);
  }
}

void pl_html_image(struct lc_text *out, const char *alt, const char *mime, const char *bytes,
                   size_t count) {
  lc_text_add(out, "<img alt=\"");
  pl_html_escape(out, alt);
  lc_text_add(out, "\" src=\"data:%s;base64,", mime);
  pl_base64(out, (const unsigned char *)bytes, count);
  lc_text_add(out, "\">\n");
}
