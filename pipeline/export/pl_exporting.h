/* What the files of the export share; private to them. */
#ifndef PL_EXPORTING_H
#define PL_EXPORTING_H

#include "ct_io/dicom_write/ct_derived.h"
#include "pipeline/export/pl_export.h"

/* One export on its way. */
struct pl_exporting {
  const struct pl_stored *stored;
  const struct ct_series *series;
  const struct ct_nodule_list *nodules;
  const struct pl_export_options *options;
  const char *folder;
  struct pl_export_count *count;
  char model_name[64], derivation[640], version[64];
  struct ct_reference segmentation; /* of the consensus, once written */
  unsigned *segment_of;             /* [nodule]: its segment there, 0 when none */
  struct ct_reference *references;  /* of everything written so far */
  size_t n_references, capacity;
};

/* Everything an object says of itself. nodule and target may be (size_t)-1: none. comments is a
 * buffer that must outlive about; slices are borrowed. */
#define PL_EXPORT_COMMENTS 512
#define PL_EXPORT_DESCRIPTION 65
struct pl_export_texts {
  char description[PL_EXPORT_DESCRIPTION], comments[PL_EXPORT_COMMENTS], content[65];
};
LC_MUST_CHECK lc_status pl_export_describe(const struct pl_exporting *e, enum pl_export_kind kind,
                                           size_t nodule, size_t target,
                                           struct pl_export_texts *texts, struct ct_derived *about,
                                           struct lc_error *err);
/* folder/KIND[_NODULE][_TARGET].dcm */
LC_MUST_CHECK lc_status pl_export_path(const struct pl_exporting *e, enum pl_export_kind kind,
                                       size_t nodule, size_t target, char path[LC_PATH_SIZE],
                                       struct lc_error *err);
/* Counts an object and remembers it for the report. */
LC_MUST_CHECK lc_status pl_export_done(struct pl_exporting *e, enum pl_export_kind kind,
                                       const struct ct_derived *about, const char *sop_class_uid,
                                       struct lc_error *err);
/* Identifier of a nodule in every object of its series. */
LC_MUST_CHECK lc_status pl_export_tracking(const struct pl_exporting *e, size_t nodule,
                                           char uid[CT_UID_SIZE], struct lc_error *err);
/* Marks the slices that the cube of a nodule touches. used: [series->n_slices] */
void pl_export_touch(const struct pl_exporting *e, size_t nodule, bool *used);
/* Indices of the marked slices; free() them. */
LC_MUST_CHECK lc_status pl_export_list(const bool *used, size_t n, size_t **slices, size_t *count,
                                       struct lc_error *err);

LC_MUST_CHECK lc_status pl_export_slices(struct pl_exporting *e, struct lc_error *err);
LC_MUST_CHECK lc_status pl_export_maps(struct pl_exporting *e, struct lc_error *err);
LC_MUST_CHECK lc_status pl_export_segmentation(struct pl_exporting *e, struct lc_error *err);
LC_MUST_CHECK lc_status pl_export_relevance(struct pl_exporting *e, struct lc_error *err);
LC_MUST_CHECK lc_status pl_export_report(struct pl_exporting *e, struct lc_error *err);
LC_MUST_CHECK lc_status pl_export_presentation(struct pl_exporting *e, struct lc_error *err);

#endif
