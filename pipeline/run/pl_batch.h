/* A run over the series of the input: each is processed in a draft folder and published by one
 * rename; one that fails is reported and the rest goes on.
 *
 * Thread-safety: one thread. */
#pragma once

#include "ct_io/ct/ct_series.h"
#include "ct_io/dicom_read/ct_index.h"
#include "pipeline/config/pl_config.h"
#include "pipeline/run/pl_summary.h"
#include "pipeline/store/pl_output.h"

struct pl_batch {
  size_t n_done, n_kept, n_failed, n_without; /* series: made, kept by resume, failed, no nodule */
  size_t n_left_out;                          /* nodules that could not be cut */
  char last[129];                             /* name of the last series' folder in the output */
  bool trained;
  char weights_sha256[LC_SHA256_HEX];
  bool has_summary;
  struct pl_summary summary; /* of the series that were made */
};

/* One series: its own status. Several: LC_ERR_PARTIAL when some failed. LC_ERR_PARTIAL too when a
 * nodule could not be cut; the others of its series are in the result. A series without a nodule
 * is logged and does not count as failed. A full disk, an output that cannot be written and a
 * signal end the run at once. Free with pl_batch_free whatever the status. */
LC_MUST_CHECK lc_status pl_batch_run(struct pl_batch *batch, const struct pl_config *config,
                                     enum pl_existing existing, struct lc_error *err);
void pl_batch_free(struct pl_batch *batch);

/* All of `lungcdam run`: makes the configuration, takes its model, and runs. Both are filled as far
 * as it went, and freed by the caller, whatever the status. */
LC_MUST_CHECK lc_status pl_run_all(struct pl_config *config, struct pl_batch *batch,
                                   const struct pl_overrides *overrides, enum pl_existing existing,
                                   struct lc_error *err);

/* Reads the headers of the input and picks the series that the configuration names, volume files
 * with the DICOM that it names for them: free(*chosen),
 * whose pointers go into index; ct_index_free(index) whatever the status. */
LC_MUST_CHECK lc_status pl_batch_choose(const struct pl_config *config, struct ct_index *index,
                                        const struct ct_series ***chosen, size_t *n,
                                        struct lc_error *err);
