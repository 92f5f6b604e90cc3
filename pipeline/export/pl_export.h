/* DICOM objects made from a result store and its source series (docs/export.md).
 *
 *   slices         CT slices of original size with the map in place, one object a target
 *   maps           the scores as Parametric Map, one object a nodule and target
 *   segmentation   the readers' consensus
 *   relevance      what speaks for the target, as Segmentation, one object a target
 *   report         TID 1500 measurement report
 *   presentation   the readers' outlines as Grayscale Softcopy Presentation State
 *
 * The figures' secondary captures are written by the run itself (pl_artifacts.h).
 *
 * Thread-safety: one export, one thread. */
#ifndef PL_EXPORT_H
#define PL_EXPORT_H

#include "cdam/draw/cdam_render.h"
#include "ct_io/nodule/ct_nodule.h"
#include "pipeline/config/pl_config.h"
#include "pipeline/store/pl_stored.h"

enum pl_export_kind {
  PL_EXPORT_SLICES = 0,
  PL_EXPORT_MAPS,
  PL_EXPORT_SEGMENTATION,
  PL_EXPORT_RELEVANCE,
  PL_EXPORT_REPORT,
  PL_EXPORT_PRESENTATION,
  PL_EXPORT_KINDS
};

/* "slices", "maps", ... in the order of the enumeration. */
extern const char *const pl_export_names[PL_EXPORT_KINDS];

struct pl_export_options {
  bool kinds[PL_EXPORT_KINDS];
  const char *uid_root;    /* NULL: 2.25 */
  int series_number;       /* of the slices; each kind 100 more than the one before */
  const char *description; /* before the kind's name in Series Description; "lungcdam" */
  bool anonymised;         /* refuse a source that may identify the patient */
  double relevance;        /* share of a map's largest score that counts as relevant */
  double window_low_hu, window_high_hu, opacity;
  cdam_colours colours;
};

/* As a run configuration says: kinds, series number, relevance and UID root of its own, window,
 * colours and opacity of the figures. The texts are borrowed. */
void pl_export_options_of(struct pl_export_options *options, const struct pl_config *config);

struct pl_export_count {
  size_t written[PL_EXPORT_KINDS]; /* objects of each kind */
};

/* Writes the chosen kinds into an empty folder as KIND[_NODULE][_TARGET].dcm. nodules: as the run
 * found them, for the readers' outlines. LC_ERR_MISMATCH when series or nodules are not those of
 * the store, LC_ERR_UNSUPPORTED for an oblique series when slices are asked for and for a source
 * that --anonymised refuses. A kind for which the store has nothing (no outlines, no positive
 * score) is left out with a line in the log. */
LC_MUST_CHECK lc_status pl_export_write(const struct pl_stored *stored,
                                        const struct ct_series *series,
                                        const struct ct_nodule_list *nodules,
                                        const struct pl_export_options *options, const char *folder,
                                        struct pl_export_count *count, struct lc_error *err);

#endif
