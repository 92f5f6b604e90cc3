/* Computes where the parts of a figure go. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cdam/draw/cdam_paint.h"
#include "common/lc_arena.h"

static struct cdam_font font_of(double size, bool bold) {
  return (struct cdam_font){.size = size, .bold = bold, .line = ceil(size * 1.4)};
}

/* Largest image height and caption height of one row of panels. */
static void measure_row(cairo_t *cr, struct cdam_layout *layout, const struct cdam_figure *figure,
                        size_t row, double *image) {
  size_t columns = figure->n_columns, most = 0;
  *image = 0;
  for (size_t i = row * columns; i < (row + 1) * columns && i < figure->n_panels; i++) {
    const struct cdam_panel *panel = &figure->panels[i];
    double ratio = (double)panel->rows / (double)panel->columns;
    *image = fmax(*image, round(layout->panel * fmin(ratio, 1)));
    size_t lines =
        cdam_text_column(cr, &layout->caption, panel->caption, 0, 0, layout->panel, true, false);
    if (lines > most) most = lines;
  }
  layout->caption_heights[row] = most ? (double)most * layout->caption.line + 6 * layout->unit : 0;
}

static void place_bar(cairo_t *cr, struct cdam_layout *layout, const struct cdam_figure *figure,
                      double last_image) {
  double u = layout->unit;
  layout->width = layout->left + (double)figure->n_columns * (layout->panel + layout->gap) -
                  layout->gap + layout->left;
  if (!figure->scale_label) return;
  double bottom = layout->row_y[layout->rows - 1] + last_image;
  double text = 2 * ceil(layout->tick.size * 2.1);
  layout->bar_width = round(20 * u);
  layout->bar_x = layout->width;
  layout->bar_y = layout->row_y[0] + text / 2;
  layout->bar_height = fmin(bottom - layout->row_y[0] - text, round(1.4 * layout->panel));
  double ticks = cdam_text_width(cr, &layout->tick, "+0.00000");
  layout->width += layout->bar_width + ceil(ticks) + round(34 * u) + layout->left;
}

/* Places everything from the top down. */
static void place(cairo_t *cr, struct cdam_layout *layout, const struct cdam_figure *figure) {
  double u = layout->unit, y = layout->top, image = 0;
  for (size_t i = 0; i < figure->n_panels; i++)
    if (figure->panels[i].title && *figure->panels[i].title)
      layout->title_height = layout->title.line + round(3 * u);
  /* The width is known before the height: the bar's place needs only the rows' widths. */
  layout->row_y[0] = 0;
  place_bar(cr, layout, figure, layout->panel);
  layout->text_width = layout->width - 2 * layout->left;
  layout->heading_y = y;
  size_t lines = cdam_text_column(cr, &layout->heading, figure->heading, 0, 0, layout->text_width,
                                  false, false);
  if (lines) y += (double)lines * layout->heading.line + round(8 * u);
  for (size_t row = 0; row < layout->rows; row++) {
    measure_row(cr, layout, figure, row, &image);
    if (row) y += layout->gap;
    y += layout->title_height;
    layout->row_y[row] = round(y);
    y = layout->row_y[row] + image + layout->caption_heights[row];
  }
  place_bar(cr, layout, figure, image);
  y += round(12 * u);
  layout->footer_y = y;
  if (figure->mask_label) y += layout->footer.line + round(2 * u);
  lines =
      cdam_text_column(cr, &layout->footer, figure->footer, 0, 0, layout->text_width, false, false);
  y += (double)lines * layout->footer.line + round(12 * u);
  layout->width = ceil(layout->width);
  layout->height = ceil(y);
}

lc_status cdam_layout_make(struct cdam_layout *layout, const struct cdam_figure *figure,
                           struct lc_error *err) {
  memset(layout, 0, sizeof *layout);
  layout->panel = figure->panel_pixels ? (double)figure->panel_pixels : 448;
  double u = layout->unit = fmin(fmax(layout->panel / 448, 0.8), 3);
  layout->left = round(18 * u);
  layout->top = round(16 * u);
  layout->gap = round(16 * u);
  layout->rows = (figure->n_panels + figure->n_columns - 1) / figure->n_columns;
  layout->heading = font_of(19 * u, true);
  layout->title = font_of(15 * u, true);
  layout->caption = font_of(12.5 * u, false);
  layout->footer = layout->tick = font_of(12 * u, false);
  LC_TRY(lc_alloc(&layout->caption_heights, layout->rows, sizeof(double), err));
  LC_TRY(lc_alloc(&layout->row_y, layout->rows, sizeof(double), err));
  cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
  cairo_t *cr = cairo_create(surface);
  cdam_font_options(cr);
  lc_status status = cdam_font_check(cr, err);
  if (status == LC_OK) place(cr, layout, figure);
  cairo_destroy(cr);
  cairo_surface_destroy(surface);
  return status;
}

void cdam_layout_free(struct cdam_layout *layout) {
  free(layout->caption_heights);
  free(layout->row_y);
  memset(layout, 0, sizeof *layout);
}
