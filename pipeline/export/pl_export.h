/* DICOM objects made from a result and its source series (docs/export.md): the kinds of
 * pl_object.h, in a run from memory, or later from the store.
 *
 * Thread-safety: one export, one thread; pl_export_picture from several. */
#pragma once

#include "cdam/draw/cdam_render.h"
#include "ct_io/dicom_write/ct_derived.h"
#include "pipeline/config/pl_config.h"
#include "pipeline/store/pl_result.h"

#define PL_OBJECTS_MOST 32 /* kinds that the table may have */

struct pl_export_options {
  bool kinds[PL_OBJECTS_MOST]; /* in the order of the table */
  const char *uid_root;        /* NULL: 2.25 */
  int series_number;           /* what the kinds' offsets are added to */
  int capture_series_number;   /* of the captures */
  const char *description;     /* before the kind's name in Series Description; "lungcdam" */
  bool anonymised;             /* refuse a source that may identify the patient */
  double consensus_level;      /* share of readers, of the consensus */
  double relevance;            /* share of a map's largest score that counts as relevant */
  double window_low_hu, window_high_hu, opacity;
  cdam_colours colours;
};

/* As a run configuration says: kinds, series numbers, relevance and UID root of its own, window,
 * colours and opacity of the figures. The texts are borrowed. */
void pl_export_options_of(struct pl_export_options *options, const struct pl_config *config);
/* Whether a kind is wanted that is made from the result, or from pictures as a run draws them. */
bool pl_export_wants(const struct pl_export_options *options, bool pictures);

/* One export on its way. */
struct pl_export {
  const struct pl_result *result;
  const struct pl_export_options *options;
  const char *folder;
  size_t written[PL_OBJECTS_MOST];        /* objects of each kind */
  char model_name[65], model_version[96]; /* version: of the weights too */
  char derivation[1024], version[64];
  char identity[LC_SHA256_HEX];     /* of the series as it is now */
  struct ct_reference segmentation; /* of the consensus, once written */
  unsigned *segment_of;             /* [nodule]: its segment there, 0 when none */
  struct ct_reference *references;  /* of everything written so far */
  size_t n_references, capacity;
};

/* Readies an export into an empty folder; all is borrowed. LC_ERR_UNSUPPORTED for a source that
 * --anonymised refuses, or that is no DICOM. */
LC_MUST_CHECK lc_status pl_export_open(struct pl_export *e, const struct pl_result *result,
                                       const struct pl_export_options *options, const char *folder,
                                       struct lc_error *err);
/* Adds to a text what was repaired of the source series, or allowed to miss. */
void pl_export_add_repair(const struct pl_export *e, char *text, size_t size);
/* Writes the chosen kinds as KIND[_NODULE][_TARGET][_VIEW].dcm. A kind that cannot be made of the
 * series (slices of an oblique one), or for which the result has nothing (no outlines, no positive
 * score), is left out with a line in the log; LC_ERR_UNSUPPORTED when that leaves nothing. */
LC_MUST_CHECK lc_status pl_export_write(struct pl_export *e, struct lc_error *err);
/* Writes the chosen kinds that are made from the picture of a nodule in a view, as
 * NODULE_VIEW.dcm. words: what the picture says. */
LC_MUST_CHECK lc_status pl_export_picture(const struct pl_export *e, size_t nodule, size_t view,
                                          const struct cdam_picture *picture, const char *words,
                                          struct lc_error *err);
void pl_export_close(struct pl_export *e);

/* Gives a result that was read its source series and the readers' marks: those of `found`, in which
 * the nodules were found again. LC_ERR_MISMATCH when annotation, slices or nodules are not those
 * that the result was made from: numbers would else land on another patient. */
LC_MUST_CHECK lc_status pl_export_attach(struct pl_result *result, struct pl_result *found,
                                         struct lc_error *err);
