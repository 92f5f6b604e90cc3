/* Puts annotations into messages, and checks those that come out. */
#include "ct_io/nodule/ct_mark_wire.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"

static void put_outline(struct lc_wire *answer, const struct ct_outline *outline) {
  lc_wire_put_text(answer, outline->sop_instance_uid);
  lc_wire_put(answer, &outline->z_mm, sizeof outline->z_mm);
  lc_wire_put_number(answer, outline->inclusion);
  lc_wire_put_number(answer, outline->n_points);
  lc_wire_put(answer, outline->xy, outline->n_points * sizeof *outline->xy);
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
  return LC_OK;
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
