/* The physical nodules of a series: marks of several readers that mean the same one, or points.
 *
 * Thread-safety: distinct objects may be used from distinct threads. */
#ifndef CT_NODULE_H
#define CT_NODULE_H

#include "common/lc_api.h"
#include "ct_io/ct/ct_cube.h"
#include "ct_io/ct/ct_cutter.h"
#include "ct_io/ct/ct_series.h"
#include "ct_io/nodule/ct_mark.h"

LC_API_BEGIN

struct ct_nodule {
  char id[64]; /* "nodule-1", numbered along the series normal then by row, column */
  const struct ct_mark **marks; /* borrowed from the annotation; none for points */
  size_t n_marks;
  char name[64];          /* as the file calls the point or mask, or "" */
  double probability;     /* of the point, where the file says it; else NaN */
  const char *path;       /* of the file that names the point, borrowed; NULL: marks do */
  size_t line;            /* of that file; 0: marks do */
  int n_readers;          /* distinct sessions among the marks */
  double centre_mm[3];    /* LPS: centre of the bounding box of all outlines, or the point */
  double bounds_mm[2][3]; /* LPS corners of that box */
  double diameter_mm;     /* of the point (0: not given), or the largest ct_mark_measure diameter of
                             the marks */
  double mean_rating[CT_RATING_COUNT];   /* over marks whose rating is not 0; NaN when none */
  double median_rating[CT_RATING_COUNT]; /* likewise */
};

struct ct_nodule_list {
  struct ct_nodule *nodules;
  size_t n_nodules;
  size_t n_same;           /* points that are nodules named before */
  size_t n_marks_unplaced; /* marks, and points of images, on no slice of the series */
  size_t n_unreadable, n_unreadable_files; /* of the annotation */
  double tolerance_used;                   /* after shrinking; 0 when nothing had to be grouped */
  bool group_too_large; /* grouping gave up: some group has more than four marks */
};

/* How marks are grouped. */
struct ct_grouping {
  bool in_millimetres; /* false: pylidc's rule, distances in voxel indices */
  double tolerance_mm; /* 0: the slice thickness, as pylidc */
  /* Every point is a nodule; else one that lies within CT_SAME_NODULE_MM of the centre of an
   * earlier nodule is that one, and the log says so. */
  bool keep_duplicates;
};
#define CT_SAME_NODULE_MM 3

/* Groups marks of nodules of 3 mm and more; points follow in the order of the files, those outside
 * the series too: the cutter names them. pylidc's rule (Hancock and Magnan, J Med Imaging 3:044504,
 * 2016): two marks belong together when the smallest distance between their outline points is
 * within the tolerance; the tolerance shrinks by 0.9 until no group has more than four marks, and
 * grouping gives up below 0.1. grouping NULL: pylidc's rule with the slice thickness. The
 * annotation must outlive the list. LC_ERR_MISMATCH when the annotation names another series, or,
 * without a series, another frame of reference. */
LC_MUST_CHECK lc_status ct_nodules_from_annotation(struct ct_nodule_list *list,
                                                   const struct ct_annotation *annotation,
                                                   const struct ct_series *series,
                                                   const struct ct_grouping *grouping,
                                                   struct lc_error *err);

/* One reader's outlines measured as pylidc documents: diameter is the largest distance of two
 * points of one outline; volume the sum over outlines of the polygon's area times half the distance
 * between the outlined slices on either side (the slice thickness when there is one outline),
 * exclusions subtracted; centroid the mean of all outline points, as continuous (column, row,
 * slice). */
struct ct_measure {
  double diameter_mm, volume_mm3;
  double centroid_ijk[3];
  double centroid_mm[3]; /* the same point, patient LPS */
  size_t n_points;       /* 0: no outline lies on a slice of the series */
};
LC_MUST_CHECK lc_status ct_mark_measure(const struct ct_mark *mark, const struct ct_series *series,
                                        struct ct_measure *measure, struct lc_error *err);

/* The voxels that at least `level` (0.5) of the nodule's marks enclose, on the series' own grid and
 * within the bounding box of all outlines. Outline pixels are outside the nodule, exclusions are
 * cut out. */
struct ct_consensus {
  size_t first[3]; /* column, row, slice of mask[0] */
  size_t size[3];  /* columns, rows, slices */
  uint8_t *mask;   /* [slice, row, column] */
  size_t n_inside;
  double volume_mm3; /* n_inside times the voxel */
};
LC_MUST_CHECK lc_status ct_nodule_consensus(struct ct_consensus *consensus,
                                            const struct ct_nodule *nodule,
                                            const struct ct_series *series, double level,
                                            struct lc_error *err);
void ct_consensus_free(struct ct_consensus *consensus);

/* Fills cube->mask: 1 where at least `level` (0.5) of the nodule's marks cover the sample. Outline
 * pixels are outside the nodule, exclusion outlines cut out (pylidc's definition); the per-slice
 * masks are carried to the cube by nearest neighbour. */
LC_MUST_CHECK lc_status ct_cube_add_mask(struct ct_cube *cube, const struct ct_nodule *nodule,
                                         const struct ct_series *series, double level,
                                         struct lc_error *err);

/* The slice that ct_cube_slice would give of that mask, without the cube: mask_out[edge, edge]. Of
 * `where` only edge, spacing_mm and centre_mm are read. */
LC_MUST_CHECK lc_status ct_cube_slice_mask(const struct ct_cube *where, ct_view view, size_t index,
                                           const struct ct_nodule *nodule,
                                           const struct ct_series *series, double level,
                                           uint8_t *mask_out, struct lc_error *err);

/* Sets CT_FAULT_UNKNOWN_SLICE and CT_FAULT_OUTSIDE_IMAGE, which need the series; returns the number
 * of marks with one of them. Those with a region were checked as they were placed. */
size_t ct_annotation_check(struct ct_annotation *annotation, const struct ct_series *series);

/* The nodule that each point means: the nearest one whose centre is within the point's radius (half
 * its diameter, LUNA16's criterion for a hit), or -1. matches[points->n_points]. */
void ct_nodules_match(const struct ct_nodule_list *nodules, const struct ct_annotation *points,
                      long *matches);

/* Whether marks of nodules of 3 mm and more lie on no slice of the series, or marks or points
 * cannot be read; then `why` says so. */
bool ct_nodules_unplaced(const struct ct_nodule_list *list, struct lc_error *why);
/* Takes out the nodules whose gone[i] is true; the others keep their order and names. */
void ct_nodule_list_remove(struct ct_nodule_list *list, const bool *gone);
/* Puts file, or file and line, before the reason why the nodule lies outside its series. */
void ct_nodule_name_source(const struct ct_nodule *nodule, const char *path, lc_status status,
                           struct lc_error *why);
/* Slices for cubes of edge_mm around the nodules' centres. */
LC_MUST_CHECK lc_status ct_nodules_plan(struct ct_cut_plan *plan, const struct ct_nodule_list *list,
                                        const struct ct_series *series, double edge_mm,
                                        struct lc_error *err);

void ct_nodule_list_free(struct ct_nodule_list *list);

LC_API_END
#endif
