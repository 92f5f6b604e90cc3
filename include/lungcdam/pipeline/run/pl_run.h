/* The main job as one call: what `lungcdam run` does, from DICOM folders to results on disk
 * (docs/cli.md, docs/store.md).
 *
 * Messages go where lc_log_set_sink says. Thread-safety: one call at a time; inside it uses
 * lc_threads(). */
#ifndef PL_RUN_H
#define PL_RUN_H

#include "common/lc_hash.h"
#include "common/lc_status.h"
#include "pipeline/store/pl_existing.h"

LC_API_BEGIN

/* What goes on top of the defaults and of the configuration file; NULL: nothing. Texts are
 * borrowed. */
struct pl_run_request {
  const char *configuration;   /* YAML file */
  const char *const *settings; /* [n_settings] "key=value", as --set takes them */
  size_t n_settings;
  const char *const *inputs; /* [n_inputs] files and folders with DICOM */
  size_t n_inputs;
  const char *series;  /* SeriesInstanceUID; NULL: the only one; "all" */
  const char *nodules; /* file or folder; NULL: beside the series */
  const char *weights; /* file, or name of a model; NULL: the model that ships */
  const char *output;  /* folder of the results */
  enum pl_existing existing;
};

struct pl_run_counts {
  size_t done, kept, failed, without_nodules; /* series */
  size_t left_out;                            /* nodules that could not be cut */
  bool trained;                               /* false: the numbers mean nothing */
  char weights_sha256[LC_SHA256_HEX];
};

/* Finds the nodules of each series, predicts and explains them, and publishes each series' results
 * by one rename. counts is filled whatever the status. One series: its own status; several:
 * LC_ERR_PARTIAL when some failed, and when a nodule could not be cut. LC_ERR_CONFIG,
 * LC_ERR_NOT_FOUND, LC_ERR_NO_DICOM, LC_ERR_EXISTS, ... as the program's exit codes
 * (docs/exit-codes.md). */
LC_MUST_CHECK lc_status pl_run(const struct pl_run_request *request, struct pl_run_counts *counts,
                               struct lc_error *err);

LC_API_END
#endif
