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

/* By series, study and frame of reference, then in the order of reading, in which files are
 * merged. */
static int by_series(const void *a, const void *b) {
  const struct ct_annotation *x = a, *y = b;
  int order = strcmp(x->series_instance_uid, y->series_instance_uid);
  if (!order) order = strcmp(x->study_instance_uid, y->study_instance_uid);
  if (!order) order = strcmp(x->frame_of_reference_uid, y->frame_of_reference_uid);
  return order ? order : (x->order > y->order) - (x->order < y->order);
}

/* Whose series is still to be found. */
static bool unsettled(const struct ct_annotation *annotation) {
  return !*annotation->series_instance_uid && !*annotation->frame_of_reference_uid;
}

/* Whether they are of one series: a file that names it need not name its frame of reference. */
static bool belong_together(const struct ct_annotation *last, const struct ct_annotation *next) {
  return strcmp(last->series_instance_uid, next->series_instance_uid) == 0 &&
         strcmp(last->study_instance_uid, next->study_instance_uid) == 0 &&
         (strcmp(last->frame_of_reference_uid, next->frame_of_reference_uid) == 0 ||
          (last->series_instance_uid[0] && !last->frame_of_reference_uid[0]));
}

/* The mark that has the shape of a segment which another one only names; NULL: none. */
static struct ct_mark *find_segment(const struct ct_annotation_set *set,
                                    const struct ct_region *named) {
  for (size_t a = 0; a < set->n_annotations; a++)
    for (size_t m = 0; m < set->annotations[a].n_marks; m++) {
      struct ct_mark *mark = &set->annotations[a].marks[m];
      if (mark->region && mark->region->mask.inside && mark->region->segment == named->segment &&
          strcmp(mark->region->segmentation_uid, named->segmentation_uid) == 0)
        return mark;
    }
  return NULL;
}

/* What a report says of a segment goes to the segment. */
static void rate_segment(struct ct_mark *segment, const struct ct_mark *said) {
  memcpy(segment->rating, said->rating, sizeof segment->rating);
  segment->has_ratings = said->has_ratings;
  segment->faults = said->faults;
  if (said->reader[0]) memcpy(segment->reader, said->reader, sizeof segment->reader);
  memcpy(segment->nodule_id, said->nodule_id, sizeof segment->nodule_id);
}

/* What another reader says of a segment: a mark of the same shape. */
static lc_status copy_shape(struct ct_mark *mark, const struct ct_mark *segment,
                            struct lc_error *err) {
  const struct ct_grid_mask *from = &segment->region->mask;
  size_t n = from->size[0] * from->size[1] * from->size[2];
  uint8_t *inside;
  LC_TRY(lc_alloc(&inside, n, 1, err));
  memcpy(inside, from->inside, n);
  mark->region->mask = *from;
  mark->region->mask.inside = inside;
  return LC_OK;
}

static lc_status join_segments(struct ct_annotation_set *set, struct lc_error *err) {
  for (size_t a = 0; a < set->n_annotations; a++) {
    struct ct_annotation *annotation = &set->annotations[a];
    size_t kept = 0;
    for (size_t m = 0; m < annotation->n_marks; m++) {
      struct ct_mark *mark = &annotation->marks[m], *segment = NULL;
      const struct ct_region *region = mark->region;
      if (region && !region->mask.inside && region->n_contours == 0)
        segment = find_segment(set, region);
      if (segment && !segment->has_ratings) {
        rate_segment(segment, mark);
        ct_region_free(mark->region);
        mark->region = NULL; /* others are still looked for among the marks */
        continue;
      }
      if (segment) LC_TRY(copy_shape(mark, segment, err));
      annotation->marks[kept] = *mark;
      if (kept++ != m) memset(mark, 0, sizeof *mark);
    }
    annotation->n_marks = kept;
  }
  return LC_OK;
}

static lc_status merge(struct ct_annotation_set *set, struct lc_error *err) {
  size_t kept = 0, n_read = set->n_annotations;
  struct ct_annotation *all = set->annotations;
  for (size_t i = 0; i < n_read; i++) {
    struct ct_annotation *last = kept ? &all[kept - 1] : NULL;
    struct ct_annotation *next = &all[i];
    if (last && !unsettled(next) && belong_together(last, next)) {
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
  LC_TRY(join_segments(set, err));
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

/* How well an annotation fits a series, the more the better; 0: not at all. One that names the
 * series is of it, one of its study before others (anonymisers change UIDs of studies); then one
 * that names no series, then one of another series, of its frame of reference. */
static int fitness(const struct ct_annotation *annotation, const char *series_uid,
                   const char *study_uid, const char *frame_uid) {
  const char *frame = annotation->frame_of_reference_uid;
  bool same_study = strcmp(annotation->study_instance_uid, study_uid) == 0;
  bool same_frame = *frame && strcmp(frame, frame_uid) == 0;
  if (strcmp(annotation->series_instance_uid, series_uid) == 0 && *series_uid)
    return *frame && *frame_uid && !same_frame ? 0 : 5 + same_study;
  if (!same_frame) return 0;
  return (annotation->series_instance_uid[0] ? 1 : 3) + same_study;
}

struct ct_annotation *ct_annotation_set_find(const struct ct_annotation_set *set,
                                             const char *series_uid, const char *study_uid,
                                             const char *frame_uid) {
  struct ct_annotation *found = NULL;
  int best = 0;
  for (size_t i = 0; i < set->n_annotations; i++) {
    int fits = fitness(&set->annotations[i], series_uid, study_uid ? study_uid : "",
                       frame_uid ? frame_uid : "");
    if (fits <= best) continue;
    best = fits;
    found = &set->annotations[i];
  }
  return found;
}

const struct ct_annotation *ct_annotation_set_disagrees(const struct ct_annotation_set *set,
                                                        const struct ct_series *series) {
  for (size_t i = 0; i < set->n_annotations; i++) {
    const struct ct_annotation *annotation = &set->annotations[i];
    const char *frame = annotation->frame_of_reference_uid;
    if (strcmp(annotation->series_instance_uid, series->series_instance_uid) == 0 && *frame &&
        series->frame_of_reference_uid[0] && strcmp(frame, series->frame_of_reference_uid) != 0)
      return annotation;
  }
  return NULL;
}
