/* Plots with axes: lines, bars and points in panels on a grid (PLplot drawing through
 * cairo), as PNG, SVG or PDF. Text is DejaVu Sans, colours are those of Okabe and Ito, which all
 * kinds of colour vision distinguish.
 *
 * Same plot, same bytes. Thread-safety: PLplot keeps global state; one thread at a time. */
#pragma once

#include "cdam/draw/cdam_canvas.h"

enum pl_plot_kind {
  PL_PLOT_LINE = 0, /* NaN breaks it */
  PL_PLOT_POINTS,
  PL_PLOT_RINGS, /* larger, hollow: single points that matter */
  PL_PLOT_BARS   /* from 0 to y, x is the middle */
};

#define PL_PLOT_COLOURS 7
#define PL_PLOT_GREY (-1) /* for what is there for comparison */

struct pl_plot_series {
  enum pl_plot_kind kind;
  size_t n;
  const double *x, *y; /* [n]; points that are not finite are left out */
  double width;        /* of a bar, in x */
  const char *label;   /* in the legend; NULL: not there */
  int colour;          /* 0 .. PL_PLOT_COLOURS - 1, repeating, or PL_PLOT_GREY */
  bool numbers;        /* bars: their heights in digits over them */
  int dash;            /* 0 drawn through; 1 .. 3 dashed */
};

struct pl_plot_axis {
  const char *label;
  double low, high;         /* both 0: from the data, with a little room */
  const char *const *words; /* [n_words] at 0, 1, 2 .. instead of numbers; x only */
  size_t n_words;
};

enum pl_plot_legend {
  PL_PLOT_LEGEND_NONE = 0,
  PL_PLOT_LEGEND_RIGHT, /* beside the panel */
  PL_PLOT_LEGEND_ABOVE  /* in one row over the panel, under its title and subtitle */
};

struct pl_plot_panel {
  const char *title, *subtitle; /* subtitle: a line of smaller text, or NULL */
  struct pl_plot_axis x, y;
  double width, height; /* of the panel with its labels, in CSS pixels; the legend at the right and
                           words under the axis come on top */
  bool square;          /* both axes in one scale, when their ranges are the same */
  const struct pl_plot_series *series;
  size_t n_series;
  enum pl_plot_legend legend;
  const char *note;   /* lines in a corner of the panel, or NULL */
  bool note_at_right; /* lower right corner instead of the upper left */
};

struct pl_plot {
  const char *heading; /* or NULL */
  const struct pl_plot_panel *panels;
  size_t n_panels, n_columns;
  const char *notice; /* in the lower right corner; must say "research use only" */
};

/* False in a program that was built without PLplot; then the two functions below fail with
 * LC_ERR_UNSUPPORTED. */
bool pl_plot_available(void);

/* The format is that of the ending (cdam_format_of). Whole or not at all. LC_ERR_USAGE for a plot
 * without panels or without the notice's words, LC_ERR_NOT_FOUND when PLplot's cairo driver is not
 * installed. */
LC_MUST_CHECK lc_status pl_plot_write(const struct pl_plot *plot, const char *path,
                                      struct lc_error *err);
/* Appends the bytes of the file to out. */
LC_MUST_CHECK lc_status pl_plot_bytes(const struct pl_plot *plot, cdam_format format,
                                      struct lc_text *out, struct lc_error *err);
