/* Parts of HTML files that need nothing else. Thread-safety: distinct texts, distinct threads. */
#pragma once

#include "common/lc_text.h"

/* Text with the characters that HTML and XML reserve replaced. */
void pl_html_escape(struct lc_text *out, const char *text);
/* Bytes as base64 (RFC 4648 section 4). */
void pl_base64(struct lc_text *out, const unsigned char *bytes, size_t n);
/* An <img> that holds its picture. mime: "image/png", "image/svg+xml". */
void pl_html_image(struct lc_text *out, const char *alt, const char *mime, const char *bytes,
                   size_t count);
