/* The parts a figure is made of; private to the rendering files of this room. */
#pragma once

#include <cairo.h>

#include "cdam/draw/cdam_render.h"

/* Grey image with the map over it, enlarged to width x height, as cairo's RGB24 words.
 * scale > 0 is the |score| of full colour. */
LC_MUST_CHECK lc_status cdam_paint_panel(const struct cdam_figure *figure,
                                         const struct cdam_panel *panel, double scale, size_t width,
                                         size_t height, uint32_t *words, struct lc_error *err);

/* Resizes a row-major image separably: Catmull-Rom (Keys 1981, A = -0.5), widened when shrinking,
 * edges repeated, half-pixel centres. */
LC_MUST_CHECK lc_status cdam_paint_resize(const float *image, size_t rows, size_t columns,
                                          float *out, size_t out_rows, size_t out_columns,
                                          struct lc_error *err);

/* Adds the closed outlines of a mask to the current path, one user unit a mask pixel. */
LC_MUST_CHECK lc_status cdam_paint_outline(cairo_t *cr, const uint8_t *mask, size_t rows,
                                           size_t columns, struct lc_error *err);

/* Text. All sizes in user units; the y given is the top of the first line. */
struct cdam_font {
  double size;
  bool bold;
  double line; /* height of a line */
};
/* Text that is the same at every size and on every screen: grey, without hints. */
void cdam_font_options(cairo_t *cr);
/* LC_ERR_NOT_FOUND when text would not be in DejaVu Sans. */
LC_MUST_CHECK lc_status cdam_font_check(cairo_t *cr, struct lc_error *err);
void cdam_font_select(cairo_t *cr, const struct cdam_font *font);
double cdam_text_width(cairo_t *cr, const struct cdam_font *font, const char *text);
/* Wraps at spaces and newlines, breaking words that are wider than the column; draws when `draw` is
 * set, centred when `centred`. Returns the number of lines. */
size_t cdam_text_column(cairo_t *cr, const struct cdam_font *font, const char *text, double x,
                        double y, double width, bool centred, bool draw);
/* One line, set smaller down to 60 % and then cut with an ellipsis. */
void cdam_text_line(cairo_t *cr, const struct cdam_font *font, const char *text, double x, double y,
                    double width, bool centred);

/* Where everything goes. */
struct cdam_layout {
  double width, height, unit; /* unit: 1 at 448-pixel panels */
  double panel, gap, left, top;
  double heading_y, footer_y, text_width;
  double title_height, *caption_heights; /* caption of each panel row */
  double *row_y;                         /* top of the images of each panel row */
  double bar_x, bar_y, bar_width, bar_height;
  size_t rows;
  struct cdam_font heading, title, caption, footer, tick;
};
/* Free with cdam_layout_free whatever the status. */
LC_MUST_CHECK lc_status cdam_layout_make(struct cdam_layout *layout,
                                         const struct cdam_figure *figure, struct lc_error *err);
void cdam_layout_free(struct cdam_layout *layout);

/* Draws the whole figure; panels are rasterised at `density` pixels a unit. */
LC_MUST_CHECK lc_status cdam_paint_figure(cairo_t *cr, const struct cdam_figure *figure,
                                          const struct cdam_layout *layout, double density,
                                          struct lc_error *err);
