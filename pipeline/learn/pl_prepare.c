/* Makes or keeps the part of each series and joins the parts into one data set with folds. */
#include "pipeline/learn/pl_prepare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_hash.h"
#include "common/lc_log.h"
#include "common/lc_text.h"
#include "pipeline/learn/pl_part.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/store/pl_h5.h"
#include "pipeline/store/pl_output.h"

void pl_dataset_rules_text(char out[512], const struct pl_dataset_rules *how) {
  snprintf(out, 512,
           "edge: %zu\nspacing_mm: %.17g\nconsensus_level: %.17g\nmin_readers: %d\ngrouping: %s\n"
           "tolerance: %.17g\nnodules: %s\ninterpolation: linear\n",
           how->edge, how->spacing_mm, how->level, how->min_readers,
           how->grouping.in_millimetres ? "millimetres" : "voxels (pylidc)",
           how->grouping.tolerance_mm, how->points ? "points" : "annotations");
}

/* One series to be prepared. */
struct task {
  const struct ct_series *series;
  const struct ct_annotation *annotation;
  char part[LC_PATH_SIZE]; /* "" until it exists */
};

struct work {
  const struct pl_survey *survey;
  const struct pl_dataset_rules *how;
  char folder[LC_PATH_SIZE];
  struct task *tasks;
  size_t n_tasks;
  struct lc_text left_out;
  struct pl_prepare_counts *done;
};

static lc_status parts_folder(char out[LC_PATH_SIZE], const char *path, struct lc_error *err) {
  if (snprintf(out, LC_PATH_SIZE, "%s.parts", path) >= LC_PATH_SIZE)
    LC_FAIL(err, LC_ERR_USAGE, "%s: path too long", path);
  return LC_OK;
}

lc_status pl_prepare_forget(const char *path, struct lc_error *err) {
  char folder[LC_PATH_SIZE];
  LC_TRY(parts_folder(folder, path, err));
  return lc_folder_remove(folder, err);
}

/* Whether the list of series, if there is one, names this one; `part`: names one of its parts. */
static bool wanted(const struct pl_dataset_rules *how, const struct ct_series *series, bool part) {
  for (size_t i = 0; i < how->n_only; i++)
    if (part == (strchr(how->only[i], ':') != NULL) && ct_index_is_named(series, how->only[i]))
      return true;
  return how->only == NULL && !part;
}

static void add_task(struct work *work, const struct ct_series *series,
                     const struct ct_annotation *annotation) {
  work->tasks[work->n_tasks++] = (struct task){.series = series, .annotation = annotation};
}

static int by_identity(const void *a, const void *b) {
  const struct task *x = a, *y = b;
  int order = strcmp(x->series->patient_id, y->series->patient_id);
  if (!order) order = strcmp(x->series->series_instance_uid, y->series->series_instance_uid);
  if (!order) order = strcmp(x->series->study_instance_uid, y->series->study_instance_uid);
  return order ? order : x->series->part - y->series->part;
}

/* A series asked for that cannot be used is a failure; one nobody asked for is only logged. */
static void note_missing(struct work *work, const char *uid, const char *why) {
  lc_text_add(&work->left_out, "%s: %s\n", uid, why);
  work->done->n_failed++;
  lc_log(LC_LOG_WARNING, "series %s: %s", uid, why);
}

static void add_annotated(struct work *work, const struct ct_series *series,
                          struct ct_annotation *annotation) {
  if (annotation) (void)ct_annotation_check(annotation, series);
  add_task(work, series, annotation);
}

/* Volumes that a file of marks annotates. */
static void collect_annotated(struct work *work, struct ct_annotation *annotation) {
  const struct ct_series *series;
  size_t position = 0, before = work->n_tasks, unwanted = 0;
  while ((series = pl_survey_next(work->survey, annotation, &position)) != NULL) {
    if (wanted(work->how, series, false))
      add_annotated(work, series, annotation);
    else
      unwanted++;
  }
  struct ct_series named = {0};
  lc_text_copy(named.series_instance_uid, CT_UID_SIZE, annotation->series_instance_uid);
  if (work->n_tasks == before && !unwanted && wanted(work->how, &named, false))
    note_missing(work, annotation->series_instance_uid,
                 "annotated, but without usable DICOM, or with several volumes of which "
                 "none stands out");
}

/* Every usable series that has annotations, or, for points, every usable series; and the parts that
 * are asked for. */
static lc_status collect(struct work *work, struct lc_error *err) {
  const struct pl_survey *survey = work->survey;
  const struct pl_dataset_rules *how = work->how;
  const struct ct_index *index = &survey->index;
  size_t most = (survey->marks.n_annotations + 1) * (index->n_series + 1);
  LC_TRY(lc_alloc(&work->tasks, most, sizeof *work->tasks, err));
  for (size_t i = 0; !how->points && i < survey->marks.n_annotations; i++)
    collect_annotated(work, &survey->marks.annotations[i]);
  for (size_t i = 0; i < index->n_series; i++) {
    const struct ct_series *series = &index->series[i];
    bool part = wanted(how, series, true);
    if (series->verdict == CT_REFUSED ||
        !(part || (how->points && series->part == 1 && wanted(how, series, false))))
      continue;
    if (!part) series = pl_survey_volume(survey, series);
    struct ct_annotation *annotation =
        series ? ct_annotation_set_find(&survey->marks, series->series_instance_uid,
                                        series->study_instance_uid, series->frame_of_reference_uid)
               : NULL;
    if (series && (how->points || annotation)) add_annotated(work, series, annotation);
  }
  for (size_t o = 0; o < how->n_only; o++) {
    size_t i = 0;
    while (i < work->n_tasks && !ct_index_is_named(work->tasks[i].series, how->only[o])) i++;
    if (i == work->n_tasks) note_missing(work, how->only[o], "listed, but not found");
  }
  if (work->n_tasks) qsort(work->tasks, work->n_tasks, sizeof *work->tasks, by_identity);
  work->done->n_series = work->n_tasks;
  return LC_OK;
}

/* Lines of a part's "left_out" join those of the whole. */
static void keep_left_out(struct work *work, const char *lines) {
  for (const char *c = lines; *c; c++) work->done->n_left_out += *c == '\n';
  lc_text_add(&work->left_out, "%s", lines);
}

static bool part_fits(struct work *work, const char *path, const char *key) {
  char found[65], lines[65536];
  if (!lc_file_exists(path) ||
      pl_h5_read_attribute(path, "key", found, sizeof found, NULL) != LC_OK ||
      strcmp(found, key) != 0)
    return false;
  if (pl_h5_read_attribute(path, "left_out", lines, sizeof lines, NULL) == LC_OK)
    keep_left_out(work, lines);
  return true;
}

static lc_status make_part(struct work *work, const struct pl_part *part, const char *path,
                           bool *empty, struct lc_error *err) {
  struct pl_dataset dataset;
  struct lc_text left_out = {0};
  char settings[512];
  pl_dataset_rules_text(settings, work->how);
  lc_status status = pl_part_cut(part, work->how, &dataset, &left_out, err);
  if (status == LC_OK) {
    struct pl_dataset_about about = {settings, part->key, lc_text_get(&left_out), 0, 0};
    *empty = dataset.n == 0;
    keep_left_out(work, lc_text_get(&left_out));
    if (!*empty) status = pl_dataset_write(&dataset, &about, NULL, NULL, path, err);
    pl_dataset_free(&dataset);
  }
  lc_text_free(&left_out);
  return status;
}

/* The series' UID, with the number of the part and the study where they are needed. */
static void part_name(char name[129], const struct work *work, const struct ct_series *series) {
  char own[CT_SERIES_NAME_SIZE], text[CT_SERIES_NAME_SIZE], part[16] = "";
  ct_index_name(&work->survey->index, series, own);
  if (series->n_parts > 1) snprintf(part, sizeof part, "_%d", series->part);
  snprintf(text, sizeof text, "%s%s%s%s", series->series_instance_uid, part,
           strchr(own, '/') ? "_" : "", strchr(own, '/') ? series->study_instance_uid : "");
  pl_output_name(name, text);
}

static lc_status do_task(struct work *work, struct task *task, struct lc_error *err) {
  struct pl_part part;
  char name[129], file[160], path[LC_PATH_SIZE];
  LC_TRY(pl_part_open(&part, task->series, task->annotation, work->how, err));
  part_name(name, work, task->series);
  snprintf(file, sizeof file, "%s.h5", name);
  lc_status status = lc_path_join(path, work->folder, file, err);
  bool empty = part.nodules.n_nodules == 0;
  if (status == LC_OK && !empty) {
    if (part_fits(work, path, part.key)) {
      work->done->n_kept++;
    } else {
      status = make_part(work, &part, path, &empty, err);
      if (status == LC_OK) work->done->n_made++;
    }
  }
  if (status == LC_OK && !empty) lc_text_copy(task->part, sizeof task->part, path);
  pl_part_free(&part);
  return status;
}

static bool stops_everything(lc_status status) {
  return status == LC_ERR_INTERRUPTED || status == LC_ERR_NO_SPACE ||
         status == LC_ERR_NOT_WRITABLE || status == LC_ERR_MEMORY;
}

static lc_status make_parts(struct work *work, struct lc_error *err) {
  struct pl_progress progress;
  lc_status status = LC_OK;
  pl_progress_start(&progress, "cutting nodules", "series", work->n_tasks);
  for (size_t i = 0; i < work->n_tasks && status == LC_OK; i++) {
    struct lc_error why = {""};
    status = pl_signal_check(err);
    if (status != LC_OK) break;
    lc_status one = do_task(work, &work->tasks[i], &why);
    if (stops_everything(one)) {
      status = one;
      if (err) *err = why;
    } else if (one != LC_OK) {
      note_missing(work, work->tasks[i].series->series_instance_uid, why.message);
    }
    lc_progress_step(&progress.progress, 1);
  }
  pl_progress_end(&progress);
  return status;
}

/* Reads samples of all parts (without voxels) behind one another. */
static lc_status join_samples(struct work *work, struct pl_dataset *whole, struct lc_error *err) {
  *whole =
      (struct pl_dataset){.edge = work->how->edge, .dims = 3, .spacing_mm = work->how->spacing_mm};
  for (size_t i = 0; i < work->n_tasks; i++) {
    struct pl_dataset part;
    if (!work->tasks[i].part[0]) continue;
    LC_TRY(pl_dataset_read(&part, work->tasks[i].part, false, err));
    struct pl_sample *grown = realloc(whole->samples, (whole->n + part.n) * sizeof *whole->samples);
    if (!grown) {
      pl_dataset_free(&part);
      LC_FAIL(err, LC_ERR_MEMORY, "out of memory for %zu nodules", whole->n + part.n);
    }
    whole->samples = grown;
    memcpy(whole->samples + whole->n, part.samples, part.n * sizeof *part.samples);
    whole->n += part.n;
    part.n = 0; /* what samples own has moved */
    pl_dataset_free(&part);
  }
  return LC_OK;
}

/* Voxels of one sample after another, one part in memory at a time. */
struct join {
  const struct work *work;
  size_t task, next; /* next sample of the open part */
  struct pl_dataset part;
};

static lc_status next_voxels(void *context, size_t sample, int16_t *hu, uint8_t *mask,
                             struct lc_error *err) {
  struct join *join = context;
  (void)sample;
  while (join->next == join->part.n) {
    pl_dataset_free(&join->part);
    while (join->task < join->work->n_tasks && !join->work->tasks[join->task].part[0]) join->task++;
    if (join->task == join->work->n_tasks)
      LC_FAIL(err, LC_ERR_INTERNAL, "the parts hold fewer nodules than before");
    LC_TRY(pl_dataset_read(&join->part, join->work->tasks[join->task++].part, true, err));
    join->next = 0;
  }
  size_t voxels = pl_dataset_voxels(&join->part);
  memcpy(hu, join->part.hu + join->next * voxels, voxels * sizeof *hu);
  memcpy(mask, join->part.mask + join->next * voxels, voxels);
  join->next++;
  return LC_OK;
}

static lc_status write_whole(struct work *work, const char *path, struct lc_error *err) {
  struct pl_dataset whole;
  struct join join = {.work = work};
  char settings[512];
  lc_status status = join_samples(work, &whole, err);
  if (status == LC_OK && whole.n == 0)
    status = lc_fail(err, LC_ERR_NO_NODULES, __FILE__, __LINE__, "no nodule to prepare%s%s",
                     work->left_out.length ? ": " : "", lc_text_get(&work->left_out));
  if (status == LC_OK)
    status = pl_dataset_fold(&whole, work->how->n_folds, work->how->fold_seed, err);
  if (status == LC_OK) {
    pl_dataset_rules_text(settings, work->how);
    bool folded = whole.samples[0].fold_patient >= 0;
    struct pl_dataset_about about = {settings, "", lc_text_get(&work->left_out),
                                     folded ? work->how->n_folds : 0, work->how->fold_seed};
    status = pl_dataset_write(&whole, &about, next_voxels, &join, path, err);
    work->done->n_nodules = whole.n;
  }
  pl_dataset_free(&join.part);
  pl_dataset_free(&whole);
  return status;
}

lc_status pl_prepare(const struct pl_survey *survey, const struct pl_dataset_rules *how,
                     const char *path, struct pl_prepare_counts *done, struct lc_error *err) {
  struct work work = {.survey = survey, .how = how, .done = done};
  memset(done, 0, sizeof *done);
  LC_TRY(parts_folder(work.folder, path, err));
  lc_status status = collect(&work, err);
  if (status == LC_OK && work.n_tasks == 0)
    status =
        lc_fail(err, LC_ERR_NO_NODULES, __FILE__, __LINE__, "no usable CT series with nodules%s%s",
                work.left_out.length ? ": " : "", lc_text_get(&work.left_out));
  struct pl_output parts;
  if (status == LC_OK) status = pl_output_open(&parts, work.folder, err);
  if (status == LC_OK) {
    status = make_parts(&work, err);
    pl_output_close(&parts);
  }
  if (status == LC_OK) status = write_whole(&work, path, err);
  if (status == LC_OK && (done->n_failed || done->n_left_out))
    status = lc_fail(err, LC_ERR_PARTIAL, __FILE__, __LINE__,
                     "%s: %zu series and %zu nodules left out, %zu nodules written; first: %.*s",
                     path, done->n_failed, done->n_left_out, done->n_nodules,
                     (int)strcspn(lc_text_get(&work.left_out), "\n"), lc_text_get(&work.left_out));
  lc_text_free(&work.left_out);
  free(work.tasks);
  return status;
}
