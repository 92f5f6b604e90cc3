/* The result store: one HDF5 file a series, written from a result and read back into one, and a
 * master file that joins them.
 *
 * docs/store.md gives the layout with the h5py lines that read it. The same result gives the same
 * bytes. Thread-safety: HDF5 is used from one thread at a time. */
#pragma once

#include "pipeline/config/pl_config.h"
#include "pipeline/store/pl_result.h"

#define PL_STORE_SCHEMA 1            /* version of the layout */
#define PL_STORE_FILE "results.h5"   /* in the folder of a series */
#define PL_MASTER_FILE "lungcdam.h5" /* in the output folder */

/* Whole or not at all. */
LC_MUST_CHECK lc_status pl_store_write(const struct pl_result *result, enum pl_cube_type cube_type,
                                       const char *path, struct lc_error *err);

/* Reads a store without its voxels, checking ranks, sizes that agree with each other, and at most
 * 1 GiB a dataset. LC_ERR_NOT_FOUND when there is no such file; LC_ERR_FORMAT names the file and
 * the dataset that is missing or of another shape; LC_ERR_UNSUPPORTED for a later layout.
 * pl_result_free. */
LC_MUST_CHECK lc_status pl_store_read(struct pl_result *result, const char *path,
                                      struct lc_error *err);
/* Fills hu of the cubes of a result that was read. */
LC_MUST_CHECK lc_status pl_store_read_hu(struct pl_result *result, struct lc_error *err);
/* Adds the folders of series that a path means: itself, or those in an output folder of a run, by
 * name. LC_ERR_NOT_FOUND for a path that is no folder, or has no result in it. */
LC_MUST_CHECK lc_status pl_store_find(const char *path, struct pl_list *folders,
                                      struct lc_error *err);

/* The key (pl_result_key), voxels_sha256 and identity_sha256 a store was written with;
 * LC_ERR_FORMAT when it is not a result store. */
LC_MUST_CHECK lc_status pl_store_read_key(const char *path, char hex[LC_SHA256_HEX],
                                          char voxels[LC_SHA256_HEX], char identity[LC_SHA256_HEX],
                                          struct lc_error *err);

/* Whether a result folder, if it is one, is of another study. */
bool pl_store_is_of_other(const char *folder, const char *study_instance_uid);

/* Writes the master file: one external link for each folder in `output` that holds a result. */
LC_MUST_CHECK lc_status pl_store_write_master(const char *output, struct lc_error *err);
