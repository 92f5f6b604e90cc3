/* Reads the headers below some folders in parallel, groups them into series, adds volume files, and
 * chooses the series to use. */
#include "ct_io/dicom_read/ct_index.h"
#include "ct_io/dicom_read/ct_group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_identity.h"
#include "common/lc_parallel.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_volume_file.h"
#include "ct_io/dicom_read/ct_files.h"
#include "ct_io/dicom_read/ct_losses.h"
#include "ct_io/dicom_read/ct_remote.h"

/* Headers held at once: bounds memory on folders of any size. */
enum { CHUNK = 1024 };

struct scan {
  struct ct_header_item *items;
  size_t n, together;
  struct lc_progress *progress;
};

static void read_some(void *context, size_t i, int worker) {
  struct scan *scan = context;
  size_t start = i * scan->together, left = scan->n - start;
  size_t n = left < scan->together ? left : scan->together;
  (void)worker;
  ct_headers_read(&scan->items[start], n);
  lc_progress_step(scan->progress, n);
}

/* message is copied; uids may be NULL. */
static lc_status note_problem(struct ct_index *index, const char *path, const char *message,
                              bool unreadable, const struct ct_series *uids, struct lc_error *err) {
  lc_log(unreadable ? LC_LOG_ERROR : LC_LOG_WARNING, "%s", message);
  struct ct_problem *grown = realloc(index->problems, (index->n_problems + 1) * sizeof *grown);
  if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "out of memory for %zu problems", index->n_problems);
  index->problems = grown;
  struct ct_problem *problem = &grown[index->n_problems];
  *problem = (struct ct_problem){
      .path = strdup(path), .message = strdup(message), .unreadable = unreadable};
  if (uids) {
    memcpy(problem->study_instance_uid, uids->study_instance_uid, CT_UID_SIZE);
    memcpy(problem->series_instance_uid, uids->series_instance_uid, CT_UID_SIZE);
  }
  index->n_problems++;
  index->n_unreadable += unreadable;
  if (!problem->path || !problem->message) LC_FAIL(err, LC_ERR_MEMORY, "%s: out of memory", path);
  return LC_OK;
}

/* Volume files are series as they are, behind those of DICOM until all are sorted. */
static lc_status take_volume(struct ct_index *index, const char *path, struct lc_error *err) {
  struct ct_series series, *grown;
  struct lc_error why;
  lc_status status = ct_volume_file_open(&series, path, &why);
  if (status == LC_ERR_MEMORY) {
    if (err) *err = why;
    return status;
  }
  if (status != LC_OK)
    return note_problem(index, path, why.message, status == LC_ERR_NOT_FOUND, NULL, err);
  grown = realloc(index->series, (index->n_series + 1) * sizeof *grown);
  if (!grown) ct_series_free(&series);
  if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "out of memory for %zu series", index->n_series + 1);
  index->series = grown;
  index->series[index->n_series++] = series;
  return LC_OK;
}

static lc_status keep_one(struct ct_index *index, struct ct_group_list *list,
                          struct ct_header_item *item, struct lc_error *err) {
  const char *path = item->path;
  bool of_volume = item->kind != CT_FILE_OBJECT && ct_volume_file_is_data(path);
  if (item->kind == CT_FILE_BROKEN && of_volume) return LC_OK;
  switch (item->kind) {
  case CT_FILE_OTHER:
    if (ct_label_volume_named(path)) {
      lc_log(LC_LOG_INFO, "%s: labels by its name, no CT", path);
      return LC_OK;
    }
    if (ct_volume_file_named(path)) return take_volume(index, path, err);
    index->n_files_not_dicom += !of_volume;
    return LC_OK;
  case CT_FILE_UNREADABLE:
  case CT_FILE_BROKEN:
    return note_problem(index, path, item->err.message, item->kind == CT_FILE_UNREADABLE,
                        &item->header.series, err);
  case CT_FILE_OBJECT:
    return ct_group_add(list, &item->header, path, err);
  case CT_FILE_FAILED:
    break;
  }
  if (err) *err = item->err;
  return LC_ERR_MEMORY;
}

static lc_status read_files(struct ct_index *index, struct ct_group_list *list,
                            const struct ct_files *names, struct lc_progress *progress,
                            struct lc_error *err) {
  struct scan scan = {.progress = progress};
  lc_status status = LC_OK;
  LC_TRY(lc_alloc(&scan.items, CHUNK, sizeof *scan.items, err));
  for (size_t start = 0; start < names->count && status == LC_OK; start += CHUNK) {
    size_t n = names->count - start < CHUNK ? names->count - start : CHUNK;
    size_t share = n / (4 * (size_t)lc_threads());
    scan.n = n;
    scan.together = share < 1 ? 1 : share < LC_HELPER_FILES ? share : LC_HELPER_FILES;
    for (size_t i = 0; i < n; i++) scan.items[i].path = names->paths[start + i];
    lc_parallel_for((n + scan.together - 1) / scan.together, read_some, &scan);
    for (size_t i = 0; i < n; i++) {
      if (status == LC_OK) status = keep_one(index, list, &scan.items[i], err);
      ct_header_free(&scan.items[i].header);
    }
  }
  free(scan.items);
  return status;
}

static int by_identity(const void *a, const void *b) {
  const struct ct_series *x = a, *y = b;
  int order = strcmp(x->patient_id, y->patient_id);
  if (!order) order = strcmp(x->study_instance_uid, y->study_instance_uid);
  if (!order) order = strcmp(x->series_instance_uid, y->series_instance_uid);
  if (!order) order = (x->n_slices < y->n_slices) - (x->n_slices > y->n_slices);
  if (!order) order = strcmp(x->slices[0].path, y->slices[0].path);
  if (order) return order;
  return (x->slices[0].frame > y->slices[0].frame) - (x->slices[0].frame < y->slices[0].frame);
}

static bool same_series(const struct ct_series *a, const struct ct_series *b) {
  return !a->file && !b->file && strcmp(a->series_instance_uid, b->series_instance_uid) == 0 &&
         strcmp(a->study_instance_uid, b->study_instance_uid) == 0;
}

static void number_parts(struct ct_index *index) {
  for (size_t i = 0, end; i < index->n_series; i = end) {
    for (end = i + 1; end < index->n_series && same_series(&index->series[i], &index->series[end]);)
      end++;
    for (size_t k = i; k < end; k++) {
      index->series[k].part = (int)(k - i + 1);
      index->series[k].n_parts = (int)(end - i);
    }
  }
}

static lc_status finish(struct ct_index *index, struct ct_group_list *list,
                        const struct ct_index_rules *rules, struct lc_error *err) {
  size_t n = list->n_groups, volumes = index->n_series;
  for (size_t i = 0; i < n; i++) {
    LC_TRY(ct_group_drop_copies(&list->groups[i], err));
    LC_TRY(ct_group_split(list, i, err));
  }
  for (size_t i = 0; i < list->n_groups; i++)
    LC_TRY(ct_group_judge(&list->groups[i], rules->assume_hu, err));
  struct ct_series *grown =
      realloc(index->series, (volumes + list->n_groups) * sizeof *index->series);
  if (!grown) LC_FAIL(err, LC_ERR_MEMORY, "out of memory for %zu series", list->n_groups);
  index->series = grown;
  for (size_t i = 0; i < list->n_groups; i++) index->series[volumes + i] = list->groups[i].series;
  index->n_series += list->n_groups;
  list->n_groups = 0;
  LC_TRY(ct_index_find_losses(index, rules->allow_missing, err));
  qsort(index->series, index->n_series, sizeof *index->series, by_identity);
  number_parts(index);
  for (size_t i = 0; i < index->n_series; i++) {
    const struct ct_series *series = &index->series[i];
    char name[CT_SERIES_NAME_SIZE];
    ct_index_name(index, series, name);
    if (series->reason[0])
      lc_log(LC_LOG_INFO, "series %s: %s: %s", name, ct_verdict_name(series->verdict),
             series->reason);
  }
  return LC_OK;
}

static lc_status walk(struct ct_index *index, struct ct_files *names, const char *const *paths,
                      size_t n_paths, struct lc_error *err) {
  struct ct_files lost = {0};
  lc_status status = LC_OK;
  for (size_t i = 0; i < n_paths && status == LC_OK; i++)
    status = ct_files_walk(names, paths[i], NULL, &lost, err);
  for (size_t i = 0; i + 1 < lost.count && status == LC_OK; i += 2)
    status = note_problem(index, lost.paths[i], lost.paths[i + 1], true, NULL, err);
  ct_files_free(&lost);
  return status;
}

lc_status ct_index_scan(struct ct_index *index, const char *const *paths, size_t n_paths,
                        const struct ct_index_rules *rules, struct lc_progress *progress,
                        struct lc_error *err) {
  static const struct ct_index_rules none;
  struct ct_files names = {0};
  struct ct_group_list list = {0};
  memset(index, 0, sizeof *index);
  lc_status status = walk(index, &names, paths, n_paths, err);
  if (status != LC_OK) goto done;
  index->n_files_seen = names.count;
  if (progress) {
    progress->total = names.count;
    progress->unit = "files";
  }
  LC_TRY_GOTO(read_files(index, &list, &names, progress, err), done);
  if (list.n_groups + index->n_series == 0 && index->n_problems > 0)
    LC_FAIL_GOTO(done, err, index->problems[0].unreadable ? LC_ERR_NOT_FOUND : LC_ERR_FORMAT,
                 "%s%s", index->problems[0].message,
                 index->n_problems > 1 ? " (and others like it)" : "");
  if (list.n_groups + index->n_series == 0)
    LC_FAIL_GOTO(done, err, LC_ERR_NO_DICOM,
                 "%s: no DICOM image among %zu files, and no MetaImage, NIfTI or NRRD",
                 n_paths ? paths[0] : "(no path)", names.count);
  status = finish(index, &list, rules ? rules : &none, err);
done:
  ct_files_free(&names);
  ct_group_list_free(&list);
  if (status != LC_OK) ct_index_free(index);
  return status;
}

lc_status ct_index_check_readable(const struct ct_index *index, struct lc_error *err) {
  for (size_t i = 0; i < index->n_problems; i++)
    if (index->problems[i].unreadable)
      LC_FAIL(err, LC_ERR_PARTIAL, "%s%s", index->problems[i].message,
              index->n_unreadable > 1 ? " (and others like it)" : "");
  return LC_OK;
}

void ct_index_free(struct ct_index *index) {
  for (size_t i = 0; i < index->n_series; i++) ct_series_free(&index->series[i]);
  for (size_t i = 0; i < index->n_problems; i++) {
    free(index->problems[i].path);
    free(index->problems[i].message);
  }
  free(index->problems);
  free(index->series);
  memset(index, 0, sizeof *index);
}

/* A file made from DICOM, or a mask, may lie beside it: where DICOM can be used, that is meant. */
static bool has_dicom(const struct ct_index *index, const char *name) {
  for (size_t i = 0; i < index->n_series; i++) {
    const struct ct_series *series = &index->series[i];
    if (!series->file && series->verdict != CT_REFUSED &&
        (!name || ct_index_is_named(series, name)))
      return true;
  }
  return false;
}

/* Whether another study has a series of the same UID. */
static bool shares_uid(const struct ct_index *index, const struct ct_series *series) {
  for (size_t i = 0; i < index->n_series; i++)
    if (strcmp(index->series[i].series_instance_uid, series->series_instance_uid) == 0 &&
        !same_series(&index->series[i], series))
      return true;
  return false;
}

void ct_index_name(const struct ct_index *index, const struct ct_series *series,
                   char name[CT_SERIES_NAME_SIZE]) {
  char part[16] = "";
  bool with_study = series->study_instance_uid[0] && shares_uid(index, series);
  if (series->n_parts > 1) snprintf(part, sizeof part, ":%d", series->part);
  snprintf(name, CT_SERIES_NAME_SIZE, "%s%s%s%s", with_study ? series->study_instance_uid : "",
           with_study ? "/" : "", series->series_instance_uid, part);
}

int ct_index_number(const struct ct_index *index, const struct ct_series *series) {
  int number = 1;
  for (size_t i = 0; i < index->n_series; i++) {
    const struct ct_series *other = &index->series[i];
    bool before = !other->file == !series->file ? other < series : series->file != NULL;
    number += before && other->verdict != CT_REFUSED &&
              strcmp(other->series_instance_uid, series->series_instance_uid) == 0;
  }
  return number;
}

bool ct_index_is_named(const struct ct_series *series, const char *name) {
  const char *slash = strrchr(name, '/'), *uid = slash ? slash + 1 : name;
  size_t length = strcspn(uid, ":");
  if (slash && ((size_t)(slash - name) != strlen(series->study_instance_uid) ||
                strncmp(name, series->study_instance_uid, (size_t)(slash - name)) != 0))
    return false;
  if (length != strlen(series->series_instance_uid) ||
      strncmp(uid, series->series_instance_uid, length) != 0)
    return false;
  long long part;
  return !uid[length] || (lc_text_to_long(uid + length + 1, &part) && part == series->part);
}

static void list_candidates(const struct ct_index *index, const char *name, bool usable_only,
                            struct lc_text *text) {
  size_t shown = 0, count = 0;
  for (size_t i = 0; i < index->n_series; i++) {
    const struct ct_series *series = &index->series[i];
    char own[CT_SERIES_NAME_SIZE], patient[LC_IDENTITY_SIZE];
    if (name && !ct_index_is_named(series, name)) continue;
    if (usable_only && series->verdict == CT_REFUSED) continue;
    if (usable_only && series->file && has_dicom(index, name)) continue;
    count++;
    if (shown == 8) continue;
    ct_index_name(index, series, own);
    lc_text_add(text, "%s%s (%s, %zu slices)", shown++ ? ", " : "", own,
                series->file ? series->slices[0].path : lc_identity(patient, series->patient_id),
                series->n_slices);
  }
  if (count > shown) lc_text_add(text, " and %zu more", count - shown);
}

/* The usable one that stands out: the only one, or ten times the next part of the same series. */
static lc_status choose_usable(const struct ct_index *index, const char *name, size_t n_usable,
                               const struct ct_series *largest, const struct ct_series *next,
                               const struct ct_series **out, struct lc_error *err) {
  bool one_series = !next || same_series(next, largest);
  if (n_usable == 1 || (one_series && largest->n_slices >= 10 * next->n_slices)) {
    *out = largest;
    return LC_OK;
  }
  struct lc_text text = {0};
  list_candidates(index, name, true, &text);
  lc_status status =
      lc_fail(err, LC_ERR_AMBIGUOUS, __FILE__, __LINE__,
              "%zu usable series and none chosen by --series: %s", n_usable, lc_text_get(&text));
  lc_text_free(&text);
  return status;
}

lc_status ct_index_choose(const struct ct_index *index, const char *name,
                          const struct ct_series **out, struct lc_error *err) {
  const struct ct_series *largest = NULL, *next = NULL, *refused = NULL;
  size_t n_usable = 0, n_refused = 0;
  bool dicom = has_dicom(index, name);
  *out = NULL;
  for (size_t i = 0; i < index->n_series; i++) {
    const struct ct_series *series = &index->series[i];
    if (name && !ct_index_is_named(series, name)) continue;
    if (series->verdict == CT_REFUSED) {
      n_refused++;
      if (!refused || strcmp(refused->modality, "CT") != 0) refused = series;
      continue;
    }
    if (dicom && series->file) continue;
    n_usable++;
    if (!largest || series->n_slices > largest->n_slices) {
      next = largest;
      largest = series;
    } else if (!next || series->n_slices > next->n_slices) {
      next = series;
    }
  }
  if (n_usable) return choose_usable(index, name, n_usable, largest, next, out, err);
  if (refused) { /* of DICOM the folder: the reason names the file that is at fault */
    const char *path = refused->slices[0].path, *slash = strrchr(path, '/');
    size_t length = refused->file || !slash ? strlen(path) : (size_t)(slash - path);
    LC_FAIL(err, LC_ERR_GEOMETRY, "%.*s: series %s cannot be used: %s%s", (int)length, path,
            refused->series_instance_uid, refused->reason,
            n_refused > 1 ? " (the others are refused too)" : "");
  }
  struct lc_text text = {0};
  list_candidates(index, NULL, false, &text);
  lc_status status =
      lc_fail(err, LC_ERR_NOT_FOUND, __FILE__, __LINE__, "no series %s among the %zu found: %s",
              name ? name : "", index->n_series, lc_text_get(&text));
  lc_text_free(&text);
  return status;
}
