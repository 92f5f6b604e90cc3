/* Shapes: freed and compared. */
#include "ct_io/nodule/ct_region.h"

#include <stdlib.h>
#include <string.h>

void ct_region_free(struct ct_region *region) {
  if (!region) return;
  for (size_t i = 0; i < region->n_contours; i++) free(region->contours[i].mm);
  free(region->contours);
  free(region->mask.inside);
  free(region);
}

static bool same_numbers(const double *a, const double *b, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (a[i] != b[i]) return false;
  return true;
}

static bool same_contour(const struct ct_contour *a, const struct ct_contour *b) {
  if (a->n_points != b->n_points || a->in_pixels != b->in_pixels ||
      strcmp(a->sop_instance_uid, b->sop_instance_uid) != 0)
    return false;
  for (size_t i = 0; i < a->n_points; i++)
    if (!same_numbers(a->mm[i], b->mm[i], 3)) return false;
  return true;
}

static bool same_mask(const struct ct_grid_mask *a, const struct ct_grid_mask *b) {
  if (!a->inside || !b->inside) return a->inside == b->inside;
  return same_numbers(a->origin_mm, b->origin_mm, 3) &&
         same_numbers(a->step_mm[0], b->step_mm[0], 3) &&
         same_numbers(a->step_mm[1], b->step_mm[1], 3) &&
         same_numbers(a->step_mm[2], b->step_mm[2], 3) &&
         memcmp(a->size, b->size, sizeof a->size) == 0 &&
         memcmp(a->inside, b->inside, a->size[0] * a->size[1] * a->size[2]) == 0;
}

bool ct_region_same(const struct ct_region *a, const struct ct_region *b) {
  if (!a || !b) return a == b;
  if (a->n_contours != b->n_contours || a->segment != b->segment ||
      strcmp(a->segmentation_uid, b->segmentation_uid) != 0 ||
      strcmp(a->tracking_uid, b->tracking_uid) != 0 || a->has_probability != b->has_probability ||
      (a->has_probability && a->probability != b->probability) || !same_mask(&a->mask, &b->mask))
    return false;
  for (size_t i = 0; i < a->n_contours; i++)
    if (!same_contour(&a->contours[i], &b->contours[i])) return false;
  return true;
}
