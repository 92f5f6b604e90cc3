/* Brings files that could not be read together with the series they may belong to. */
#include "ct_io/dicom_read/ct_losses.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/lc_arena.h"
#include "ct_io/dicom_read/ct_group.h"

/* What a series may lack. */
struct loss {
  size_t n;
  const struct ct_problem *first;
};

static size_t folder_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) : 0;
}

static bool in_folder(const struct ct_series *series, const char *folder, size_t length) {
  for (size_t i = 0; i < series->n_slices && !series->file; i++)
    if (folder_length(series->slices[i].path) == length &&
        strncmp(series->slices[i].path, folder, length) == 0)
      return true;
  return false;
}

static bool same_uids(const struct ct_series *a, const struct ct_series *b) {
  return strcmp(a->series_instance_uid, b->series_instance_uid) == 0 &&
         strcmp(a->study_instance_uid, b->study_instance_uid) == 0;
}

static void add_loss(struct loss *loss, const struct ct_problem *problem) {
  if (loss->n++ == 0) loss->first = problem;
}

/* The file's own word: all parts of the series. */
static void add_by_uid(const struct ct_index *index, struct loss *losses,
                       const struct ct_problem *problem) {
  for (size_t i = 0; i < index->n_series; i++) {
    const struct ct_series *series = &index->series[i];
    if (series->verdict != CT_REFUSED &&
        strcmp(series->series_instance_uid, problem->series_instance_uid) == 0 &&
        strcmp(series->study_instance_uid, problem->study_instance_uid) == 0)
      add_loss(&losses[i], problem);
  }
}

/* Of a file, or a folder, that no series lies beside: series with holes in the folder around its
 * own, at any depth. */
static void add_by_holes(const struct ct_index *index, struct loss *losses,
                         const struct ct_problem *problem) {
  size_t length = folder_length(problem->path);
  while (length > 0 && problem->path[length - 1] != '/') length--;
  for (size_t i = 0; i < index->n_series && length > 0; i++) {
    const struct ct_series *series = &index->series[i];
    if (series->verdict != CT_REFUSED &&
        strncmp(series->slices[0].path, problem->path, length) == 0 && ct_series_has_holes(series))
      add_loss(&losses[i], problem);
  }
}

/* A file that is named like an object and has no room for one: a copy that was cut short. */
static bool cut_short(const char *path) {
  enum { PREAMBLE = 132 };
  struct stat info;
  return stat(path, &info) == 0 && info.st_size <= PREAMBLE;
}

/* Where it lies. */
static void add_by_folder(const struct ct_index *index, struct loss *losses,
                          const struct ct_problem *problem, bool *beside) {
  size_t length = folder_length(problem->path);
  const struct ct_series *one = NULL;
  bool several = false, holes = false, lost = problem->unreadable || cut_short(problem->path);
  for (size_t i = 0; i < index->n_series; i++) {
    const struct ct_series *series = &index->series[i];
    beside[i] = series->verdict != CT_REFUSED && in_folder(series, problem->path, length);
    if (!beside[i]) continue;
    several = several || (one && !same_uids(one, series));
    one = series;
    holes = holes || ct_series_has_holes(series);
  }
  for (size_t i = 0; i < index->n_series; i++) {
    const struct ct_series *series = &index->series[i];
    if (!beside[i]) continue;
    if ((lost && !several) || (holes && ct_series_has_holes(series))) add_loss(&losses[i], problem);
  }
  if (several && !holes)
    lc_log(LC_LOG_WARNING, "%s: may be a slice of any of the series beside it", problem->path);
  if (!one && problem->unreadable) add_by_holes(index, losses, problem);
}

lc_status ct_index_find_losses(struct ct_index *index, bool allowed, struct lc_error *err) {
  struct loss *losses = NULL;
  bool *beside = NULL;
  if (index->n_problems == 0) return LC_OK;
  LC_TRY(lc_alloc(&losses, index->n_series, sizeof *losses, err));
  lc_status status = lc_alloc(&beside, index->n_series, sizeof *beside, err);
  for (size_t i = 0; i < index->n_problems && status == LC_OK; i++) {
    const struct ct_problem *problem = &index->problems[i];
    if (problem->series_instance_uid[0])
      add_by_uid(index, losses, problem);
    else
      add_by_folder(index, losses, problem, beside);
  }
  for (size_t i = 0; i < index->n_series && status == LC_OK; i++) {
    struct ct_series *series = &index->series[i];
    const char *path = losses[i].n ? losses[i].first->path : "";
    const char *name = path + folder_length(path) + (strchr(path, '/') != NULL);
    if (losses[i].n && allowed)
      ct_repair(series, "%zu file%s cannot be read, first %s: slices may be missing, as allowed",
                losses[i].n, losses[i].n > 1 ? "s" : "", name);
    else if (losses[i].n)
      ct_refuse(series,
                "%zu file%s cannot be read, first %s: slices may be missing; --allow-missing uses "
                "the others",
                losses[i].n, losses[i].n > 1 ? "s" : "", name);
  }
  free(losses);
  free(beside);
  return status;
}
