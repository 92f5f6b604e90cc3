/* Draws a figure with cairo: panels, captions, colour bar, heading and footer. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cdam/draw/cdam_paint.h"
#include "common/lc_scope.h"

struct palette {
  double ground[3], text[3], muted[3], frame[3];
};
static const struct palette palettes[2] = {
    {{0.055, 0.063, 0.078}, {0.93, 0.94, 0.95}, {0.66, 0.69, 0.73}, {0.26, 0.29, 0.33}},
    {{1, 1, 1}, {0.08, 0.09, 0.11}, {0.36, 0.38, 0.42}, {0.72, 0.74, 0.77}}};
static const double outline_colour[3] = {0.80, 1.00, 0.30};

struct painter {
  cairo_t *cr;
  const struct cdam_figure *figure;
  const struct cdam_layout *layout;
  const struct palette *palette;
  double density, scale;
};

static void colour(cairo_t *cr, const double rgb[3]) {
  cairo_set_source_rgb(cr, rgb[0], rgb[1], rgb[2]);
}

static double largest_score(const struct cdam_figure *figure) {
  double top = 0;
  for (size_t i = 0; i < figure->n_panels; i++) {
    const struct cdam_panel *panel = &figure->panels[i];
    size_t n = panel->map ? panel->grid_height * panel->grid_width : 0;
    for (size_t k = 0; k < n; k++) top = fmax(top, fabs((double)panel->map[k]));
  }
  return top;
}

/* Puts RGB24 words into a rectangle, pixel for pixel at density 1. */
static lc_status put_words(const struct painter *p, uint32_t *words, size_t width, size_t height,
                           double x, double y, struct lc_error *err) {
  cairo_surface_t *image = cairo_image_surface_create_for_data(
      (unsigned char *)words, CAIRO_FORMAT_RGB24, (int)width, (int)height, (int)(width * 4));
  cairo_save(p->cr);
  cairo_translate(p->cr, x, y);
  cairo_scale(p->cr, 1 / p->density, 1 / p->density);
  cairo_set_source_surface(p->cr, image, 0, 0);
  cairo_pattern_set_filter(cairo_get_source(p->cr), CAIRO_FILTER_NEAREST);
  cairo_pattern_set_extend(cairo_get_source(p->cr), CAIRO_EXTEND_PAD);
  cairo_rectangle(p->cr, 0, 0, (double)width, (double)height);
  cairo_fill(p->cr);
  cairo_restore(p->cr);
  cairo_surface_finish(image);
  cairo_status_t status = cairo_surface_status(image);
  cairo_surface_destroy(image);
  if (status != CAIRO_STATUS_SUCCESS && status != CAIRO_STATUS_SURFACE_FINISHED)
    LC_FAIL(err, LC_ERR_INTERNAL, "figure: cairo: %s", cairo_status_to_string(status));
  return LC_OK;
}

/* White letters that stay legible on any image. */
static void halo_text(const struct painter *p, const char *text, double x, double baseline) {
  cairo_t *cr = p->cr;
  cairo_move_to(cr, x, baseline);
  cairo_text_path(cr, text);
  cairo_set_source_rgba(cr, 0, 0, 0, 0.65);
  cairo_set_line_width(cr, 3 * p->layout->unit);
  cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
  cairo_stroke_preserve(cr);
  cairo_set_source_rgb(cr, 1, 1, 1);
  cairo_fill(cr);
}

static void edge_letters(const struct painter *p, const struct cdam_panel *panel, double x,
                         double y, double width, double height) {
  double u = p->layout->unit, size = p->layout->tick.size;
  cdam_font_select(p->cr, &(struct cdam_font){.size = size, .bold = true});
  for (int i = 0; i < 4; i++) {
    if (!panel->edges[i]) continue;
    char letter[2] = {panel->edges[i], 0};
    cairo_text_extents_t e;
    cairo_text_extents(p->cr, letter, &e);
    double lx = i == 1   ? x + width - 6 * u - e.width
                : i == 3 ? x + 6 * u
                         : x + (width - e.width) / 2;
    double ly = i == 0   ? y + 6 * u + e.height
                : i == 2 ? y + height - 6 * u
                         : y + (height + e.height) / 2;
    halo_text(p, letter, lx - e.x_bearing, ly);
  }
}

/* A bar of a round length, at most a third of the width. */
static void scale_bar(const struct painter *p, const struct cdam_panel *panel, double x, double y,
                      double width, double height) {
  if (!(panel->pixel_mm > 0)) return;
  static const double lengths[] = {100, 50, 20, 10, 5, 2, 1};
  double mm = panel->pixel_mm * (double)panel->columns, u = p->layout->unit, length = 0;
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths && length == 0; i++)
    if (lengths[i] <= mm / 3) length = lengths[i];
  if (length == 0) return;
  double wide = length / mm * width, left = x + 10 * u, line = y + height - 11 * u;
  for (int pass = 0; pass < 2; pass++) {
    double grow = pass ? 0 : 1.5 * u;
    if (pass)
      cairo_set_source_rgb(p->cr, 1, 1, 1);
    else
      cairo_set_source_rgba(p->cr, 0, 0, 0, 0.65);
    cairo_rectangle(p->cr, left - grow, line - grow, wide + 2 * grow, 2.5 * u + 2 * grow);
    cairo_fill(p->cr);
  }
  char text[32];
  snprintf(text, sizeof text, "%g mm", length);
  cdam_font_select(p->cr, &(struct cdam_font){.size = p->layout->tick.size});
  halo_text(p, text, left, line - 5 * u);
}

static void stroke_outline(const struct painter *p, double width) {
  cairo_set_line_join(p->cr, CAIRO_LINE_JOIN_ROUND);
  cairo_set_source_rgba(p->cr, 0, 0, 0, 0.7);
  cairo_set_line_width(p->cr, width + 2.2 * p->layout->unit);
  cairo_stroke_preserve(p->cr);
  colour(p->cr, outline_colour);
  cairo_set_line_width(p->cr, width);
  cairo_stroke(p->cr);
}

static lc_status paint_one(const struct painter *p, size_t index, struct lc_error *err) {
  const struct cdam_panel *panel = &p->figure->panels[index];
  const struct cdam_layout *l = p->layout;
  double fit = fmin(l->panel / (double)panel->columns, l->panel / (double)panel->rows);
  double width = fmax(round((double)panel->columns * fit), 1);
  double height = fmax(round((double)panel->rows * fit), 1);
  double box = l->left + (double)(index % p->figure->n_columns) * (l->panel + l->gap);
  double x = round(box + (l->panel - width) / 2), y = l->row_y[index / p->figure->n_columns];

  size_t w = (size_t)(width * p->density), h = (size_t)(height * p->density);
  LC_FREED uint32_t *words = NULL;
  LC_TRY(lc_alloc(&words, w * h, sizeof *words, err));
  LC_TRY(cdam_paint_panel(p->figure, panel, p->scale > 0 ? p->scale : 1, w, h, words, err));
  LC_TRY(put_words(p, words, w, h, x, y, err));

  cairo_save(p->cr);
  cairo_rectangle(p->cr, x, y, width, height);
  cairo_clip(p->cr);
  if (panel->mask) {
    cairo_save(p->cr);
    cairo_translate(p->cr, x, y);
    cairo_scale(p->cr, width / (double)panel->columns, height / (double)panel->rows);
    LC_TRY(cdam_paint_outline(p->cr, panel->mask, panel->rows, panel->columns, err));
    cairo_restore(p->cr);
    stroke_outline(p, 1.6 * l->unit);
  }
  edge_letters(p, panel, x, y, width, height);
  scale_bar(p, panel, x, y, width, height);
  cairo_restore(p->cr);

  colour(p->cr, p->palette->text);
  if (panel->title)
    cdam_text_line(p->cr, &l->title, panel->title, box, y - l->title_height, l->panel, true);
  colour(p->cr, p->palette->muted);
  cdam_text_column(p->cr, &l->caption, panel->caption, box, y + height + 5 * l->unit, l->panel,
                   true, true);
  return LC_OK;
}

/* "+0.0123", "0", with a true minus sign. */
static void tick_text(char out[32], double value, bool plus) {
  char digits[24];
  snprintf(digits, sizeof digits, "%.3g", fabs(value));
  const char *sign = value > 0 ? (plus ? "+" : "") : value < 0 ? "\xe2\x88\x92" : "";
  snprintf(out, 32, "%s%s", sign, digits);
}

static void bar_ticks(const struct painter *p) {
  const struct cdam_layout *l = p->layout;
  bool one_sided = p->figure->unsigned_maps;
  double widest = 0, x = l->bar_x + l->bar_width;
  for (int i = 0; i <= 4; i++) {
    if (p->scale <= 0 && i != (one_sided ? 4 : 2)) continue;
    double value = one_sided ? 1 - i / 4.0 : 1 - i / 2.0;
    double y = l->bar_y + l->bar_height * i / 4;
    char text[32];
    tick_text(text, value * p->scale, !one_sided);
    colour(p->cr, p->palette->muted);
    cairo_set_line_width(p->cr, l->unit);
    cairo_move_to(p->cr, x, y);
    cairo_line_to(p->cr, x + 4 * l->unit, y);
    cairo_stroke(p->cr);
    colour(p->cr, p->palette->text);
    widest = fmax(widest, cdam_text_width(p->cr, &l->tick, text));
    cairo_move_to(p->cr, x + 7 * l->unit, y + l->tick.size * 0.36);
    cairo_show_text(p->cr, text);
  }
  cairo_save(p->cr);
  cairo_translate(p->cr, x + 14 * l->unit + widest, l->bar_y + l->bar_height);
  cairo_rotate(p->cr, -1.5707963267948966);
  cdam_text_line(p->cr, &l->tick, p->figure->scale_label, 0, 0, l->bar_height, true);
  cairo_restore(p->cr);
}

/* The bar lies on a ground that runs from black to white: what a score looks like on lung and on
 * soft tissue. */
static lc_status paint_bar(const struct painter *p, struct lc_error *err) {
  const struct cdam_layout *l = p->layout;
  size_t w = (size_t)(l->bar_width * p->density), h = (size_t)(l->bar_height * p->density);
  LC_FREED uint32_t *words = NULL;
  LC_TRY(lc_alloc(&words, w * h, sizeof *words, err));
  double opacity = p->figure->opacity > 0 ? p->figure->opacity : 0.75;
  for (size_t y = 0; y < h; y++)
    for (size_t x = 0; x < w; x++) {
      double value = 1 - ((double)y + 0.5) / (double)h * (p->figure->unsigned_maps ? 1 : 2);
      uint8_t rgb[3];
      cdam_colour_over(p->figure->colours, value, opacity, ((double)x + 0.5) / (double)w, rgb);
      words[y * w + x] = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
    }
  LC_TRY(put_words(p, words, w, h, l->bar_x, l->bar_y, err));
  cairo_set_line_width(p->cr, l->unit);
  colour(p->cr, p->palette->frame);
  cairo_rectangle(p->cr, l->bar_x, l->bar_y, (double)w / p->density, (double)h / p->density);
  cairo_stroke(p->cr);
  bar_ticks(p);
  if (p->figure->unsigned_maps || p->scale <= 0) return LC_OK;
  double wide = 8 * l->bar_width, below = l->bar_y + l->bar_height + l->tick.size * 0.9;
  colour(p->cr, p->palette->muted);
  cdam_text_line(p->cr, &l->tick, "supports", l->bar_x, l->bar_y - l->tick.size * 2.1, wide, false);
  cdam_text_line(p->cr, &l->tick, "opposes", l->bar_x, below, wide, false);
  return LC_OK;
}

static void paint_texts(const struct painter *p) {
  const struct cdam_layout *l = p->layout;
  double y = l->footer_y;
  colour(p->cr, p->palette->text);
  cdam_text_column(p->cr, &l->heading, p->figure->heading, l->left, l->heading_y, l->text_width,
                   false, true);
  if (p->figure->mask_label) {
    double swatch = 22 * l->unit;
    cairo_move_to(p->cr, l->left + 2 * l->unit, y + l->footer.line * 0.5);
    cairo_rel_line_to(p->cr, swatch, 0);
    stroke_outline(p, 1.6 * l->unit);
    colour(p->cr, p->palette->muted);
    cdam_text_line(p->cr, &l->footer, p->figure->mask_label, l->left + swatch + 9 * l->unit, y,
                   l->text_width - swatch - 9 * l->unit, false);
    y += l->footer.line + 2 * l->unit;
  }
  colour(p->cr, p->palette->muted);
  cdam_text_column(p->cr, &l->footer, p->figure->footer, l->left, y, l->text_width, false, true);
}

lc_status cdam_paint_figure(cairo_t *cr, const struct cdam_figure *figure,
                            const struct cdam_layout *layout, double density,
                            struct lc_error *err) {
  struct painter p = {.cr = cr,
                      .figure = figure,
                      .layout = layout,
                      .palette = &palettes[figure->theme == CDAM_LIGHT],
                      .density = density,
                      .scale = figure->scale > 0 ? figure->scale : largest_score(figure)};
  cdam_font_options(cr);
  colour(cr, p.palette->ground);
  cairo_paint(cr);
  for (size_t i = 0; i < figure->n_panels; i++) LC_TRY(paint_one(&p, i, err));
  if (figure->scale_label) LC_TRY(paint_bar(&p, err));
  paint_texts(&p);
  if (cairo_status(cr) != CAIRO_STATUS_SUCCESS)
    LC_FAIL(err, LC_ERR_INTERNAL, "figure: cairo: %s", cairo_status_to_string(cairo_status(cr)));
  return LC_OK;
}
