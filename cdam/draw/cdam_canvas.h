/* A drawing on its way to a file or to memory: PNG, SVG or PDF through cairo.
 *
 * Same drawing, same bytes: no dates, and the numbers that cairo gives to the parts of an SVG do
 * not depend on what the process drew before. Thread-safety: distinct drawings, distinct threads.
 */
#pragma once

#include <cairo.h>

#include "common/lc_status.h"
#include "common/lc_text.h"

typedef enum cdam_format { CDAM_PNG = 0, CDAM_SVG, CDAM_PDF } cdam_format;

/* By the ending of a name: .svg, .pdf, PNG otherwise. */
cdam_format cdam_format_of(const char *path);

/* What is drawn. A unit is a CSS pixel, three quarters of a point. */
struct cdam_canvas {
  double width, height; /* units */
  double density;       /* pixels a unit of a PNG; 1 when 0 */
  void *context;
  /* Draws in units, from the upper left corner. */
  lc_status (*draw)(void *context, cairo_t *cr, cdam_format format, struct lc_error *err);
};

/* Appends the whole file to out. LC_ERR_MEMORY when a picture of that size does not fit. */
LC_MUST_CHECK lc_status cdam_canvas_bytes(const struct cdam_canvas *canvas, cdam_format format,
                                          struct lc_text *out, struct lc_error *err);
/* The format is that of the ending. Whole or not at all. */
LC_MUST_CHECK lc_status cdam_canvas_write(const struct cdam_canvas *canvas, const char *path,
                                          struct lc_error *err);
/* An image surface as PNG, appended to out. */
LC_MUST_CHECK lc_status cdam_canvas_png(cairo_surface_t *image, struct lc_text *out,
                                        struct lc_error *err);
