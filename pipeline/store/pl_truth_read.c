/* Reads the features of a phantom's nodules from its truth and samples them on the plane of an
 * image. */
#include <math.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_scope.h"
#include "pipeline/store/pl_h5.h"
#include "pipeline/store/pl_truth.h"

#define FEATURES "truth/feature"

struct truth {
  size_t size[3]; /* slices, rows, columns */
  double *spacing_mm, *origin_mm, *direction;
};

static void free_truth(struct truth *t) {
  free(t->spacing_mm);
  free(t->origin_mm);
  free(t->direction);
}

static void read_geometry(struct pl_h5_in *in, struct truth *t) {
  const size_t three[] = {3, 3};
  if (!pl_h5_has(in, FEATURES))
    pl_h5_expect(in, FEATURES, "[slice, row, column], the truth of a phantom");
  pl_h5_shape(in, FEATURES, 3, t->size);
  t->spacing_mm = pl_h5_read(in, "truth/spacing_mm", PL_H5_F64, 1, three);
  t->origin_mm = pl_h5_read(in, "truth/origin_mm", PL_H5_F64, 1, three);
  t->direction = pl_h5_read(in, "truth/direction", PL_H5_F64, 2, three);
  for (int i = 0; in->status == LC_OK && i < 9; i++)
    if (fabs(t->direction[i] - (i % 4 == 0 ? 1 : 0)) > 1e-9 || !(t->spacing_mm[i % 3] > 0))
      pl_h5_expect(in, "truth/direction", "axial slices, with a spacing");
}

/* The nearest index along an axis, or -1. */
static long nearest(const struct truth *t, int axis, double at_mm) {
  double index = floor((at_mm - t->origin_mm[axis]) / t->spacing_mm[axis] + 0.5);
  return index >= 0 && index < (double)t->size[2 - axis] ? (long)index : -1;
}

lc_status pl_truth_features(const char *path, const double centre_mm[3], double spacing_mm,
                            size_t pixels, uint8_t *features, struct lc_error *err) {
  LC_SCOPED(pl_h5_close) struct pl_h5_in in;
  LC_SCOPED(free_truth) struct truth t = {.spacing_mm = NULL};
  LC_FREED uint8_t *plane = NULL;
  LC_TRY(pl_h5_open(&in, path, err));
  read_geometry(&in, &t);
  LC_TRY(in.status);
  memset(features, 0, pixels * pixels);
  long slice = nearest(&t, 2, centre_mm[2]);
  if (slice < 0) return LC_OK;
  LC_TRY(lc_alloc(&plane, t.size[1] * t.size[2], 1, err));
  pl_h5_read_rows(&in, FEATURES, PL_H5_U8, 3, t.size, (size_t)slice, 1, plane);
  double middle = 0.5 * (double)(pixels - 1);
  for (size_t y = 0; y < pixels; y++) {
    long row = nearest(&t, 1, centre_mm[1] + ((double)y - middle) * spacing_mm);
    for (size_t x = 0; x < pixels && row >= 0; x++) {
      long column = nearest(&t, 0, centre_mm[0] + ((double)x - middle) * spacing_mm);
      if (column >= 0) features[y * pixels + x] = plane[(size_t)row * t.size[2] + (size_t)column];
    }
  }
  return in.status;
}
