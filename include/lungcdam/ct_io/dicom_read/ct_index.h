/* All CT series below some folders, found by their headers: of DICOM, and of volume files
 * (MetaImage, NIfTI, NRRD), which are one series each.
 *
 * docs/series-loading.md lists each situation and what happens. Thread-safety: distinct indexes may
 * be used from distinct threads; a finished one may be read by many. */
#ifndef CT_INDEX_H
#define CT_INDEX_H

#include "common/lc_api.h"
#include "common/lc_log.h"
#include "ct_io/ct/ct_series.h"

LC_API_BEGIN

/* What the user vouches for. */
struct ct_index_rules {
  bool assume_hu;     /* stored values without RescaleIntercept are Hounsfield units */
  bool allow_missing; /* a series may lack slices whose files cannot be read */
};

/* A file that could not be read. */
struct ct_problem {
  char *path, *message; /* message: file, thing, expectation */
  /* Where they could be read, else "". */
  char study_instance_uid[CT_UID_SIZE], series_instance_uid[CT_UID_SIZE];
  bool unreadable; /* the system refused it: permission, a failing disk, a link to nowhere */
};

struct ct_index {
  struct ct_series *series; /* sorted by patient, study and series UID */
  size_t n_series;
  size_t n_files_seen;
  size_t n_files_not_dicom;
  struct ct_problem *problems;
  size_t n_problems, n_unreadable;
};

/* Reads the headers of every file below the given folders or files; links below them are followed
 * to regular files. Volume files are series too; other files that are not DICOM are counted and
 * skipped; DICOM files that cannot be read, and files that the system does not let be read, are
 * logged and listed in problems. A series that lacks slices because of them is refused unless the
 * rules allow it. rules NULL: none. LC_ERR_NOT_FOUND when a path does not exist, LC_ERR_NO_DICOM
 * when nothing in it is a DICOM object or a volume file. progress may be NULL. */
LC_MUST_CHECK lc_status ct_index_scan(struct ct_index *index, const char *const *paths,
                                      size_t n_paths, const struct ct_index_rules *rules,
                                      struct lc_progress *progress, struct lc_error *err);
/* LC_ERR_PARTIAL that names the first file that the system did not let be read; LC_OK when there is
 * none. For the end of a command that worked on the others. */
LC_MUST_CHECK lc_status ct_index_check_readable(const struct ct_index *index, struct lc_error *err);
void ct_index_free(struct ct_index *index);

/* The series with this name, or, when it is NULL, the only CT series that is not refused. A name is
 * SeriesInstanceUID, or StudyInstanceUID/SeriesInstanceUID where two studies share it, and then,
 * for one of several parts, a colon and its number: "1.2.3:2". Without a number the largest of
 * several usable parts is taken if it has ten times the slices of the next. Volume files count only
 * where no DICOM can be used. LC_ERR_AMBIGUOUS lists
 * the candidates; LC_ERR_GEOMETRY gives the reason when the one asked for (or the only one) is
 * refused; LC_ERR_NOT_FOUND when no such series exists. */
LC_MUST_CHECK lc_status ct_index_choose(const struct ct_index *index, const char *name,
                                        const struct ct_series **series, struct lc_error *err);
/* Whether a series is, or is one of, those that a name means. */
bool ct_index_is_named(const struct ct_series *series, const char *name);
/* The shortest such name of one series of the index. */
#define CT_SERIES_NAME_SIZE (2 * CT_UID_SIZE + 16)
void ct_index_name(const struct ct_index *index, const struct ct_series *series,
                   char name[CT_SERIES_NAME_SIZE]);

/* Which one a usable series is, from 1, of those with its SeriesInstanceUID: parts, and series of
 * other studies; volume files after DICOM. */
int ct_index_number(const struct ct_index *index, const struct ct_series *series);

LC_API_END
#endif
