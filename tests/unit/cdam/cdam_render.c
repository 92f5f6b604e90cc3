/* Figures: window, transparency of zero, signs, one scale, outlines, same bytes, refusals. */
#include "tests/lc_test.h"

#include <math.h>

#include "cdam/draw/cdam_canvas.h"
#include "cdam/draw/cdam_render.h"
#include "common/lc_file.h"
#include "common/lc_parallel.h"

enum { ROWS = 32, GRID = 4, EDGE = 128 };

static float hu[ROWS * ROWS], map[GRID * GRID], other[GRID * GRID];
static uint8_t mask[ROWS * ROWS];

static struct cdam_panel panel_of(const float *scores) {
  return (struct cdam_panel){.hu = hu,
                             .rows = ROWS,
                             .columns = ROWS,
                             .map = scores,
                             .grid_height = GRID,
                             .grid_width = GRID};
}

static struct cdam_figure figure_of(const struct cdam_panel *panels, size_t n) {
  return (struct cdam_figure){.panels = panels,
                              .n_panels = n,
                              .n_columns = n,
                              .panel_pixels = EDGE,
                              .footer = "Research use only"};
}

static int reset(void **state) {
  (void)state;
  for (size_t i = 0; i < ROWS * ROWS; i++) hu[i] = -600;
  memset(map, 0, sizeof map);
  memset(other, 0, sizeof other);
  memset(mask, 0, sizeof mask);
  return 0;
}

static struct cdam_picture draw(const struct cdam_figure *figure) {
  struct cdam_picture picture;
  assert_ok(cdam_figure_draw(figure, &picture, &test_err));
  return picture;
}

/* The pixel in the middle of a patch of panel `index`: the panels begin where the margins end, and
 * the figure without texts above puts them at the top. */
static const uint8_t *patch_pixel(const struct cdam_picture *picture, size_t index, size_t row,
                                  size_t column) {
  size_t margin = 14, top = 13, gap = 13, step = EDGE / GRID; /* 18, 16 and 16 at a unit of 0.8 */
  size_t x = margin + index * (EDGE + gap) + column * step + step / 2;
  size_t y = top + row * step + step / 2;
  return picture->rgb + 3 * (y * picture->columns + x);
}

static void test_window(void **state) {
  (void)state;
  for (size_t i = 0; i < ROWS; i++)
    for (size_t k = 0; k < ROWS; k++) hu[i * ROWS + k] = k < 8 ? -3000 : k < 24 ? -600 : 1000;
  struct cdam_panel panel = panel_of(NULL);
  struct cdam_figure figure = figure_of(&panel, 1);
  struct cdam_picture picture = draw(&figure);
  const uint8_t grey[3] = {128, 128, 128}; /* -600 is the middle of [-1350, 150] */
  assert_int_equal(patch_pixel(&picture, 0, 1, 0)[0], 0);
  assert_memory_equal(patch_pixel(&picture, 0, 1, 2), grey, 3);
  assert_int_equal(patch_pixel(&picture, 0, 1, 3)[2], 255);
  cdam_picture_free(&picture);
}

static void test_zero_is_transparent(void **state) {
  (void)state;
  struct cdam_panel with = panel_of(map), without = panel_of(NULL);
  struct cdam_figure a = figure_of(&with, 1), b = figure_of(&without, 1);
  struct cdam_picture p = draw(&a), q = draw(&b);
  assert_int_equal(p.rows * p.columns, q.rows * q.columns);
  assert_memory_equal(p.rgb, q.rgb, p.rows * p.columns * 3);
  cdam_picture_free(&p);
  cdam_picture_free(&q);
}

static void test_signs_and_places(void **state) {
  (void)state;
  map[0 * GRID + 1] = 2;
  map[3 * GRID + 2] = -2;
  struct cdam_panel panel = panel_of(map);
  for (int enlarge = 0; enlarge < 2; enlarge++)
    for (int colours = 0; colours < 2; colours++) {
      struct cdam_figure figure = figure_of(&panel, 1);
      figure.enlarge = enlarge ? CDAM_NEAREST : CDAM_BILINEAR;
      figure.colours = colours ? CDAM_RED_BLUE : CDAM_BLUE_ORANGE;
      struct cdam_picture picture = draw(&figure);
      const uint8_t *positive = patch_pixel(&picture, 0, 0, 1);
      const uint8_t *negative = patch_pixel(&picture, 0, 3, 2);
      const uint8_t *neutral = patch_pixel(&picture, 0, 2, 0);
      assert_true(positive[0] > positive[2] + 60);
      assert_true(negative[2] > negative[0] + 60);
      assert_int_equal(neutral[0], neutral[2]);
      cdam_picture_free(&picture);
    }
}

/* The same score has the same colour in every panel, and the largest of all sets the scale. */
static void test_one_scale(void **state) {
  (void)state;
  map[5] = 1;
  other[5] = 1;
  other[0] = -4;
  struct cdam_panel panels[2] = {panel_of(map), panel_of(other)};
  struct cdam_figure figure = figure_of(panels, 2);
  struct cdam_picture both = draw(&figure);
  uint8_t expected[3];
  cdam_colour_over(CDAM_BLUE_ORANGE, 0.25 * 0.97, 0.75, 0.5, expected);
  const uint8_t *left = patch_pixel(&both, 0, 1, 1), *right = patch_pixel(&both, 1, 1, 1);
  for (int c = 0; c < 3; c++) {
    assert_true(abs(left[c] - right[c]) <= 2); /* the neighbour of another value is one patch off */
    assert_true(abs(left[c] - expected[c]) <= 4);
  }
  cdam_picture_free(&both);
}

static size_t outline_pixels(const struct cdam_picture *picture) {
  size_t n = 0;
  for (size_t i = 0; i < picture->rows * picture->columns; i++) {
    const uint8_t *p = picture->rgb + 3 * i;
    if (p[1] > 90 && p[1] > 2 * p[2]) n++; /* yellow-green on black */
  }
  return n;
}

static void test_outline_follows_the_mask(void **state) {
  (void)state;
  for (size_t i = 0; i < ROWS * ROWS; i++) hu[i] = -1350;
  struct cdam_panel panel = panel_of(NULL);
  panel.mask = mask;
  struct cdam_figure figure = figure_of(&panel, 1);
  struct cdam_picture empty = draw(&figure);
  assert_int_equal(outline_pixels(&empty), 0);
  cdam_picture_free(&empty);

  /* Two squares that touch at a corner: one loop each. Edge length 2 * 4 * 8 mask pixels, four
   * picture pixels each, and a line between one and two pixels wide. */
  for (size_t y = 0; y < 8; y++)
    for (size_t x = 0; x < 8; x++) {
      mask[(4 + y) * ROWS + 4 + x] = 1;
      mask[(12 + y) * ROWS + 12 + x] = 1;
    }
  struct cdam_picture two = draw(&figure);
  size_t n = outline_pixels(&two);
  assert_in_range(n, 2 * 4 * 8 * 4 * 0.8, 2 * 4 * 8 * 4 * 2.2);
  const uint8_t *middle = patch_pixel(&two, 0, 0, 3);
  assert_int_equal(middle[1], 0);
  cdam_picture_free(&two);
}

static void test_colours(void **state) {
  (void)state;
  for (int c = 0; c < 2; c++) {
    cdam_colours colours = c ? CDAM_RED_BLUE : CDAM_BLUE_ORANGE;
    uint8_t zero[3], rgb[3];
    cdam_colour_of(colours, 0, zero);
    assert_int_equal(zero[0], zero[1]);
    assert_int_equal(zero[1], zero[2]);
    for (int sign = -1; sign <= 1; sign += 2) {
      double lightness = 1e9;
      for (int i = 0; i <= 10; i++) {
        cdam_colour_of(colours, sign * i / 10.0, rgb);
        double l = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
        assert_true(l < lightness);
        lightness = l;
      }
      uint8_t beyond[3];
      cdam_colour_of(colours, sign * 7.0, beyond);
      assert_memory_equal(rgb, beyond, 3);
    }
  }
}

struct writes {
  const struct cdam_figure *figure;
  const char *folder;
  int failures;
};

static void write_all(void *context, size_t i, int worker) {
  (void)worker;
  struct writes *writes = context;
  static const char *const endings[] = {"png", "svg", "pdf"};
  char path[LC_PATH_SIZE];
  snprintf(path, sizeof path, "%s/%zu.%s", writes->folder, i / 3, endings[i % 3]);
  if (cdam_figure_write(writes->figure, path, NULL) != LC_OK)
    __atomic_add_fetch(&writes->failures, 1, __ATOMIC_RELAXED);
}

static void test_same_bytes(void **state) {
  (void)state;
  for (size_t i = 0; i < GRID * GRID; i++) map[i] = (float)sin((double)i);
  memset(mask + 5 * ROWS, 1, 3 * ROWS);
  struct cdam_panel panel = panel_of(map);
  panel.mask = mask;
  panel.title = "Axial";
  panel.caption = "malignancy 0.62\nsecond line";
  panel.pixel_mm = 1;
  memcpy(panel.edges, "ALPR", 4);
  struct cdam_figure figure = figure_of(&panel, 1);
  figure.heading = "LIDC-IDRI-0001 \xff\xc3 broken bytes, and words enough for a second line";
  figure.scale_label = "CDAM (signed)";
  figure.mask_label = "consensus";
  char folder[256];
  struct writes writes = {.figure = &figure, .folder = lc_test_folder(folder)};
  lc_threads_set(1);
  for (size_t i = 0; i < 6; i++) write_all(&writes, i, 0);
  lc_threads_set(2);
  lc_parallel_for(6, write_all, &writes);
  assert_int_equal(writes.failures, 0);
  struct cdam_picture picture = draw(&figure);
  for (int e = 0; e < 3; e++) {
    static const char *const endings[] = {"png", "svg", "pdf"};
    char *bytes[2], path[LC_PATH_SIZE];
    size_t count[2];
    for (int k = 0; k < 2; k++) {
      snprintf(path, sizeof path, "%s/%d.%s", folder, k, endings[e]);
      assert_ok(lc_file_read(path, 1 << 26, &bytes[k], &count[k], &test_err));
    }
    assert_int_equal(count[0], count[1]);
    assert_memory_equal(bytes[0], bytes[1], count[0]);
    if (e == 0) { /* IHDR: width, height, 8 bits, RGB */
      const uint8_t *h = (const uint8_t *)bytes[0] + 16;
      assert_int_equal((size_t)h[2] << 8 | h[3], picture.columns);
      assert_int_equal((size_t)h[6] << 8 | h[7], picture.rows);
      assert_int_equal(h[9], 2);
    }
    if (e == 1) assert_non_null(strstr(bytes[0], "<svg"));
    if (e == 2) assert_null(memmem(bytes[0], count[0], "CreationDate", 12));
    free(bytes[0]);
    free(bytes[1]);
  }
  cdam_picture_free(&picture);
  assert_ok(lc_folder_remove(folder, &test_err));
}

enum { PARTS = 300 };

static lc_status draw_parts(void *context, cairo_t *cr, cdam_format format, struct lc_error *err) {
  (void)context;
  (void)format;
  (void)err;
  for (int i = 0; i < PARTS; i++) {
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
    cairo_set_source_surface(cr, image, i, i);
    cairo_paint(cr);
    cairo_surface_destroy(image);
  }
  return LC_OK;
}

/* Numbered again, the parts of a drawing still have a name each. */
static void test_names_are_distinct(void **state) {
  (void)state;
  struct cdam_canvas canvas = {.width = PARTS, .height = PARTS, .draw = draw_parts};
  struct lc_text svg = {0};
  size_t n_names = 0;
  assert_ok(cdam_canvas_bytes(&canvas, CDAM_SVG, &svg, &test_err));
  for (const char *at = lc_text_get(&svg); (at = strstr(at, " id=\"")); at++) {
    size_t length = strcspn(at + 5, "\"") + 6;
    assert_null(memmem(at + 1, svg.length - (size_t)(at + 1 - svg.data), at, length));
    n_names++;
  }
  assert_true(n_names >= PARTS);
  lc_text_free(&svg);
}

static void test_refusals(void **state) {
  (void)state;
  struct cdam_panel panel = panel_of(map);
  struct cdam_figure figure = figure_of(&panel, 1);
  struct cdam_picture picture;
  map[3] = NAN;
  assert_fails(cdam_figure_draw(&figure, &picture, &test_err), LC_ERR_NUMERIC, "score 3");
  map[3] = 0;
  hu[7] = INFINITY;
  assert_fails(cdam_figure_draw(&figure, &picture, &test_err), LC_ERR_NUMERIC, "image value 7");
  hu[7] = 0;
  assert_fails(cdam_figure_write(&figure, "/proc/none/a.png", &test_err), LC_ERR_NOT_WRITABLE,
               "/proc/none");
  figure.footer = "for fun";
  assert_fails(cdam_figure_draw(&figure, &picture, &test_err), LC_ERR_USAGE, "research use only");
  figure = figure_of(&panel, 0);
  assert_fails(cdam_figure_draw(&figure, &picture, &test_err), LC_ERR_USAGE, "panel");
  figure = figure_of(&panel, 1);
  figure.panel_pixels = 100000;
  assert_fails(cdam_figure_draw(&figure, &picture, &test_err), LC_ERR_USAGE, "at most");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_window, reset),
                                     cmocka_unit_test_setup(test_zero_is_transparent, reset),
                                     cmocka_unit_test_setup(test_signs_and_places, reset),
                                     cmocka_unit_test_setup(test_one_scale, reset),
                                     cmocka_unit_test_setup(test_outline_follows_the_mask, reset),
                                     cmocka_unit_test(test_colours),
                                     cmocka_unit_test_setup(test_same_bytes, reset),
                                     cmocka_unit_test(test_names_are_distinct),
                                     cmocka_unit_test_setup(test_refusals, reset)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
