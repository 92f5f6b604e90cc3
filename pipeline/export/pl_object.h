/* The kinds of DICOM object, in one table, and what their writers share: identity, UIDs, texts and
 * provenance. docs/extending.md says how to add one. */
#pragma once

#include "pipeline/export/pl_export.h"

/* What a kind needs beside the result. */
enum pl_needs {
  PL_NEEDS_PICTURES = 1, /* those that a run draws, one object each */
  PL_NEEDS_OTHERS = 2    /* refers to the other objects, by e->references: written after the kinds
                          * without this bit, and another object when other kinds are asked for */
};

struct pl_object_kind {
  const char *name;                     /* "maps": in configuration, file names and descriptions */
  const char *role;                     /* "export maps": what the UIDs are made from */
  const struct ct_object_class *object; /* SOP class and modality */
  int series_offset; /* from export.series_number: a multiple of 100 below 1000 that no other kind
                        has, listed in docs/export.md */
  const char *doc;   /* one line */
  unsigned needs;    /* enum pl_needs */
  bool is_map;       /* shows an explanation: derivation code 130402 */
  bool of_readers;   /* what readers marked: no model has part in it */
  /* Writes all objects of the kind; NULL when it needs pictures. */
  lc_status (*write)(const struct pl_object_kind *kind, struct pl_export *e, struct lc_error *err);
  /* Writes the object of one picture. Thread-safe. */
  lc_status (*write_picture)(const struct pl_object_kind *kind, const struct pl_export *e,
                             size_t nodule, size_t view, const struct cdam_picture *picture,
                             const char *words, struct lc_error *err);
};

/* The table, in the order in which the kinds are listed. An export writes those without
 * PL_NEEDS_OTHERS in this order, then those with it; e->references holds all that were written
 * before. Kinds made from pictures are written by the run that draws them, apart from the others.
 */
const struct pl_object_kind *const *pl_object_kinds(size_t *n);

/* One object on its way. Its texts are those of about, which may be set to others. */
#define PL_NONE ((size_t)-1)
struct pl_object {
  const struct pl_object_kind *kind;
  char description[65], comments[512], content[65];
  char path[LC_PATH_SIZE];
  struct ct_derived about; /* all but the source slices */
};

/* Makes everything that an object says of itself, and its place:
 * folder/KIND[_NODULE][_TARGET][_VIEW].dcm, or folder/NODULE_VIEW.dcm for a picture. Each of
 * nodule, target and view may be PL_NONE. The objects of a kind and target are one series. The
 * object must not be moved. */
LC_MUST_CHECK lc_status pl_object_begin(struct pl_object *object, const struct pl_export *e,
                                        const struct pl_object_kind *kind, size_t nodule,
                                        size_t target, size_t view, struct lc_error *err);
/* Counts an object that was written and remembers it for those that refer to others. */
LC_MUST_CHECK lc_status pl_object_done(const struct pl_object *object, struct pl_export *e,
                                       struct lc_error *err);
/* Identifier of a nodule in every object of its series. */
LC_MUST_CHECK lc_status pl_object_tracking(const struct pl_export *e, size_t nodule,
                                           char uid[CT_UID_SIZE], struct lc_error *err);

/* Slices of the source that an object is made from. */
struct pl_touched {
  bool *used;     /* [slices of the series] */
  size_t *slices; /* the indices of those that are used, after pl_touched_list */
  size_t n;
};
LC_MUST_CHECK lc_status pl_touched_init(struct pl_touched *touched, const struct pl_export *e,
                                        struct lc_error *err);
/* Adds the slices that the cube of a nodule touches. */
void pl_touched_add(struct pl_touched *touched, const struct pl_export *e, size_t nodule);
/* Gives the object the slices that were added. */
LC_MUST_CHECK lc_status pl_touched_list(struct pl_touched *touched, const struct pl_export *e,
                                        struct pl_object *object, struct lc_error *err);
void pl_touched_free(struct pl_touched *touched);
