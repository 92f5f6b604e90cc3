#include "pl_judge_chart.h"

#include <math.h>

#define WIDTH 600.0 /* two go beside one another */
#define HEIGHT 380.0
#define LEFT 64.0
#define RIGHT 176.0 /* legend */
#define TOP 34.0
#define BOTTOM 72.0

/* Okabe and Ito's colours for all kinds of colour vision; dashes tell repeats apart. */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#000000"};
static const char *const dashes[] = {"none", "7 3", "2 3"};

void pl_html_escape(struct lc_text *out, const char *text) {
  for (; *text; text++) switch (*text) {
    case '&':
      lc_text_add(out, "&amp;");
      break;
    case '<':
      lc_text_add(out, "&lt;");
      break;
    case '>':
      lc_text_add(out, "&gt;");
      break;
    case '"':
      lc_text_add(out, "&quot;");
      break;
    default:
      lc_text_add_bytes(out, text, 1);
    }
}

struct frame {
  double x0, x1, y0, y1;
};

static double to_x(const struct frame *f, double x) {
  return LEFT + (WIDTH - LEFT - RIGHT) * (x - f->x0) / (f->x1 - f->x0);
}

static double to_y(const struct frame *f, double y) {
  return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - f->y0) / (f->y1 - f->y0);
}

static struct frame find_frame(const struct pl_chart *chart) {
  struct frame f = {chart->x[0], chart->x[chart->n_points - 1], INFINITY, -INFINITY};
  for (size_t l = 0; l < chart->n_lines; l++)
    for (size_t i = 0; i < chart->n_points; i++) {
      f.y0 = fmin(f.y0, chart->lines[l].values[i]);
      f.y1 = fmax(f.y1, chart->lines[l].values[i]);
    }
  if (!(f.x1 > f.x0)) f.x1 = f.x0 + 1;
  if (!isfinite(f.y0) || !isfinite(f.y1)) f.y0 = 0, f.y1 = 1;
  double room = f.y1 > f.y0 ? 0.04 * (f.y1 - f.y0) : 0.5;
  f.y0 -= room;
  f.y1 += room;
  return f;
}

/* 1, 2 or 5 times a power of ten, so that about four steps fill the range. */
static double nice_step(double range) {
  double rough = range / 4, power = pow(10, floor(log10(rough))), lead = rough / power;
  return power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
}

static void draw_axes(const struct pl_chart *chart, const struct frame *f, struct lc_text *out) {
  lc_text_add(out, "<text x=\"%g\" y=\"18\" class=\"t\">", LEFT);
  pl_html_escape(out, chart->title);
  lc_text_add(out, "</text>\n");
  double step = nice_step(f->y1 - f->y0);
  for (double i = ceil(f->y0 / step); i * step <= f->y1; i++) {
    double y = i * step + 0; /* no negative zero */
    lc_text_add(out,
                "<line x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\" class=\"g\"/><text x=\"%g\" "
                "y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n",
                LEFT, WIDTH - RIGHT, to_y(f, y), to_y(f, y), LEFT - 6, to_y(f, y) + 4, y);
  }
  for (int i = 0; i <= 4 && !chart->x_words; i++) {
    double x = f->x0 + (f->x1 - f->x0) * i / 4;
    lc_text_add(out, "<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%.3g</text>\n", to_x(f, x),
                HEIGHT - BOTTOM + 18, x);
  }
  for (size_t i = 0; chart->x_words && i < chart->n_points; i++) {
    lc_text_add(out, "<text transform=\"translate(%.1f %g) rotate(-35)\" text-anchor=\"end\">",
                to_x(f, chart->x[i]), HEIGHT - BOTTOM + 14);
    pl_html_escape(out, chart->x_words[i]);
    lc_text_add(out, "</text>\n");
  }
  lc_text_add(out, "<text x=\"%g\" y=\"%g\">", LEFT, chart->x_words ? HEIGHT - 4 : HEIGHT - 34);
  pl_html_escape(out, chart->x_label);
  lc_text_add(out, "</text><text transform=\"translate(14 %g) rotate(-90)\">", HEIGHT - BOTTOM);
  pl_html_escape(out, chart->y_label);
  lc_text_add(out, "</text>\n");
}

static void draw_line(const struct pl_chart *chart, const struct frame *f, size_t l,
                      struct lc_text *out) {
  const char *colour = colours[l % 7], *dash = dashes[l / 7 % 3];
  bool open = false;
  lc_text_add(out,
              "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\" stroke-dasharray=\"%s\" "
              "d=\"",
              colour, dash);
  for (size_t i = 0; i < chart->n_points; i++) {
    double y = chart->lines[l].values[i];
    if (isfinite(y))
      lc_text_add(out, "%c%.1f %.1f", open ? 'L' : 'M', to_x(f, chart->x[i]), to_y(f, y));
    open = isfinite(y);
  }
  double y = TOP + 15 * (double)l, x = WIDTH - RIGHT + 12;
  lc_text_add(out,
              "\"/><line x1=\"%g\" x2=\"%g\" y1=\"%g\" y2=\"%g\" stroke=\"%s\" stroke-width=\"2\" "
              "stroke-dasharray=\"%s\"/><text x=\"%g\" y=\"%g\">",
              x, x + 22, y, y, colour, dash, x + 28, y + 4);
  pl_html_escape(out, chart->lines[l].name);
  lc_text_add(out, "</text>\n");
}

void pl_chart_svg(const struct pl_chart *chart, struct lc_text *out) {
  if (chart->n_points == 0) return;
  struct frame f = find_frame(chart);
  double height = fmax(HEIGHT, TOP + 15 * (double)chart->n_lines + 8);
  lc_text_add(out,
              "<svg viewBox=\"0 0 %g %g\" width=\"%g\" height=\"%g\" role=\"img\" "
              "aria-label=\"",
              WIDTH, height, WIDTH, height);
  pl_html_escape(out, chart->title);
  lc_text_add(out, "\">\n");
  draw_axes(chart, &f, out);
  for (size_t l = 0; l < chart->n_lines; l++) draw_line(chart, &f, l, out);
  lc_text_add(out, "</svg>\n");
}
