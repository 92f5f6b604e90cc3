/* The kinds of files that nodules are read from, in one table. docs/extending.md says how to add
 * one.
 *
 * A source reads one file and says what it holds of each series: marks with outlines, points with
 * diameters, or both (ct_mark.h). What files there are, which series they belong to, merging and
 * hashing is the finder's (ct_nodule_finder.h).
 *
 * Thread-safety: files are recognised and read on several threads at a time. */
#ifndef CT_NODULE_SOURCE_H
#define CT_NODULE_SOURCE_H

#include "common/lc_api.h"
#include "ct_io/nodule/ct_mark.h"

LC_API_BEGIN

struct ct_nodule_source {
  const char *name;  /* "lidc_xml" */
  const char *title; /* "LIDC XML", as results and messages say it */
  const char *doc;   /* what a file of this kind holds, one line */
  /* A file lists the nodules of many series: it is read only where it is named itself, not found in
   * a folder, and a series that it does not name has no nodule. */
  bool is_list;
  /* SOP classes of the DICOM objects that are of this kind, which end with NULL: then recognise is
   * not asked. Such objects have any name. NULL: no DICOM. */
  const char *const *classes;
  /* Whether a file is of this kind, by its path and its first n bytes: 4096, or all of a shorter
   * file, not ended by a zero; never NULL. n is 0 while files of a folder are looked through: then
   * the path may be a bare name, and the answer says whether the file is worth opening. When
   * several kinds say yes, the first of the table reads the file. */
  bool (*recognise)(const char *path, const char *first, size_t n);
  /* Adds an annotation for each series that the file names (ct_annotations_of_series, or
   * ct_annotations_add for one without a series UID), each with its path; ct_mark.h says what each
   * field holds and who allocates it. After a failure the caller frees what was added.
   * LC_ERR_FORMAT with file and line. */
  lc_status (*read)(struct ct_annotations *found, const char *path, struct lc_error *err);
  /* Whether a file that names no series can be of this one, to which it belongs otherwise
   * (ct_annotation_set_settle); NULL: it can. LC_ERR_GEOMETRY says why not. */
  lc_status (*fits)(const char *path, const struct ct_series *series, struct lc_error *err);
};

/* The table, in the order in which files are recognised. */
const struct ct_nodule_source *const *ct_nodule_sources(size_t *n);
/* The kind of a file that is named; LC_ERR_NOT_FOUND, or LC_ERR_FORMAT when it is of none. */
LC_MUST_CHECK lc_status ct_nodule_source_of(const struct ct_nodule_source **source,
                                            const char *path, struct lc_error *err);
/* Whether a file found in a folder may be of a kind that lies in folders: by its name (then the
 * path may be a bare one), or by that and, for DICOM objects, its first bytes. */
bool ct_nodule_source_named(const char *path);
bool ct_nodule_source_wants(const char *path);
/* Whether objects of a SOP class are of some kind. */
bool ct_nodule_source_has_class(const char *uid);
/* Titles of the kinds that are lists, or of those that are not, with commas: "LIDC XML"; cut to
 * CT_TITLES_SIZE. Returns out. */
#define CT_TITLES_SIZE 384
const char *ct_nodule_source_titles(char out[CT_TITLES_SIZE], bool lists);
/* Whether the path ends so, in whatever case. */
bool ct_path_ends(const char *path, const char *ending);

LC_API_END
#endif
