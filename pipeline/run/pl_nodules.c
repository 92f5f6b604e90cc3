/* Finds the nodules of a series in the XML beside it, in a folder of XML, in a given XML, or in a
 * CSV, and hashes what they came from. */
#include "pipeline/run/pl_nodules.h"

#include <dirent.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/lc_file.h"
#include "common/lc_log.h"
#include "ct_io/nodule/ct_annotation_set.h"

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

/* The XML files that name one series; their marks end up in result->annotation. */
struct sources {
  struct pl_list paths;
};

/* Takes over what annotation holds; marks that repeat earlier ones are merged with them. */
static lc_status take(struct pl_result *result, struct sources *sources,
                      struct ct_annotation *annotation, const char *path, struct lc_error *err) {
  LC_TRY(pl_list_add(&sources->paths, path, err));
  if (sources->paths.n == 1) {
    result->annotation = *annotation;
    memset(annotation, 0, sizeof *annotation);
    return LC_OK;
  }
  size_t repeated = 0;
  LC_TRY(ct_annotation_merge(&result->annotation, annotation, &repeated, err));
  lc_log(LC_LOG_INFO, "%s: names the same series as %s: merged, %zu marks repeated", path,
         sources->paths.items[0], repeated);
  return LC_OK;
}

/* The XML of the series in the folder that nodules.source names. */
static lc_status in_folder(struct pl_finder *finder, struct pl_result *result,
                           struct sources *sources, struct lc_error *err) {
  LC_TRY(index_folder(finder, err));
  const char *uid = result->series->series_instance_uid;
  for (size_t i = 0; i < finder->n_files; i++) {
    if (strcmp(finder->files[i].series_instance_uid, uid) != 0) continue;
    struct ct_annotation annotation;
    LC_TRY(ct_annotation_read(&annotation, finder->files[i].path, err));
    lc_status status = take(result, sources, &annotation, finder->files[i].path, err);
    ct_annotation_free(&annotation);
    LC_TRY(status);
  }
  if (sources->paths.n == 0)
    LC_FAIL(err, LC_ERR_NO_NODULES, "%s: none of its %zu LIDC XML files is for series %s",
            finder->config->nodules_source, finder->n_files, uid);
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

/* Why no XML beside the series could be used. */
struct no_marks_reason {
  char other_path[LC_PATH_SIZE]; /* an XML of another series */
  char other_uid[CT_UID_SIZE];
  lc_status unreadable; /* of the first file that could not be read */
  struct lc_error why;
};

static lc_status try_file(struct pl_result *result, struct sources *sources, const char *path,
                          struct no_marks_reason *reason, struct lc_error *err) {
  struct ct_annotation annotation;
  struct lc_error why;
  lc_status status = ct_annotation_read(&annotation, path, &why);
  if (status != LC_OK) {
    if (reason->unreadable == LC_OK) reason->why = why;
    reason->unreadable = reason->unreadable == LC_OK ? status : reason->unreadable;
    return LC_OK;
  }
  if (strcmp(annotation.series_instance_uid, result->series->series_instance_uid) == 0) {
    status = take(result, sources, &annotation, path, err);
  } else if (!annotation.is_chest_xray) {
    lc_text_copy(reason->other_path, sizeof reason->other_path, path);
    lc_text_copy(reason->other_uid, sizeof reason->other_uid, annotation.series_instance_uid);
  }
  ct_annotation_free(&annotation);
  return status;
}

/* The best reason first: an XML of another series, a file that could not be read, none at all. */
static lc_status report_no_marks(const struct ct_series *series,
                                 const struct no_marks_reason *reason, struct lc_error *err) {
  if (reason->other_path[0])
    LC_FAIL(err, LC_ERR_MISMATCH, "%.400s: annotates series %s, expected series %s",
            reason->other_path, reason->other_uid, series->series_instance_uid);
  if (reason->unreadable != LC_OK) LC_FAIL(err, reason->unreadable, "%s", reason->why.message);
  LC_FAIL(err, LC_ERR_NO_NODULES,
          "%.600s: no LIDC XML beside series %s; name one, or a CSV, with --nodules",
          series->n_slices > 0 ? series->slices[0].path : "?", series->series_instance_uid);
}

static lc_status beside_series(struct pl_result *result, struct sources *sources,
                               struct lc_error *err) {
  struct pl_list folders = {0}, files = {0};
  struct no_marks_reason reason = {.unreadable = LC_OK};
  lc_status status = slice_folders(result->series, &folders, err);
  for (size_t i = 0; status == LC_OK && i < folders.n; i++)
    status = xml_files(folders.items[i], true, &files, err);
  for (size_t i = 0; status == LC_OK && i < files.n; i++)
    status = try_file(result, sources, files.items[i], &reason, err);
  if (status == LC_OK && sources->paths.n == 0)
    status = report_no_marks(result->series, &reason, err);
  pl_list_free(&folders);
  pl_list_free(&files);
  return status;
}

static lc_status from_xml(struct pl_finder *finder, struct pl_result *result, const char *path,
                          struct lc_error *err) {
  size_t odd = ct_annotation_check(&result->annotation, result->series);
  if (odd > 0)
    lc_log(LC_LOG_WARNING, "%s: %zu marks have outlines outside the series' images", path, odd);
  const struct ct_grouping grouping = {.in_millimetres = finder->config->nodules_grouping == 1,
                                       .tolerance_mm = finder->config->nodules_tolerance_mm};
  result->nodule_source = "LIDC XML";
  return ct_nodules_from_marks(&result->nodules, &result->annotation, result->series, &grouping,
                               err);
}

/* Of the file, or over the hashes of several in the order of their names. */
static lc_status hash_sources(const struct pl_list *paths, char hex[LC_SHA256_HEX],
                              struct lc_error *err) {
  struct lc_text all = {0};
  lc_status status = LC_OK;
  for (size_t i = 0; status == LC_OK && i < paths->n; i++) {
    status = lc_hash_file_hex(paths->items[i], hex, err);
    lc_text_add(&all, "%s\n", hex);
  }
  if (status == LC_OK && paths->n > 1)
    status = lc_hash_bytes_hex(lc_text_get(&all), all.length, hex, err);
  lc_text_free(&all);
  return status;
}

static lc_status find_xml(struct pl_finder *finder, struct pl_result *result,
                          struct sources *sources, struct lc_error *err) {
  const char *source = finder->config->nodules_source;
  if (strcmp(source, "auto") == 0) return beside_series(result, sources, err);
  if (lc_folder_exists(source)) return in_folder(finder, result, sources, err);
  LC_TRY(ct_annotation_read(&result->annotation, source, err));
  LC_TRY(pl_list_add(&sources->paths, source, err));
  if (result->annotation.is_chest_xray)
    LC_FAIL(err, LC_ERR_MISMATCH, "%s: annotates a chest X-ray, expected series %s", source,
            result->series->series_instance_uid);
  return LC_OK;
}

static lc_status find(struct pl_finder *finder, struct pl_result *result, struct sources *sources,
                      struct lc_error *err) {
  const char *source = finder->config->nodules_source, *path = source;
  if (has_ending(source, ".csv") && !lc_folder_exists(source)) {
    LC_TRY(pl_list_add(&sources->paths, source, err));
    result->nodule_source = "CSV";
    LC_TRY(ct_nodules_from_csv(&result->nodules, source, result->series, err));
  } else {
    LC_TRY(find_xml(finder, result, sources, err));
    if (sources->paths.n > 0) path = sources->paths.items[0];
    LC_TRY(from_xml(finder, result, path, err));
  }
  LC_TRY(hash_sources(&sources->paths, result->nodule_source_sha256, err));
  struct lc_error why;
  if (result->nodules.n_nodules == 0 && ct_nodules_unplaced(&result->nodules, &why))
    LC_FAIL(err, LC_ERR_GEOMETRY, "%s: %s", path, why.message);
  if (result->nodules.n_nodules == 0)
    LC_FAIL(err, LC_ERR_NO_NODULES, "%s: no nodule of 3 mm or more for series %s", path,
            result->series->series_instance_uid);
  lc_text_copy(result->nodule_source_path, sizeof result->nodule_source_path, path);
  return LC_OK;
}

lc_status pl_finder_find(struct pl_finder *finder, struct pl_result *result, struct lc_error *err) {
  struct sources sources = {0};
  lc_status status = find(finder, result, &sources, err);
  pl_list_free(&sources.paths);
  return status;
}
