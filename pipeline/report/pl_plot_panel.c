/* Draws one panel of a plot: axes, series, legend, note and labels. */
#include <math.h>
#include <plplot.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/report/pl_plot_paint.h"

#define TEXT_OF_EM 0.77 /* PLplot's character height of a font of one em */
#define MOST_KEYS 32
#define POINT_RADIUS 3.2
#define RING_RADIUS 6.0
#define WORDS_DEGREES 30.0
#define LINE_HEIGHT 1.35
#define LETTER_WIDTH 0.56 /* of an em, on average */

void pl_plot_escape(const char *text, char *out, size_t size) {
  size_t n = 0;
  for (; *text && n + 2 < size; text++) {
    if (*text == '#') out[n++] = '#';
    out[n++] = *text;
  }
  out[n] = '\0';
}

void pl_plot_page(double width, double height) {
  plsvpa(0, width * PL_PLOT_MM, 0, height * PL_PLOT_MM);
  plwind(0, width, 0, height);
}

void pl_plot_size(double size, bool bold) {
  plschr(size * TEXT_OF_EM * PL_PLOT_MM, 1);
  plsfont(PL_FCI_SANS, PL_FCI_UPRIGHT, bold ? PL_FCI_BOLD : PL_FCI_MEDIUM);
}

void pl_plot_text(double x, double y, double degrees, double just, double size, bool bold, int ink,
                  const char *text) {
  char escaped[512];
  double angle = degrees * 0.017453292519943295;
  pl_plot_escape(text, escaped, sizeof escaped);
  pl_plot_size(size, bold);
  plcol0(ink);
  plptex(x, y, cos(angle), sin(angle), just, escaped);
}

static void extend(double value, double *low, double *high) {
  if (!isfinite(value)) return;
  *low = fmin(*low, value);
  *high = fmax(*high, value);
}

/* Room around the data; a constant gets room as well. */
static void settle(const struct pl_plot_axis *axis, double room, double *low, double *high) {
  if (axis->low != 0 || axis->high != 0) {
    *low = axis->low;
    *high = axis->high;
  } else if (axis->n_words > 0) {
    *low = -0.5;
    *high = (double)axis->n_words - 0.5;
  } else if (!(*low <= *high)) {
    *low = 0;
    *high = 1;
  } else {
    double size = *high - *low;
    double space = size > 0 ? room * size : fmax(1e-6, 0.1 * fabs(*high));
    *low -= space;
    *high += space;
  }
}

void pl_plot_ranges(const struct pl_plot_panel *panel, struct pl_plot_place *place) {
  place->x0 = place->y0 = INFINITY;
  place->x1 = place->y1 = -INFINITY;
  bool bars = false;
  for (size_t s = 0; s < panel->n_series; s++) {
    const struct pl_plot_series *series = &panel->series[s];
    for (size_t i = 0; i < series->n; i++) {
      if (!isfinite(series->x[i]) || !isfinite(series->y[i])) continue;
      extend(series->x[i] - series->width / 2, &place->x0, &place->x1);
      extend(series->x[i] + series->width / 2, &place->x0, &place->x1);
      extend(series->y[i], &place->y0, &place->y1);
    }
    bars = bars || series->kind == PL_PLOT_BARS;
  }
  settle(&panel->x, 0.02, &place->x0, &place->x1);
  settle(&panel->y, 0.05, &place->y0, &place->y1);
  if (bars && panel->y.low == 0) place->y0 = 0;
}

static int ink_of(const struct pl_plot_series *series, int map) {
  if (series->colour == PL_PLOT_GREY) return series->dash ? PL_INK_GREY : PL_INK_PALE;
  return map + series->colour % PL_PLOT_COLOURS;
}

static void set_dash(int dash) {
  static const int marks[3][2] = {{7, 4}, {2, 3}, {12, 3}};
  if (dash == 0) {
    plstyl(0, NULL, NULL);
    return;
  }
  PLINT mark = (PLINT)(1000 * PL_PLOT_MM * marks[(dash - 1) % 3][0]);
  PLINT space = (PLINT)(1000 * PL_PLOT_MM * marks[(dash - 1) % 3][1]);
  plstyl(1, &mark, &space);
}

static void draw_line(const struct pl_plot_series *series) {
  plcol0(ink_of(series, PL_INK_FIRST));
  plwidth(series->colour == PL_PLOT_GREY ? 1.2 : 1.8);
  set_dash(series->dash);
  for (size_t i = 0; i < series->n;) {
    size_t end = i;
    while (end < series->n && isfinite(series->x[end]) && isfinite(series->y[end])) end++;
    if (end > i + 1) plline((PLINT)(end - i), series->x + i, series->y + i);
    i = end + 1;
  }
  set_dash(0);
}

static void draw_points(const struct pl_plot_series *series, const struct pl_plot_place *place) {
  bool ring = series->kind == PL_PLOT_RINGS;
  double radius = ring ? RING_RADIUS : POINT_RADIUS;
  double a = radius * (place->x1 - place->x0) / (place->right - place->left);
  double b = radius * (place->y1 - place->y0) / (place->top - place->bottom);
  plcol0(ink_of(series, ring ? PL_INK_FIRST : PL_INK_CLEAR));
  plwidth(ring ? 2 : 0);
  for (size_t i = 0; i < series->n; i++)
    if (isfinite(series->x[i]) && isfinite(series->y[i]))
      plarc(series->x[i], series->y[i], a, b, 0, 360, 0, !ring);
}

static void draw_bars(const struct pl_plot_series *series) {
  plcol0(ink_of(series, PL_INK_CLEAR));
  for (size_t i = 0; i < series->n; i++) {
    double left = series->x[i] - series->width / 2, right = series->x[i] + series->width / 2;
    const double x[4] = {left, right, right, left}, y[4] = {0, 0, series->y[i], series->y[i]};
    if (isfinite(left) && isfinite(y[2])) plfill(4, x, y);
  }
}

/* In page coordinates. */
static void draw_numbers(const struct pl_plot_panel *panel, const struct pl_plot_place *place) {
  for (size_t s = 0; s < panel->n_series; s++)
    for (size_t i = 0; panel->series[s].numbers && i < panel->series[s].n; i++) {
      const struct pl_plot_series *series = &panel->series[s];
      char text[32];
      snprintf(text, sizeof text, "%.4g", series->y[i]);
      double x = (series->x[i] - place->x0) / (place->x1 - place->x0);
      double y = (series->y[i] - place->y0) / (place->y1 - place->y0);
      pl_plot_text(place->left + x * (place->right - place->left),
                   place->bottom + y * (place->top - place->bottom) + 9, 0, 0.5, PL_PLOT_SMALL,
                   false, PL_INK_TEXT, text);
    }
}

static void draw_axes(const struct pl_plot_panel *panel) {
  bool words = panel->x.n_words > 0;
  pl_plot_size(PL_PLOT_SMALL, false);
  plsmaj(4 * PL_PLOT_MM, 1);
  plsmin(0, 1);
  plsxax(6, 0);
  plsyax(6, 0);
  plwidth(1);
  plcol0(PL_INK_GRID);
  plbox(words ? "" : "g", 0, 0, "g", 0, 0);
  plcol0(PL_INK_FRAME);
  plbox(words ? "bc" : "bcnt", 0, 1, "bcntv", 0, 1);
}

static void draw_series(const struct pl_plot_panel *panel, const struct pl_plot_place *place) {
  for (size_t s = 0; s < panel->n_series; s++)
    if (panel->series[s].kind == PL_PLOT_BARS) draw_bars(&panel->series[s]);
  for (size_t s = 0; s < panel->n_series; s++) {
    const struct pl_plot_series *series = &panel->series[s];
    if (series->kind == PL_PLOT_LINE) draw_line(series);
    if (series->kind == PL_PLOT_POINTS || series->kind == PL_PLOT_RINGS) draw_points(series, place);
  }
}

static bool empty(const struct pl_plot_panel *panel) {
  for (size_t s = 0; s < panel->n_series; s++)
    for (size_t i = 0; i < panel->series[s].n; i++)
      if (isfinite(panel->series[s].y[i]) && panel->series[s].colour != PL_PLOT_GREY) return false;
  return true;
}

/* One line of the legend, y at its middle: a sample of the mark, and the text. */
static void draw_key(const struct pl_plot_series *series, double x, double y) {
  const double from = x, to = x + 24, xs[4] = {from, to, to, from};
  const double ys[4] = {y - 5, y - 5, y + 5, y + 5};
  bool ring = series->kind == PL_PLOT_RINGS;
  plcol0(ink_of(series, series->kind == PL_PLOT_BARS ? PL_INK_CLEAR : PL_INK_FIRST));
  plwidth(2);
  if (series->kind == PL_PLOT_LINE) {
    set_dash(series->dash);
    pljoin(from, y, to, y);
    set_dash(0);
  } else if (series->kind == PL_PLOT_BARS) {
    plfill(4, xs, ys);
  } else {
    plarc(x + 12, y, ring ? 5 : 3.5, ring ? 5 : 3.5, 0, 360, 0, !ring);
  }
  pl_plot_text(x + 30, y, 0, 0, PL_PLOT_SMALL, false, PL_INK_TEXT, series->label);
}

static void draw_legend(const struct pl_plot_panel *panel, const struct pl_plot_place *place) {
  double line = PL_PLOT_SMALL * LINE_HEIGHT, x = place->right + 14, y = place->top - line / 2;
  bool above = panel->legend == PL_PLOT_LEGEND_ABOVE;
  if (above) {
    x = place->left;
    y = place->top + 11;
  }
  for (size_t s = 0; s < panel->n_series; s++) {
    const char *label = panel->series[s].label;
    if (!label) continue;
    draw_key(&panel->series[s], x, y);
    if (above)
      x += 52 + LETTER_WIDTH * PL_PLOT_SMALL * (double)strlen(label);
    else
      y -= line;
  }
}

static void draw_note(const char *note, const struct pl_plot_place *place, bool at_right) {
  double line = PL_PLOT_LABEL * LINE_HEIGHT;
  size_t n = 1;
  for (const char *p = note; *p; p++) n += *p == '\n';
  double x = at_right ? place->right - 10 : place->left + 10;
  double y = at_right ? place->bottom + 6 + line * ((double)n - 0.5) : place->top - 6 - line / 2;
  while (*note) {
    char text[128];
    size_t length = strcspn(note, "\n");
    snprintf(text, sizeof text, "%.*s", (int)length, note);
    pl_plot_text(x, y, 0, at_right ? 1 : 0, PL_PLOT_LABEL, false, PL_INK_TEXT, text);
    y -= line;
    note += length + (note[length] == '\n');
  }
}

static void draw_labels(const struct pl_plot_panel *panel, const struct pl_plot_place *place) {
  double middle = (place->left + place->right) / 2;
  double words = 0;
  for (size_t w = 0; w < panel->x.n_words; w++) {
    double x = place->left +
               (place->right - place->left) * ((double)w - place->x0) / (place->x1 - place->x0);
    words = fmax(words, (double)strlen(panel->x.words[w]));
    pl_plot_text(x + 3, place->bottom - 10, WORDS_DEGREES, 1, PL_PLOT_SMALL, false, PL_INK_TEXT,
                 panel->x.words[w]);
  }
  double over = place->top + (panel->legend == PL_PLOT_LEGEND_ABOVE ? PL_PLOT_ROW : 0);
  if (panel->title)
    pl_plot_text(place->left, over + 14 + (panel->subtitle ? PL_PLOT_ROW : 0), 0, 0, PL_PLOT_TITLE,
                 true, PL_INK_TEXT, panel->title);
  if (panel->subtitle)
    pl_plot_text(place->left, over + 12, 0, 0, PL_PLOT_SMALL, false, PL_INK_TEXT, panel->subtitle);
  if (panel->x.label)
    pl_plot_text(middle, place->bottom - 38 - (words > 0 ? words * PL_PLOT_SMALL * 0.3 - 10 : 0), 0,
                 0.5, PL_PLOT_LABEL, false, PL_INK_TEXT, panel->x.label);
  if (panel->y.label)
    pl_plot_text(place->left - 56, (place->bottom + place->top) / 2, 90, 0.5, PL_PLOT_LABEL, false,
                 PL_INK_TEXT, panel->y.label);
  if (empty(panel))
    pl_plot_text(middle, (place->bottom + place->top) / 2, 0, 0.5, PL_PLOT_LABEL, false,
                 PL_INK_FRAME, "not defined by these data");
  draw_numbers(panel, place);
  if (panel->legend != PL_PLOT_LEGEND_NONE) draw_legend(panel, place);
  if (panel->note) draw_note(panel->note, place, panel->note_at_right);
}

void pl_plot_panel_draw(const struct pl_plot_panel *panel, const struct pl_plot_place *place,
                        double page_width, double page_height) {
  plsvpa(place->left * PL_PLOT_MM, place->right * PL_PLOT_MM, place->bottom * PL_PLOT_MM,
         place->top * PL_PLOT_MM);
  plwind(place->x0, place->x1, place->y0, place->y1);
  draw_axes(panel);
  draw_series(panel, place);
  pl_plot_page(page_width, page_height);
  draw_labels(panel, place);
}
