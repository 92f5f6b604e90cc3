/* Connected parts, holes and border following (Moore neighbourhood, Jacob's stopping rule). */
#include "ct_io/phantom/ct_ph_outline.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"

/* Marks what is 4-connected to start among pixels of value `from`; returns how many. */
static int flood(uint8_t *pixel, int width, int height, int start, uint8_t from, uint8_t to,
                 int *stack) {
  int top = 0, count = 0;
  stack[top++] = start;
  pixel[start] = to;
  while (top > 0) {
    int at = stack[--top], x = at % width, y = at / width;
    count++;
    const int next[4] = {x > 0 ? at - 1 : -1, x + 1 < width ? at + 1 : -1, y > 0 ? at - width : -1,
                         y + 1 < height ? at + width : -1};
    for (int d = 0; d < 4; d++)
      if (next[d] >= 0 && pixel[next[d]] == from) {
        pixel[next[d]] = to;
        stack[top++] = next[d];
      }
  }
  return count;
}

/* Leaves the largest part without holes, as 1; false when the mask is empty. */
static bool keep_largest(struct ct_ph_mask *m, int *stack) {
  enum { OTHER = 2, OUTSIDE = 3 };
  int n = m->width * m->height, best = -1, most = 0;
  for (int i = 0; i < n; i++)
    if (m->inside[i] == 1) {
      int count = flood(m->inside, m->width, m->height, i, 1, OTHER, stack);
      if (count > most) {
        most = count;
        best = i;
      }
    }
  if (best < 0) return false;
  flood(m->inside, m->width, m->height, best, OTHER, 1, stack);
  for (int i = 0; i < n; i++)
    if (m->inside[i] == OTHER) m->inside[i] = 0;
  flood(m->inside, m->width, m->height, 0, 0, OUTSIDE, stack);
  for (int i = 0; i < n; i++) m->inside[i] = m->inside[i] != OUTSIDE;
  return true;
}

static void widen(const struct ct_ph_mask *m, uint8_t *wide) {
  memset(wide, 0, (size_t)m->width * (size_t)m->height);
  for (int y = 1; y + 1 < m->height; y++)
    for (int x = 1; x + 1 < m->width; x++) {
      int at = y * m->width + x;
      wide[at] = m->inside[at] || m->inside[at - 1] || m->inside[at + 1] ||
                 m->inside[at - m->width] || m->inside[at + m->width];
    }
}

lc_status ct_ph_outline_trace(struct ct_ph_mask *m, int32_t (**xy)[2], size_t *n_points,
                              struct lc_error *err) {
  /* Counterclockwise on the screen, as most of LIDC's outlines run. */
  static const int step_x[8] = {-1, -1, 0, 1, 1, 1, 0, -1}, step_y[8] = {0, 1, 1, 1, 0, -1, -1, -1};
  *xy = NULL;
  *n_points = 0;
  size_t n = (size_t)m->width * (size_t)m->height;
  int *stack;
  uint8_t *wide = NULL;
  LC_TRY(lc_alloc(&stack, n, sizeof *stack, err));
  lc_status status = lc_alloc(&wide, n, 1, err);
  if (status == LC_OK && keep_largest(m, stack)) {
    widen(m, wide);
    status = lc_alloc(xy, 2 * n, sizeof **xy, err);
  }
  free(stack);
  if (status != LC_OK || !*xy) {
    free(wide);
    return status;
  }
  int first = 0;
  while (!wide[first]) first++;
  /* The first pixel in reading order has nothing above it or to its left. */
  int at = first, direction = 7, first_direction = -1;
  for (;;) {
    (*xy)[*n_points][0] = m->x0 + at % m->width;
    (*xy)[(*n_points)++][1] = m->y0 + at / m->width;
    int turn = 0, next = at;
    for (; turn < 8; turn++) {
      int d = (direction + turn) % 8;
      next = at + step_y[d] * m->width + step_x[d];
      if (wide[next]) {
        if (at == first && first_direction < 0)
          first_direction = d;
        else if (at == first && d == first_direction)
          goto closed;
        /* Look next from the neighbour that was empty just before. */
        direction = (d + (d % 2 ? 6 : 7) + 8) % 8;
        break;
      }
    }
    at = next;
  }
closed:
  free(wide);
  return LC_OK;
}
