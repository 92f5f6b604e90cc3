/* Finds the nodules of one series and cuts cubes and masks. */
#include "pipeline/learn/pl_part.h"
#include "ct_io/dicom_read/ct_decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_hash.h"
#include "common/lc_scope.h"
#include "ct_io/ct/ct_cube.h"
#include "ct_io/ct/ct_cutter.h"

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

static lc_status make_key(struct pl_part *part, const struct pl_dataset_rules *how,
                          struct lc_error *err) {
  struct lc_hash hash;
  uint8_t digest[LC_SHA256_BYTES];
  char manifest[65], settings[512];
  LC_TRY(ct_series_manifest_hex(part->series, manifest, err));
  pl_dataset_rules_text(settings, how);
  LC_TRY(lc_hash_begin(&hash, err));
  lc_hash_add_text(&hash, manifest);
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

lc_status pl_part_open(struct pl_part *part, const struct ct_series *series,
                       const struct ct_annotation *annotation, const struct pl_dataset_rules *how,
                       struct lc_error *err) {
  *part = (struct pl_part){.series = series, .annotation = annotation};
  if (annotation) {
    LC_TRY(ct_nodules_from_annotation(&part->nodules, annotation, series, &how->grouping, err));
    LC_TRY(drop_few_readers(&part->nodules, how->min_readers, err));
  }
  return make_key(part, how, err);
}

void pl_part_free(struct pl_part *part) {
  ct_nodule_list_free(&part->nodules);
  memset(part, 0, sizeof *part);
}

static lc_status describe(struct pl_sample *sample, const struct pl_part *part,
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
  const struct pl_part *part;
  const struct pl_dataset_rules *how;
  struct pl_dataset *dataset;
  bool *cut; /* [nodule] */
  struct lc_text *left_out;
};

/* Cuts one nodule into its place in the data set. */
static lc_status take(void *context, size_t at, const struct ct_volume *volume,
                      struct lc_error *err) {
  const struct cutting *cutting = context;
  const struct pl_part *part = cutting->part;
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

lc_status pl_part_cut(const struct pl_part *part, const struct pl_dataset_rules *how,
                      struct pl_dataset *dataset, struct lc_text *left_out, struct lc_error *err) {
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
