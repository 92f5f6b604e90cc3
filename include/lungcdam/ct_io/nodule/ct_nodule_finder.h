/* Finds what is marked on one series after the other: in the files beside it, in a file that is
 * named, or in a folder of files. Each file is read once.
 *
 * Thread-safety: one finder, one thread. */
#ifndef CT_NODULE_FINDER_H
#define CT_NODULE_FINDER_H

#include "common/lc_api.h"
#include "common/lc_hash.h"
#include "ct_io/dicom_read/ct_index.h"
#include "ct_io/nodule/ct_annotation_set.h"

LC_API_BEGIN

/* Where nodules are looked for, and what else is known. Zeroed: the folders that hold the series'
 * slices. */
struct ct_nodule_search {
  const char *const *paths; /* files and folders, any mixture; none: beside the series */
  size_t n_paths;
  /* All series that are worked on, for files that name none (ct_annotation_set_settle); none: the
   * one that is asked for. */
  const struct ct_series *const *series;
  size_t n_series;
  bool components; /* each connected part of a mask is a nodule */
  bool strict;     /* a file, mark or point that cannot be read is an error */
};

/* Zeroed before the first use. */
struct ct_nodule_finder {
  /* NULL, or the index that the series are from, borrowed: then DICOM objects of nodules are found
   * where the index met them, in whatever folder; otherwise in the folders of the slices. */
  const struct ct_index *index;
  struct ct_annotation_set set;  /* what the files hold */
  struct ct_files files;         /* those that were read last */
  char settled_for[CT_UID_SIZE]; /* the series that was asked for when they were */
};

/* The annotation of a series, checked against it (ct_annotation_check); valid until the next
 * search. Files of one series are merged in the order in which they are named, those of a folder in
 * the order of their names. A finder is asked for one search. LC_ERR_MISMATCH when the file is of
 * another series, LC_ERR_NO_NODULES when there is none; otherwise why the file cannot be read. */
LC_MUST_CHECK lc_status ct_nodule_finder_search(struct ct_nodule_finder *finder,
                                                const struct ct_nodule_search *search,
                                                const struct ct_series *series,
                                                struct ct_annotation **annotation,
                                                struct lc_error *err);
/* The same in one file or folder, or (NULL) beside the series, which is the only one. */
LC_MUST_CHECK lc_status ct_nodule_finder_find(struct ct_nodule_finder *finder, const char *where,
                                              const struct ct_series *series,
                                              struct ct_annotation **annotation,
                                              struct lc_error *err);
void ct_nodule_finder_free(struct ct_nodule_finder *finder);

/* SHA-256 of the annotation's file, or over the hashes of several in the order of their names. */
LC_MUST_CHECK lc_status ct_annotation_hash(const struct ct_annotation *annotation,
                                           char hex[LC_SHA256_HEX], struct lc_error *err);

LC_API_END
#endif
