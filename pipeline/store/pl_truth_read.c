/* Reads the features of a phantom's nodules from its truth and samples them on the plane of an
 * image. */
#include <hdf5.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "pipeline/store/pl_truth.h"

struct truth {
  hid_t file, set;
  const char *path;
  hsize_t size[3]; /* slices, rows, columns */
  double spacing_mm[3], origin_mm[3], direction[9];
};

static lc_status read_numbers(const struct truth *t, const char *name, hsize_t n, double *out,
                              struct lc_error *err) {
  hid_t set = H5Dopen2(t->file, name, H5P_DEFAULT), space = set < 0 ? -1 : H5Dget_space(set);
  bool fits = space >= 0 && H5Sget_simple_extent_npoints(space) == (hssize_t)n;
  herr_t read =
      fits ? H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) : (herr_t)-1;
  if (space >= 0) H5Sclose(space);
  if (set >= 0) H5Dclose(set);
  if (read < 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: %s cannot be read, expected %llu numbers", t->path, name,
            (unsigned long long)n);
  return LC_OK;
}

static lc_status open_truth(struct truth *t, struct lc_error *err) {
  t->set = H5Dopen2(t->file, "truth/feature", H5P_DEFAULT);
  hid_t space = t->set < 0 ? -1 : H5Dget_space(t->set);
  bool fits = space >= 0 && H5Sget_simple_extent_ndims(space) == 3;
  if (fits) H5Sget_simple_extent_dims(space, t->size, NULL);
  if (space >= 0) H5Sclose(space);
  if (!fits)
    LC_FAIL(err, LC_ERR_FORMAT,
            "%s: no truth/feature [slice, row, column], expected the truth of a phantom", t->path);
  LC_TRY(read_numbers(t, "truth/spacing_mm", 3, t->spacing_mm, err));
  LC_TRY(read_numbers(t, "truth/origin_mm", 3, t->origin_mm, err));
  LC_TRY(read_numbers(t, "truth/direction", 9, t->direction, err));
  for (int i = 0; i < 9; i++)
    if (fabs(t->direction[i] - (i % 4 == 0 ? 1 : 0)) > 1e-9 || !(t->spacing_mm[i % 3] > 0))
      LC_FAIL(err, LC_ERR_FORMAT, "%s: slices are not axial, or without spacing", t->path);
  return LC_OK;
}

/* The nearest index along an axis, or -1. */
static long nearest(const struct truth *t, int axis, double at_mm) {
  double index = floor((at_mm - t->origin_mm[axis]) / t->spacing_mm[axis] + 0.5);
  return index >= 0 && index < (double)t->size[2 - axis] ? (long)index : -1;
}

static lc_status read_plane(const struct truth *t, long slice, uint8_t *plane,
                            struct lc_error *err) {
  const hsize_t start[3] = {(hsize_t)slice, 0, 0}, count[3] = {1, t->size[1], t->size[2]};
  hid_t memory = H5Screate_simple(3, count, NULL), space = H5Dget_space(t->set);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
  herr_t read = H5Dread(t->set, H5T_NATIVE_UINT8, memory, space, H5P_DEFAULT, plane);
  H5Sclose(space);
  H5Sclose(memory);
  if (read < 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: truth/feature cannot be read", t->path);
  return LC_OK;
}

static lc_status sample(const struct truth *t, const double centre_mm[3], double spacing_mm,
                        size_t pixels, uint8_t *features, struct lc_error *err) {
  long slice = nearest(t, 2, centre_mm[2]);
  uint8_t *plane = NULL;
  memset(features, 0, pixels * pixels);
  if (slice < 0) return LC_OK;
  LC_TRY(lc_alloc(&plane, (size_t)(t->size[1] * t->size[2]), 1, err));
  lc_status status = read_plane(t, slice, plane, err);
  double middle = 0.5 * (double)(pixels - 1);
  for (size_t y = 0; y < pixels && status == LC_OK; y++) {
    long row = nearest(t, 1, centre_mm[1] + ((double)y - middle) * spacing_mm);
    for (size_t x = 0; x < pixels && row >= 0; x++) {
      long column = nearest(t, 0, centre_mm[0] + ((double)x - middle) * spacing_mm);
      if (column >= 0)
        features[y * pixels + x] = plane[(size_t)row * (size_t)t->size[2] + (size_t)column];
    }
  }
  free(plane);
  return status;
}

lc_status pl_truth_features(const char *path, const double centre_mm[3], double spacing_mm,
                            size_t pixels, uint8_t *features, struct lc_error *err) {
  struct truth t = {.path = path, .set = -1};
  if (!lc_file_exists(path)) LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: no such file", path);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  t.file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (t.file < 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: not an HDF5 file", path);
  lc_status status = open_truth(&t, err);
  if (status == LC_OK) status = sample(&t, centre_mm, spacing_mm, pixels, features, err);
  if (t.set >= 0) H5Dclose(t.set);
  H5Fclose(t.file);
  return status;
}
