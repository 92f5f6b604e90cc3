/* What a result store holds, read back: the numbers of one series without its voxels.
 *
 * docs/store.md gives the layout. Everything read is checked: ranks, sizes that agree with each
 * other, and at most 1 GiB a dataset. Thread-safety: HDF5 is used from one thread at a time. */
#ifndef PL_STORED_H
#define PL_STORED_H

#include "common/lc_file.h"
#include "common/lc_hash.h"
#include "ct_io/ct/ct_cube.h"
#include "pipeline/config/pl_schema.h"

#define PL_STORED_NAME 65 /* 64 bytes and the final zero */

struct pl_stored {
  char path[LC_PATH_SIZE];
  bool trained;
  char weights_sha256[LC_SHA256_HEX], configuration_sha256[LC_SHA256_HEX];
  char result_key[LC_SHA256_HEX], input_manifest_sha256[LC_SHA256_HEX];
  char nodule_source_sha256[LC_SHA256_HEX];
  char architecture[256];
  char series_instance_uid[PL_STORED_NAME];

  size_t n_nodules, n_views, n_outputs, n_targets, grid_height, grid_width, edge;
  double spacing_mm;
  enum ct_view views[CT_VIEW_COUNT];
  char (*nodules)[PL_STORED_NAME]; /* [n_nodules]; likewise the others */
  char (*outputs)[PL_STORED_NAME];
  char (*targets)[PL_STORED_NAME];
  char (*left_out)[PL_STORED_NAME]; /* [n_left_out] nodules that could not be cut */
  size_t n_left_out;

  double *centre_mm;  /* [nodule, 3] */
  float *mean_logit;  /* [nodule, output] */
  float *probability; /* [nodule, output]; NaN for a regression output */
  float *scores;      /* [nodule, view, target, grid row, grid column] */
  uint8_t *mask;      /* [nodule, z, y, x] */
  uint8_t *has_mask;  /* [nodule] */
};

/* LC_ERR_NOT_FOUND when there is no such file; LC_ERR_FORMAT names the file and the dataset that is
 * missing or of another shape; LC_ERR_UNSUPPORTED for a later layout. */
LC_MUST_CHECK lc_status pl_stored_read(struct pl_stored *stored, const char *path,
                                       struct lc_error *err);
void pl_stored_free(struct pl_stored *stored);
/* Adds the folders of series that a path means: itself, or those in an output folder of a run, by
 * name. LC_ERR_NOT_FOUND for a path that is no folder, or has no result in it. */
LC_MUST_CHECK lc_status pl_stored_find(const char *path, struct pl_list *folders,
                                       struct lc_error *err);
/* The voxels of all cubes in HU, [nodule, z, y, x]: free(*hu). */
LC_MUST_CHECK lc_status pl_stored_read_hu(const struct pl_stored *stored, float **hu,
                                          struct lc_error *err);

/* [grid row, grid column] */
static inline const float *pl_stored_map(const struct pl_stored *stored, size_t nodule, size_t view,
                                         size_t target) {
  size_t map = (nodule * stored->n_views + view) * stored->n_targets + target;
  return stored->scores + map * stored->grid_height * stored->grid_width;
}

/* Where the nodule's cube lies: edge, spacing and centre, without voxels. */
struct ct_cube pl_stored_cube(const struct pl_stored *stored, size_t nodule);

#endif
