/* The physical nodules of a series: marks of several readers that mean the same one, or points that
 * a CSV names.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#ifndef CT_NODULE_H
#define CT_NODULE_H

#include "ct_mark.h"
#include "ct_series.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ct_nodule {
  char id[64]; /* "nodule-1", numbered along the series normal then by row, column */
  const struct ct_mark **marks; /* borrowed from the annotation; none for CSV points */
  size_t n_marks;
  int n_readers;          /* distinct sessions among the marks */
  double centre_mm[3];    /* LPS: centre of the bounding box of all outlines, or the CSV point */
  double bounds_mm[2][3]; /* LPS corners of that box */
  double diameter_mm;     /* from the CSV, or the largest in-slice extent of the outlines */
  double mean_rating[CT_RATING_COUNT];   /* over marks whose rating is not 0; NaN when none */
  double median_rating[CT_RATING_COUNT]; /* likewise */
};

struct ct_nodule_list {
  struct ct_nodule *nodules;
  size_t n_nodules;
  size_t n_marks_unplaced; /* marks whose outlines lie on no slice of the series */
};

/* How marks are grouped. */
struct ct_grouping {
  bool in_millimetres; /* false: pylidc's rule, distances in voxel indices */
  double tolerance_mm; /* 0: the slice thickness, as pylidc */
};

/* Groups marks of nodules of 3 mm and more. pylidc's rule (Hancock and Magnan, J Med Imaging
 * 3:044504, 2016): two marks belong together when the smallest distance between their outline
 * points is within the tolerance; the tolerance shrinks by 0.9 until no group has more than four
 * marks, and grouping gives up below 0.1. The annotation must outlive the list. LC_ERR_MISMATCH
 * when the annotation names another series. */
LC_MUST_CHECK lc_status ct_nodules_from_marks(struct ct_nodule_list *list,
                                              const struct ct_annotation *annotation,
                                              const struct ct_series *series,
                                              const struct ct_grouping *grouping,
                                              struct lc_error *err);

/* Rows of a CSV in LUNA16's format (seriesuid,coordX,coordY,coordZ,diameter_mm; world = LPS mm)
 * that name this series. A missing column, a word where a number belongs: LC_ERR_FORMAT with file
 * and line. LC_ERR_OUTSIDE when a point lies outside the volume. */
LC_MUST_CHECK lc_status ct_nodules_from_csv(struct ct_nodule_list *list, const char *path,
                                            const struct ct_series *series, struct lc_error *err);
void ct_nodule_list_free(struct ct_nodule_list *list);

#ifdef __cplusplus
}
#endif
#endif
