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

/* Zeroed before the first use. */
struct ct_nodule_finder {
  /* NULL, or the index that the series are from, borrowed: then DICOM objects of nodules are found
   * where the index met them, in whatever folder; otherwise in the folders of the slices. */
  const struct ct_index *index;
  bool split_masks; /* each connected part of a mask is a nodule (ct_annotation_split) */
  struct ct_annotation_set set; /* what the files hold */
  struct ct_files files;        /* those that were read last */
};

/* The annotation of a series, checked against it (ct_annotation_check); valid until the next
 * search. where: a file, a folder of files, or NULL for the folders that hold the series' slices; a
 * finder is asked for one `where`. LC_ERR_MISMATCH when the file is of another series,
 * LC_ERR_NO_NODULES when there is none; otherwise why the file cannot be read. */
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
