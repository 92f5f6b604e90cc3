/* Splits masks into their connected parts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_log.h"
#include "ct_io/nodule/ct_mark.h"
#include "ct_io/nodule/ct_place.h"
#include "ct_io/nodule/ct_region.h"

enum { MOST_PARTS = 1000 };

/* Lists the voxels that are connected to one, and clears them in the mask. */
static size_t take_part(struct ct_grid_mask *mask, size_t start, uint32_t *voxels) {
  const size_t *size = mask->size;
  size_t n = 1;
  voxels[0] = (uint32_t)start;
  mask->inside[start] = 0;
  for (size_t at = 0; at < n; at++) {
    size_t x = voxels[at] % size[0], y = voxels[at] / size[0] % size[1];
    size_t z = voxels[at] / (size[0] * size[1]);
    for (size_t w = z ? z - 1 : 0; w <= z + 1 && w < size[2]; w++)
      for (size_t v = y ? y - 1 : 0; v <= y + 1 && v < size[1]; v++)
        for (size_t u = x ? x - 1 : 0; u <= x + 1 && u < size[0]; u++) {
          size_t next = (w * size[1] + v) * size[0] + u;
          if (!mask->inside[next]) continue;
          mask->inside[next] = 0;
          voxels[n++] = (uint32_t)next;
        }
  }
  return n;
}

/* A mask of some voxels of another, no larger than they need. */
static lc_status crop(struct ct_grid_mask *part, const struct ct_grid_mask *mask,
                      const uint32_t *voxels, size_t n, struct lc_error *err) {
  size_t low[3] = {SIZE_MAX, SIZE_MAX, SIZE_MAX}, high[3] = {0}, at[3];
  const size_t step[3] = {1, mask->size[0], mask->size[0] * mask->size[1]};
  for (size_t i = 0; i < n; i++)
    for (int c = 0; c < 3; c++) {
      at[c] = voxels[i] / step[c] % mask->size[c];
      if (at[c] < low[c]) low[c] = at[c];
      if (at[c] > high[c]) high[c] = at[c];
    }
  *part = *mask;
  part->inside = NULL;
  for (int axis = 0; axis < 3; axis++) {
    part->size[axis] = high[axis] - low[axis] + 1;
    for (int c = 0; c < 3; c++) part->origin_mm[c] += (double)low[axis] * mask->step_mm[axis][c];
  }
  LC_TRY(lc_alloc(&part->inside, part->size[0] * part->size[1] * part->size[2], 1, err));
  for (size_t i = 0; i < n; i++) {
    for (int c = 0; c < 3; c++) at[c] = voxels[i] / step[c] % mask->size[c] - low[c];
    part->inside[(at[2] * part->size[1] + at[1]) * part->size[0] + at[0]] = 1;
  }
  return LC_OK;
}

static lc_status add_part(struct ct_annotation *annotation, size_t of, size_t number,
                          const uint32_t *voxels, size_t n, struct lc_error *err) {
  char name[sizeof annotation->marks->nodule_id];
  struct ct_mark *grown = realloc(annotation->marks, (annotation->n_marks + 1) * sizeof *grown);
  if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", annotation->path);
  annotation->marks = grown;
  const struct ct_mark *whole = &grown[of];
  struct ct_mark *part = &grown[annotation->n_marks++];
  *part = *whole;
  part->outlines = NULL;
  part->n_outlines = 0;
  part->region = NULL;
  snprintf(name, sizeof name, "%.40s part %zu", whole->nodule_id, number);
  memcpy(part->nodule_id, name, sizeof name);
  LC_TRY(lc_alloc(&part->region, 1, sizeof *part->region, err));
  *part->region = *whole->region;
  part->region->contours = NULL;
  part->region->n_contours = 0;
  return crop(&part->region->mask, &whole->region->mask, voxels, n, err);
}

/* Puts the parts behind the other marks, in the place of the whole. */
static lc_status split(struct ct_annotation *annotation, size_t of, bool *gone,
                       struct lc_error *err) {
  struct ct_grid_mask work = annotation->marks[of].region->mask;
  size_t voxels = work.size[0] * work.size[1] * work.size[2], parts = 0;
  size_t before = annotation->n_marks;
  const uint8_t *inside = work.inside;
  uint32_t *listed = NULL;
  work.inside = NULL;
  lc_status status = lc_alloc(&work.inside, voxels, 1, err);
  if (status == LC_OK) status = lc_alloc(&listed, voxels, sizeof *listed, err);
  if (status == LC_OK) memcpy(work.inside, inside, voxels);
  for (size_t start = 0; start < voxels && status == LC_OK && parts <= MOST_PARTS; start++)
    if (work.inside[start]) {
      size_t n = take_part(&work, start, listed);
      status = add_part(annotation, of, ++parts, listed, n, err);
    }
  free(work.inside);
  free(listed);
  if (parts > MOST_PARTS)
    lc_log(LC_LOG_WARNING, "%s: mark %s: over %d parts: it stays whole", annotation->path,
           annotation->marks[of].nodule_id, MOST_PARTS);
  *gone = status == LC_OK && parts > 1 && parts <= MOST_PARTS;
  if (*gone) {
    ct_mark_free(&annotation->marks[of]);
    annotation->n_marks--;
    memmove(&annotation->marks[of], &annotation->marks[of + 1],
            (annotation->n_marks - of) * sizeof *annotation->marks);
  } else {
    while (annotation->n_marks > before) ct_mark_free(&annotation->marks[--annotation->n_marks]);
  }
  return status;
}

lc_status ct_annotation_split(struct ct_annotation *annotation, struct lc_error *err) {
  size_t of = 0;
  for (size_t left = annotation->n_marks; left > 0; left--) {
    const struct ct_region *region = annotation->marks[of].region;
    bool gone = false;
    if (region && region->mask.inside) LC_TRY(split(annotation, of, &gone, err));
    of += !gone;
  }
  return LC_OK;
}
