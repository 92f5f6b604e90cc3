/* The marks of a folder: all annotations below some folders, by the sources of ct_nodule_source.h,
 * one for each CT series, and for each study where files name several that share its UID.
 *
 * Several files may name one series. They are read in the order of their paths: a mark that an
 * earlier file already has (same session, kind, ratings, outlines) is merged with it and flagged
 * CT_FAULT_REPEATED; the others are added, with their sessions numbered on. Chest X-ray files are
 * counted and left out. Files that cannot be read are counted, logged and listed, never fatal
 * beside others.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#ifndef CT_ANNOTATION_SET_H
#define CT_ANNOTATION_SET_H

#include "common/lc_api.h"
#include "common/lc_log.h"
#include "ct_io/nodule/ct_mark.h"
#include "ct_io/nodule/ct_nodule_source.h"

LC_API_BEGIN

struct ct_annotation_set {
  struct ct_annotation *annotations; /* sorted by series and study; path is the first file's */
  size_t n_annotations;
  size_t n_files;           /* read: of CT and chest X-ray */
  size_t n_ct_files;        /* LidcReadMessage and the like */
  size_t n_chest_xrays;     /* IdriReadMessage */
  size_t n_repeated;        /* marks merged */
  struct ct_files problems; /* one line for each file that could not be read */
  lc_status first_problem;
};

/* Reads every file below the folders that a source wants (by name, or DICOM objects of nodules),
 * and every file given itself. progress may be NULL; its total and unit are set here.
 * LC_ERR_NOT_FOUND when a path does not exist or no such file is there; the first problem is the
 * error when nothing could be read. */
LC_MUST_CHECK lc_status ct_annotation_set_scan(struct ct_annotation_set *set,
                                               const char *const *paths, size_t n_paths,
                                               struct lc_progress *progress, struct lc_error *err);
/* Reads these files, and logs what each was recognised as; of more than eight how many of each kind
 * there are. Those that cannot be read are problems, however many they are. progress may be NULL.
 */
LC_MUST_CHECK lc_status ct_annotation_set_read(struct ct_annotation_set *set,
                                               const struct ct_files *files,
                                               struct lc_progress *progress, struct lc_error *err);
/* Makes each connected part of a mask (ct_region.h) a mark of its own: voxels hang together by
 * faces, edges and corners. */
LC_MUST_CHECK lc_status ct_annotation_set_split(struct ct_annotation_set *set,
                                                struct lc_error *err);
/* Brings annotations that name no series to theirs, of those at hand: that of the patient, where
 * the patient has one alone; the only one at hand; of several the one in whose folder the file
 * lies, of volume files there the one whose name begins the file's. An annotation that may be of
 * several, or that does not fit (ct_nodule_source.h), is a problem, and one of none stays as it is.
 * Then merges what names one series, whether it names the study or not. */
LC_MUST_CHECK lc_status ct_annotation_set_settle(struct ct_annotation_set *set,
                                                 const struct ct_series *const *series, size_t n,
                                                 struct lc_error *err);
/* Raises the first problem. */
LC_MUST_CHECK lc_status ct_annotation_set_fail(const struct ct_annotation_set *set,
                                               struct lc_error *err);
void ct_annotation_set_free(struct ct_annotation_set *set);
/* The annotation of a series, that of its study first where several studies share its UID (NULL:
 * any), or else of its frame of reference (NULL: series alone), first where the file named no
 * series; NULL when there is none. One that names the series and another frame of reference is not
 * of it. */
struct ct_annotation *ct_annotation_set_find(const struct ct_annotation_set *set,
                                             const char *series_uid, const char *study_uid,
                                             const char *frame_uid);
/* The first annotation that names the series and another frame of reference; NULL: none. */
const struct ct_annotation *ct_annotation_set_disagrees(const struct ct_annotation_set *set,
                                                        const struct ct_series *series);

/* What an XML alone says of its series' geometry, for grouping without DICOM: slices at the z
 * positions of all marks, spacing = their smallest distance, thickness = spacing, pixels of 1 mm
 * and unknown size. Distances in the plane are therefore in pixels. Free with ct_series_release. */
LC_MUST_CHECK lc_status ct_series_from_annotation(struct ct_series *series,
                                                  const struct ct_annotation *annotation,
                                                  struct lc_error *err);
/* Only for a series that ct_series_from_annotation made. */
void ct_series_release(struct ct_series *series);

LC_API_END
#endif
