/* Annotations apart from the files they come in: adding, merging and freeing them, and the words
 * for ratings and labels. */
#include "ct_io/nodule/ct_mark.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_text.h"
#include "ct_io/nodule/ct_place.h"

static bool same_outline(const struct ct_outline *a, const struct ct_outline *b) {
  return a->n_points == b->n_points && a->inclusion == b->inclusion &&
         strcmp(a->sop_instance_uid, b->sop_instance_uid) == 0 &&
         (a->n_points == 0 || memcmp(a->xy, b->xy, a->n_points * sizeof *a->xy) == 0);
}

static bool same_mark(const struct ct_mark *a, const struct ct_mark *b) {
  if (a->session != b->session || a->kind != b->kind || a->n_outlines != b->n_outlines ||
      memcmp(a->rating, b->rating, sizeof a->rating) != 0)
    return false;
  if (a->region || b->region) return ct_region_same(a->region, b->region);
  for (size_t i = 0; i < a->n_outlines; i++)
    if (!same_outline(&a->outlines[i], &b->outlines[i])) return false;
  return true;
}

void ct_mark_clear_outlines(struct ct_mark *mark) {
  for (size_t i = 0; i < mark->n_outlines; i++) free(mark->outlines[i].xy);
  free(mark->outlines);
  mark->outlines = NULL;
  mark->n_outlines = 0;
}

void ct_mark_free(struct ct_mark *mark) {
  ct_mark_clear_outlines(mark);
  ct_region_free(mark->region);
}

static lc_status merge_marks(struct ct_annotation *into, struct ct_annotation *more,
                             size_t *n_repeated, struct lc_error *err) {
  size_t before = into->n_marks, added = 0, total = before + more->n_marks;
  /* One file's annotations with and without a frame of reference share its sessions. */
  int first_session = strcmp(into->path, more->path) == 0 ? 0 : into->n_sessions;
  struct ct_mark *grown = realloc(into->marks, (total ? total : 1) * sizeof *grown);
  if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", more->path);
  into->marks = grown;
  for (size_t m = 0; m < more->n_marks; m++) {
    struct ct_mark *mark = &more->marks[m];
    size_t i = 0;
    while (i < before && !same_mark(&into->marks[i], mark)) i++;
    if (i < before) {
      into->marks[i].faults |= CT_FAULT_REPEATED;
      ct_mark_free(mark);
      ++*n_repeated;
    } else {
      mark->session += first_session;
      into->marks[before + added++] = *mark;
    }
  }
  into->n_marks = before + added;
  if (added && into->n_sessions < first_session + more->n_sessions)
    into->n_sessions = first_session + more->n_sessions;
  more->n_marks = 0; /* outlines have moved or are gone */
  return LC_OK;
}

static bool same_point(const struct ct_point *a, const struct ct_point *b) {
  return a->centre_mm[0] == b->centre_mm[0] && a->centre_mm[1] == b->centre_mm[1] &&
         a->centre_mm[2] == b->centre_mm[2] && a->diameter_mm == b->diameter_mm &&
         strcmp(a->sop_instance_uid, b->sop_instance_uid) == 0 && a->pixel[0] == b->pixel[0] &&
         a->pixel[1] == b->pixel[1];
}

/* Points keep the file that names them: own is that of `more`, further are those it has merged. */
static lc_status merge_points(struct ct_annotation *into, const struct ct_annotation *more,
                              const char *own, char *const *further, size_t *n_repeated,
                              struct lc_error *err) {
  size_t before = into->n_points;
  for (size_t p = 0; p < more->n_points; p++) {
    struct ct_point point = more->points[p];
    const char *path = own;
    size_t i = 0;
    for (size_t f = 0; f < more->also.count; f++)
      if (point.path == more->also.paths[f]) path = further[f];
    point.path = path;
    while (i < before && !same_point(&into->points[i], &point)) i++;
    if (i < before)
      ++*n_repeated;
    else
      LC_TRY(ct_annotation_add_point(into, &point, err));
  }
  return LC_OK;
}

static void merge_kinds(struct ct_annotation *into, const struct ct_annotation *more) {
  size_t used = strlen(into->kinds);
  if (!strstr(into->kinds, more->kinds))
    snprintf(into->kinds + used, sizeof into->kinds - used, "%s%s", used ? ", " : "", more->kinds);
}

lc_status ct_annotation_merge(struct ct_annotation *into, struct ct_annotation *more,
                              size_t *n_repeated, struct lc_error *err) {
  size_t first = into->also.count;
  bool one_file = strcmp(into->path, more->path) == 0;
  if (!one_file) LC_TRY(ct_files_add(&into->also, more->path, err));
  for (size_t i = 0; i < more->also.count; i++)
    LC_TRY(ct_files_add(&into->also, more->also.paths[i], err));
  const char *own = one_file ? into->path : into->also.paths[first];
  merge_kinds(into, more);
  into->n_unreadable += more->n_unreadable;
  if (!into->frame_of_reference_uid[0])
    memcpy(into->frame_of_reference_uid, more->frame_of_reference_uid, CT_UID_SIZE);
  LC_TRY(merge_marks(into, more, n_repeated, err));
  return merge_points(into, more, own, into->also.paths + first + !one_file, n_repeated, err);
}

lc_status ct_annotation_add_point(struct ct_annotation *annotation, const struct ct_point *point,
                                  struct lc_error *err) {
  size_t n = annotation->n_points;
  if ((n & (n - 1)) == 0) { /* full at every power of two */
    struct ct_point *grown = realloc(annotation->points, (n ? 2 * n : 1) * sizeof *grown);
    if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", annotation->path);
    annotation->points = grown;
  }
  annotation->points[annotation->n_points++] = *point;
  return LC_OK;
}

lc_status ct_annotations_add(struct ct_annotations *list, struct ct_annotation **added,
                             struct lc_error *err) {
  struct ct_annotation *grown = realloc(list->items, (list->n + 1) * sizeof *grown);
  if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "out of memory for %zu annotations", list->n + 1);
  list->items = grown;
  *added = &grown[list->n++];
  memset(*added, 0, sizeof **added);
  return LC_OK;
}

lc_status ct_annotations_of_series(struct ct_annotations *list, const char *uid, const char *path,
                                   struct ct_annotation **annotation, struct lc_error *err) {
  for (size_t i = list->n; i-- > 0;)
    if (strcmp(list->items[i].series_instance_uid, uid) == 0) {
      *annotation = &list->items[i];
      return LC_OK;
    }
  LC_TRY(ct_annotations_add(list, annotation, err));
  lc_text_copy((*annotation)->series_instance_uid, CT_UID_SIZE, uid);
  (*annotation)->path = strdup(path);
  if (!(*annotation)->path) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  return LC_OK;
}

void ct_annotations_free(struct ct_annotations *list) {
  for (size_t i = 0; i < list->n; i++) ct_annotation_free(&list->items[i]);
  free(list->items);
  memset(list, 0, sizeof *list);
}

void ct_annotation_free(struct ct_annotation *annotation) {
  for (size_t m = 0; m < annotation->n_marks; m++) ct_mark_free(&annotation->marks[m]);
  free(annotation->marks);
  free(annotation->points);
  ct_files_free(&annotation->also);
  free(annotation->path);
  memset(annotation, 0, sizeof *annotation);
}

const char *ct_rating_name(ct_rating rating) {
  static const char *const names[CT_RATING_COUNT] = {
      "subtlety",   "internalStructure", "calcification", "sphericity", "margin",
      "lobulation", "spiculation",       "texture",       "malignancy"};
  return names[rating];
}

ct_label ct_label_of(double malignancy) {
  if (isnan(malignancy)) return CT_LABEL_UNRATED;
  return malignancy > 3   ? CT_LABEL_MALIGNANT
         : malignancy < 3 ? CT_LABEL_BENIGN
                          : CT_LABEL_INDETERMINATE;
}

const char *ct_label_name(ct_label label) {
  static const char *const names[] = {"unrated", "indeterminate", "benign", "malignant"};
  return names[label - CT_LABEL_UNRATED];
}
