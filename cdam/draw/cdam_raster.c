/* Colours of scores; resizes images with the Catmull-Rom cubic and blends a map over the grey image
 * of a panel. */
#include <math.h>
#include <string.h>

#include "cdam/draw/cdam_paint.h"
#include "cdam/draw/cdam_render.h"
#include "common/lc_scope.h"

/* Colour at a small and at the full score, for each sign: light to deep, so that lightness orders
 * the scores of one sign too. Blue and orange stay apart for every common colour blindness. */
struct ramp {
  double faint[3], full[3];
};
static const struct ramp ramps[2][2] = {
    {{{0.50, 0.80, 1.00}, {0.05, 0.47, 1.00}}, {{1.00, 0.76, 0.35}, {0.98, 0.45, 0.00}}},
    {{{0.45, 0.62, 1.00}, {0.10, 0.20, 0.90}}, {{1.00, 0.55, 0.45}, {0.90, 0.08, 0.08}}}};

static const double neutral = 0.94;

static double clamp(double x, double low, double high) {
  return x < low ? low : x > high ? high : x;
}

static void mix(cdam_colours colours, double value, double alpha, double ground, uint8_t rgb[3]) {
  const struct ramp *ramp = &ramps[colours == CDAM_RED_BLUE][value > 0];
  double t = fabs(value);
  for (int c = 0; c < 3; c++) {
    double colour = ramp->faint[c] + (ramp->full[c] - ramp->faint[c]) * t;
    double x = ground + (colour - ground) * alpha;
    rgb[c] = (uint8_t)lrint(clamp(x, 0, 1) * 255);
  }
}

void cdam_colour_of(cdam_colours colours, double value, uint8_t rgb[3]) {
  double v = clamp(value, -1, 1);
  mix(colours, v, fabs(v), neutral, rgb);
}

void cdam_colour_over(cdam_colours colours, double value, double opacity, double grey,
                      uint8_t rgb[3]) {
  double v = clamp(value, -1, 1), t = fabs(v);
  /* Rises a little faster than the score at first: a score of half the scale must be seen at a
   * glance on black and on white. */
  mix(colours, v, opacity * t * (1.6 - 0.6 * t), grey, rgb);
}

static double catmull_rom(double x) {
  x = fabs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

static size_t repeat_edge(ptrdiff_t i, size_t n) {
  return i < 0 ? 0 : (size_t)i >= n ? n - 1 : (size_t)i;
}

/* One line resized: n values with the given stride to out_n values with another. */
static void resize_line(const float *line, size_t n, size_t stride, float *out, size_t out_n,
                        size_t out_stride) {
  double ratio = (double)n / (double)out_n, widen = ratio > 1 ? ratio : 1;
  for (size_t o = 0; o < out_n; o++) {
    double centre = ((double)o + 0.5) * ratio - 0.5, sum = 0, total = 0;
    ptrdiff_t last = (ptrdiff_t)floor(centre + 2 * widen);
    for (ptrdiff_t i = (ptrdiff_t)ceil(centre - 2 * widen); i <= last; i++) {
      double w = catmull_rom(((double)i - centre) / widen);
      sum += w * (double)line[repeat_edge(i, n) * stride];
      total += w;
    }
    out[o * out_stride] = (float)(sum / total);
  }
}

lc_status cdam_paint_resize(const float *image, size_t rows, size_t columns, float *out,
                            size_t out_rows, size_t out_columns, struct lc_error *err) {
  LC_FREED float *wide = NULL;
  LC_TRY(lc_alloc(&wide, rows * out_columns, sizeof *wide, err));
  for (size_t r = 0; r < rows; r++)
    resize_line(image + r * columns, columns, 1, wide + r * out_columns, out_columns, 1);
  for (size_t c = 0; c < out_columns; c++)
    resize_line(wide + c, rows, out_columns, out + c, out_rows, out_columns);
  return LC_OK;
}

/* The score at a point of the panel, in [0, 1] coordinates. */
static double score_at(const struct cdam_panel *panel, cdam_enlarge enlarge, double x, double y) {
  size_t gh = panel->grid_height, gw = panel->grid_width;
  double gx = x * (double)gw, gy = y * (double)gh;
  if (enlarge == CDAM_NEAREST)
    return (double)panel->map[repeat_edge((ptrdiff_t)gy, gh) * gw + repeat_edge((ptrdiff_t)gx, gw)];
  double fx = floor(gx - 0.5), fy = floor(gy - 0.5), tx = gx - 0.5 - fx, ty = gy - 0.5 - fy;
  size_t x0 = repeat_edge((ptrdiff_t)fx, gw), x1 = repeat_edge((ptrdiff_t)fx + 1, gw);
  const float *row0 = panel->map + repeat_edge((ptrdiff_t)fy, gh) * gw;
  const float *row1 = panel->map + repeat_edge((ptrdiff_t)fy + 1, gh) * gw;
  double top = (double)row0[x0] * (1 - tx) + (double)row0[x1] * tx;
  double bottom = (double)row1[x0] * (1 - tx) + (double)row1[x1] * tx;
  return top * (1 - ty) + bottom * ty;
}

lc_status cdam_paint_panel(const struct cdam_figure *figure, const struct cdam_panel *panel,
                           double scale, size_t width, size_t height, uint32_t *words,
                           struct lc_error *err) {
  double low = figure->window_low_hu, high = figure->window_high_hu;
  if (low == 0 && high == 0) {
    low = -1350;
    high = 150;
  }
  double opacity = figure->opacity > 0 ? figure->opacity : 0.75;
  LC_FREED float *hu = NULL;
  LC_TRY(lc_alloc(&hu, width * height, sizeof *hu, err));
  LC_TRY(cdam_paint_resize(panel->hu, panel->rows, panel->columns, hu, height, width, err));
  for (size_t y = 0; y < height; y++)
    for (size_t x = 0; x < width; x++) {
      double grey = ((double)hu[y * width + x] - low) / (high - low), value = 0;
      grey = grey < 0 ? 0 : grey > 1 ? 1 : grey;
      if (panel->map)
        value = score_at(panel, figure->enlarge, ((double)x + 0.5) / (double)width,
                         ((double)y + 0.5) / (double)height) /
                scale;
      uint8_t rgb[3];
      cdam_colour_over(figure->colours, value, opacity, grey, rgb);
      words[y * width + x] = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
    }
  return LC_OK;
}
