/* Draws a plot as a page with PLplot on cairo: device, layout of the panels, headings. */
#include "pipeline/report/pl_plot.h"

#include <math.h>
#include <plplot.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_file.h"
#include "common/lc_scope.h"
#include "pipeline/report/pl_plot_paint.h"

#define HEADING_HEIGHT 36.0
#define NOTICE_HEIGHT 24.0
#define LEFT 66.0
#define RIGHT 20.0
#define TOP 34.0
#define TOP_WITHOUT_TITLE 14.0
#define BOTTOM 54.0
#define LEGEND_KEY 52.0 /* line and room around a legend's text */
#define WORD_SLOPE 0.6  /* share of a word's length that it needs under the axis */
#define PNG_DENSITY 2
#define MOST_DEVICES 64

/* One plot on its way. */
struct page {
  const struct pl_plot *plot;
  double width, height;
  double *column_widths, *row_heights, *legends, *words; /* legends, words: [panel] */
  size_t n_rows;
};

/* PLplot ends the program where it cannot go on; this takes its place. */
static struct {
  jmp_buf back;
  bool failed;
  char message[256];
} plplot;

static int on_exit_wish(const char *message) {
  snprintf(plplot.message, sizeof plplot.message, "%s", message);
  longjmp(plplot.back, 1);
}

static void on_abort(const char *message) {
  if (!plplot.failed) snprintf(plplot.message, sizeof plplot.message, "%s", message);
  plplot.failed = true;
}

static double text_width(cairo_t *cr, double size, const char *text) {
  cairo_text_extents_t extents;
  cairo_select_font_face(cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cr, size);
  cairo_text_extents(cr, text, &extents);
  return extents.x_advance;
}

/* Room for the legend beside a panel and for words under its axis. */
static void measure_panel(cairo_t *cr, struct page *page, size_t i) {
  const struct pl_plot_panel *panel = &page->plot->panels[i];
  for (size_t s = 0; panel->legend == PL_PLOT_LEGEND_RIGHT && s < panel->n_series; s++)
    if (panel->series[s].label)
      page->legends[i] = fmax(page->legends[i],
                              LEGEND_KEY + text_width(cr, PL_PLOT_SMALL, panel->series[s].label));
  for (size_t w = 0; w < panel->x.n_words; w++)
    page->words[i] =
        fmax(page->words[i], WORD_SLOPE * text_width(cr, PL_PLOT_SMALL, panel->x.words[w]));
}

static void measure(struct page *page) {
  const struct pl_plot *plot = page->plot;
  cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 8, 8);
  cairo_t *cr = cairo_create(surface);
  page->width = 0;
  page->height = NOTICE_HEIGHT + (plot->heading ? HEADING_HEIGHT : 0);
  for (size_t i = 0; i < plot->n_panels; i++) {
    const struct pl_plot_panel *panel = &plot->panels[i];
    double *width = &page->column_widths[i % plot->n_columns];
    double *height = &page->row_heights[i / plot->n_columns];
    measure_panel(cr, page, i);
    *width = fmax(*width, panel->width + page->legends[i]);
    *height = fmax(*height, panel->height + page->words[i]);
  }
  for (size_t c = 0; c < plot->n_columns; c++) page->width += page->column_widths[c];
  for (size_t r = 0; r < page->n_rows; r++) page->height += page->row_heights[r];
  page->width = ceil(page->width);
  page->height = ceil(page->height);
  cairo_destroy(cr);
  cairo_surface_destroy(surface);
}

static lc_status page_init(struct page *page, const struct pl_plot *plot, struct lc_error *err) {
  memset(page, 0, sizeof *page);
  page->plot = plot;
  if (!plot->n_panels || !plot->n_columns)
    LC_FAIL(err, LC_ERR_USAGE, "plot: expected at least one panel and one column");
  if (!plot->notice || !strstr(plot->notice, "research use only"))
    LC_FAIL(err, LC_ERR_USAGE, "plot: the notice must say \"research use only\"");
  page->n_rows = (plot->n_panels + plot->n_columns - 1) / plot->n_columns;
  LC_TRY(lc_alloc(&page->column_widths, plot->n_columns, sizeof *page->column_widths, err));
  LC_TRY(lc_alloc(&page->row_heights, page->n_rows, sizeof *page->row_heights, err));
  LC_TRY(lc_alloc(&page->legends, plot->n_panels, sizeof *page->legends, err));
  LC_TRY(lc_alloc(&page->words, plot->n_panels, sizeof *page->words, err));
  measure(page);
  return LC_OK;
}

static void page_free(struct page *page) {
  free(page->column_widths);
  free(page->row_heights);
  free(page->legends);
  free(page->words);
}

static struct pl_plot_place place_of(const struct page *page, size_t i) {
  const struct pl_plot *plot = page->plot;
  const struct pl_plot_panel *panel = &plot->panels[i];
  double x = 0, top = page->height - (plot->heading ? HEADING_HEIGHT : 0);
  for (size_t c = 0; c < i % plot->n_columns; c++) x += page->column_widths[c];
  for (size_t r = 0; r < i / plot->n_columns; r++) top -= page->row_heights[r];
  struct pl_plot_place place = {.panel_x = x, .panel_top = top};
  place.left = x + LEFT;
  place.right = x + panel->width - RIGHT;
  place.top = top - (panel->title ? TOP : TOP_WITHOUT_TITLE) - (panel->subtitle ? PL_PLOT_ROW : 0) -
              (panel->legend == PL_PLOT_LEGEND_ABOVE ? PL_PLOT_ROW : 0);
  place.bottom = top - panel->height + (panel->x.label ? BOTTOM : BOTTOM - 20);
  pl_plot_ranges(panel, &place);
  if (panel->square) {
    double side = fmin(place.right - place.left, place.top - place.bottom);
    place.right = place.left + side;
    place.bottom = place.top - side;
  }
  return place;
}

static void set_colours(void) {
  /* Okabe and Ito, Color Universal Design, 2008 */
  static const int colours[PL_PLOT_COLOURS][3] = {{0, 114, 178},   {213, 94, 0},  {0, 158, 115},
                                                  {204, 121, 167}, {230, 159, 0}, {86, 180, 233},
                                                  {0, 0, 0}};
  plscmap0n(PL_INK_COUNT);
  plscol0(PL_INK_PAPER, 255, 255, 255);
  plscol0(PL_INK_TEXT, 34, 34, 34);
  plscol0(PL_INK_FRAME, 110, 110, 110);
  plscol0(PL_INK_GRID, 230, 230, 230);
  plscol0(PL_INK_GREY, 150, 150, 150);
  plscol0(PL_INK_PALE, 200, 200, 200);
  for (int i = 0; i < PL_PLOT_COLOURS; i++) {
    const int *c = colours[i];
    plscol0(PL_INK_FIRST + i, c[0], c[1], c[2]);
    plscol0a(PL_INK_CLEAR + i, c[0], c[1], c[2], 0.4);
  }
}

static void draw_page(const struct page *page, cairo_t *cr) {
  const struct pl_plot *plot = page->plot;
  PLINT stream = 0;
  plmkstrm(&stream);
  plsdev("extcairo");
  plspage(0, 0, (PLINT)page->width, (PLINT)page->height, 0, 0);
  plsetopt("drvopt", "set_background=0,text_clipping=0");
  set_colours();
  plinit();
  pl_cmd(PLESC_DEVINIT, cr);
  pladv(0);
  pl_plot_page(page->width, page->height);
  if (plot->heading)
    pl_plot_text(16, page->height - 22, 0, 0, 16, true, PL_INK_TEXT, plot->heading);
  pl_plot_text(page->width - 10, 12, 0, 1, PL_PLOT_SMALL, false, PL_INK_FRAME, plot->notice);
  for (size_t i = 0; i < plot->n_panels; i++) {
    struct pl_plot_place place = place_of(page, i);
    pl_plot_panel_draw(&plot->panels[i], &place, page->width, page->height);
  }
  plend1();
}

static bool has_device(void) {
  const char *menu[MOST_DEVICES], *names[MOST_DEVICES], **menus = menu, **all = names;
  int n = MOST_DEVICES;
  plgDevs(&menus, &all, &n);
  for (int i = 0; i < n; i++)
    if (strcmp(names[i], "extcairo") == 0) return true;
  return false;
}

static lc_status draw(void *context, cairo_t *cr, cdam_format format, struct lc_error *err) {
  const struct page *page = context;
  (void)format;
  /* PLplot asks Pango for this family. */
  setenv("PLPLOT_FREETYPE_SANS_FAMILY", "DejaVu Sans", 1);
  cairo_set_source_rgb(cr, 1, 1, 1);
  cairo_paint(cr);
  plplot.failed = false;
  plsexit(on_exit_wish);
  plsabort(on_abort);
  if (setjmp(plplot.back) != 0) LC_FAIL(err, LC_ERR_INTERNAL, "PLplot: %s", plplot.message);
  bool found = has_device();
  if (found) draw_page(page, cr);
  if (plplot.failed) LC_FAIL(err, LC_ERR_INTERNAL, "PLplot: %s", plplot.message);
  if (!found)
    LC_FAIL(err, LC_ERR_NOT_FOUND,
            "PLplot has no device \"extcairo\"; install plplot-driver-cairo (Debian)");
  return LC_OK;
}

bool pl_plot_available(void) {
  return true;
}

lc_status pl_plot_bytes(const struct pl_plot *plot, cdam_format format, struct lc_text *out,
                        struct lc_error *err) {
  LC_SCOPED(page_free) struct page page = {0};
  LC_TRY(page_init(&page, plot, err));
  const struct cdam_canvas canvas = {.width = page.width,
                                     .height = page.height,
                                     .density = PNG_DENSITY,
                                     .context = &page,
                                     .draw = draw};
  return cdam_canvas_bytes(&canvas, format, out, err);
}

lc_status pl_plot_write(const struct pl_plot *plot, const char *path, struct lc_error *err) {
  LC_SCOPED(lc_text_free) struct lc_text bytes = {0};
  LC_TRY(pl_plot_bytes(plot, cdam_format_of(path), &bytes, err));
  return lc_file_write(path, lc_text_get(&bytes), bytes.length, err);
}
