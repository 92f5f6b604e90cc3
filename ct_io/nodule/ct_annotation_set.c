/* Reads all annotation files below some folders in parallel, each by the source it is of, and
 * merges what names one series. */
#include "ct_io/nodule/ct_annotation_set.h"

#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_parallel.h"
#include "common/lc_text.h"
#include "ct_io/nodule/ct_settle.h"

enum { FEW_FILES = 8 };

/* One file on its way. */
struct reading {
  const char *path;
  size_t order;
  const struct ct_nodule_source *source;
  struct ct_annotations found;
  lc_status status;
  struct lc_error why;
};

struct all {
  struct reading *files;
  struct lc_progress *progress;
};

static void read_one(void *context, size_t i, int worker) {
  const struct all *all = context;
  struct reading *file = &all->files[i];
  (void)worker;
  file->status = ct_nodule_source_of(&file->source, file->path, &file->why);
  if (file->status == LC_OK)
    file->status = file->source->read(&file->found, file->path, &file->why);
  lc_progress_step(all->progress, 1);
}

lc_status ct_annotation_set_note(struct ct_annotation_set *set, lc_status status,
                                 const char *message, struct lc_error *err) {
  lc_log(LC_LOG_WARNING, "%s", message);
  if (set->problems.count == 0) set->first_problem = status;
  return ct_files_add(&set->problems, message, err);
}

static int by_uids(const struct ct_annotation *a, const struct ct_annotation *b) {
  int order = strcmp(a->series_instance_uid, b->series_instance_uid);
  return order ? order : strcmp(a->frame_of_reference_uid, b->frame_of_reference_uid);
}

/* By series and study, then in the order of reading, in which files are merged. */
static int by_series(const void *a, const void *b) {
  const struct ct_annotation *x = a, *y = b;
  int order = by_uids(x, y);
  if (!order) order = strcmp(x->study_instance_uid, y->study_instance_uid);
  return order ? order : (x->order > y->order) - (x->order < y->order);
}

/* Whose series is still to be found. */
static bool unsettled(const struct ct_annotation *annotation) {
  return !*annotation->series_instance_uid && !*annotation->frame_of_reference_uid;
}

static lc_status merge(struct ct_annotation_set *set, struct lc_error *err) {
  size_t kept = 0, n_read = set->n_annotations;
  struct ct_annotation *all = set->annotations;
  for (size_t i = 0; i < n_read; i++) {
    struct ct_annotation *last = kept ? &all[kept - 1] : NULL;
    struct ct_annotation *next = &all[i];
    if (last && !unsettled(next) && by_uids(last, next) == 0 &&
        strcmp(last->study_instance_uid, next->study_instance_uid) == 0) {
      size_t before = set->n_repeated;
      LC_TRY(ct_annotation_merge(last, next, &set->n_repeated, err));
      lc_log(LC_LOG_INFO, "%s: names the same series as %s: merged, %zu marks repeated", next->path,
             last->path, set->n_repeated - before);
      ct_annotation_free(next);
    } else if (kept++ != i) {
      all[kept - 1] = *next;
      memset(next, 0, sizeof *next);
    }
  }
  set->n_annotations = kept;
  return LC_OK;
}

lc_status ct_annotation_set_merge(struct ct_annotation_set *set, struct lc_error *err) {
  if (set->n_annotations)
    qsort(set->annotations, set->n_annotations, sizeof *set->annotations, by_series);
  return merge(set, err);
}

/* Moves what one file holds into the set. */
static lc_status take(struct ct_annotation_set *set, struct reading *file, struct lc_error *err) {
  if (file->status == LC_ERR_MEMORY) LC_FAIL(err, file->status, "%s", file->why.message);
  if (file->status != LC_OK)
    return ct_annotation_set_note(set, file->status, file->why.message, err);
  bool chest_xray = file->found.n > 0;
  for (size_t i = 0; i < file->found.n; i++) {
    struct ct_annotation *annotation = &file->found.items[i];
    if (annotation->is_chest_xray) continue;
    chest_xray = false;
    annotation->source = file->source;
    annotation->order = file->order;
    lc_text_copy(annotation->kinds, sizeof annotation->kinds, file->source->title);
    set->annotations[set->n_annotations++] = *annotation;
    memset(annotation, 0, sizeof *annotation);
  }
  set->n_files++;
  if (chest_xray)
    set->n_chest_xrays++;
  else
    set->n_ct_files++;
  return LC_OK;
}

static lc_status collect(struct ct_annotation_set *set, struct reading *files, size_t n,
                         struct lc_error *err) {
  size_t most = 0;
  for (size_t i = 0; i < n; i++) most += files[i].found.n;
  LC_TRY(lc_alloc(&set->annotations, most ? most : 1, sizeof *set->annotations, err));
  for (size_t i = 0; i < n; i++) LC_TRY(take(set, &files[i], err));
  return ct_annotation_set_merge(set, err);
}

/* One line a file, or of many files one line a kind. */
static void say_kinds(const struct reading *files, size_t n) {
  size_t n_kinds;
  const struct ct_nodule_source *const *kinds = ct_nodule_sources(&n_kinds);
  for (size_t i = 0; i < n && n <= FEW_FILES; i++)
    if (files[i].source)
      lc_log(LC_LOG_INFO, "%s: read as %s", files[i].path, files[i].source->title);
  for (size_t k = 0; k < n_kinds && n > FEW_FILES; k++) {
    size_t of_kind = 0;
    for (size_t i = 0; i < n; i++) of_kind += files[i].source == kinds[k];
    if (of_kind > 0) lc_log(LC_LOG_INFO, "%zu files read as %s", of_kind, kinds[k]->title);
  }
}

lc_status ct_annotation_set_read(struct ct_annotation_set *set, const struct ct_files *files,
                                 struct lc_progress *progress, struct lc_error *err) {
  size_t n = files->count;
  struct all all = {.progress = progress};
  memset(set, 0, sizeof *set);
  LC_TRY(lc_alloc(&all.files, n ? n : 1, sizeof *all.files, err));
  for (size_t i = 0; i < n; i++) all.files[i].path = files->paths[i], all.files[i].order = i;
  lc_parallel_for(n, read_one, &all);
  say_kinds(all.files, n);
  lc_status status = collect(set, all.files, n, err);
  for (size_t i = 0; i < n; i++) ct_annotations_free(&all.files[i].found);
  free(all.files);
  if (status != LC_OK) ct_annotation_set_free(set);
  return status;
}

lc_status ct_annotation_set_scan(struct ct_annotation_set *set, const char *const *paths,
                                 size_t n_paths, struct lc_progress *progress,
                                 struct lc_error *err) {
  struct ct_files files = {0}, lost = {0};
  char titles[CT_TITLES_SIZE];
  lc_status status = LC_OK;
  memset(set, 0, sizeof *set);
  for (size_t i = 0; i < n_paths && status == LC_OK; i++)
    status = ct_files_walk(&files, paths[i], ct_nodule_source_wants, &lost, err);
  if (status == LC_OK && files.count == 0)
    status = lc_fail(err, LC_ERR_NOT_FOUND, __FILE__, __LINE__, "%s: no file of nodules (%s)",
                     n_paths ? paths[0] : "(no path)", ct_nodule_source_titles(titles, false));
  if (progress && status == LC_OK) {
    progress->total = files.count;
    progress->unit = "files";
  }
  if (status == LC_OK) status = ct_annotation_set_read(set, &files, progress, err);
  for (size_t i = 1; i < lost.count && status == LC_OK; i += 2) {
    lc_log(LC_LOG_WARNING, "%s", lost.paths[i]);
    if (set->problems.count == 0) set->first_problem = LC_ERR_NOT_FOUND;
    status = ct_files_add(&set->problems, lost.paths[i], err);
  }
  if (status == LC_OK && set->n_files == 0) status = ct_annotation_set_fail(set, err);
  ct_files_free(&files);
  ct_files_free(&lost);
  if (status != LC_OK) ct_annotation_set_free(set);
  return status;
}

void ct_annotation_set_free(struct ct_annotation_set *set) {
  for (size_t i = 0; i < set->n_annotations; i++) ct_annotation_free(&set->annotations[i]);
  free(set->annotations);
  ct_files_free(&set->problems);
  memset(set, 0, sizeof *set);
}

lc_status ct_annotation_set_fail(const struct ct_annotation_set *set, struct lc_error *err) {
  LC_FAIL(err, set->first_problem, "%s%s", set->problems.paths[0],
          set->problems.count > 1 ? " (and others like it)" : "");
}

static int to_key(const void *key, const void *element) {
  return by_uids(key, element);
}

/* Of several studies that share the series' UID the one asked for, else one of no study, else the
 * first: anonymisers change UIDs of studies. */
static struct ct_annotation *find(const struct ct_annotation_set *set,
                                  const struct ct_annotation *key) {
  struct ct_annotation *end = set->annotations + set->n_annotations, *first, *one;
  first = bsearch(key, set->annotations, set->n_annotations, sizeof *key, to_key);
  if (!first) return NULL;
  while (first > set->annotations && by_uids(first - 1, key) == 0) first--;
  for (one = first; one < end && by_uids(one, key) == 0; one++)
    if (strcmp(one->study_instance_uid, key->study_instance_uid) == 0) return one;
  return first; /* "" is the lowest */
}

struct ct_annotation *ct_annotation_set_find(const struct ct_annotation_set *set,
                                             const char *series_uid, const char *study_uid,
                                             const char *frame_uid) {
  struct ct_annotation key = {0}, *found = NULL;
  if (set->n_annotations == 0) return NULL;
  lc_text_copy(key.series_instance_uid, sizeof key.series_instance_uid, series_uid);
  lc_text_copy(key.study_instance_uid, sizeof key.study_instance_uid, study_uid ? study_uid : "");
  found = find(set, &key);
  if (found || !frame_uid || !*frame_uid) return found;
  key.series_instance_uid[0] = '\0';
  lc_text_copy(key.frame_of_reference_uid, sizeof key.frame_of_reference_uid, frame_uid);
  return find(set, &key);
}
