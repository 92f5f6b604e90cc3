/* Draws to PNG, SVG or PDF in memory with cairo; the same drawing gives the same bytes. */
#include "cdam/draw/cdam_canvas.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <stdlib.h>
#include <string.h>

#include "cdam/draw/cdam_paint.h"
#include "common/lc_file.h"
#include "common/lc_scope.h"

#define POINTS_PER_UNIT 0.75

cdam_format cdam_format_of(const char *path) {
  const char *dot = strrchr(path, '.');
  if (dot && strcasecmp(dot, ".svg") == 0) return CDAM_SVG;
  if (dot && strcasecmp(dot, ".pdf") == 0) return CDAM_PDF;
  return CDAM_PNG;
}

static cairo_status_t collect(void *closure, const unsigned char *bytes, unsigned int count) {
  struct lc_text *text = closure;
  lc_text_add_bytes(text, (const char *)bytes, count);
  return text->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

static lc_status check(cairo_status_t drawn, struct lc_error *err) {
  if (drawn == CAIRO_STATUS_NO_MEMORY || drawn == CAIRO_STATUS_INVALID_SIZE)
    LC_FAIL(err, LC_ERR_MEMORY, "picture: cairo: %s", cairo_status_to_string(drawn));
  if (drawn != CAIRO_STATUS_SUCCESS)
    LC_FAIL(err, LC_ERR_INTERNAL, "picture: cairo: %s", cairo_status_to_string(drawn));
  return LC_OK;
}

lc_status cdam_canvas_png(cairo_surface_t *image, struct lc_text *out, struct lc_error *err) {
  return check(cairo_surface_write_to_png_stream(image, collect, out), err);
}

/* A part of an SVG: the letters of its name, which end where its number starts. */
struct part {
  const char *word;
  size_t length;
  unsigned long number;
};

/* Whether a part is named or referred to at `at`. */
static bool part_at(const char *at, struct part *part) {
  static const char *const starts[] = {"id=\"", "href=\"#", "url(#"};
  for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
    size_t n = strlen(starts[i]);
    if (strncmp(at, starts[i], n) != 0) continue;
    part->word = at + n;
    part->length = 0;
    for (const char *c = part->word; *c == '-' || (*c >= 'a' && *c <= 'z'); c++) part->length++;
    char digit = part->word[part->length];
    return digit >= '0' && digit <= '9';
  }
  return false;
}

/* The place of a part among those of the same word, in the order of first use. */
static size_t place_of(const struct part *parts, size_t n, const struct part *part, bool *known) {
  size_t place = 0;
  *known = false;
  for (size_t i = 0; i < n && !*known; i++) {
    if (parts[i].length != part->length || memcmp(parts[i].word, part->word, part->length) != 0)
      continue;
    *known = parts[i].number == part->number;
    place += !*known;
  }
  return place;
}

/* cairo numbers some parts of an SVG by a counter of the process ("image7", since 1.18 "source-7"):
 * the second figure of a run would differ from the same figure drawn first. Every name's first
 * number is given again. */
static lc_status renumber(const struct lc_text *in, struct lc_text *out, struct lc_error *err) {
  const char *at = lc_text_get(in), *from = at, *end = at + in->length;
  struct part *parts = NULL;
  size_t n = 0, room = 0;
  while (at < end) {
    struct part part;
    bool known;
    if (!part_at(at, &part)) {
      at++;
      continue;
    }
    char *after;
    part.number = strtoul(part.word + part.length, &after, 10);
    lc_text_add_bytes(out, from, (size_t)(part.word + part.length - from));
    lc_text_add(out, "%zu", place_of(parts, n, &part, &known));
    from = at = after;
    if (known) continue;
    if (n == room) {
      room = room ? 2 * room : 64;
      struct part *larger = realloc(parts, room * sizeof *larger);
      if (!larger) free(parts);
      if (!larger) LC_FAIL(err, LC_ERR_MEMORY, "picture: out of memory");
      parts = larger;
    }
    parts[n++] = part;
  }
  lc_text_add_bytes(out, from, (size_t)(end - from));
  free(parts);
  return LC_OK;
}

static lc_status draw_image(const struct cdam_canvas *canvas, struct lc_text *out,
                            struct lc_error *err) {
  double density = canvas->density > 0 ? canvas->density : 1;
  cairo_surface_t *image = cairo_image_surface_create(
      CAIRO_FORMAT_RGB24, (int)(canvas->width * density), (int)(canvas->height * density));
  cairo_t *cr = cairo_create(image);
  cairo_scale(cr, density, density);
  lc_status status = check(cairo_status(cr), err);
  if (status == LC_OK) status = cdam_font_check(cr, err);
  if (status == LC_OK) status = canvas->draw(canvas->context, cr, CDAM_PNG, err);
  cairo_destroy(cr);
  cairo_surface_flush(image);
  if (status == LC_OK) status = cdam_canvas_png(image, out, err);
  cairo_surface_destroy(image);
  return status;
}

static lc_status draw_vector(const struct cdam_canvas *canvas, cdam_format format,
                             struct lc_text *out, struct lc_error *err) {
  double width = canvas->width * POINTS_PER_UNIT, height = canvas->height * POINTS_PER_UNIT;
  LC_SCOPED(lc_text_free) struct lc_text bytes = {0};
  cairo_surface_t *surface =
      format == CDAM_PDF ? cairo_pdf_surface_create_for_stream(collect, &bytes, width, height)
                         : cairo_svg_surface_create_for_stream(collect, &bytes, width, height);
  if (format == CDAM_PDF)
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, "");
  cairo_t *cr = cairo_create(surface);
  cairo_scale(cr, POINTS_PER_UNIT, POINTS_PER_UNIT);
  lc_status status = cdam_font_check(cr, err);
  if (status == LC_OK) status = canvas->draw(canvas->context, cr, format, err);
  cairo_destroy(cr);
  cairo_surface_finish(surface);
  if (status == LC_OK) status = check(cairo_surface_status(surface), err);
  cairo_surface_destroy(surface);
  LC_TRY(status);
  if (format == CDAM_SVG) return renumber(&bytes, out, err);
  lc_text_add_bytes(out, bytes.data, bytes.length);
  return LC_OK;
}

lc_status cdam_canvas_bytes(const struct cdam_canvas *canvas, cdam_format format,
                            struct lc_text *out, struct lc_error *err) {
  if (format == CDAM_PNG)
    LC_TRY(draw_image(canvas, out, err));
  else
    LC_TRY(draw_vector(canvas, format, out, err));
  if (out->failed) LC_FAIL(err, LC_ERR_MEMORY, "picture: out of memory");
  return LC_OK;
}

lc_status cdam_canvas_write(const struct cdam_canvas *canvas, const char *path,
                            struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text bytes = {0};
  LC_TRY(cdam_canvas_bytes(canvas, cdam_format_of(path), &bytes, err));
  return lc_file_write(path, lc_text_get(&bytes), bytes.length, err);
}
