/* Cuts the nodules of each series into a part, or keeps the part that is there, and joins the parts
 * into one data set with folds. */
#include "pipeline/learn/pl_prepare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_file.h"
#include "common/lc_hash.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_cube.h"
#include "ct_io/ct/ct_cutter.h"
#include "ct_io/dicom_read/ct_decode.h"
#include "pipeline/report/pl_progress.h"
#include "pipeline/report/pl_signal.h"
#include "pipeline/store/pl_h5.h"
#include "pipeline/store/pl_output.h"

/* One series of the data set in the making. */
struct part {
  const struct ct_series *series;
  const struct ct_annotation *annotation; /* NULL: no nodule is named */
  struct ct_nodule_list nodules;
  char key[LC_SHA256_HEX]; /* of input and settings */
};

static void hash_annotation(struct lc_hash *hash, const struct ct_annotation *annotation) {
  for (size_t m = 0; m < annotation->n_marks; m++) {
    const struct ct_mark *mark = &annotation->marks[m];
    lc_hash_add(hash, &mark->kind, sizeof mark->kind);
    lc_hash_add(hash, &mark->session, sizeof mark->session);
    lc_hash_add(hash, mark->rating, sizeof mark->rating);
    lc_hash_add(hash, &mark->faults, sizeof mark->faults);
    for (size_t i = 0; i < mark->n_outlines; i++) {
      const struct ct_outline *outline = &mark->outlines[i];
      lc_hash_add_text(hash, outline->sop_instance_uid);
      lc_hash_add(hash, &outline->inclusion, sizeof outline->inclusion);
      lc_hash_add(hash, outline->xy, outline->n_points * sizeof *outline->xy);
    }
  }
  for (size_t p = 0; p < annotation->n_points; p++) {
    lc_hash_add(hash, annotation->points[p].centre_mm, sizeof annotation->points[p].centre_mm);
    lc_hash_add(hash, &annotation->points[p].diameter_mm, sizeof(double));
  }
}

/* The settings as one text. */
static void rules_text(char out[512], const struct pl_dataset_rules *how) {
  snprintf(out, 512,
           "edge: %zu\nspacing_mm: %.17g\nconsensus_level: %.17g\nmin_readers: %d\ngrouping: %s\n"
           "tolerance: %.17g\nnodules: %s\ninterpolation: linear\n%s",
           how->edge, how->spacing_mm, how->level, how->min_readers,
           how->grouping.in_millimetres ? "millimetres" : "voxels (pylidc)",
           how->grouping.tolerance_mm, how->points ? "points" : "annotations",
           how->grouping.keep_duplicates ? "keep_duplicates: true\n" : "");
}

static lc_status make_key(struct part *part, const struct pl_dataset_rules *how,
                          struct lc_error *err) {
  struct lc_hash hash;
  uint8_t digest[LC_SHA256_BYTES];
  char manifest[65], slices[65], settings[512];
  LC_SCOPED(ct_cut_plan_free) struct ct_cut_plan plan = {0};
  LC_TRY(ct_series_manifest_hex(part->series, manifest, err));
  LC_TRY(ct_nodules_plan(&plan, &part->nodules, part->series, (double)how->edge * how->spacing_mm,
                         err));
  LC_TRY(ct_cut_plan_hash(&plan, slices, err));
  rules_text(settings, how);
  LC_TRY(lc_hash_begin(&hash, err));
  lc_hash_add_text(&hash, manifest);
  lc_hash_add_text(&hash, slices);
  lc_hash_add_text(&hash, settings);
  if (part->annotation) hash_annotation(&hash, part->annotation);
  lc_hash_end(&hash, digest);
  lc_hash_hex(digest, part->key);
  return LC_OK;
}

/* Points have no readers. */
static lc_status drop_few_readers(struct ct_nodule_list *list, int min_readers,
                                  struct lc_error *err) {
  LC_FREED bool *gone = NULL;
  LC_TRY(lc_alloc(&gone, list->n_nodules, sizeof *gone, err));
  for (size_t i = 0; i < list->n_nodules; i++)
    gone[i] = list->nodules[i].n_marks > 0 && list->nodules[i].n_readers < min_readers;
  ct_nodule_list_remove(list, gone);
  return LC_OK;
}

/* Finds the nodules of a series and the key of the part. */
static lc_status part_open(struct part *part, const struct ct_series *series,
                           struct ct_annotation *annotation, const struct pl_dataset_rules *how,
                           struct lc_error *err) {
  *part = (struct part){.series = series, .annotation = annotation};
  if (annotation) {
    LC_TRY(ct_annotation_place(annotation, series, err));
    LC_TRY(ct_nodules_from_annotation(&part->nodules, annotation, series, &how->grouping, err));
    LC_TRY(drop_few_readers(&part->nodules, how->min_readers, err));
  }
  return make_key(part, how, err);
}

static void part_free(struct part *part) {
  ct_nodule_list_free(&part->nodules);
  memset(part, 0, sizeof *part);
}

static lc_status describe(struct pl_sample *sample, const struct part *part,
                          const struct ct_nodule *nodule, const struct pl_dataset_rules *how,
                          struct lc_error *err) {
  const struct ct_series *series = part->series;
  size_t first, count;
  unsigned faults = 0;
  lc_text_copy(sample->patient_id, sizeof sample->patient_id, series->patient_id);
  lc_text_copy(sample->study_instance_uid, sizeof sample->study_instance_uid,
               series->study_instance_uid);
  lc_text_copy(sample->series_instance_uid, sizeof sample->series_instance_uid,
               series->series_instance_uid);
  lc_text_copy(sample->nodule, sizeof sample->nodule, nodule->id);
  lc_text_copy(sample->manufacturer, sizeof sample->manufacturer, series->manufacturer);
  lc_text_copy(sample->model_name, sizeof sample->model_name, series->model_name);
  lc_text_copy(sample->convolution_kernel, sizeof sample->convolution_kernel,
               series->convolution_kernel);
  lc_text_copy(sample->verdict, sizeof sample->verdict, series->reason);
  sample->lossy = series->lossy;
  sample->n_readers = nodule->n_readers;
  sample->n_marks = (int)nodule->n_marks;
  sample->label = ct_label_of(nodule->median_rating[CT_MALIGNANCY]);
  memcpy(sample->mean, nodule->mean_rating, sizeof sample->mean);
  memcpy(sample->median, nodule->median_rating, sizeof sample->median);
  memcpy(sample->centre_mm, nodule->centre_mm, sizeof sample->centre_mm);
  sample->spacing_mm[0] = series->pixel_spacing_mm[1];
  sample->spacing_mm[1] = series->pixel_spacing_mm[0];
  sample->spacing_mm[2] = series->slice_spacing_mm;
  sample->slice_thickness_mm = series->slice_thickness_mm > 0 ? series->slice_thickness_mm : NAN;
  sample->diameter_mm = nodule->diameter_mm;
  sample->volume_mm3 = NAN;
  for (size_t m = 0; m < nodule->n_marks; m++) {
    faults |= nodule->marks[m]->faults;
    if (m < PL_DATASET_MARKS)
      memcpy(sample->ratings[m], nodule->marks[m]->rating, sizeof sample->ratings[m]);
  }
  pl_fault_words(sample->faults, faults);
  if (nodule->n_marks) {
    LC_SCOPED(ct_consensus_free) struct ct_consensus consensus = {0};
    LC_TRY(ct_nodule_consensus(&consensus, nodule, series, how->level, err));
    sample->volume_mm3 = consensus.volume_mm3;
  }
  /* The slices that samples lie between. */
  ct_series_slab(series, nodule->centre_mm, (double)(how->edge - 1) * how->spacing_mm, &first,
                 &count);
  LC_TRY(lc_alloc(&sample->sops, count, sizeof *sample->sops, err));
  sample->n_sops = count;
  for (size_t k = 0; k < count; k++)
    memcpy(sample->sops[k], series->slices[first + k].sop_instance_uid, CT_UID_SIZE);
  return LC_OK;
}

/* What the nodules of a series are cut into. */
struct cutting {
  const struct part *part;
  const struct pl_dataset_rules *how;
  struct pl_dataset *dataset;
  bool *cut; /* [nodule] */
  struct lc_text *left_out;
};

/* Cuts one nodule into its place in the data set. */
static lc_status take(void *context, size_t at, const struct ct_volume *volume,
                      struct lc_error *err) {
  const struct cutting *cutting = context;
  const struct part *part = cutting->part;
  const struct pl_dataset_rules *how = cutting->how;
  struct pl_dataset *dataset = cutting->dataset;
  const struct ct_nodule *nodule = &part->nodules.nodules[at];
  size_t voxels = pl_dataset_voxels(dataset);
  struct pl_sample *sample = &dataset->samples[at];
  LC_SCOPED(ct_cube_free) struct ct_cube cube = {0};
  LC_TRY(ct_cube_resample(&cube, volume, nodule->centre_mm, how->edge, how->spacing_mm, err));
  if (nodule->n_marks) LC_TRY(ct_cube_add_mask(&cube, nodule, part->series, how->level, err));
  LC_TRY(describe(sample, part, nodule, how, err));
  for (size_t i = 0; i < voxels; i++) dataset->hu[at * voxels + i] = (int16_t)lrintf(cube.hu[i]);
  if (cube.mask) memcpy(dataset->mask + at * voxels, cube.mask, voxels);
  sample->n_padded = (int)cube.n_padded;
  cutting->cut[at] = true;
  return LC_OK;
}

static lc_status refuse(void *context, size_t nodule, lc_status status, const struct lc_error *why,
                        struct lc_error *err) {
  const struct cutting *cutting = context;
  const struct ct_nodule *found = &cutting->part->nodules.nodules[nodule];
  struct lc_error named = *why;
  (void)err;
  ct_nodule_name_source(found, cutting->part->annotation->path, status, &named);
  lc_text_add(cutting->left_out, "%s %s: %s\n", cutting->part->series->series_instance_uid,
              found->id, named.message);
  return LC_OK;
}

/* Closes the gaps that nodules left out make. */
static void close_gaps(struct pl_dataset *dataset, const bool *cut) {
  size_t kept = 0, voxels = pl_dataset_voxels(dataset);
  for (size_t i = 0; i < dataset->n; i++) {
    if (!cut[i]) {
      free(dataset->samples[i].sops);
      continue;
    }
    if (kept != i) {
      dataset->samples[kept] = dataset->samples[i];
      memcpy(dataset->hu + kept * voxels, dataset->hu + i * voxels, voxels * sizeof *dataset->hu);
      memcpy(dataset->mask + kept * voxels, dataset->mask + i * voxels, voxels);
    }
    kept++;
  }
  dataset->n = kept;
}

/* Cuts the nodules; only the slices they need are decoded, each once. A nodule that cannot be cut
 * is a line of left_out and is not in the data set, which may then be empty. */
static lc_status part_cut(const struct part *part, const struct pl_dataset_rules *how,
                          struct pl_dataset *dataset, struct lc_text *left_out,
                          struct lc_error *err) {
  size_t n = part->nodules.n_nodules;
  LC_FREED bool *done = NULL;
  LC_SCOPED(ct_cut_plan_free) struct ct_cut_plan plan = {0};
  struct lc_error why;
  LC_TRY(pl_dataset_alloc(dataset, n, how->edge, 3, how->spacing_mm, err));
  LC_TRY(lc_alloc(&done, n, sizeof *done, err));
  struct cutting cutting = {part, how, dataset, done, left_out};
  const struct ct_cut cut = {
      .decode = ct_volume_decode, .take = take, .refuse = refuse, .context = &cutting};
  LC_TRY(ct_nodules_plan(&plan, &part->nodules, part->series, (double)how->edge * how->spacing_mm,
                         err));
  LC_TRY(ct_cut_all(&plan, &cut, err));
  if (ct_nodules_unplaced(&part->nodules, &why))
    lc_text_add(left_out, "%s unplaced-marks: %s\n", part->series->series_instance_uid,
                why.message);
  close_gaps(dataset, done);
  return LC_OK;
}

/* One series to be prepared. */
struct task {
  const struct ct_series *series;
  struct ct_annotation *annotation;
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

static void work_free(struct work *work) {
  lc_text_free(&work->left_out);
  free(work->tasks);
}

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

/* Length of the first line, for messages. */
static int first_line(const struct lc_text *text) {
  return (int)strcspn(lc_text_get(text), "\n");
}

static void add_annotated(struct work *work, const struct ct_series *series,
                          struct ct_annotation *annotation) {
  if (annotation) (void)ct_annotation_check(annotation, series);
  work->tasks[work->n_tasks++] = (struct task){series, annotation, ""};
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
                 "annotated, but without usable DICOM or volume file, or with several volumes of "
                 "which none stands out");
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

static lc_status make_part(struct work *work, const struct part *part, const char *path,
                           bool *empty, struct lc_error *err) {
  LC_SCOPED(pl_dataset_free) struct pl_dataset dataset = {0};
  LC_SCOPED(lc_text_free) struct lc_text left_out = {0};
  char settings[512];
  rules_text(settings, work->how);
  LC_TRY(part_cut(part, work->how, &dataset, &left_out, err));
  struct pl_dataset_about about = {settings, part->key, lc_text_get(&left_out), 0, 0};
  *empty = dataset.n == 0;
  keep_left_out(work, lc_text_get(&left_out));
  return *empty ? LC_OK : pl_dataset_write(&dataset, &about, NULL, NULL, path, err);
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
  LC_SCOPED(part_free) struct part part = {0};
  char name[129], file[160], path[LC_PATH_SIZE];
  LC_TRY(part_open(&part, task->series, task->annotation, work->how, err));
  part_name(name, work, task->series);
  snprintf(file, sizeof file, "%s.h5", name);
  LC_TRY(lc_path_join(path, work->folder, file, err));
  bool empty = part.nodules.n_nodules == 0;
  if (empty) return LC_OK;
  if (part_fits(work, path, part.key)) {
    work->done->n_kept++;
  } else {
    LC_TRY(make_part(work, &part, path, &empty, err));
    work->done->n_made++;
  }
  if (!empty) lc_text_copy(task->part, sizeof task->part, path);
  return LC_OK;
}

static bool stops_everything(lc_status status) {
  return status == LC_ERR_INTERRUPTED || status == LC_ERR_NO_SPACE ||
         status == LC_ERR_NOT_WRITABLE || status == LC_ERR_MEMORY;
}

static lc_status make_parts(struct work *work, struct lc_error *err) {
  LC_SCOPED(pl_progress_end) struct pl_progress progress;
  pl_progress_start(&progress, "cutting nodules", "series", work->n_tasks);
  for (size_t i = 0; i < work->n_tasks; i++) {
    struct lc_error why = {""};
    LC_TRY(pl_signal_check(err));
    lc_status status = do_task(work, &work->tasks[i], &why);
    if (stops_everything(status) && err) *err = why;
    if (stops_everything(status)) return status;
    if (status != LC_OK)
      note_missing(work, work->tasks[i].series->series_instance_uid, why.message);
    lc_progress_step(&progress.progress, 1);
  }
  return LC_OK;
}

/* Reads samples of all parts (without voxels) behind one another. */
static lc_status join_samples(struct work *work, struct pl_dataset *whole, struct lc_error *err) {
  *whole =
      (struct pl_dataset){.edge = work->how->edge, .dims = 3, .spacing_mm = work->how->spacing_mm};
  for (size_t i = 0; i < work->n_tasks; i++) {
    LC_SCOPED(pl_dataset_free) struct pl_dataset part = {0};
    if (!work->tasks[i].part[0]) continue;
    LC_TRY(pl_dataset_read(&part, work->tasks[i].part, false, err));
    struct pl_sample *grown = realloc(whole->samples, (whole->n + part.n) * sizeof *whole->samples);
    if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "out of memory for %zu nodules", whole->n + part.n);
    whole->samples = grown;
    memcpy(whole->samples + whole->n, part.samples, part.n * sizeof *part.samples);
    whole->n += part.n;
    part.n = 0; /* what samples own has moved */
  }
  return LC_OK;
}

/* Voxels of one sample after another, one part in memory at a time. */
struct join {
  const struct work *work;
  size_t task, next; /* next sample of the open part */
  struct pl_dataset part;
};

static void join_free(struct join *join) {
  pl_dataset_free(&join->part);
}

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

static lc_status write_whole(struct work *work, struct pl_dataset *whole, const char *path,
                             struct lc_error *err) {
  LC_SCOPED(join_free) struct join join = {.work = work};
  char settings[512];
  LC_TRY(join_samples(work, whole, err));
  if (whole->n == 0)
    LC_FAIL(err, LC_ERR_NO_NODULES, "no nodule to prepare%s%.*s", work->left_out.length ? ": " : "",
            first_line(&work->left_out), lc_text_get(&work->left_out));
  LC_TRY(pl_dataset_fold(whole, work->how->n_folds, work->how->fold_seed, err));
  rules_text(settings, work->how);
  bool folded = whole->samples[0].fold_patient >= 0;
  struct pl_dataset_about about = {settings, "", lc_text_get(&work->left_out),
                                   folded ? work->how->n_folds : 0, work->how->fold_seed};
  work->done->n_nodules = whole->n;
  return pl_dataset_write(whole, &about, next_voxels, &join, path, err);
}

/* When no series can be used, the reason of the only one. */
static lc_status check_usable(const struct pl_survey *survey, struct lc_error *err) {
  const struct ct_series *series;
  struct lc_error why;
  if (ct_index_choose(&survey->index, NULL, &series, &why) != LC_ERR_GEOMETRY) return LC_OK;
  LC_FAIL(err, LC_ERR_GEOMETRY, "%s", why.message);
}

lc_status pl_prepare(const struct pl_survey *survey, const struct pl_dataset_rules *how,
                     const char *path, struct pl_prepare_counts *done, struct lc_error *err) {
  LC_SCOPED(work_free) struct work work = {.survey = survey, .how = how, .done = done};
  struct pl_output parts;
  memset(done, 0, sizeof *done);
  LC_TRY(parts_folder(work.folder, path, err));
  LC_TRY(collect(&work, err));
  if (work.n_tasks == 0 && done->n_failed) LC_TRY(check_usable(survey, err));
  if (work.n_tasks == 0)
    LC_FAIL(err, LC_ERR_NO_NODULES, "no usable CT series with nodules%s%.*s",
            work.left_out.length ? ": " : "", first_line(&work.left_out),
            lc_text_get(&work.left_out));
  LC_TRY(pl_output_open(&parts, work.folder, err));
  lc_status status = make_parts(&work, err);
  pl_output_close(&parts);
  LC_TRY(status);
  struct pl_dataset whole = {0};
  status = write_whole(&work, &whole, path, err);
  pl_dataset_free(&whole);
  LC_TRY(status);
  if (done->n_failed || done->n_left_out)
    LC_FAIL(err, LC_ERR_PARTIAL,
            "%s: %zu series and %zu nodules left out, %zu nodules written; first: %.*s", path,
            done->n_failed, done->n_left_out, done->n_nodules, first_line(&work.left_out),
            lc_text_get(&work.left_out));
  return LC_OK;
}
