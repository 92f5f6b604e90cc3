/* Measures, wraps and draws text in DejaVu Sans with cairo; bytes that are not UTF-8 become "?". */
#include <cairo-ft.h>

#include <string.h>

#include "cdam/draw/cdam_paint.h"

#define LINE_BYTES 1024

void cdam_font_options(cairo_t *cr) {
  cairo_font_options_t *options = cairo_font_options_create();
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  cairo_set_font_options(cr, options);
  cairo_font_options_destroy(options);
}

static const char family[] = "DejaVu Sans";

/* fontconfig offers another font, or none, without a word, and text would be missing or wrong. */
lc_status cdam_font_check(cairo_t *cr, struct lc_error *err) {
  for (int bold = 0; bold < 2; bold++) {
    cdam_font_select(cr, &(struct cdam_font){.size = 12, .bold = bold});
    cairo_scaled_font_t *font = cairo_get_scaled_font(cr);
    FT_Face face = cairo_scaled_font_get_type(font) == CAIRO_FONT_TYPE_FT
                       ? cairo_ft_scaled_font_lock_face(font)
                       : NULL;
    bool right = face && face->family_name && strcmp(face->family_name, family) == 0;
    char found[64];
    snprintf(found, sizeof found, "%s", face && face->family_name ? face->family_name : "none");
    if (face) cairo_ft_scaled_font_unlock_face(font);
    if (!right)
      LC_FAIL(
          err, LC_ERR_NOT_FOUND,
          "picture: font %s cannot be read, fontconfig gives %s; install it (fonts-dejavu-core)",
          family, found);
  }
  return LC_OK;
}

void cdam_font_select(cairo_t *cr, const struct cdam_font *font) {
  cairo_select_font_face(cr, family, CAIRO_FONT_SLANT_NORMAL,
                         font->bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cr, font->size);
}

/* Bytes of the UTF-8 character at text; 1 for a byte that starts none. */
static size_t character_bytes(const char *text) {
  unsigned char c = (unsigned char)*text;
  size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
  for (size_t i = 1; i < n; i++)
    if (((unsigned char)text[i] & 0xc0) != 0x80) return 1;
  return n;
}

/* cairo's text calls need valid UTF-8, and names come from files: other bytes become "?". */
static void copy_valid(char out[LINE_BYTES], const char *text, size_t count) {
  size_t used = 0;
  for (size_t i = 0; i < count && text[i];) {
    size_t n = character_bytes(text + i);
    if (used + n + 1 > LINE_BYTES) break;
    if (n == 1 && ((unsigned char)text[i] >= 0x80 || (unsigned char)text[i] < 0x20))
      out[used] = text[i] == '\t' ? ' ' : '?';
    else
      memcpy(out + used, text + i, n);
    used += n;
    i += n;
  }
  out[used] = '\0';
}

static double width_of(cairo_t *cr, const char *text, size_t count) {
  char line[LINE_BYTES];
  copy_valid(line, text, count);
  cairo_text_extents_t extents;
  cairo_text_extents(cr, line, &extents);
  return extents.x_advance;
}

double cdam_text_width(cairo_t *cr, const struct cdam_font *font, const char *text) {
  cdam_font_select(cr, font);
  return width_of(cr, text, strlen(text));
}

static void show(cairo_t *cr, const char *text, size_t count, double x, double y, double width,
                 bool centred) {
  char line[LINE_BYTES];
  copy_valid(line, text, count);
  if (centred) x += (width - width_of(cr, text, count)) / 2;
  cairo_move_to(cr, x, y);
  cairo_show_text(cr, line);
}

/* Bytes of the longest start of text that fits, broken after a space where there is one, or at a
 * newline; at least one character. */
static size_t fitting(cairo_t *cr, const char *text, double width) {
  size_t best = 0, n = 0;
  while (text[n] && text[n] != '\n') {
    size_t next = n + character_bytes(text + n);
    bool too_wide = next >= LINE_BYTES || width_of(cr, text, next) > width;
    if (too_wide && text[n] != ' ') return best ? best : n ? n : next;
    n = next;
    if (text[n - 1] == ' ') best = n;
  }
  return n;
}

size_t cdam_text_column(cairo_t *cr, const struct cdam_font *font, const char *text, double x,
                        double y, double width, bool centred, bool draw) {
  size_t lines = 0;
  if (!text || !*text) return 0;
  cdam_font_select(cr, font);
  while (*text) {
    size_t n = fitting(cr, text, width), shown = n;
    while (shown && text[shown - 1] == ' ') shown--;
    if (draw) show(cr, text, shown, x, y + font->line * (double)lines + font->size, width, centred);
    lines++;
    text += n;
    if (*text == '\n') text++;
  }
  return lines;
}

void cdam_text_line(cairo_t *cr, const struct cdam_font *font, const char *text, double x, double y,
                    double width, bool centred) {
  struct cdam_font small = *font;
  double wide = cdam_text_width(cr, font, text);
  if (wide > width) small.size = font->size * (width / wide > 0.6 ? width / wide : 0.6);
  cdam_font_select(cr, &small);
  double baseline = y + font->size;
  size_t n = strlen(text);
  if (width_of(cr, text, n) <= width * 1.001) {
    show(cr, text, n, x, baseline, width, centred);
    return;
  }
  static const char ellipsis[] = "\xe2\x80\xa6";
  double room = width - width_of(cr, ellipsis, sizeof ellipsis - 1);
  n = 0;
  while (text[n] && width_of(cr, text, n + character_bytes(text + n)) <= room)
    n += character_bytes(text + n);
  show(cr, text, n, x, baseline, width, false);
  cairo_show_text(cr, ellipsis);
}
