/* Makes up the geometry that an annotation implies, for grouping marks without DICOM. */
#include "ct_io/nodule/ct_annotation_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_text.h"
#include "ct_io/dicom_read/ct_group.h"

/* Most slices assumed between the lowest and the highest mark. */
enum { MAX_SLICES = 100000 };
/* Differences of z below this are rounding. */
static const double same_z_mm = 0.02;

struct place {
  double z_mm;
  const char *sop;
};

static int by_z(const void *a, const void *b) {
  const struct place *x = a, *y = b;
  return (x->z_mm > y->z_mm) - (x->z_mm < y->z_mm);
}

static size_t gather(const struct ct_annotation *annotation, struct place *places) {
  size_t n = 0;
  for (size_t m = 0; m < annotation->n_marks; m++)
    for (size_t i = 0; i < annotation->marks[m].n_outlines; i++) {
      const struct ct_outline *outline = &annotation->marks[m].outlines[i];
      if (places) places[n] = (struct place){outline->z_mm, outline->sop_instance_uid};
      n++;
    }
  return n;
}

static lc_status fill_slices(struct ct_series *series, const struct place *places, size_t n,
                             double spacing, struct lc_error *err) {
  double span = n ? places[n - 1].z_mm - places[0].z_mm : 0;
  if (!(span / spacing < (double)MAX_SLICES))
    LC_FAIL(err, LC_ERR_FORMAT, "series %s: marks from z %g to %g mm in steps of %g mm",
            series->series_instance_uid, places[0].z_mm, places[n - 1].z_mm, spacing);
  series->n_slices = (size_t)lrint(span / spacing) + 1;
  LC_TRY(lc_alloc(&series->slices, series->n_slices, sizeof *series->slices, err));
  for (size_t k = 0; k < series->n_slices; k++) {
    struct ct_slice *slice = &series->slices[k];
    slice->along_mm = slice->position_mm[2] = (n ? places[0].z_mm : 0) + spacing * (double)k;
  }
  for (size_t i = 0; i < n; i++) {
    struct ct_slice *slice = &series->slices[lrint((places[i].z_mm - places[0].z_mm) / spacing)];
    lc_text_copy(slice->sop_instance_uid, sizeof slice->sop_instance_uid, places[i].sop);
  }
  return LC_OK;
}

lc_status ct_series_from_annotation(struct ct_series *series,
                                    const struct ct_annotation *annotation, struct lc_error *err) {
  struct place *places = NULL;
  double spacing = INFINITY;
  memset(series, 0, sizeof *series);
  LC_TRY(lc_alloc(&places, gather(annotation, NULL), sizeof *places, err));
  size_t n = gather(annotation, places);
  if (n) qsort(places, n, sizeof *places, by_z);
  for (size_t i = 1; i < n; i++) {
    double step = places[i].z_mm - places[i - 1].z_mm;
    if (step > same_z_mm) spacing = fmin(spacing, step);
  }
  if (!isfinite(spacing)) spacing = 1;
  memcpy(series->series_instance_uid, annotation->series_instance_uid,
         sizeof series->series_instance_uid);
  memcpy(series->study_instance_uid, annotation->study_instance_uid,
         sizeof series->study_instance_uid);
  series->orientation[0] = series->orientation[4] = series->normal[2] = 1;
  series->pixel_spacing_mm[0] = series->pixel_spacing_mm[1] = 1;
  series->slice_spacing_mm = series->slice_thickness_mm = spacing;
  series->rows = series->columns = INT32_MAX;
  lc_status status = fill_slices(series, places, n, spacing, err);
  free(places);
  if (status != LC_OK) ct_series_free(series);
  return status;
}

void ct_series_release(struct ct_series *series) {
  ct_series_free(series);
}
