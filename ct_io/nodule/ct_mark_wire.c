/* Puts annotations into messages, and checks those that come out. */
#include "ct_io/nodule/ct_mark_wire.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"

/* No place is farther from the origin of a patient, in millimetres or pixels. */
static const double farthest = 1e6;

static void put_outline(struct lc_wire *answer, const struct ct_outline *outline) {
  lc_wire_put_text(answer, outline->sop_instance_uid);
  lc_wire_put(answer, &outline->z_mm, sizeof outline->z_mm);
  lc_wire_put_number(answer, outline->inclusion);
  lc_wire_put_number(answer, outline->n_points);
  lc_wire_put(answer, outline->xy, outline->n_points * sizeof *outline->xy);
}

static void put_region(struct lc_wire *answer, const struct ct_region *region) {
  lc_wire_put_number(answer, region != NULL);
  if (!region) return;
  lc_wire_put_text(answer, region->segmentation_uid);
  lc_wire_put_number(answer, (uint64_t)region->segment);
  lc_wire_put_text(answer, region->tracking_uid);
  lc_wire_put_number(answer, region->has_probability);
  lc_wire_put(answer, &region->probability, sizeof region->probability);
  lc_wire_put_number(answer, region->n_contours);
  for (size_t i = 0; i < region->n_contours; i++) {
    const struct ct_contour *contour = &region->contours[i];
    lc_wire_put_text(answer, contour->sop_instance_uid);
    lc_wire_put_number(answer, contour->in_pixels);
    lc_wire_put_number(answer, contour->n_points);
    lc_wire_put(answer, contour->mm, contour->n_points * sizeof *contour->mm);
  }
  const struct ct_grid_mask *mask = &region->mask;
  lc_wire_put_number(answer, mask->inside != NULL);
  if (!mask->inside) return;
  lc_wire_put(answer, mask->origin_mm, sizeof mask->origin_mm);
  lc_wire_put(answer, mask->step_mm, sizeof mask->step_mm);
  for (int c = 0; c < 3; c++) lc_wire_put_number(answer, mask->size[c]);
  lc_wire_put(answer, mask->inside, mask->size[0] * mask->size[1] * mask->size[2]);
}

static void put_point(struct lc_wire *answer, const struct ct_point *point) {
  lc_wire_put(answer, point->centre_mm, sizeof point->centre_mm);
  lc_wire_put(answer, &point->diameter_mm, sizeof point->diameter_mm);
  lc_wire_put_number(answer, point->line);
  lc_wire_put(answer, &point->probability, sizeof point->probability);
  lc_wire_put_text(answer, point->name);
  lc_wire_put_text(answer, point->sop_instance_uid);
  lc_wire_put(answer, point->pixel, sizeof point->pixel);
}

static void put_mark(struct lc_wire *answer, const struct ct_mark *mark) {
  lc_wire_put_number(answer, (uint64_t)mark->kind);
  lc_wire_put_number(answer, (uint64_t)mark->session);
  lc_wire_put_text(answer, mark->reader);
  lc_wire_put_text(answer, mark->nodule_id);
  for (int i = 0; i < CT_RATING_COUNT; i++) lc_wire_put_number(answer, (uint64_t)mark->rating[i]);
  lc_wire_put_number(answer, mark->has_ratings);
  lc_wire_put_number(answer, mark->faults);
  lc_wire_put_number(answer, mark->n_outlines);
  for (size_t i = 0; i < mark->n_outlines; i++) put_outline(answer, &mark->outlines[i]);
  put_region(answer, mark->region);
}

void ct_annotation_put(struct lc_wire *answer, const struct ct_annotation *annotation) {
  lc_wire_put_number(answer, annotation->is_chest_xray);
  lc_wire_put_text(answer, annotation->series_instance_uid);
  lc_wire_put_text(answer, annotation->frame_of_reference_uid);
  lc_wire_put_text(answer, annotation->study_instance_uid);
  lc_wire_put_number(answer, (uint64_t)annotation->n_sessions);
  lc_wire_put_number(answer, annotation->n_unreadable);
  lc_wire_put_number(answer, annotation->n_marks);
  for (size_t i = 0; i < annotation->n_marks; i++) put_mark(answer, &annotation->marks[i]);
  lc_wire_put_number(answer, annotation->n_points);
  for (size_t i = 0; i < annotation->n_points; i++) put_point(answer, &annotation->points[i]);
}

/* Room for n things of which each takes `least` bytes of the message; NULL for none of them. */
static lc_status room_for(struct lc_wire *answer, uint64_t n, size_t least, size_t size, void *out,
                          struct lc_error *err) {
  if (!lc_wire_holds(answer, n, least)) answer->bad = true;
  return answer->bad || n == 0 ? LC_OK : lc_alloc(out, n, size, err);
}

static lc_status get_outline(struct lc_wire *answer, struct ct_outline *outline,
                             struct lc_error *err) {
  lc_wire_get_text(answer, outline->sop_instance_uid, sizeof outline->sop_instance_uid);
  lc_wire_get(answer, &outline->z_mm, sizeof outline->z_mm);
  outline->inclusion = lc_wire_get_number(answer, 1) != 0;
  uint64_t n = lc_wire_get_number(answer, SIZE_MAX);
  if (!isfinite(outline->z_mm)) answer->bad = true;
  LC_TRY(room_for(answer, n, sizeof *outline->xy, sizeof *outline->xy, &outline->xy, err));
  if (answer->bad) return LC_OK;
  outline->n_points = n;
  lc_wire_get(answer, outline->xy, n * sizeof *outline->xy);
  for (size_t i = 0; i < n; i++)
    for (int c = 0; c < 2; c++)
      if (outline->xy[i][c] < 0 || outline->xy[i][c] > CT_MAX_COORDINATE) answer->bad = true;
  return LC_OK;
}

/* Numbers that must be such, and no farther away than places in a patient are. */
static void get_places(struct lc_wire *answer, double *values, size_t n) {
  lc_wire_get(answer, values, n * sizeof *values);
  for (size_t i = 0; i < n; i++)
    if (!(fabs(values[i]) <= farthest)) answer->bad = true;
}

static lc_status get_contour(struct lc_wire *answer, struct ct_contour *contour,
                             struct lc_error *err) {
  lc_wire_get_text(answer, contour->sop_instance_uid, sizeof contour->sop_instance_uid);
  contour->in_pixels = lc_wire_get_number(answer, 1) != 0;
  uint64_t n = lc_wire_get_number(answer, CT_MOST_CONTOUR_POINTS);
  LC_TRY(room_for(answer, n, sizeof *contour->mm, sizeof *contour->mm, &contour->mm, err));
  if (answer->bad) return LC_OK;
  contour->n_points = n;
  if (n == 0) answer->bad = true;
  for (size_t i = 0; i < n; i++) get_places(answer, contour->mm[i], 3);
  return LC_OK;
}

static lc_status get_mask(struct lc_wire *answer, struct ct_grid_mask *mask, struct lc_error *err) {
  uint64_t n = 1;
  get_places(answer, mask->origin_mm, 3);
  for (int axis = 0; axis < 3; axis++) get_places(answer, mask->step_mm[axis], 3);
  for (int c = 0; c < 3; c++) {
    mask->size[c] = (size_t)lc_wire_get_number(answer, CT_MOST_MASK_VOXELS);
    if (mask->size[c] == 0 || mask->size[c] > CT_MOST_MASK_VOXELS / n) answer->bad = true;
    if (answer->bad) return LC_OK;
    n *= mask->size[c];
  }
  LC_TRY(room_for(answer, n, 1, 1, &mask->inside, err));
  if (answer->bad) return LC_OK;
  lc_wire_get(answer, mask->inside, n);
  return LC_OK;
}

static lc_status get_region(struct lc_wire *answer, struct ct_region **out, struct lc_error *err) {
  if (!lc_wire_get_number(answer, 1)) return LC_OK;
  LC_TRY(lc_alloc(out, 1, sizeof **out, err));
  struct ct_region *region = *out;
  lc_wire_get_text(answer, region->segmentation_uid, sizeof region->segmentation_uid);
  region->segment = (int)lc_wire_get_number(answer, INT32_MAX);
  lc_wire_get_text(answer, region->tracking_uid, sizeof region->tracking_uid);
  region->has_probability = lc_wire_get_number(answer, 1) != 0;
  lc_wire_get(answer, &region->probability, sizeof region->probability);
  if (region->has_probability && !(region->probability >= 0 && region->probability <= 1))
    answer->bad = true;
  uint64_t n = lc_wire_get_number(answer, CT_MOST_CONTOUR_POINTS);
  LC_TRY(room_for(answer, n, 3 * sizeof n, sizeof *region->contours, &region->contours, err));
  for (size_t i = 0; i < n && !answer->bad; i++) {
    region->n_contours++;
    LC_TRY(get_contour(answer, &region->contours[i], err));
  }
  return lc_wire_get_number(answer, 1) ? get_mask(answer, &region->mask, err) : LC_OK;
}

static void get_point(struct lc_wire *answer, struct ct_point *point) {
  get_places(answer, point->centre_mm, 3);
  get_places(answer, &point->diameter_mm, 1);
  point->line = (size_t)lc_wire_get_number(answer, SIZE_MAX);
  lc_wire_get(answer, &point->probability, sizeof point->probability);
  lc_wire_get_text(answer, point->name, sizeof point->name);
  lc_wire_get_text(answer, point->sop_instance_uid, sizeof point->sop_instance_uid);
  get_places(answer, point->pixel, 2);
  if (point->diameter_mm < 0 || point->line == 0 || point->probability < 0 ||
      point->probability > 1)
    answer->bad = true;
}

static lc_status get_mark(struct lc_wire *answer, struct ct_mark *mark, int n_sessions,
                          struct lc_error *err) {
  mark->kind = (ct_mark_kind)lc_wire_get_number(answer, CT_MARK_NON_NODULE);
  mark->session = (int)lc_wire_get_number(answer, INT32_MAX);
  lc_wire_get_text(answer, mark->reader, sizeof mark->reader);
  lc_wire_get_text(answer, mark->nodule_id, sizeof mark->nodule_id);
  for (int i = 0; i < CT_RATING_COUNT; i++)
    mark->rating[i] = (int)lc_wire_get_number(answer, CT_MAX_RATING);
  mark->has_ratings = lc_wire_get_number(answer, 1) != 0;
  mark->faults = (unsigned)lc_wire_get_number(answer, 2 * CT_FAULT_SLICE_DISAGREES - 1);
  uint64_t n = lc_wire_get_number(answer, SIZE_MAX);
  if (mark->session >= n_sessions) answer->bad = true;
  LC_TRY(room_for(answer, n, 4 * sizeof n, sizeof *mark->outlines, &mark->outlines, err));
  for (size_t i = 0; i < n && !answer->bad; i++) {
    mark->n_outlines++;
    LC_TRY(get_outline(answer, &mark->outlines[i], err));
  }
  return get_region(answer, &mark->region, err);
}

static lc_status get_marks(struct lc_wire *answer, struct ct_annotation *annotation,
                           struct lc_error *err) {
  annotation->is_chest_xray = lc_wire_get_number(answer, 1) != 0;
  lc_wire_get_text(answer, annotation->series_instance_uid, CT_UID_SIZE);
  lc_wire_get_text(answer, annotation->frame_of_reference_uid, CT_UID_SIZE);
  lc_wire_get_text(answer, annotation->study_instance_uid, CT_UID_SIZE);
  annotation->n_sessions = (int)lc_wire_get_number(answer, INT32_MAX);
  annotation->n_unreadable = (size_t)lc_wire_get_number(answer, SIZE_MAX);
  uint64_t n = lc_wire_get_number(answer, SIZE_MAX);
  LC_TRY(room_for(answer, n, CT_RATING_COUNT * sizeof n, sizeof *annotation->marks,
                  &annotation->marks, err));
  for (size_t i = 0; i < n && !answer->bad; i++) {
    annotation->n_marks++;
    LC_TRY(get_mark(answer, &annotation->marks[i], annotation->n_sessions, err));
  }
  n = lc_wire_get_number(answer, SIZE_MAX);
  if (!lc_wire_holds(answer, n, 8 * sizeof(double))) answer->bad = true;
  for (size_t i = 0; i < n && !answer->bad; i++) {
    struct ct_point point = {0};
    get_point(answer, &point);
    LC_TRY(ct_annotation_add_point(annotation, &point, err));
  }
  return LC_OK;
}

lc_status ct_annotation_get(struct lc_wire *answer, struct ct_annotation *annotation,
                            const char *path, struct lc_error *err) {
  annotation->path = strdup(path);
  lc_status status = get_marks(answer, annotation, err);
  if (status == LC_OK && answer->bad) status = lc_helper_nonsense(path, err);
  if (status == LC_OK && !annotation->path)
    status = lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "%s: out of memory", path);
  if (status != LC_OK) ct_annotation_free(annotation);
  return status;
}
