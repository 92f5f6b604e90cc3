/* Plots: right sizes and places of what is drawn, same bytes twice, errors.
 * needs: plot */
#include "pipeline/report/pl_plot.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "common/lc_file.h"
#include "pipeline/report/pl_plot_paint.h"
#include "tests/lc_test.h"

static char folder[256];

static const double two[2] = {0, 1}, half[2] = {0.5, 0.5};

/* One panel of 400 by 300 whose inside is [66, 380] x [34, 246] from the upper left corner. */
static struct pl_plot_panel panel_of(const struct pl_plot_series *series, size_t n) {
  return (struct pl_plot_panel){.title = "#title, R\u00b2",
                                .x = {.label = "x", .low = 0, .high = 1},
                                .y = {.label = "y", .low = 0, .high = 1},
                                .width = 400,
                                .height = 300,
                                .series = series,
                                .n_series = n};
}

static struct pl_plot plot_of(const struct pl_plot_panel *panel) {
  return (struct pl_plot){
      .panels = panel, .n_panels = 1, .n_columns = 1, .notice = "research use only"};
}

/* Draws as PNG and reads it back. */
static cairo_surface_t *drawn(const struct pl_plot *plot) {
  char path[300];
  snprintf(path, sizeof path, "%s/drawn.png", folder);
  assert_ok(pl_plot_write(plot, path, &test_err));
  cairo_surface_t *image = cairo_image_surface_create_from_png(path);
  assert_int_equal(cairo_surface_status(image), CAIRO_STATUS_SUCCESS);
  return image;
}

/* Colour at a place in the axes of panel_of; a PNG has two pixels a unit. */
static uint32_t colour_at(cairo_surface_t *image, double x, double y) {
  int column = (int)(2 * (66 + x * (380 - 66))), row = (int)(2 * (246 - y * (246 - 34)));
  uint32_t word;
  const unsigned char *data = cairo_image_surface_get_data(image);
  memcpy(&word, data + row * cairo_image_surface_get_stride(image) + 4 * column, 4);
  return word & 0xffffff;
}

static void things_are_where_they_belong(void **state) {
  (void)state;
  const double x[5] = {0, 0.3, 0.5, 0.7, 1}, y[5] = {0.25, 0.25, NAN, 0.25, 0.25};
  const double middle = 0.3, height = 0.9;
  const struct pl_plot_series series[] = {
      {.n = 5, .x = x, .y = y},
      {.kind = PL_PLOT_BARS, .n = 1, .x = &middle, .y = &height, .width = 0.1, .colour = 1},
      {.kind = PL_PLOT_POINTS, .n = 2, .x = half, .y = half, .colour = 3}};
  struct pl_plot_panel panel = panel_of(series, 1);
  struct pl_plot plot = plot_of(&panel);
  cairo_surface_t *image = drawn(&plot);
  assert_int_equal(cairo_image_surface_get_width(image), 800);
  assert_int_equal(colour_at(image, 0.15, 0.25), 0x0072b2);
  assert_int_equal(colour_at(image, 0.85, 0.25), 0x0072b2);
  assert_int_equal(colour_at(image, 0.55, 0.25), 0xffffff); /* what is missing breaks the line */
  assert_int_equal(colour_at(image, 0.15, 0.5), 0xffffff);
  cairo_surface_destroy(image);
  panel = panel_of(series, 3);
  image = drawn(&plot);
  assert_int_not_equal(colour_at(image, 0.31, 0.85), 0xffffff); /* the bar */
  assert_int_equal(colour_at(image, 0.37, 0.85), 0xffffff);
  assert_int_not_equal(colour_at(image, 0.505, 0.5), 0xffffff); /* the points */
  cairo_surface_destroy(image);
}

static void bytes_do_not_depend_on_what_was_drawn_before(void **state) {
  (void)state;
  static const char *const starts[] = {"\x89PNG\r\n\x1a\n", "<?xml", "%PDF-"};
  const struct pl_plot_series series = {
      .n = 2, .x = two, .y = two, .label = "a < b # c", .dash = 1};
  struct pl_plot_panel panel = panel_of(&series, 1);
  panel.legend = PL_PLOT_LEGEND_RIGHT;
  const struct pl_plot plot = plot_of(&panel);
  for (int format = CDAM_PNG; format <= CDAM_PDF; format++) {
    struct lc_text a = {0}, b = {0};
    assert_ok(pl_plot_bytes(&plot, (cdam_format)format, &a, &test_err));
    sleep(format == CDAM_PDF); /* a date would show */
    assert_ok(pl_plot_bytes(&plot, (cdam_format)format, &b, &test_err));
    assert_int_equal(a.length, b.length);
    assert_memory_equal(a.data, b.data, a.length);
    assert_memory_equal(a.data, starts[format], strlen(starts[format]));
    lc_text_free(&a);
    lc_text_free(&b);
  }
}

static void words_need_room(void **state) {
  (void)state;
  static const char *const words[2] = {"a rather long name of a stage", "b"};
  const struct pl_plot_series series = {.n = 2, .x = two, .y = half, .label = "line"};
  struct pl_plot_panel panel = panel_of(&series, 1);
  struct pl_plot plot = plot_of(&panel);
  cairo_surface_t *plain = drawn(&plot);
  panel.x = (struct pl_plot_axis){.label = "stage", .words = words, .n_words = 2};
  panel.legend = PL_PLOT_LEGEND_RIGHT;
  cairo_surface_t *wordy = drawn(&plot);
  assert_true(cairo_image_surface_get_height(wordy) > cairo_image_surface_get_height(plain) + 100);
  assert_true(cairo_image_surface_get_width(wordy) > cairo_image_surface_get_width(plain) + 100);
  cairo_surface_destroy(plain);
  cairo_surface_destroy(wordy);
}

/* Curves may go anywhere in the axes: no legend lies in them. */
static void legends_lie_outside_the_axes(void **state) {
  (void)state;
  static const enum pl_plot_legend legends[] = {PL_PLOT_LEGEND_RIGHT, PL_PLOT_LEGEND_ABOVE};
  const struct pl_plot_series series[] = {{.n = 2, .x = two, .y = half, .label = "a step"},
                                          {.n = 2, .x = two, .y = half, .label = "a mean"}};
  struct pl_plot_panel panel = panel_of(series, 2);
  struct pl_plot plot = plot_of(&panel);
  for (int k = 0; k < 2; k++) {
    panel.legend = legends[k];
    cairo_surface_t *image = drawn(&plot);
    double top = legends[k] == PL_PLOT_LEGEND_ABOVE ? 0.88 : 0.95; /* below the ticks */
    size_t inked = 0;
    for (double x = 0.03; x < 0.97; x += 0.001)
      for (double y = 0.6; y < top; y += 0.002)
        inked += (colour_at(image, x, y) & 0xff) < 0xc0; /* darker than the grid */
    assert_int_equal(inked, 0);
    cairo_surface_destroy(image);
  }
  panel.legend = PL_PLOT_LEGEND_NONE;
  cairo_surface_t *without = drawn(&plot);
  panel.legend = PL_PLOT_LEGEND_ABOVE;
  cairo_surface_t *with = drawn(&plot);
  size_t more = 0; /* ink in the row over the axes */
  for (double x = 0.01; x < 0.9; x += 0.001)
    more += colour_at(with, x, 0.97) != 0xffffff && colour_at(without, x, 0.97) == 0xffffff;
  assert_true(more > 20);
  cairo_surface_destroy(without);
  cairo_surface_destroy(with);
}

static void nothing_to_draw_is_no_failure(void **state) {
  (void)state;
  const double nothing[2] = {NAN, NAN};
  const struct pl_plot_series series = {.n = 2, .x = nothing, .y = nothing};
  struct pl_plot_panel panel = panel_of(&series, 1);
  panel.x.high = panel.y.high = 0;
  const struct pl_plot plot = plot_of(&panel);
  cairo_surface_destroy(drawn(&plot));
}

static void hostile_plots_are_refused(void **state) {
  (void)state;
  char path[300], escaped[16];
  const struct pl_plot_series series = {.n = 2, .x = two, .y = two};
  const struct pl_plot_panel panel = panel_of(&series, 1);
  struct pl_plot plot = plot_of(&panel);
  snprintf(path, sizeof path, "%s/refused.png", folder);
  plot.notice = "for the clinic";
  assert_fails(pl_plot_write(&plot, path, &test_err), LC_ERR_USAGE, "research use only");
  plot = plot_of(&panel);
  plot.n_panels = 0;
  assert_fails(pl_plot_write(&plot, path, &test_err), LC_ERR_USAGE, "one panel");
  assert_false(lc_file_exists(path));
  plot = plot_of(&panel);
  snprintf(path, sizeof path, "%s/nowhere/refused.svg", folder);
  assert_fails(pl_plot_write(&plot, path, &test_err), LC_ERR_NOT_WRITABLE, "nowhere");
  pl_plot_escape("a#b#####", escaped, 8); /* cut between pairs */
  assert_string_equal(escaped, "a##b##");
}

static int setup(void **state) {
  (void)state;
  lc_test_folder(folder);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  return lc_folder_remove(folder, &test_err) == LC_OK ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(things_are_where_they_belong),
      cmocka_unit_test(bytes_do_not_depend_on_what_was_drawn_before),
      cmocka_unit_test(words_need_room),
      cmocka_unit_test(legends_lie_outside_the_axes),
      cmocka_unit_test(nothing_to_draw_is_no_failure),
      cmocka_unit_test(hostile_plots_are_refused),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
