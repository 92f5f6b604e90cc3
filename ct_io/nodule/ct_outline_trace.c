/* Follows the sides of pixels between a set and what is around it. Parts are connected by sides,
 * what is around them by sides and corners, so that no outline touches a pixel of the set. */
#include "ct_io/nodule/ct_outline_trace.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"

enum { MOST_LOOPS = 2048, MOST_POINTS = 32768, INSIDE = 16 };
/* Above, right, below, left. */
static const int step_x[4] = {0, 1, 0, -1}, step_y[4] = {-1, 0, 1, 0};

/* One closed border; its last point is not the first again. */
struct loop {
  int32_t (*xy)[2]; /* in the padded window */
  size_t n, capacity;
  int32_t around; /* number of the part of what is around that it runs through */
  bool outer;     /* around a part; false: along a hole */
};

struct trace {
  int width, height; /* with one pixel more at each side */
  uint8_t *cell;     /* INSIDE, and a bit for each side that was followed */
  int32_t *around;   /* number of the part of what is around, from 1: the outside; 0 in the set */
  int *stack;
  struct loop *loops;
  size_t n_loops, loop_capacity, n_points;
};

static lc_status add_point(struct loop *loop, const int32_t xy[2], struct lc_error *err) {
  if (loop->n == loop->capacity) {
    size_t larger = loop->capacity ? 2 * loop->capacity : 32;
    int32_t(*grown)[2] = realloc(loop->xy, larger * sizeof *grown);
    if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "out of memory for an outline of %zu points", larger);
    loop->xy = grown;
    loop->capacity = larger;
  }
  memcpy(loop->xy[loop->n++], xy, sizeof *loop->xy);
  return LC_OK;
}

/* Numbers the parts of what is around the set, the outside first. */
static void number_around(struct trace *t) {
  int n = t->width * t->height;
  int32_t number = 0;
  for (int start = 0; start < n; start++) {
    if (t->cell[start] || t->around[start]) continue;
    int top = 0;
    t->around[start] = ++number;
    t->stack[top++] = start;
    while (top > 0) {
      int at = t->stack[--top], x = at % t->width, y = at / t->width;
      for (int v = y > 0 ? y - 1 : 0; v <= y + 1 && v < t->height; v++)
        for (int u = x > 0 ? x - 1 : 0; u <= x + 1 && u < t->width; u++) {
          int next = v * t->width + u;
          if (t->cell[next] || t->around[next]) continue;
          t->around[next] = number;
          t->stack[top++] = next;
        }
    }
  }
}

/* Follows the border that has this side of this pixel, with the set to the right. */
static lc_status follow(struct trace *t, int start, int start_side, struct lc_error *err) {
  long area = 0;
  if (t->n_loops == t->loop_capacity) {
    size_t larger = t->loop_capacity ? 2 * t->loop_capacity : 8;
    struct loop *grown = realloc(t->loops, larger * sizeof *grown);
    if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "out of memory for %zu outlines", larger);
    t->loops = grown;
    t->loop_capacity = larger;
  }
  struct loop *loop = &t->loops[t->n_loops++];
  int outside = start + step_y[start_side] * t->width + step_x[start_side];
  *loop = (struct loop){.around = t->around[outside]};
  int at = start, side = start_side;
  do {
    int x = at % t->width, y = at / t->width;
    const int32_t point[2] = {x + step_x[side], y + step_y[side]};
    t->cell[at] = (uint8_t)(t->cell[at] | 1 << side);
    area += side == 0 ? -y : side == 2 ? y + 1 : 0;
    if (loop->n == 0 || memcmp(loop->xy[loop->n - 1], point, sizeof point) != 0)
      LC_TRY(add_point(loop, point, err));
    int forward = (side + 1) % 4, ahead = at + step_y[forward] * t->width + step_x[forward];
    int beside = ahead + step_y[side] * t->width + step_x[side];
    if (!t->cell[ahead]) {
      side = forward;
    } else if (!t->cell[beside]) {
      at = ahead;
    } else {
      at = beside;
      side = (side + 3) % 4;
    }
  } while (at != start || side != start_side);
  if (loop->n > 1 && memcmp(loop->xy[0], loop->xy[loop->n - 1], sizeof *loop->xy) == 0) loop->n--;
  loop->outer = area > 0;
  t->n_points += loop->n;
  if (t->n_loops > MOST_LOOPS || t->n_points > MOST_POINTS)
    LC_FAIL(err, LC_ERR_UNSUPPORTED,
            "a slice with over %d parts and holes or %d points of outlines: no nodule", MOST_LOOPS,
            MOST_POINTS);
  return LC_OK;
}

/* The shortest way from what a hole's outline has so far to something in the hole. */
struct bridge {
  struct loop *island;
  long square;
  int32_t from[2];
  size_t to;
};

static void shorten(struct bridge *bridge, const int32_t (*xy)[2], size_t n) {
  const struct loop *island = bridge->island;
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < island->n; j++) {
      long x = xy[i][0] - island->xy[j][0], y = xy[i][1] - island->xy[j][1];
      if (bridge->square >= 0 && x * x + y * y >= bridge->square) continue;
      bridge->square = x * x + y * y;
      bridge->to = j;
      memcpy(bridge->from, xy[i], sizeof bridge->from);
    }
}

/* Puts the island's border into the hole's, there and back by the bridge. */
static lc_status cross(struct loop *hole, const struct bridge *bridge, struct lc_error *err) {
  const struct loop *island = bridge->island;
  struct loop joined = {.around = hole->around};
  size_t i = 0;
  lc_status status = LC_OK;
  while (memcmp(hole->xy[i], bridge->from, sizeof bridge->from) != 0) i++;
  for (size_t p = 0; p <= i && status == LC_OK; p++) status = add_point(&joined, hole->xy[p], err);
  for (size_t p = 0; p <= island->n && status == LC_OK; p++)
    status = add_point(&joined, island->xy[(bridge->to + p) % island->n], err);
  for (size_t p = i; p < hole->n && status == LC_OK; p++)
    status = add_point(&joined, hole->xy[p], err);
  free(status == LC_OK ? hole->xy : joined.xy);
  if (status == LC_OK) *hole = joined;
  return status;
}

/* The shortest bridge first: it crosses nothing of the set. */
static lc_status join_islands(struct trace *t, struct loop *hole, struct lc_error *err) {
  struct bridge *bridges;
  size_t n = 0;
  lc_status status = LC_OK;
  LC_TRY(lc_alloc(&bridges, t->n_loops, sizeof *bridges, err));
  for (size_t i = 0; i < t->n_loops; i++)
    if (t->loops[i].outer && t->loops[i].around == hole->around) {
      bridges[n] = (struct bridge){.island = &t->loops[i], .square = -1};
      shorten(&bridges[n++], (const int32_t(*)[2])hole->xy, hole->n);
    }
  while (n > 0 && status == LC_OK) {
    size_t next = 0;
    for (size_t i = 1; i < n; i++)
      if (bridges[i].square < bridges[next].square) next = i;
    struct bridge taken = bridges[next];
    bridges[next] = bridges[--n];
    status = cross(hole, &taken, err);
    for (size_t i = 0; i < n && status == LC_OK; i++)
      shorten(&bridges[i], (const int32_t(*)[2])taken.island->xy, taken.island->n);
  }
  free(bridges);
  return status;
}

static lc_status start(struct trace *t, const struct ct_slice_mask *mask, struct lc_error *err) {
  size_t n = (mask->width + 2) * (mask->height + 2);
  t->width = (int)mask->width + 2;
  t->height = (int)mask->height + 2;
  LC_TRY(lc_alloc(&t->cell, n, sizeof *t->cell, err));
  LC_TRY(lc_alloc(&t->around, n, sizeof *t->around, err));
  LC_TRY(lc_alloc(&t->stack, n, sizeof *t->stack, err));
  for (size_t y = 0; y < mask->height; y++)
    for (size_t x = 0; x < mask->width; x++)
      if (mask->inside[y * mask->width + x]) t->cell[(y + 1) * (mask->width + 2) + x + 1] = INSIDE;
  number_around(t);
  return LC_OK;
}

static lc_status find_loops(struct trace *t, struct lc_error *err) {
  int n = t->width * t->height;
  for (int at = 0; at < n; at++)
    for (int side = 0; side < 4 && t->cell[at]; side++)
      if (!t->cell[at + step_y[side] * t->width + step_x[side]] && !(t->cell[at] & 1 << side))
        LC_TRY(follow(t, at, side, err));
  for (size_t i = 0; i < t->n_loops; i++)
    if (!t->loops[i].outer) LC_TRY(join_islands(t, &t->loops[i], err));
  return LC_OK;
}

/* Hands the borders of parts that nothing encloses, and of holes, over. */
static lc_status hand_over(struct trace *t, const struct ct_slice_mask *mask,
                           struct ct_outline **outlines, size_t *n_outlines, struct lc_error *err) {
  struct ct_outline *grown = realloc(*outlines, (*n_outlines + t->n_loops + 1) * sizeof *grown);
  if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "out of memory for %zu outlines", t->n_loops);
  *outlines = grown;
  for (size_t i = 0; i < t->n_loops; i++) {
    struct loop *loop = &t->loops[i];
    if (loop->outer && loop->around != 1) continue;
    if (loop->n > 1) {
      const int32_t first[2] = {loop->xy[0][0], loop->xy[0][1]};
      LC_TRY(add_point(loop, first, err));
    }
    for (size_t p = 0; p < loop->n; p++) {
      loop->xy[p][0] += (int32_t)mask->x0 - 1;
      loop->xy[p][1] += (int32_t)mask->y0 - 1;
    }
    grown[(*n_outlines)++] =
        (struct ct_outline){.inclusion = loop->outer, .xy = loop->xy, .n_points = loop->n};
    loop->xy = NULL;
  }
  return LC_OK;
}

lc_status ct_outlines_trace(const struct ct_slice_mask *mask, struct ct_outline **outlines,
                            size_t *n_outlines, struct lc_error *err) {
  struct trace t = {0};
  lc_status status = start(&t, mask, err);
  if (status == LC_OK) status = find_loops(&t, err);
  if (status == LC_OK) status = hand_over(&t, mask, outlines, n_outlines, err);
  for (size_t i = 0; i < t.n_loops; i++) free(t.loops[i].xy);
  free(t.loops);
  free(t.cell);
  free(t.around);
  free(t.stack);
  return status;
}
