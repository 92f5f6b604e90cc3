/* Lists the files that may hold a series' nodules, reads them once, and says why none does. */
#include "ct_io/nodule/ct_nodule_finder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_file.h"
#include "common/lc_text.h"
#include "ct_io/nodule/ct_nodule.h"

static bool has(const struct ct_files *files, const char *path) {
  for (size_t i = 0; i < files->count; i++)
    if (strcmp(files->paths[i], path) == 0) return true;
  return false;
}

static bool same(const struct ct_files *a, const struct ct_files *b) {
  for (size_t i = 0; i < a->count && i < b->count; i++)
    if (strcmp(a->paths[i], b->paths[i]) != 0) return false;
  return a->count == b->count;
}

/* Folders that hold slices of the series. */
static lc_status slice_folders(const struct ct_series *series, struct ct_files *folders,
                               struct lc_error *err) {
  for (size_t i = 0; i < series->n_slices; i++) {
    const char *slash = strrchr(series->slices[i].path, '/');
    char folder[LC_PATH_SIZE];
    lc_text_copy(folder, sizeof folder, slash ? series->slices[i].path : ".");
    if (slash) folder[slash == series->slices[i].path ? 1 : slash - series->slices[i].path] = '\0';
    if (!has(folders, folder)) LC_TRY(ct_files_add(folders, folder, err));
  }
  return LC_OK;
}

/* Whether a file beside a series may hold its nodules; its slices do not. Objects are looked for
 * among the files only where no index knows them. */
static bool wanted(const struct ct_nodule_finder *finder, const struct ct_series *series,
                   const char *path) {
  if (finder->index) return ct_nodule_source_named(path);
  for (size_t i = 0; i < series->n_slices; i++)
    if (strcmp(series->slices[i].path, path) == 0) return false;
  return ct_nodule_source_wants(path);
}

static lc_status in_folder(const struct ct_nodule_finder *finder, const struct ct_series *series,
                           const char *folder, struct ct_files *files, struct lc_error *err) {
  DIR *stream = opendir(folder);
  struct dirent *entry;
  lc_status status = LC_OK;
  if (!stream) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: cannot be listed: %s", folder, strerror(errno));
  while (errno = 0, status == LC_OK && (entry = readdir(stream)) != NULL) {
    char path[LC_PATH_SIZE];
    status = lc_path_join(path, folder, entry->d_name, err);
    if (status == LC_OK && wanted(finder, series, path)) status = ct_files_add(files, path, err);
  }
  if (status == LC_OK && errno)
    status = lc_fail(err, LC_ERR_NOT_FOUND, __FILE__, __LINE__, "%s: cannot be listed: %s", folder,
                     strerror(errno));
  closedir(stream);
  return status;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In the order in which they are named, each once. */
static lc_status list_named(const struct ct_nodule_search *search, struct ct_files *files,
                            struct lc_error *err) {
  for (size_t i = 0; i < search->n_paths; i++) {
    const char *path = search->paths[i];
    if (lc_folder_exists(path))
      LC_TRY(ct_files_walk(files, path, ct_nodule_source_wants, NULL, err));
    else if (!has(files, path))
      LC_TRY(ct_files_add(files, path, err));
  }
  return LC_OK;
}

/* Objects that the index met, of the study or frame of reference of the series, wherever they lie;
 * not those that this program made of a series. */
static lc_status in_index(const struct ct_index *index, const struct ct_series *series,
                          struct ct_files *files, struct lc_error *err) {
  for (size_t i = 0; i < index->n_series; i++) {
    const struct ct_series *other = &index->series[i];
    const char *frame = other->frame_of_reference_uid;
    bool near = strcmp(other->study_instance_uid, series->study_instance_uid) == 0 ||
                (*frame && strcmp(frame, series->frame_of_reference_uid) == 0);
    if (!near || other->file || strcmp(other->manufacturer, "lungcdam") == 0) continue;
    for (size_t k = 0; k < other->n_slices; k++) {
      const struct ct_slice *slice = &other->slices[k];
      bool again = k > 0 && strcmp(slice->path, other->slices[k - 1].path) == 0;
      if (!again && ct_nodule_source_has_class(slice->sop_class_uid) && !has(files, slice->path))
        LC_TRY(ct_files_add(files, slice->path, err));
    }
  }
  return LC_OK;
}

static lc_status list(const struct ct_nodule_finder *finder, const struct ct_nodule_search *search,
                      const struct ct_series *series, struct ct_files *files,
                      struct lc_error *err) {
  if (search->n_paths > 0) return list_named(search, files, err);
  struct ct_files folders = {0};
  lc_status status = slice_folders(series, &folders, err);
  for (size_t i = 0; status == LC_OK && i < folders.count; i++)
    status = in_folder(finder, series, folders.paths[i], files, err);
  if (status == LC_OK && finder->index) status = in_index(finder->index, series, files, err);
  if (files->count > 0) qsort(files->paths, files->count, sizeof *files->paths, by_name);
  ct_files_free(&folders);
  return status;
}

static void forget(struct ct_nodule_finder *finder) {
  ct_annotation_set_free(&finder->set);
  ct_files_free(&finder->files);
  *finder->settled_for = '\0';
}

/* Series of one folder share what was read; without a list of all series each is the only one, to
 * which the others' annotations do not belong. */
static lc_status read_files(struct ct_nodule_finder *finder, const struct ct_nodule_search *search,
                            const struct ct_series *series, struct lc_error *err) {
  struct ct_files files = {0};
  bool all = search->n_series > 0;
  if (!all && strcmp(finder->settled_for, series->series_instance_uid) != 0) forget(finder);
  if (search->n_paths > 0 && finder->files.count > 0) return LC_OK;
  lc_status status = list(finder, search, series, &files, err);
  if (status == LC_OK && !same(&files, &finder->files)) {
    forget(finder);
    status = ct_annotation_set_read(&finder->set, &files, NULL, err);
    if (status == LC_OK && search->components) status = ct_annotation_set_split(&finder->set, err);
    if (status == LC_OK)
      status = ct_annotation_set_settle(&finder->set, all ? search->series : &series,
                                        all ? search->n_series : 1, err);
    if (status == LC_OK) {
      lc_text_copy(finder->settled_for, CT_UID_SIZE, series->series_instance_uid);
      finder->files = files;
      return LC_OK;
    }
  }
  ct_files_free(&files);
  return status;
}

/* The best reason first: a file of another series, one that could not be read, none at all. */
static lc_status none_beside(const struct ct_annotation_set *set, const struct ct_series *series,
                             struct lc_error *err) {
  char titles[CT_TITLES_SIZE], lists[CT_TITLES_SIZE];
  const struct ct_annotation *other = NULL;
  /* Objects of a study may be of any of its series. */
  for (size_t i = 0; i < set->n_annotations; i++)
    if (!set->annotations[i].source->classes &&
        (!other || strcmp(set->annotations[i].path, other->path) > 0))
      other = &set->annotations[i];
  if (other)
    LC_FAIL(err, LC_ERR_MISMATCH, "%.400s: annotates series %s, expected series %s", other->path,
            other->series_instance_uid, series->series_instance_uid);
  if (set->problems.count > 0) return ct_annotation_set_fail(set, err);
  LC_FAIL(err, LC_ERR_NO_NODULES,
          "%.600s: no nodules beside series %s (%s); name a file of them, or a %s, with --nodules",
          series->n_slices > 0 ? series->slices[0].path : "?", series->series_instance_uid,
          ct_nodule_source_titles(titles, false), ct_nodule_source_titles(lists, true));
}

static lc_status none_in_files(const struct ct_annotation_set *set,
                               const struct ct_nodule_search *search,
                               const struct ct_series *series, struct lc_error *err) {
  const char *path = search->paths[0];
  if (lc_folder_exists(path))
    LC_FAIL(err, LC_ERR_NO_NODULES, "%s: none of its %zu files of nodules is for series %s", path,
            set->n_ct_files, series->series_instance_uid);
  if (set->problems.count > 0) return ct_annotation_set_fail(set, err);
  if (search->n_paths > 1)
    LC_FAIL(err, LC_ERR_NO_NODULES, "%s and the others that are named: no nodule for series %s",
            path, series->series_instance_uid);
  if (set->n_chest_xrays > 0)
    LC_FAIL(err, LC_ERR_MISMATCH, "%s: annotates a chest X-ray, expected series %s", path,
            series->series_instance_uid);
  if (set->n_annotations > 0 && !set->annotations[0].source->is_list)
    LC_FAIL(err, LC_ERR_MISMATCH, "%s: annotates series %s, expected %s", path,
            set->annotations[0].series_instance_uid, series->series_instance_uid);
  LC_FAIL(err, LC_ERR_NO_NODULES, "%s: no nodule of 3 mm or more for series %s", path,
          series->series_instance_uid);
}

/* A few marks may name a wrong slice; where most do, places and slices do not belong together. */
static lc_status check_places(const struct ct_annotation *annotation, struct lc_error *err) {
  size_t off = 0, n = annotation->n_marks;
  for (size_t m = 0; m < n; m++)
    off += (annotation->marks[m].faults & CT_FAULT_SLICE_DISAGREES) != 0;
  if (off < 3 || 4 * off < 3 * n) return LC_OK;
  LC_FAIL(err, LC_ERR_MISMATCH,
          "%s: %zu of %zu marks have an imageZposition more than half a slice from the slice of "
          "their imageSOP_UID: the slices' positions are not those that were marked",
          annotation->path, off, n);
}

static lc_status check_strict(const struct ct_annotation_set *set,
                              const struct ct_annotation *annotation, struct lc_error *err) {
  if (set->problems.count > 0) return ct_annotation_set_fail(set, err);
  if (!annotation || annotation->n_unreadable == 0) return LC_OK;
  LC_FAIL(err, LC_ERR_FORMAT, "%s: %zu marks or points cannot be read, as the log says",
          annotation->path, annotation->n_unreadable);
}

/* A failure where there is no other annotation; otherwise a line in the log. */
static lc_status disagreement(const struct ct_annotation *annotation,
                              const struct ct_series *series, struct lc_error *err) {
  struct lc_error why;
  lc_status status =
      lc_fail(err ? err : &why, LC_ERR_MISMATCH, __FILE__, __LINE__,
              "%s: names series %s, and the frame of reference %s; that of the series is %s",
              annotation->path, annotation->series_instance_uid, annotation->frame_of_reference_uid,
              series->frame_of_reference_uid);
  if (err) return status;
  lc_log(LC_LOG_WARNING, "%s: it is left out", why.message);
  return LC_OK;
}

lc_status ct_nodule_finder_find(struct ct_nodule_finder *finder, const char *where,
                                const struct ct_series *series, struct ct_annotation **annotation,
                                struct lc_error *err) {
  const struct ct_nodule_search search = {.paths = &where, .n_paths = where != NULL};
  return ct_nodule_finder_search(finder, &search, series, annotation, err);
}

lc_status ct_nodule_finder_search(struct ct_nodule_finder *finder,
                                  const struct ct_nodule_search *search,
                                  const struct ct_series *series, struct ct_annotation **annotation,
                                  struct lc_error *err) {
  const struct ct_annotation_set *set = &finder->set;
  LC_TRY(read_files(finder, search, series, err));
  *annotation = ct_annotation_set_find(set, series->series_instance_uid, series->study_instance_uid,
                                       series->frame_of_reference_uid);
  if (search->strict) LC_TRY(check_strict(set, *annotation, err));
  const struct ct_annotation *disagrees = ct_annotation_set_disagrees(set, series);
  if (disagrees)
    LC_TRY(disagreement(disagrees, series, *annotation && !search->strict ? NULL : err));
  if (!*annotation && search->n_paths == 0) return none_beside(set, series, err);
  if (!*annotation) return none_in_files(set, search, series, err);
  /* What lies beside a series is of it: a file that cannot be read takes marks with it. */
  (*annotation)->n_unreadable_files =
      (search->n_paths > 0 ? 0 : set->problems.count) + (disagrees != NULL);
  LC_TRY(ct_annotation_place(*annotation, series, err));
  size_t odd = ct_annotation_check(*annotation, series);
  if (odd > 0)
    lc_log(LC_LOG_WARNING,
           "%s: %zu marks have outlines outside the series' images, or on none of them",
           (*annotation)->path, odd);
  return check_places(*annotation, err);
}

void ct_nodule_finder_free(struct ct_nodule_finder *finder) {
  forget(finder);
  *finder = (struct ct_nodule_finder){.index = NULL};
}

lc_status ct_annotation_hash(const struct ct_annotation *annotation, char hex[LC_SHA256_HEX],
                             struct lc_error *err) {
  struct lc_text all = {0};
  lc_status status = lc_hash_file_hex(annotation->path, hex, err);
  lc_text_add(&all, "%s\n", hex);
  for (size_t i = 0; status == LC_OK && i < annotation->also.count; i++) {
    status = lc_hash_file_hex(annotation->also.paths[i], hex, err);
    lc_text_add(&all, "%s\n", hex);
  }
  if (status == LC_OK && annotation->also.count > 0)
    status = lc_hash_bytes_hex(lc_text_get(&all), all.length, hex, err);
  lc_text_free(&all);
  return status;
}
