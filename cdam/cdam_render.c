#include "cdam_render.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cdam_paint.h"
#include "lc_arena.h"
#include "lc_file.h"
#include "lc_text.h"

#define MAX_PIXELS 32767.0 /* cairo's limit for a side */

static lc_status check_panel(const struct cdam_panel *panel, size_t index, struct lc_error *err) {
  if (!panel->hu || !panel->rows || !panel->columns)
    LC_FAIL(err, LC_ERR_USAGE, "figure: panel %zu: expected an image", index);
  for (size_t i = 0; i < panel->rows * panel->columns; i++)
    if (!isfinite(panel->hu[i]))
      LC_FAIL(err, LC_ERR_NUMERIC, "figure: panel %zu: image value %zu is not finite", index, i);
  if (!panel->map) return LC_OK;
  if (!panel->grid_height || !panel->grid_width)
    LC_FAIL(err, LC_ERR_USAGE, "figure: panel %zu: expected a map with a grid", index);
  for (size_t i = 0; i < panel->grid_height * panel->grid_width; i++)
    if (!isfinite(panel->map[i]))
      LC_FAIL(err, LC_ERR_NUMERIC, "figure: panel %zu: score %zu is not finite", index, i);
  return LC_OK;
}

/* Checks the figure and places its parts. */
static lc_status prepare(const struct cdam_figure *figure, struct cdam_layout *layout,
                         struct lc_error *err) {
  memset(layout, 0, sizeof *layout);
  if (!figure->panels || !figure->n_panels || !figure->n_columns)
    LC_FAIL(err, LC_ERR_USAGE, "figure: expected at least one panel and one column");
  if (!figure->footer || !strcasestr(figure->footer, "research use only"))
    LC_FAIL(err, LC_ERR_USAGE, "figure: the footer must say \"research use only\"");
  if (figure->window_high_hu < figure->window_low_hu ||
      (figure->window_high_hu == figure->window_low_hu && figure->window_low_hu != 0))
    LC_FAIL(err, LC_ERR_USAGE, "figure: the window [%g, %g] HU is empty", figure->window_low_hu,
            figure->window_high_hu);
  for (size_t i = 0; i < figure->n_panels; i++) LC_TRY(check_panel(&figure->panels[i], i, err));
  LC_TRY(cdam_layout_make(layout, figure, err));
  double width = layout->width, height = layout->height;
  if (width > MAX_PIXELS || height > MAX_PIXELS) {
    cdam_layout_free(layout);
    LC_FAIL(err, LC_ERR_USAGE, "figure: %.0f x %.0f pixels; at most %.0f a side", width, height,
            MAX_PIXELS);
  }
  return LC_OK;
}

/* The figure as a finished RGB24 image surface, which the caller destroys. */
static lc_status draw_surface(const struct cdam_figure *figure, cairo_surface_t **surface,
                              struct lc_error *err) {
  struct cdam_layout layout;
  LC_TRY(prepare(figure, &layout, err));
  cairo_surface_t *image =
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)layout.width, (int)layout.height);
  cairo_t *cr = cairo_create(image);
  lc_status status = cdam_paint_figure(cr, figure, &layout, 1, err);
  cairo_destroy(cr);
  cairo_surface_flush(image);
  cdam_layout_free(&layout);
  if (status == LC_OK)
    *surface = image;
  else
    cairo_surface_destroy(image);
  return status;
}

lc_status cdam_figure_draw(const struct cdam_figure *figure, struct cdam_picture *picture,
                           struct lc_error *err) {
  memset(picture, 0, sizeof *picture);
  cairo_surface_t *image;
  LC_TRY(draw_surface(figure, &image, err));
  size_t columns = (size_t)cairo_image_surface_get_width(image);
  size_t rows = (size_t)cairo_image_surface_get_height(image);
  size_t stride = (size_t)cairo_image_surface_get_stride(image);
  lc_status status = lc_alloc(&picture->rgb, rows * columns, 3, err);
  if (status == LC_OK) {
    picture->rows = rows;
    picture->columns = columns;
    const unsigned char *data = cairo_image_surface_get_data(image);
    for (size_t y = 0; y < rows; y++)
      for (size_t x = 0; x < columns; x++) {
        uint32_t word;
        memcpy(&word, data + y * stride + 4 * x, 4);
        uint8_t *rgb = picture->rgb + 3 * (y * columns + x);
        rgb[0] = (uint8_t)(word >> 16);
        rgb[1] = (uint8_t)(word >> 8);
        rgb[2] = (uint8_t)word;
      }
  }
  cairo_surface_destroy(image);
  return status;
}

static cairo_status_t collect(void *closure, const unsigned char *bytes, unsigned int count) {
  struct lc_text *text = closure;
  lc_text_add_bytes(text, (const char *)bytes, count);
  return text->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

static lc_status write_text(struct lc_text *bytes, cairo_status_t drawn, const char *path,
                            struct lc_error *err) {
  lc_status status;
  if (drawn == CAIRO_STATUS_SUCCESS && !bytes->failed)
    status = lc_file_write(path, lc_text_get(bytes), bytes->length, err);
  else
    status = lc_fail(err, bytes->failed ? LC_ERR_MEMORY : LC_ERR_INTERNAL, __FILE__, __LINE__,
                     "%s: cairo: %s", path, cairo_status_to_string(drawn));
  lc_text_free(bytes);
  return status;
}

static lc_status write_png(cairo_surface_t *image, const char *path, struct lc_error *err) {
  struct lc_text bytes = {0};
  cairo_status_t drawn = cairo_surface_write_to_png_stream(image, collect, &bytes);
  return write_text(&bytes, drawn, path, err);
}

lc_status cdam_picture_write_png(const struct cdam_picture *picture, const char *path,
                                 struct lc_error *err) {
  cairo_surface_t *image =
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)picture->columns, (int)picture->rows);
  if (cairo_surface_status(image) != CAIRO_STATUS_SUCCESS) {
    cairo_surface_destroy(image);
    LC_FAIL(err, LC_ERR_MEMORY, "%s: a picture of %zu x %zu pixels does not fit", path,
            picture->columns, picture->rows);
  }
  unsigned char *data = cairo_image_surface_get_data(image);
  size_t stride = (size_t)cairo_image_surface_get_stride(image);
  for (size_t y = 0; y < picture->rows; y++)
    for (size_t x = 0; x < picture->columns; x++) {
      const uint8_t *rgb = picture->rgb + 3 * (y * picture->columns + x);
      uint32_t word = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
      memcpy(data + y * stride + 4 * x, &word, 4);
    }
  cairo_surface_mark_dirty(image);
  lc_status status = write_png(image, path, err);
  cairo_surface_destroy(image);
  return status;
}

/* cairo numbers the parts of an SVG by a counter of the process: the second figure of a run would
 * differ from the same figure drawn first. Numbers are given anew, in order of first use. */
static void renumber(const struct lc_text *in, struct lc_text *out) {
  static const char *const words[] = {"id=\"surface", "id=\"image", "id=\"clip", "id=\"mask",
                                      "id=\"source",  "#surface",   "#image",    "#clip",
                                      "#mask",        "#source"};
  unsigned long seen[256];
  size_t n_seen = 0;
  const char *at = lc_text_get(in), *from = at, *end = at + in->length;
  while (at < end) {
    size_t skip = 0;
    if (*at == '#' || *at == 'i')
      for (size_t i = 0; i < sizeof words / sizeof *words && !skip; i++)
        if (strncmp(at, words[i], strlen(words[i])) == 0) skip = strlen(words[i]);
    if (!skip || at[skip] < '0' || at[skip] > '9') {
      at++;
      continue;
    }
    char *after;
    unsigned long number = strtoul(at + skip, &after, 10);
    size_t k = 0;
    while (k < n_seen && seen[k] != number) k++;
    if (k == n_seen && n_seen < sizeof seen / sizeof *seen) seen[n_seen++] = number;
    lc_text_add_bytes(out, from, (size_t)(at - from) + skip);
    lc_text_add(out, "%zu", k);
    from = at = after;
  }
  lc_text_add_bytes(out, from, (size_t)(end - from));
}

/* A pixel of the layout is three quarters of a point, as in CSS. */
#define POINTS_PER_PIXEL 0.75
#define VECTOR_DENSITY 2

static lc_status write_vector(const struct cdam_figure *figure, const char *path, bool pdf,
                              struct lc_error *err) {
  struct cdam_layout layout;
  LC_TRY(prepare(figure, &layout, err));
  struct lc_text bytes = {0};
  double width = layout.width * POINTS_PER_PIXEL, height = layout.height * POINTS_PER_PIXEL;
  cairo_surface_t *surface =
      pdf ? cairo_pdf_surface_create_for_stream(collect, &bytes, width, height)
          : cairo_svg_surface_create_for_stream(collect, &bytes, width, height);
  if (pdf) cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, "");
  cairo_t *cr = cairo_create(surface);
  cairo_scale(cr, POINTS_PER_PIXEL, POINTS_PER_PIXEL);
  lc_status status = cdam_paint_figure(cr, figure, &layout, VECTOR_DENSITY, err);
  cairo_destroy(cr);
  cairo_surface_finish(surface);
  cairo_status_t drawn = cairo_surface_status(surface);
  cairo_surface_destroy(surface);
  cdam_layout_free(&layout);
  if (status != LC_OK) {
    lc_text_free(&bytes);
    return status;
  }
  if (pdf) return write_text(&bytes, drawn, path, err);
  struct lc_text out = {0};
  renumber(&bytes, &out);
  lc_text_free(&bytes);
  return write_text(&out, drawn, path, err);
}

lc_status cdam_figure_write(const struct cdam_figure *figure, const char *path,
                            struct lc_error *err) {
  const char *dot = strrchr(path, '.');
  if (dot && strcasecmp(dot, ".svg") == 0) return write_vector(figure, path, false, err);
  if (dot && strcasecmp(dot, ".pdf") == 0) return write_vector(figure, path, true, err);
  cairo_surface_t *image;
  LC_TRY(draw_surface(figure, &image, err));
  lc_status status = write_png(image, path, err);
  cairo_surface_destroy(image);
  return status;
}

void cdam_picture_free(struct cdam_picture *picture) {
  free(picture->rgb);
  memset(picture, 0, sizeof *picture);
}
