/* Checks a figure, lays it out, and draws it to pixels or to a PNG, SVG or PDF file. */
#include "cdam/draw/cdam_render.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cdam/draw/cdam_canvas.h"
#include "cdam/draw/cdam_paint.h"
#include "common/lc_file.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"

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
  if (layout->width > MAX_PIXELS || layout->height > MAX_PIXELS)
    LC_FAIL(err, LC_ERR_USAGE, "figure: %.0f x %.0f pixels; at most %.0f a side", layout->width,
            layout->height, MAX_PIXELS);
  return LC_OK;
}

static void destroy(cairo_surface_t **surface) {
  if (*surface) cairo_surface_destroy(*surface);
}

/* Pixels of the picture to the surface of its size, or back. */
static void copy_pixels(cairo_surface_t *surface, const struct cdam_picture *picture, bool back) {
  unsigned char *data = cairo_image_surface_get_data(surface);
  size_t stride = (size_t)cairo_image_surface_get_stride(surface);
  for (size_t y = 0; y < picture->rows; y++)
    for (size_t x = 0; x < picture->columns; x++) {
      uint32_t *word = (uint32_t *)(void *)(data + y * stride) + x;
      uint8_t *rgb = picture->rgb + 3 * (y * picture->columns + x);
      for (int c = 0; c < 3 && back; c++) rgb[c] = (uint8_t)(*word >> (16 - 8 * c));
      if (!back) *word = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
    }
}

lc_status cdam_figure_draw(const struct cdam_figure *figure, struct cdam_picture *picture,
                           struct lc_error *err) {
  LC_SCOPED(cdam_layout_free) struct cdam_layout layout = {0};
  memset(picture, 0, sizeof *picture);
  LC_TRY(prepare(figure, &layout, err));
  size_t rows = (size_t)layout.height, columns = (size_t)layout.width;
  LC_SCOPED(destroy)
  cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)columns, (int)rows);
  cairo_t *cr = cairo_create(image);
  lc_status status = cdam_paint_figure(cr, figure, &layout, 1, err);
  cairo_destroy(cr);
  cairo_surface_flush(image);
  LC_TRY(status);
  LC_TRY(lc_alloc(&picture->rgb, rows * columns, 3, err));
  picture->rows = rows;
  picture->columns = columns;
  copy_pixels(image, picture, true);
  return LC_OK;
}

lc_status cdam_picture_write_png(const struct cdam_picture *picture, const char *path,
                                 struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text bytes = {0};
  LC_SCOPED(destroy)
  cairo_surface_t *image =
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)picture->columns, (int)picture->rows);
  if (cairo_surface_status(image) != CAIRO_STATUS_SUCCESS)
    LC_FAIL(err, LC_ERR_MEMORY, "%s: a picture of %zu x %zu pixels does not fit", path,
            picture->columns, picture->rows);
  copy_pixels(image, picture, false);
  cairo_surface_mark_dirty(image);
  LC_TRY(cdam_canvas_png(image, &bytes, err));
  return lc_file_write(path, lc_text_get(&bytes), bytes.length, err);
}

#define VECTOR_DENSITY 2

/* A figure with its layout, for cdam_canvas. */
struct laid {
  const struct cdam_figure *figure;
  const struct cdam_layout *layout;
};

static lc_status draw_laid(void *context, cairo_t *cr, cdam_format format, struct lc_error *err) {
  struct laid *laid = context;
  return cdam_paint_figure(cr, laid->figure, laid->layout, format == CDAM_PNG ? 1 : VECTOR_DENSITY,
                           err);
}

lc_status cdam_figure_write(const struct cdam_figure *figure, const char *path,
                            struct lc_error *err) {
  LC_SCOPED(cdam_layout_free) struct cdam_layout layout = {0};
  LC_TRY(prepare(figure, &layout, err));
  struct laid laid = {figure, &layout};
  struct cdam_canvas canvas = {
      .width = layout.width, .height = layout.height, .context = &laid, .draw = draw_laid};
  return cdam_canvas_write(&canvas, path, err);
}

void cdam_picture_free(struct cdam_picture *picture) {
  free(picture->rgb);
  memset(picture, 0, sizeof *picture);
}
