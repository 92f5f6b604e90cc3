/* The parts of a plot; private to the files pl_plot*.c. Lengths are CSS pixels, y points up. */
#pragma once

#include "pipeline/report/pl_plot.h"

/* Colours in PLplot's first map. */
enum {
  PL_INK_PAPER = 0,
  PL_INK_TEXT,
  PL_INK_FRAME,
  PL_INK_GRID,
  PL_INK_GREY,
  PL_INK_PALE,
  PL_INK_FIRST,                                  /* the colours, opaque */
  PL_INK_CLEAR = PL_INK_FIRST + PL_PLOT_COLOURS, /* the same for points that overlap */
  PL_INK_COUNT = PL_INK_CLEAR + PL_PLOT_COLOURS
};

#define PL_PLOT_MM (25.4 / 72) /* PLplot's millimetres of a pixel: its cairo device has 72 dpi */
#define PL_PLOT_TITLE 14.0     /* sizes of text */
#define PL_PLOT_LABEL 13.0
#define PL_PLOT_SMALL 11.5
#define PL_PLOT_ROW 17.0 /* height of a subtitle, or of a legend over the panel */

/* Where one panel and its viewport lie on the page. */
struct pl_plot_place {
  double left, bottom, right, top;
  double x0, y0, x1, y1;     /* ranges of the axes */
  double panel_x, panel_top; /* upper left corner of the panel with its labels */
};

/* Page coordinates: one unit a pixel, the origin at the lower left. */
void pl_plot_page(double width, double height);
/* One line of text in page coordinates, vertically centred at y. just: 0 left, 0.5, 1 right;
 * degrees counter-clockwise. */
void pl_plot_text(double x, double y, double degrees, double just, double size, bool bold, int ink,
                  const char *text);
/* Size of the text that follows. */
void pl_plot_size(double size, bool bold);
/* Text without PLplot's escapes: '#' is doubled. */
void pl_plot_escape(const char *text, char *out, size_t size);

/* Axes, series, legend and note of a panel. */
void pl_plot_panel_draw(const struct pl_plot_panel *panel, const struct pl_plot_place *place,
                        double page_width, double page_height);
/* Ranges of the axes. */
void pl_plot_ranges(const struct pl_plot_panel *panel, struct pl_plot_place *place);
