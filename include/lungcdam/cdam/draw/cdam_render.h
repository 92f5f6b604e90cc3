/* Pictures: a CT slice in grey with signed maps over it, colour bar, outline, legend (cairo).
 *
 * Same input, same bytes. Thread-safety: distinct pictures may be drawn by distinct threads. */
#ifndef CDAM_RENDER_H
#define CDAM_RENDER_H

#include <stdint.h>

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_API_BEGIN

/* Diverging colour maps; zero is neutral (transparent in overlays). */
typedef enum cdam_colours {
  CDAM_BLUE_ORANGE = 0, /* colour-blind safe, default: negative blue, positive orange */
  CDAM_RED_BLUE         /* as in the paper's figures: positive red */
} cdam_colours;

typedef enum cdam_enlarge { CDAM_BILINEAR = 0, CDAM_NEAREST } cdam_enlarge;

/* Dark as a reading room's screen, or light for paper. */
typedef enum cdam_theme { CDAM_DARK = 0, CDAM_LIGHT } cdam_theme;

/* One panel of a figure: a grey image, optionally with a map and an outline over it. */
struct cdam_panel {
  const float *hu; /* [rows, columns] */
  size_t rows, columns;
  const float *map; /* [grid_height, grid_width], or NULL */
  size_t grid_height, grid_width;
  const uint8_t *mask; /* [rows, columns]; its edge is outlined; or NULL */
  const char *title;   /* UTF-8, above the panel */
  const char *caption; /* UTF-8, below the panel, or NULL; '\n' breaks lines */
  double pixel_mm;     /* width of an image pixel, for a scale bar; 0: no bar */
  char edges[4];       /* letters at top, right, bottom, left ("ALPR" for axial); 0: no letter */
};

struct cdam_figure {
  const struct cdam_panel *panels;
  size_t n_panels;
  size_t n_columns;                     /* panels a row */
  size_t panel_pixels;                  /* edge of a panel, 448 by default when 0 */
  double window_low_hu, window_high_hu; /* lung window: -1350, 150 when both are 0 */
  double scale;   /* |score| at full colour; 0: the largest of all maps in the figure */
  double opacity; /* of full colour, 0.75 when 0 */
  cdam_colours colours;
  cdam_enlarge enlarge;
  const char *heading;     /* above everything, or NULL */
  const char *footer;      /* below everything; must say "research use only" */
  const char *scale_label; /* beside the colour bar, e.g. "CDAM (signed)"; NULL: no colour bar */
  const char *mask_label;  /* what the outlines are ("consensus outline"), or NULL: no key */
  bool unsigned_maps;      /* maps without negative values (attention): colour bar from 0 up */
  cdam_theme theme;
};

/* An RGB picture, [rows, columns, 3]. */
struct cdam_picture {
  uint8_t *rgb;
  size_t rows, columns;
};

/* Images and maps are enlarged with half-pixel centres; masks are outlined along pixel edges with
 * corners rounded. Text that is too wide is wrapped (heading, caption, footer) or set smaller
 * (title). LC_ERR_USAGE for a figure without panels or without the footer's words,
 * LC_ERR_NUMERIC for NaN or infinity. */
LC_MUST_CHECK lc_status cdam_figure_draw(const struct cdam_figure *figure,
                                         struct cdam_picture *picture, struct lc_error *err);
/* Straight to a file, vector when the name ends in .svg or .pdf, PNG otherwise. Whole or not at
 * all. */
LC_MUST_CHECK lc_status cdam_figure_write(const struct cdam_figure *figure, const char *path,
                                          struct lc_error *err);
/* An RGB picture as PNG. */
LC_MUST_CHECK lc_status cdam_picture_write_png(const struct cdam_picture *picture, const char *path,
                                               struct lc_error *err);
void cdam_picture_free(struct cdam_picture *picture);

/* value in [-1, 1] (clamped) to an opaque colour on a light neutral ground. */
void cdam_colour_of(cdam_colours colours, double value, uint8_t rgb[3]);
/* What the overlay does to one grey pixel in [0, 1]; grey itself when value is 0. */
void cdam_colour_over(cdam_colours colours, double value, double opacity, double grey,
                      uint8_t rgb[3]);

LC_API_END
#endif
