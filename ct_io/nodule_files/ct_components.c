/* Takes masks apart into their connected parts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/nodule/ct_annotation_set.h"
#include "ct_io/nodule/ct_region.h"

enum { MOST_PARTS = 1000 };

/* A mask on its way: the number of its part in each voxel. */
struct parting {
  const struct ct_grid_mask *mask;
  int16_t *part;   /* 0: none yet */
  size_t *waiting; /* voxels whose neighbours are to be looked at */
};

/* Gives a number to all voxels that hang together with one, by faces, edges and corners. */
static void flood(struct parting *p, size_t start, int16_t number) {
  const size_t *size = p->mask->size;
  size_t n = 0;
  p->part[start] = number;
  p->waiting[n++] = start;
  while (n > 0) {
    size_t at = p->waiting[--n];
    size_t i = at % size[0], j = at / size[0] % size[1], k = at / (size[0] * size[1]);
    for (size_t c = k ? k - 1 : 0; c <= k + 1 && c < size[2]; c++)
      for (size_t b = j ? j - 1 : 0; b <= j + 1 && b < size[1]; b++)
        for (size_t a = i ? i - 1 : 0; a <= i + 1 && a < size[0]; a++) {
          size_t near = (c * size[1] + b) * size[0] + a;
          if (!p->mask->inside[near] || p->part[near]) continue;
          p->part[near] = number;
          p->waiting[n++] = near;
        }
  }
}

static size_t count_parts(struct parting *p) {
  size_t total = p->mask->size[0] * p->mask->size[1] * p->mask->size[2], n = 0;
  for (size_t at = 0; at < total; at++)
    if (p->mask->inside[at] && !p->part[at] && n++ < MOST_PARTS) flood(p, at, (int16_t)n);
  return n;
}

/* One part as a mark of its own, on the same grid. */
static lc_status take_part(struct ct_mark *mark, const struct ct_mark *whole,
                           const struct parting *p, size_t number, struct lc_error *err) {
  const struct ct_grid_mask *from = p->mask;
  size_t total = from->size[0] * from->size[1] * from->size[2];
  *mark = *whole;
  mark->outlines = NULL;
  mark->n_outlines = 0;
  mark->region = NULL;
  snprintf(mark->nodule_id, sizeof mark->nodule_id, "%.55s-%zu", whole->nodule_id, number);
  LC_TRY(lc_alloc(&mark->region, 1, sizeof *mark->region, err));
  struct ct_grid_mask *mask = &mark->region->mask;
  *mask = *from;
  mask->inside = NULL;
  size_t low[3], high[3] = {0, 0, 0};
  memcpy(low, from->size, sizeof low);
  for (size_t at = 0; at < total; at++) {
    const size_t ijk[3] = {at % from->size[0], at / from->size[0] % from->size[1],
                           at / (from->size[0] * from->size[1])};
    for (int a = 0; a < 3 && p->part[at] == (int16_t)number; a++) {
      if (ijk[a] < low[a]) low[a] = ijk[a];
      if (ijk[a] > high[a]) high[a] = ijk[a];
    }
  }
  for (int a = 0; a < 3; a++) mask->size[a] = high[a] - low[a] + 1;
  for (int x = 0; x < 3; x++)
    for (int a = 0; a < 3; a++) mask->origin_mm[x] += (double)low[a] * from->step_mm[a][x];
  LC_TRY(lc_alloc(&mask->inside, mask->size[0] * mask->size[1] * mask->size[2], 1, err));
  uint8_t *to = mask->inside;
  for (size_t k = low[2]; k <= high[2]; k++)
    for (size_t j = low[1]; j <= high[1]; j++)
      for (size_t i = low[0]; i <= high[0]; i++)
        *to++ = p->part[(k * from->size[1] + j) * from->size[0] + i] == (int16_t)number;
  return LC_OK;
}

/* Puts n parts at the place of mark m. */
static lc_status replace(struct ct_annotation *annotation, size_t m, const struct parting *p,
                         size_t n, struct lc_error *err) {
  size_t total = annotation->n_marks + n - 1;
  struct ct_mark *grown = realloc(annotation->marks, total * sizeof *grown);
  if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", annotation->path);
  annotation->marks = grown;
  struct ct_mark whole = grown[m];
  memmove(grown + m + n, grown + m + 1, (annotation->n_marks - m - 1) * sizeof *grown);
  memset(grown + m, 0, n * sizeof *grown);
  annotation->n_marks = total;
  lc_status status = LC_OK;
  for (size_t i = 0; i < n && status == LC_OK; i++)
    status = take_part(&annotation->marks[m + i], &whole, p, i + 1, err);
  ct_region_free(whole.region);
  for (size_t i = 0; i < whole.n_outlines; i++) free(whole.outlines[i].xy);
  free(whole.outlines);
  return status;
}

static lc_status split_mark(struct ct_annotation *annotation, size_t *m, struct lc_error *err) {
  const struct ct_region *region = annotation->marks[*m].region;
  if (!region || !region->mask.inside) {
    ++*m;
    return LC_OK;
  }
  const struct ct_grid_mask *mask = &region->mask;
  size_t total = mask->size[0] * mask->size[1] * mask->size[2];
  LC_FREED int16_t *part = NULL;
  LC_FREED size_t *waiting = NULL;
  LC_TRY(lc_alloc(&part, total, sizeof *part, err));
  LC_TRY(lc_alloc(&waiting, total, sizeof *waiting, err));
  struct parting parting = {mask, part, waiting};
  size_t n = count_parts(&parting);
  if (n > MOST_PARTS) {
    lc_log(LC_LOG_WARNING, "%s: %s has %zu connected parts, expected at most %d: not taken apart",
           annotation->path, annotation->marks[*m].nodule_id, n, MOST_PARTS);
    n = 1;
  }
  if (n > 1) LC_TRY(replace(annotation, *m, &parting, n, err));
  *m += n ? n : 1;
  return LC_OK;
}

lc_status ct_annotation_set_split(struct ct_annotation_set *set, struct lc_error *err) {
  for (size_t i = 0; i < set->n_annotations; i++)
    for (size_t m = 0; m < set->annotations[i].n_marks;)
      LC_TRY(split_mark(&set->annotations[i], &m, err));
  return LC_OK;
}
