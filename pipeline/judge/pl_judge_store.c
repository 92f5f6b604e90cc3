/* Writes and reads the HDF5 file that holds what was found for one item. */
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "pipeline/judge/pl_judged.h"
#include "pipeline/store/pl_h5.h"

#define PARTS 8

/* One array of a scored: where it is and how long. */
struct part {
  const char *name;
  double **values; /* NULL for maps */
  size_t rank, dims[3];
  const char *doc;
};

static void list_parts(const struct pl_judge *judge, struct pl_scored_item *v,
                       struct part parts[PARTS]) {
  size_t n = judge->n_contestants;
  const struct part list[PARTS] = {
      {"values", &v->values, 2, {n, judge->n_measures}, "contestant, measure; NaN: not defined"},
      {"outputs", &v->outputs, 1, {judge->n_targets}, "what the model says: target"},
      {"most", &v->most, 2, {n, judge->points}, "deletion curve: contestant, point"},
      {"least", &v->least, 2, {n, judge->points}, "least important first: contestant, point"},
      {"random", &v->random, 1, {judge->points}, "random order: point"},
      {"share", &v->share, 1, {judge->points}, "share of patches removed: point"},
      {"compact",
       &v->compact,
       3,
       {n, 2, CDAM_COMPACT_POINTS},
       "share below 0, 0.05 .. 1 of the signed and of the absolute maximum: contestant, reading, "
       "threshold"},
      {"randomised",
       &v->randomised,
       2,
       {n, judge->stages > 0 ? judge->stages : 1},
       "Spearman of |scores| after each stage of randomisation: contestant, stage"}};
  memcpy(parts, list, sizeof list);
}

static size_t part_size(const struct part *part) {
  size_t size = 1;
  for (size_t i = 0; i < part->rank; i++) size *= part->dims[i];
  return size;
}

lc_status pl_scored_item_init(struct pl_scored_item *scored, const struct pl_judge *judge,
                              struct lc_error *err) {
  struct part parts[PARTS];
  memset(scored, 0, sizeof *scored);
  list_parts(judge, scored, parts);
  for (size_t i = 0; i < PARTS; i++)
    LC_TRY(lc_alloc(parts[i].values, part_size(&parts[i]), sizeof(double), err));
  return lc_alloc(&scored->maps, judge->n_contestants * judge->n_targets * judge->patches,
                  sizeof *scored->maps, err);
}

void pl_scored_item_free(struct pl_scored_item *v) {
  double *const parts[] = {v->values, v->outputs, v->most,    v->least,
                           v->random, v->share,   v->compact, v->randomised};
  for (size_t i = 0; i < PARTS; i++) free(parts[i]);
  free(v->maps);
  memset(v, 0, sizeof *v);
}

lc_status pl_scored_item_write(const struct pl_judge *judge, size_t item,
                               const struct pl_scored_item *scored, const char *path,
                               struct lc_error *err) {
  struct part parts[PARTS];
  struct pl_scored_item copy = *scored;
  struct pl_h5 h5;
  const struct pl_crop *crop = &judge->crops.crops[judge->examples.rows[judge->items[item]]];
  list_parts(judge, &copy, parts);
  pl_h5_start(&h5);
  pl_h5_attribute_text(&h5, "/", "key", judge->key);
  pl_h5_attribute_text(&h5, "/", "PatientID", crop->patient);
  pl_h5_attribute_integer(&h5, "/", "nodule", crop->nodule);
  for (size_t i = 0; i < PARTS; i++) {
    struct pl_h5_array array = {.path = parts[i].name,
                                .type = PL_H5_F64,
                                .rank = parts[i].rank,
                                .data = *parts[i].values,
                                .unit = "1",
                                .doc = parts[i].doc};
    memcpy(array.dims, parts[i].dims, sizeof parts[i].dims);
    pl_h5_array(&h5, &array);
  }
  struct pl_h5_array maps = {
      .path = "maps",
      .type = PL_H5_F32,
      .rank = 4,
      .dims = {judge->n_contestants, judge->n_targets, judge->grid, judge->grid},
      .data = scored->maps,
      .unit = "1",
      .doc = "scores: contestant, target, patch row, patch column"};
  pl_h5_array(&h5, &maps);
  return pl_h5_finish(&h5, path, err);
}

static lc_status read_part(hid_t file, const char *path, const char *name, hid_t type, size_t count,
                           void *out, struct lc_error *err) {
  hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
  if (set < 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: dataset \"%s\" is missing", path, name);
  hid_t space = H5Dget_space(set);
  bool fits = H5Sget_simple_extent_npoints(space) == (hssize_t)count;
  herr_t failed = fits ? H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) : -1;
  H5Sclose(space);
  H5Dclose(set);
  if (failed < 0)
    LC_FAIL(err, LC_ERR_FORMAT, "%s: dataset \"%s\" does not hold %zu values", path, name, count);
  return LC_OK;
}

lc_status pl_scored_item_read(const struct pl_judge *judge, size_t item, const char *path,
                              struct pl_scored_item *scored, bool *found, struct lc_error *err) {
  char key[65];
  struct part parts[PARTS];
  (void)item;
  *found = false;
  if (!lc_file_exists(path)) return LC_OK;
  LC_TRY(pl_h5_read_attribute(path, "key", key, sizeof key, err));
  if (strcmp(key, judge->key) != 0) return LC_OK;
  list_parts(judge, scored, parts);
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file < 0) LC_FAIL(err, LC_ERR_FORMAT, "%s: not an HDF5 file", path);
  lc_status status = LC_OK;
  for (size_t i = 0; i < PARTS && status == LC_OK; i++)
    status = read_part(file, path, parts[i].name, H5T_NATIVE_DOUBLE, part_size(&parts[i]),
                       *parts[i].values, err);
  if (status == LC_OK)
    status = read_part(file, path, "maps", H5T_NATIVE_FLOAT,
                       judge->n_contestants * judge->n_targets * judge->patches, scored->maps, err);
  H5Fclose(file);
  *found = status == LC_OK;
  return status;
}
