/* Outlines of masks: the edges between pixels inside and outside, followed into closed loops. */
#include <string.h>

#include "cdam/draw/cdam_paint.h"
#include "common/lc_scope.h"

/* Directions along pixel edges, clockwise in image coordinates: right, down, left, up. */
static const int step_x[4] = {1, 0, -1, 0}, step_y[4] = {0, 1, 0, -1};

struct tracer {
  const uint8_t *mask;
  ptrdiff_t rows, columns;
  uint8_t *open; /* [rows + 1, columns + 1] bit d: an edge leaves this corner in direction d */
};

static bool inside(const struct tracer *t, ptrdiff_t row, ptrdiff_t column) {
  return row >= 0 && column >= 0 && row < t->rows && column < t->columns &&
         t->mask[row * t->columns + column];
}

/* Every edge has the inside on its right, as one walks along it. */
static void collect_edges(struct tracer *t) {
  for (ptrdiff_t y = 0; y <= t->rows; y++)
    for (ptrdiff_t x = 0; x <= t->columns; x++) {
      uint8_t bits = 0;
      if (inside(t, y, x) && !inside(t, y - 1, x)) bits |= 1;
      if (inside(t, y, x - 1) && !inside(t, y, x)) bits |= 2;
      if (inside(t, y - 1, x - 1) && !inside(t, y, x - 1)) bits |= 4;
      if (inside(t, y - 1, x) && !inside(t, y - 1, x - 1)) bits |= 8;
      t->open[y * (t->columns + 1) + x] = bits;
    }
}

/* Follows one loop through the middles of its edges; turning right first keeps pixels that touch
 * only at a corner apart. Returns the number of points; points has room for all edges. */
static size_t follow(struct tracer *t, ptrdiff_t x, ptrdiff_t y, int direction, double *points) {
  size_t n = 0;
  const ptrdiff_t start_x = x, start_y = y;
  const int start = direction;
  for (;;) {
    if (n > 0 && x == start_x && y == start_y && (direction + 1) % 4 == start) return n;
    uint8_t *here = &t->open[y * (t->columns + 1) + x];
    int turn[3] = {(direction + 1) % 4, direction, (direction + 3) % 4}, next = -1;
    if (n == 0 && (*here >> direction & 1)) next = direction;
    for (int i = 0; i < 3 && next < 0; i++)
      if (*here >> turn[i] & 1) next = turn[i];
    if (next < 0) return n;
    *here = (uint8_t)(*here & ~(1u << next));
    points[2 * n] = (double)x + 0.5 * step_x[next];
    points[2 * n + 1] = (double)y + 0.5 * step_y[next];
    n++;
    x += step_x[next];
    y += step_y[next];
    direction = next;
  }
}

/* Chaikin's corner cutting (1974), once: 2 n points from n. */
static void cut_corners(const double *in, size_t n, double *out) {
  for (size_t i = 0; i < n; i++) {
    const double *a = in + 2 * i, *b = in + 2 * ((i + 1) % n);
    for (int c = 0; c < 2; c++) {
      out[4 * i + (size_t)c] = 0.75 * a[c] + 0.25 * b[c];
      out[4 * i + 2 + (size_t)c] = 0.25 * a[c] + 0.75 * b[c];
    }
  }
}

lc_status cdam_paint_outline(cairo_t *cr, const uint8_t *mask, size_t rows, size_t columns,
                             struct lc_error *err) {
  struct tracer t = {.mask = mask, .rows = (ptrdiff_t)rows, .columns = (ptrdiff_t)columns};
  size_t corners = (rows + 1) * (columns + 1);
  LC_FREED uint8_t *open = NULL;
  LC_TRY(lc_alloc(&open, corners, 1, err));
  t.open = open;
  collect_edges(&t);
  size_t edges = 0;
  for (size_t i = 0; i < corners; i++) edges += (size_t)__builtin_popcount(t.open[i]);
  LC_FREED double *loop = NULL, *smooth = NULL;
  LC_TRY(lc_alloc(&loop, edges * 2 + 1, 4 * sizeof *loop, err));
  LC_TRY(lc_alloc(&smooth, edges * 2 + 1, 4 * sizeof *smooth, err));
  for (size_t i = 0; i < corners; i++)
    for (int d = 0; d < 4; d++) {
      if (!(t.open[i] >> d & 1)) continue;
      size_t n =
          follow(&t, (ptrdiff_t)(i % (columns + 1)), (ptrdiff_t)(i / (columns + 1)), d, loop);
      cut_corners(loop, n, smooth);
      cut_corners(smooth, 2 * n, loop);
      for (size_t k = 0; k < 4 * n; k++)
        (k ? cairo_line_to : cairo_move_to)(cr, loop[2 * k], loop[2 * k + 1]);
      cairo_close_path(cr);
    }
  return LC_OK;
}
