/* Takes points from sources, and leaves out by name those whose numbers are none of a nodule. */
#include "ct_io/nodule_files/ct_point_take.h"

#include <math.h>

#include "common/lc_log.h"

static lc_status check(const struct ct_point *point, const char *path, struct lc_error *err) {
  for (int c = 0; c < 3; c++)
    if (!(fabs(point->centre_mm[c]) <= CT_FARTHEST_MM))
      LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: %c is %g mm, expected a place within %g mm", path,
              point->line, "xyz"[c], point -> centre_mm[c], CT_FARTHEST_MM);
  if (!(point->diameter_mm >= 0 && point->diameter_mm <= CT_LARGEST_MM))
    LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: diameter_mm %g, expected 0 to %d", path, point->line,
            point->diameter_mm, CT_LARGEST_MM);
  if (!(isnan(point->probability) || (point->probability >= 0 && point->probability <= 1)))
    LC_FAIL(err, LC_ERR_FORMAT, "%s:%zu: probability %g, expected 0 to 1", path, point->line,
            point->probability);
  return LC_OK;
}

lc_status ct_take_point(struct ct_taking *taking, struct ct_annotation *annotation,
                        const struct ct_point *point, struct lc_error *err) {
  struct lc_error why;
  if (check(point, taking->path, &why) != LC_OK) {
    ct_take_none(taking, annotation, &why);
    return LC_OK;
  }
  taking->n_read++;
  return ct_annotation_add_point(annotation, point, err);
}

void ct_take_none(struct ct_taking *taking, struct ct_annotation *annotation,
                  const struct lc_error *why) {
  if (!taking->first.message[0]) taking->first = *why;
  annotation->n_unreadable++;
  lc_log(LC_LOG_WARNING, "%s: the point is left out", why->message);
}

lc_status ct_take_end(const struct ct_taking *taking, struct lc_error *err) {
  if (taking->n_read > 0 || !taking->first.message[0]) return LC_OK;
  LC_FAIL(err, LC_ERR_FORMAT, "%s", taking->first.message);
}

lc_status ct_take_begin(struct ct_taking *taking, struct ct_annotations *found, const char *path,
                        struct ct_annotation **annotation, struct lc_error *err) {
  taking->path = path;
  return ct_annotations_of_series(found, "", path, annotation, err);
}
