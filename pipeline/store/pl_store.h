/* The result store: one HDF5 file a series, and a master file that joins them.
 *
 * docs/store.md gives the layout with the h5py lines that read it. The same result gives the same
 * bytes. Thread-safety: HDF5 is used from one thread at a time. */
#ifndef PL_STORE_H
#define PL_STORE_H

#include "pipeline/config/pl_config.h"
#include "pipeline/store/pl_result.h"

#define PL_STORE_SCHEMA 1            /* version of the layout */
#define PL_STORE_FILE "results.h5"   /* in the folder of a series */
#define PL_MASTER_FILE "lungcdam.h5" /* in the output folder */

/* Whole or not at all. */
LC_MUST_CHECK lc_status pl_store_write(const struct pl_result *result,
                                       const struct pl_provenance *provenance,
                                       enum pl_cube_type cube_type, const char *path,
                                       struct lc_error *err);

/* The key (pl_result_key) a store was written with; LC_ERR_FORMAT when it is not a result store. */
LC_MUST_CHECK lc_status pl_store_read_key(const char *path, char hex[LC_SHA256_HEX],
                                          struct lc_error *err);

/* Writes the master file: one external link for each folder in `output` that holds a result. */
LC_MUST_CHECK lc_status pl_store_write_master(const char *output, struct lc_error *err);

#endif
