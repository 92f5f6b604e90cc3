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

struct ct_index {
  struct ct_series *series; /* sorted by patient, study and series UID */
  size_t n_series;
  size_t n_files_seen;
  size_t n_files_not_dicom; /* nor volume files or their data */
  char **problems; /* one line for each DICOM or volume file that cannot be read: file, thing,
                    * expectation */
  size_t n_problems;
};

/* Reads the headers of every file below the given folders or files; symbolic links below them are
 * not followed. Other files are counted and skipped, those that cannot be read are logged and
 * listed in problems. LC_ERR_NOT_FOUND when a path does not exist,
 * LC_ERR_NO_DICOM when nothing in it is a DICOM object or a volume file. progress may be NULL. */
LC_MUST_CHECK lc_status ct_index_scan(struct ct_index *index, const char *const *paths,
                                      size_t n_paths, struct lc_progress *progress,
                                      struct lc_error *err);
void ct_index_free(struct ct_index *index);

/* The series with this UID, or, when uid is NULL, the only CT series that is not refused. Volume
 * files count only where no DICOM can be used. Among
 * several usable parts of one series the largest is taken if it has ten times the slices of the
 * next. LC_ERR_AMBIGUOUS lists the candidates; LC_ERR_GEOMETRY gives the reason when the one asked
 * for (or the only one) is refused; LC_ERR_NOT_FOUND when no such series exists. */
LC_MUST_CHECK lc_status ct_index_choose(const struct ct_index *index, const char *uid,
                                        const struct ct_series **series, struct lc_error *err);

LC_API_END
#endif
