/* Reads all annotation files below some folders in parallel and merges those that name one
 * series. */
#include "ct_io/nodule/ct_annotation_set.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"
#include "ct_io/dicom_read/ct_files.h"

static bool same_outline(const struct ct_outline *a, const struct ct_outline *b) {
  return a->n_points == b->n_points && a->inclusion == b->inclusion &&
         strcmp(a->sop_instance_uid, b->sop_instance_uid) == 0 &&
         (a->n_points == 0 || memcmp(a->xy, b->xy, a->n_points * sizeof *a->xy) == 0);
}

static bool same_mark(const struct ct_mark *a, const struct ct_mark *b) {
  if (a->session != b->session || a->kind != b->kind || a->n_outlines != b->n_outlines ||
      memcmp(a->rating, b->rating, sizeof a->rating) != 0)
    return false;
  for (size_t i = 0; i < a->n_outlines; i++)
    if (!same_outline(&a->outlines[i], &b->outlines[i])) return false;
  return true;
}

static void free_outlines(struct ct_mark *mark) {
  for (size_t i = 0; i < mark->n_outlines; i++) free(mark->outlines[i].xy);
  free(mark->outlines);
  mark->outlines = NULL;
  mark->n_outlines = 0;
}

lc_status ct_annotation_merge(struct ct_annotation *into, struct ct_annotation *more,
                              size_t *n_repeated, struct lc_error *err) {
  size_t before = into->n_marks, added = 0, total = before + more->n_marks;
  struct ct_mark *grown = realloc(into->marks, (total ? total : 1) * sizeof *grown);
  if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", more->path);
  into->marks = grown;
  for (size_t m = 0; m < more->n_marks; m++) {
    struct ct_mark *mark = &more->marks[m];
    size_t i = 0;
    while (i < before && !same_mark(&into->marks[i], mark)) i++;
    if (i < before) {
      into->marks[i].faults |= CT_FAULT_REPEATED;
      free_outlines(mark);
      ++*n_repeated;
    } else {
      mark->session += into->n_sessions;
      into->marks[before + added++] = *mark;
    }
  }
  into->n_marks = before + added;
  if (added) into->n_sessions += more->n_sessions;
  more->n_marks = 0; /* outlines have moved or are gone */
  return LC_OK;
}

struct reading {
  struct ct_annotation *annotations;
  lc_status *status;
  struct lc_error *errors;
  char *const *paths;
  struct lc_progress *progress;
};

static void read_one(void *context, size_t i, int worker) {
  struct reading *reading = context;
  (void)worker;
  reading->status[i] =
      ct_annotation_read(&reading->annotations[i], reading->paths[i], &reading->errors[i]);
  lc_progress_step(reading->progress, 1);
}

static lc_status note_problem(struct ct_annotation_set *set, const char *message,
                              struct lc_error *err) {
  lc_log(LC_LOG_WARNING, "%s", message);
  char **grown = realloc(set->problems, (set->n_problems + 1) * sizeof *grown);
  if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "out of memory for %zu problems", set->n_problems);
  set->problems = grown;
  grown[set->n_problems] = strdup(message);
  if (!grown[set->n_problems]) LC_FAIL(err, LC_ERR_MEMORY, "out of memory");
  set->n_problems++;
  return LC_OK;
}

/* By series, then by path, so that merging goes in the order of names. */
static int by_series(const void *a, const void *b) {
  const struct ct_annotation *x = a, *y = b;
  int order = strcmp(x->series_instance_uid, y->series_instance_uid);
  return order ? order : strcmp(x->path, y->path);
}

static lc_status collect(struct ct_annotation_set *set, struct reading *reading, size_t n,
                         struct lc_error *err) {
  for (size_t i = 0; i < n; i++) {
    struct ct_annotation *annotation = &reading->annotations[i];
    if (reading->status[i] != LC_OK) {
      LC_TRY(note_problem(set, reading->errors[i].message, err));
    } else if (annotation->is_chest_xray) {
      set->n_chest_xrays++;
      ct_annotation_free(annotation);
    } else {
      set->annotations[set->n_annotations++] = *annotation;
      memset(annotation, 0, sizeof *annotation);
    }
  }
  set->n_ct_files = set->n_annotations;
  set->n_files = set->n_ct_files + set->n_chest_xrays;
  if (!set->annotations || set->n_annotations == 0) return LC_OK;
  qsort(set->annotations, set->n_annotations, sizeof *set->annotations, by_series);
  struct ct_annotation *all = set->annotations;
  size_t kept = 0, n_read = set->n_annotations;
  for (size_t i = 0; i < n_read; i++) {
    struct ct_annotation *last = kept ? &all[kept - 1] : NULL;
    struct ct_annotation *next = &all[i];
    if (last && strcmp(last->series_instance_uid, next->series_instance_uid) == 0) {
      LC_TRY(ct_annotation_merge(last, next, &set->n_repeated, err));
      lc_log(LC_LOG_INFO, "%s: names the series of %s: merged", next->path, last->path);
      ct_annotation_free(next);
    } else if (kept++ != i) {
      all[kept - 1] = *next;
      memset(next, 0, sizeof *next);
    }
  }
  set->n_annotations = kept;
  return LC_OK;
}

static lc_status read_all(struct ct_annotation_set *set, const struct ct_files *files,
                          struct lc_progress *progress, struct lc_error *err) {
  size_t n = files->count;
  struct reading reading = {.paths = files->paths, .progress = progress};
  lc_status status = lc_alloc(&reading.annotations, n, sizeof *reading.annotations, err);
  if (status == LC_OK) status = lc_alloc(&reading.status, n, sizeof *reading.status, err);
  if (status == LC_OK) status = lc_alloc(&reading.errors, n, sizeof *reading.errors, err);
  if (status == LC_OK) status = lc_alloc(&set->annotations, n, sizeof *set->annotations, err);
  if (status == LC_OK) {
    lc_parallel_for(n, read_one, &reading);
    status = collect(set, &reading, n, err);
    for (size_t i = 0; i < n; i++) ct_annotation_free(&reading.annotations[i]);
  }
  free(reading.annotations);
  free(reading.status);
  free(reading.errors);
  return status;
}

lc_status ct_annotation_set_scan(struct ct_annotation_set *set, const char *const *paths,
                                 size_t n_paths, struct lc_progress *progress,
                                 struct lc_error *err) {
  struct ct_files files = {0};
  lc_status status = LC_OK;
  memset(set, 0, sizeof *set);
  for (size_t i = 0; i < n_paths && status == LC_OK; i++)
    status = ct_files_walk(&files, paths[i], ".xml", err);
  if (status == LC_OK && files.count == 0)
    status = lc_fail(err, LC_ERR_NOT_FOUND, __FILE__, __LINE__, "%s: no XML file",
                     n_paths ? paths[0] : "(no path)");
  if (progress && status == LC_OK) {
    progress->total = files.count;
    progress->unit = "files";
  }
  if (status == LC_OK) status = read_all(set, &files, progress, err);
  if (status == LC_OK && set->n_files == 0)
    status = lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__, "%s%s", set->problems[0],
                     set->n_problems > 1 ? " (and others like it)" : "");
  ct_files_free(&files);
  if (status != LC_OK) ct_annotation_set_free(set);
  return status;
}

void ct_annotation_set_free(struct ct_annotation_set *set) {
  for (size_t i = 0; i < set->n_annotations; i++) ct_annotation_free(&set->annotations[i]);
  for (size_t i = 0; i < set->n_problems; i++) free(set->problems[i]);
  free(set->annotations);
  free(set->problems);
  memset(set, 0, sizeof *set);
}

struct ct_annotation *ct_annotation_set_find(const struct ct_annotation_set *set,
                                             const char *series_uid) {
  size_t low = 0, high = set->n_annotations;
  while (low < high) {
    size_t middle = (low + high) / 2;
    int order = strcmp(set->annotations[middle].series_instance_uid, series_uid);
    if (order == 0) return &set->annotations[middle];
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}
