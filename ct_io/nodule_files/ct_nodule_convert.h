/* Writes the nodules of a series in the kinds of files that other programs read, and that
 * ct_nodule_source.h reads again: the table of kinds that nodules are converted to.
 *
 * Thread-safety: distinct files may be written from distinct threads. */
#pragma once

#include "common/lc_text.h"
#include "ct_io/nodule/ct_nodule.h"

LC_C_BEGIN

/* What is known of one series. */
struct ct_nodules_of {
  const struct ct_series *series;
  const struct ct_annotation *annotation; /* placed on it */
  const struct ct_nodule_list *nodules;
  double level; /* of the consensus, for masks */
};

struct ct_nodule_kind {
  const char *name;   /* "csv" */
  const char *ending; /* of its files, with the dot */
  const char *doc;    /* what is kept, one line */
  /* Adds a series to a text; heading: before the first of a file. NULL: `write` does it. A kind
   * without heading has one series a file. */
  void (*add)(struct lc_text *text, const struct ct_nodules_of *of);
  const char *heading; /* line at the start of a file of several series, or NULL */
  /* Writes one series. LC_ERR_NO_NODULES when it has nothing that the kind can hold. */
  lc_status (*write)(const struct ct_nodules_of *of, const char *path, struct lc_error *err);
};

/* The kinds, ended by NULL. */
extern const struct ct_nodule_kind *const ct_nodule_kinds[];

/* Writes a label volume on the grid of the series as NIfTI, packed where the path ends in .gz: the
 * value of a voxel is the number of the nodule whose consensus holds it (the first, of several).
 * Nodules without outlines are left out by name. LC_ERR_NO_NODULES where all are. */
LC_MUST_CHECK lc_status ct_nodules_write_nifti(const struct ct_nodules_of *of, const char *path,
                                               struct lc_error *err);

LC_C_END
