/* What is known of the nodules of one series before they are grouped: what each reader outlined and
 * rated, and points with diameters. ct_nodule_source.h has the kinds of files it is read from.
 *
 * The marks are those of TCIA's LidcReadMessage XML (Armato et al., Med Phys 38:915, 2011). Outline
 * points are pixel indices (x = column, y = row) on the slice named by imageSOP_UID; the outline
 * runs just outside the nodule, so its own pixels are not nodule. Chest X-ray files
 * (IdriReadMessage) are recognised.
 *
 * A mark in which a coordinate or a rating cannot be read is left out, and the others are read; the
 * log names it with its line.
 *
 * A mark whose outlines are all single points is a nodule under 3 mm; any longer outline makes it a
 * nodule of 3 mm or more.
 *
 * Parsing: expat; a document type (and so any entity of its own) is refused; depth at most 32, text
 * of one element at most 4 KiB, file at most 64 MiB, coordinates 0 to 65535, ratings 0 to 6.
 *
 * Ownership: marks, outlines, xy, regions, points and path are of malloc, made by whoever reads the
 * file, and ct_annotation_free frees them all.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#ifndef CT_MARK_H
#define CT_MARK_H

#include <stdint.h>

#include "common/lc_api.h"
#include "ct_io/ct/ct_series.h"
#include "ct_io/dicom_read/ct_files.h"
#include "ct_io/nodule/ct_region.h"

LC_API_BEGIN

/* The nine ratings in the order of the XML. 0 means not given. */
typedef enum ct_rating {
  CT_SUBTLETY = 0,
  CT_INTERNAL_STRUCTURE,
  CT_CALCIFICATION,
  CT_SPHERICITY,
  CT_MARGIN,
  CT_LOBULATION,
  CT_SPICULATION,
  CT_TEXTURE,
  CT_MALIGNANCY,
  CT_RATING_COUNT
} ct_rating;

/* "subtlety", "internalStructure", "calcification", ... as the XML spells them. */
const char *ct_rating_name(ct_rating rating);

/* What the readers' malignancy makes of a nodule: the one rule. */
typedef enum ct_label {
  CT_LABEL_UNRATED = -2,
  CT_LABEL_INDETERMINATE = -1, /* 3 */
  CT_LABEL_BENIGN = 0,         /* below */
  CT_LABEL_MALIGNANT = 1       /* above */
} ct_label;
ct_label ct_label_of(double malignancy);   /* median or consensus; NaN: unrated */
const char *ct_label_name(ct_label label); /* "unrated", "indeterminate", "benign", "malignant" */

typedef enum ct_mark_kind {
  CT_MARK_NODULE = 0, /* 3 mm or more: outlines, normally with ratings */
  CT_MARK_SMALL,      /* under 3 mm: one point, no ratings */
  CT_MARK_NON_NODULE  /* non-nodule of 3 mm or more: one point */
} ct_mark_kind;

/* What is odd about a mark; a bit set. */
enum ct_mark_fault {
  CT_FAULT_RATING_ZERO = 1 << 0,   /* a rating is 0 */
  CT_FAULT_NO_RATINGS = 1 << 1,    /* outlines of a nodule without characteristics */
  CT_FAULT_FEW_POINTS = 1 << 2,    /* a nodule's outline of one to three points */
  CT_FAULT_OPEN_OUTLINE = 1 << 3,  /* four points or more, the last not the first again */
  CT_FAULT_UNKNOWN_SLICE = 1 << 4, /* an outline on a slice that the series lacks, or a shape that
                                      cannot be placed on the series (ct_region.h) */
  CT_FAULT_OUTSIDE_IMAGE = 1 << 5, /* a point outside the image */
  CT_FAULT_REPEATED = 1 << 6,      /* the same mark appears again and was merged */
  /* an outline's imageZposition is more than half a slice from the slice of its imageSOP_UID */
  CT_FAULT_SLICE_DISAGREES = 1 << 7
};

struct ct_outline {
  char sop_instance_uid[CT_UID_SIZE];
  double z_mm;      /* imageZposition as written */
  bool inclusion;   /* false: the outlined pixels are cut out */
  int32_t (*xy)[2]; /* [n_points] column, row */
  size_t n_points;
  size_t placed; /* 1 more than its slice, where ct_annotation_place made it; otherwise 0 */
};

struct ct_mark {
  ct_mark_kind kind;
  int session;     /* of its reading session, from 0: below the annotation's n_sessions */
  char reader[64]; /* servicingRadiologistID, often anonymised */
  char nodule_id[64];
  int rating[CT_RATING_COUNT];
  bool has_ratings;
  struct ct_outline *outlines;
  size_t n_outlines;
  struct ct_region
      *region; /* NULL, or the shape, from which the outlines are made on each series */
  unsigned faults;
};

/* A nodule that is given as a place alone. */
struct ct_point {
  double centre_mm[3]; /* LPS */
  double diameter_mm;  /* 0 or more; 0 where the file does not give one */
  size_t line;        /* of the file that names it (of kinds without lines the number of the thing),
                         from 1; 0 would mean a nodule of marks */
  double probability; /* that it is a nodule, 0 to 1, as the file says; NaN where it does not */
  char name[64];      /* that the file has for it, or "" */
  const char *path;   /* that file, borrowed from the annotation; NULL: its first */
  /* Not "": the place is pixel on this image (column, row; the centre of the first is 0, 0), and
   * ct_annotation_place sets centre_mm, or unplaced where the series lacks the image. */
  char sop_instance_uid[CT_UID_SIZE];
  double pixel[2];
  bool unplaced;
};

struct ct_annotation {
  const struct ct_nodule_source *source; /* the kind of file; set where a finder read it */
  char kinds[128];      /* titles of the kinds of all its files: "LIDC XML, CSV"; set likewise */
  char *path;           /* of its first file */
  size_t order;         /* of that among the files that were read; set likewise */
  struct ct_files also; /* further files that were merged into it, in the order of reading */
  bool is_chest_xray;   /* IdriReadMessage: recognised, nothing else filled */
  /* The series that it is of. Where the file names none, "", and its frame of reference, or its
   * patient, or nothing: an annotation belongs to the series of this UID, else to those of this
   * frame of reference, else to the one that ct_annotation_set_settle finds. */
  char series_instance_uid[CT_UID_SIZE];
  char frame_of_reference_uid[CT_UID_SIZE];
  char study_instance_uid[CT_UID_SIZE];
  char patient_id[CT_TEXT_SIZE];
  int n_sessions; /* reading sessions, one a reader, those without marks too; 0 with points alone */
  struct ct_mark *marks;
  size_t n_marks;
  struct ct_point *points;
  size_t n_points;
  size_t n_unreadable;       /* marks and points left out, since something in them cannot be read */
  size_t n_unreadable_files; /* beside it, that may hold more marks of its series */
};

struct ct_annotations {
  struct ct_annotation *items;
  size_t n;
};

/* LC_ERR_FORMAT with file and line for XML that is not an LIDC message. */
LC_MUST_CHECK lc_status ct_annotation_read(struct ct_annotation *annotation, const char *path,
                                           struct lc_error *err);
void ct_annotation_free(struct ct_annotation *annotation);
/* Adds a copy. It looks at no number: place, diameter and line are for the caller to check. Fails
 * with LC_ERR_MEMORY alone. */
LC_MUST_CHECK lc_status ct_annotation_add_point(struct ct_annotation *annotation,
                                                const struct ct_point *point, struct lc_error *err);
/* Moves the marks and points of `more` into `into` and remembers its path; adds how many were
 * repeats. The marks of more are gone afterwards. */
LC_MUST_CHECK lc_status ct_annotation_merge(struct ct_annotation *into, struct ct_annotation *more,
                                            size_t *n_repeated, struct lc_error *err);
/* Adds an empty annotation; `added` is valid until the next. */
LC_MUST_CHECK lc_status ct_annotations_add(struct ct_annotations *list,
                                           struct ct_annotation **added, struct lc_error *err);
/* The annotation of a series in a file, the last ones first; added when there is none. */
LC_MUST_CHECK lc_status ct_annotations_of_series(struct ct_annotations *list, const char *uid,
                                                 const char *path,
                                                 struct ct_annotation **annotation,
                                                 struct lc_error *err);
void ct_annotations_free(struct ct_annotations *list);
/* Writes a LidcReadMessage as TCIA's files look (same elements, order and namespaces). */
LC_MUST_CHECK lc_status ct_annotation_write(const struct ct_annotation *annotation,
                                            const char *path, struct lc_error *err);

LC_API_END
#endif
