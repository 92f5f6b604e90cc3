/* Writes and reads the HDF5 file that holds what was found for one item. */
#include <stdlib.h>
#include <string.h>

#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_scope.h"
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
  return lc_alloc(&scored->maps,
                  judge->n_contestants * judge->n_targets * judge->cells * judge->cells,
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
      .dims = {judge->n_contestants, judge->n_targets, judge->cells, judge->cells},
      .data = scored->maps,
      .unit = "1",
      .doc = "scores: contestant, target, row of cells, column of cells"};
  pl_h5_array(&h5, &maps);
  return pl_h5_finish(&h5, path, err);
}

/* Takes the place of the values that are there, unless it fails. */
static void *read_part(struct pl_h5_in *in, const char *name, enum pl_h5_type type, size_t rank,
                       const size_t *dims, void *values) {
  void *read = pl_h5_read(in, name, type, rank, dims);
  if (!read) return values;
  free(values);
  return read;
}

lc_status pl_scored_item_read(const struct pl_judge *judge, size_t item, const char *path,
                              struct pl_scored_item *scored, bool *found, struct lc_error *err) {
  char key[65];
  struct part parts[PARTS];
  LC_SCOPED(pl_h5_close) struct pl_h5_in in = {.path = path};
  (void)item;
  *found = false;
  if (!lc_file_exists(path)) return LC_OK;
  LC_TRY(pl_h5_read_attribute(path, "key", key, sizeof key, err));
  if (strcmp(key, judge->key) != 0) return LC_OK;
  list_parts(judge, scored, parts);
  LC_TRY(pl_h5_open(&in, path, err));
  for (size_t i = 0; i < PARTS; i++)
    *parts[i].values =
        read_part(&in, parts[i].name, PL_H5_F64, parts[i].rank, parts[i].dims, *parts[i].values);
  const size_t maps[] = {judge->n_contestants, judge->n_targets, judge->cells, judge->cells};
  scored->maps = read_part(&in, "maps", PL_H5_F32, 4, maps, scored->maps);
  *found = in.status == LC_OK;
  return in.status;
}
