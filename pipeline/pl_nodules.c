#include "pl_nodules.h"

#include <dirent.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ct_volume.h"
#include "lc_file.h"
#include "lc_log.h"

static bool has_ending(const char *path, const char *ending) {
  size_t n = strlen(path), m = strlen(ending);
  return n > m && strcasecmp(path + n - m, ending) == 0;
}

void pl_finder_init(struct pl_finder *finder, const struct pl_config *config) {
  memset(finder, 0, sizeof *finder);
  finder->config = config;
}

void pl_finder_free(struct pl_finder *finder) {
  for (size_t i = 0; i < finder->n_files; i++) free(finder->files[i].path);
  free(finder->files);
  memset(finder, 0, sizeof *finder);
}

/* nftw gives no context to its callback. */
static __thread struct pl_list *collecting;
static __thread bool collecting_failed;

static int collect(const char *path, const struct stat *info, int kind, struct FTW *where) {
  (void)info, (void)where;
  if (kind == FTW_F && has_ending(path, ".xml") && pl_list_add(collecting, path, NULL) != LC_OK)
    collecting_failed = true;
  return collecting_failed ? 1 : 0;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All XML files below a folder (or, flat, in it), sorted. */
static lc_status xml_files(const char *folder, bool flat, struct pl_list *list,
                           struct lc_error *err) {
  if (flat) {
    DIR *stream = opendir(folder);
    struct dirent *entry;
    lc_status status = LC_OK;
    while (stream && status == LC_OK && (entry = readdir(stream)) != NULL) {
      char path[LC_PATH_SIZE];
      if (!has_ending(entry->d_name, ".xml")) continue;
      status = lc_path_join(path, folder, entry->d_name, err);
      if (status == LC_OK) status = pl_list_add(list, path, err);
    }
    if (stream) closedir(stream);
    LC_TRY(status);
  } else {
    collecting = list;
    collecting_failed = false;
    nftw(folder, collect, 32, FTW_PHYS);
    if (collecting_failed) LC_FAIL(err, LC_ERR_MEMORY, "%s: no memory for its files", folder);
  }
  if (list->n > 0) qsort(list->items, list->n, sizeof *list->items, by_name);
  return LC_OK;
}

static lc_status index_file(struct pl_finder *finder, const char *path, struct lc_error *err) {
  struct ct_annotation annotation;
  struct lc_error why;
  if (ct_annotation_read(&annotation, path, &why) != LC_OK) {
    lc_log(LC_LOG_WARNING, "%s; skipped", why.message);
    return LC_OK;
  }
  lc_status status = LC_OK;
  if (!annotation.is_chest_xray) {
    struct pl_annotated *files =
        realloc(finder->files, (finder->n_files + 1) * sizeof *finder->files);
    char *copy = strdup(path);
    if (files) finder->files = files;
    if (files && copy) {
      memcpy(files[finder->n_files].series_instance_uid, annotation.series_instance_uid,
             CT_UID_SIZE);
      files[finder->n_files++].path = copy;
    } else {
      free(copy);
      status = lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "%s: no memory", path);
    }
  }
  ct_annotation_free(&annotation);
  return status;
}

static lc_status index_folder(struct pl_finder *finder, struct lc_error *err) {
  if (finder->indexed) return LC_OK;
  struct pl_list list = {0};
  lc_status status = xml_files(finder->config->nodules_source, false, &list, err);
  for (size_t i = 0; status == LC_OK && i < list.n; i++)
    status = index_file(finder, list.items[i], err);
  pl_list_free(&list);
  finder->indexed = status == LC_OK;
  return status;
}

static void warn_several(const char *used, const char *other) {
  lc_log(LC_LOG_WARNING, "%s: names the same series as %s, which is used; skipped", other, used);
}

/* The XML of the series in the folder that nodules.source names. */
static lc_status in_folder(struct pl_finder *finder, const struct ct_series *series,
                           char path[LC_PATH_SIZE], struct lc_error *err) {
  LC_TRY(index_folder(finder, err));
  path[0] = '\0';
  for (size_t i = 0; i < finder->n_files; i++) {
    if (strcmp(finder->files[i].series_instance_uid, series->series_instance_uid) != 0) continue;
    if (path[0])
      warn_several(path, finder->files[i].path);
    else
      lc_text_copy(path, LC_PATH_SIZE, finder->files[i].path);
  }
  if (!path[0])
    LC_FAIL(err, LC_ERR_NO_NODULES, "%s: none of its %zu LIDC XML files is for series %s",
            finder->config->nodules_source, finder->n_files, series->series_instance_uid);
  return LC_OK;
}

/* Folders that hold slices of the series. */
static lc_status slice_folders(const struct ct_series *series, struct pl_list *folders,
                               struct lc_error *err) {
  for (size_t i = 0; i < series->n_slices; i++) {
    const char *slash = strrchr(series->slices[i].path, '/');
    char folder[LC_PATH_SIZE];
    lc_text_copy(folder, sizeof folder, slash ? series->slices[i].path : ".");
    if (slash) folder[slash == series->slices[i].path ? 1 : slash - series->slices[i].path] = '\0';
    if (!pl_list_has(folders, folder)) LC_TRY(pl_list_add(folders, folder, err));
  }
  return LC_OK;
}

/* The first XML of this series among the files. Without one the error says the best reason: an XML
 * of another series, else a file that could not be read, else none at all. */
static lc_status pick(const struct pl_list *files, const struct ct_series *series,
                      char path[LC_PATH_SIZE], struct lc_error *err) {
  char other[2][LC_PATH_SIZE] = {{0}};
  struct lc_error why, first;
  lc_status unreadable = LC_OK;
  path[0] = '\0';
  for (size_t i = 0; i < files->n; i++) {
    struct ct_annotation annotation;
    lc_status read = ct_annotation_read(&annotation, files->items[i], &why);
    if (read != LC_OK) {
      if (unreadable == LC_OK) first = why;
      unreadable = unreadable == LC_OK ? read : unreadable;
      continue;
    }
    if (strcmp(annotation.series_instance_uid, series->series_instance_uid) == 0) {
      if (path[0])
        warn_several(path, files->items[i]);
      else
        lc_text_copy(path, LC_PATH_SIZE, files->items[i]);
    } else if (!annotation.is_chest_xray) {
      lc_text_copy(other[0], LC_PATH_SIZE, files->items[i]);
      lc_text_copy(other[1], LC_PATH_SIZE, annotation.series_instance_uid);
    }
    ct_annotation_free(&annotation);
  }
  if (path[0]) return LC_OK;
  if (other[0][0])
    LC_FAIL(err, LC_ERR_MISMATCH, "%.400s: annotates series %.64s, expected series %s beside it",
            other[0], other[1], series->series_instance_uid);
  if (unreadable != LC_OK) LC_FAIL(err, unreadable, "%s", first.message);
  LC_FAIL(err, LC_ERR_NO_NODULES,
          "%.600s: no LIDC XML beside series %s; name one, or a CSV, with --nodules",
          series->n_slices > 0 ? series->slices[0].path : "?", series->series_instance_uid);
}

static lc_status beside_series(const struct ct_series *series, char path[LC_PATH_SIZE],
                               struct lc_error *err) {
  struct pl_list folders = {0}, files = {0};
  lc_status status = slice_folders(series, &folders, err);
  for (size_t i = 0; status == LC_OK && i < folders.n; i++)
    status = xml_files(folders.items[i], true, &files, err);
  if (status == LC_OK) status = pick(&files, series, path, err);
  pl_list_free(&folders);
  pl_list_free(&files);
  return status;
}

/* A nodule whose centre is beyond the first or last slice or beside the image. */
static lc_status check_inside(const struct pl_result *result, const char *path,
                              struct lc_error *err) {
  const struct ct_series *series = result->series;
  for (size_t i = 0; i < result->nodules.n_nodules; i++) {
    const struct ct_nodule *nodule = &result->nodules.nodules[i];
    double ijk[3];
    ct_series_to_index(series, nodule->centre_mm, ijk);
    const double last[] = {(double)series->columns - 0.5, (double)series->rows - 0.5,
                           (double)series->n_slices - 0.5};
    for (int a = 0; a < 3; a++)
      if (!(ijk[a] >= -0.5 && ijk[a] <= last[a]))
        LC_FAIL(err, LC_ERR_OUTSIDE,
                "%s: %s at (%.1f, %.1f, %.1f) mm lies outside the volume of series %s", path,
                nodule->id, nodule->centre_mm[0], nodule->centre_mm[1], nodule->centre_mm[2],
                series->series_instance_uid);
  }
  return LC_OK;
}

static lc_status from_xml(struct pl_finder *finder, struct pl_result *result, const char *path,
                          struct lc_error *err) {
  LC_TRY(ct_annotation_read(&result->annotation, path, err));
  if (result->annotation.is_chest_xray)
    LC_FAIL(err, LC_ERR_MISMATCH, "%s: annotates a chest X-ray, expected series %s", path,
            result->series->series_instance_uid);
  size_t odd = ct_annotation_check(&result->annotation, result->series);
  if (odd > 0)
    lc_log(LC_LOG_WARNING, "%s: %zu marks have outlines outside the series' images", path, odd);
  const struct ct_grouping grouping = {.in_millimetres = finder->config->nodules_grouping == 1,
                                       .tolerance_mm = finder->config->nodules_tolerance_mm};
  result->nodule_source = "LIDC XML";
  return ct_nodules_from_marks(&result->nodules, &result->annotation, result->series, &grouping,
                               err);
}

static lc_status from_path(struct pl_finder *finder, struct pl_result *result, const char *path,
                           struct lc_error *err) {
  LC_TRY(lc_hash_file_hex(path, result->nodule_source_sha256, err));
  if (has_ending(path, ".csv")) {
    result->nodule_source = "CSV";
    LC_TRY(ct_nodules_from_csv(&result->nodules, path, result->series, err));
  } else {
    LC_TRY(from_xml(finder, result, path, err));
  }
  if (result->nodules.n_nodules == 0)
    LC_FAIL(err, LC_ERR_NO_NODULES, "%s: no nodule of 3 mm or more for series %s", path,
            result->series->series_instance_uid);
  return check_inside(result, path, err);
}

lc_status pl_finder_find(struct pl_finder *finder, struct pl_result *result, struct lc_error *err) {
  const char *source = finder->config->nodules_source;
  char path[LC_PATH_SIZE];
  if (strcmp(source, "auto") == 0)
    LC_TRY(beside_series(result->series, path, err));
  else if (lc_folder_exists(source))
    LC_TRY(in_folder(finder, result->series, path, err));
  else
    lc_text_copy(path, sizeof path, source);
  return from_path(finder, result, path, err);
}
