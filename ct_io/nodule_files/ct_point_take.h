/* What sources of points share: a check of the numbers, and the words for a point that is left out.
 * Used only inside this folder. Thread-safety: distinct annotations, distinct threads. */
#pragma once

#include "ct_io/nodule/ct_mark.h"

LC_C_BEGIN

#define CT_FARTHEST_MM 1e5 /* of a coordinate: no place in a scanner beyond */
#define CT_LARGEST_MM 1000 /* diameter */

/* The points of one file on their way. */
struct ct_taking {
  const char *path;
  size_t n_read;         /* points */
  struct lc_error first; /* why the first that cannot be read cannot */
};

/* Adds a point, or leaves it out where its numbers are none of a nodule: places beyond
 * CT_FARTHEST_MM, diameters beyond CT_LARGEST_MM or negative, probabilities out of 0 to 1. Fails
 * with LC_ERR_MEMORY alone. */
LC_MUST_CHECK lc_status ct_take_point(struct ct_taking *taking, struct ct_annotation *annotation,
                                      const struct ct_point *point, struct lc_error *err);
/* Leaves out a point, and logs why: "file:2: ..." */
void ct_take_none(struct ct_taking *taking, struct ct_annotation *annotation,
                  const struct lc_error *why);
/* The end of a file: fails as its first point did where none could be read. */
LC_MUST_CHECK lc_status ct_take_end(const struct ct_taking *taking, struct lc_error *err);
/* The one annotation of a file that names no series. */
LC_MUST_CHECK lc_status ct_take_begin(struct ct_taking *taking, struct ct_annotations *found,
                                      const char *path, struct ct_annotation **annotation,
                                      struct lc_error *err);

LC_C_END
