/* Brings annotations that name no series to the series they belong to. */
#include "ct_io/nodule/ct_settle.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/lc_text.h"

/* The series at hand, and those of them that a file may be of. */
struct choice {
  const struct ct_series *const *series;
  size_t n;
  const struct ct_series *one, *other; /* the first two that were found, */
  size_t n_found;                      /* of which there are so many */
};

static bool same_series(const struct ct_series *a, const struct ct_series *b) {
  return strcmp(a->series_instance_uid, b->series_instance_uid) == 0 &&
         strcmp(a->study_instance_uid, b->study_instance_uid) == 0;
}

/* Parts of one series are one. */
static void found(struct choice *choice, const struct ct_series *series) {
  if (choice->n_found == 0) {
    choice->one = series;
    choice->n_found = 1;
  } else if (choice->n_found == 1 && !same_series(choice->one, series)) {
    choice->other = series;
    choice->n_found = 2;
  }
}

static size_t folder_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) : 0;
}

static bool in_one_folder(const char *a, const char *b) {
  size_t length = folder_length(a);
  return length == folder_length(b) && strncmp(a, b, length) == 0;
}

static bool lies_beside(const char *path, const struct ct_series *series) {
  for (size_t i = 0; i < series->n_slices; i++)
    if (in_one_folder(path, series->slices[i].path)) return true;
  return false;
}

/* Whether a file's name goes on from that of a volume file: "case1" and "case1_nodules.nrrd". */
static bool is_named_after(const char *path, const struct ct_series *series) {
  const char *volume, *format, *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  ct_series_file(series, &volume, &format);
  size_t length = strlen(series->series_instance_uid);
  return volume && strncasecmp(name, series->series_instance_uid, length) == 0 &&
         !isalnum((unsigned char)name[length]);
}

static void choose_by_folder(struct choice *choice, const char *path) {
  size_t longest = 0;
  for (size_t i = 0; i < choice->n; i++) {
    size_t length = strlen(choice->series[i]->series_instance_uid);
    if (lies_beside(path, choice->series[i]) && is_named_after(path, choice->series[i]) &&
        length > longest)
      longest = length;
  }
  for (size_t i = 0; i < choice->n; i++) {
    const struct ct_series *series = choice->series[i];
    if (lies_beside(path, series) &&
        (longest == 0 ||
         (is_named_after(path, series) && strlen(series->series_instance_uid) == longest)))
      found(choice, series);
  }
}

static lc_status choose(struct choice *choice, const struct ct_annotation *annotation,
                        struct lc_error *err) {
  const char *patient = annotation->patient_id;
  for (size_t i = 0; i < choice->n; i++)
    if (*patient ? strcmp(choice->series[i]->patient_id, patient) == 0 : choice->n == 1)
      found(choice, choice->series[i]);
  if (!*patient && choice->n > 1) choose_by_folder(choice, annotation->path);
  if (choice->n_found > 1)
    LC_FAIL(err, LC_ERR_MISMATCH,
            "%s: names no series, and %s %s and %s alike: work on one of them (--series), or give "
            "a file that names the SeriesInstanceUID",
            annotation->path, *patient ? "the patient has" : "lies beside",
            choice->one->series_instance_uid, choice->other->series_instance_uid);
  if (choice->n_found == 0 && !*patient)
    LC_FAIL(err, LC_ERR_MISMATCH,
            "%s: names no series, and lies in the folder of none of the %zu that are worked on: "
            "put it beside its series, or work on one (--series)",
            annotation->path, choice->n);
  return LC_OK;
}

static lc_status settle_one(struct ct_annotation *annotation, const struct ct_series *const *series,
                            size_t n, struct lc_error *err) {
  struct choice choice = {.series = series, .n = n};
  LC_TRY(choose(&choice, annotation, err));
  if (choice.n_found == 0) return LC_OK; /* a patient who is not at hand */
  if (annotation->source && annotation->source->fits)
    LC_TRY(annotation->source->fits(annotation->path, choice.one, err));
  lc_text_copy(annotation->series_instance_uid, CT_UID_SIZE, choice.one->series_instance_uid);
  return LC_OK;
}

/* What names a series without a study takes the study of what names both, and is merged with it:
 * that of the series where there is one, else the first. */
static void share_study(struct ct_annotation_set *set, const struct ct_series *series) {
  const struct ct_annotation *like = NULL;
  for (size_t i = 0; i < set->n_annotations; i++) {
    const struct ct_annotation *one = &set->annotations[i];
    if (strcmp(one->series_instance_uid, series->series_instance_uid) != 0 ||
        !*one->study_instance_uid)
      continue;
    if (!like || strcmp(one->study_instance_uid, series->study_instance_uid) == 0) like = one;
  }
  for (size_t i = 0; like && i < set->n_annotations; i++) {
    struct ct_annotation *one = &set->annotations[i];
    if (strcmp(one->series_instance_uid, series->series_instance_uid) == 0 &&
        !*one->study_instance_uid)
      lc_text_copy(one->study_instance_uid, CT_UID_SIZE, like->study_instance_uid);
  }
}

lc_status ct_annotation_set_settle(struct ct_annotation_set *set,
                                   const struct ct_series *const *series, size_t n,
                                   struct lc_error *err) {
  size_t kept = 0;
  for (size_t i = 0; i < set->n_annotations; i++) {
    struct ct_annotation *annotation = &set->annotations[i];
    struct lc_error why;
    lc_status status = LC_OK, noted = LC_OK;
    if (!*annotation->series_instance_uid && !*annotation->frame_of_reference_uid)
      status = settle_one(annotation, series, n, &why);
    if (status != LC_OK) noted = ct_annotation_set_note(set, status, why.message, err);
    if (status != LC_OK)
      ct_annotation_free(annotation);
    else if (kept++ != i) {
      set->annotations[kept - 1] = *annotation;
      memset(annotation, 0, sizeof *annotation);
    }
    LC_TRY(noted);
  }
  set->n_annotations = kept;
  for (size_t i = 0; i < n; i++) share_study(set, series[i]);
  return ct_annotation_set_merge(set, err);
}
