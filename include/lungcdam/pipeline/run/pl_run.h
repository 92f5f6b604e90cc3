/* The main job as one call: what `lungcdam run` does, from DICOM folders to results on disk
 * (docs/cli.md, docs/store.md, docs/configuration.md).
 *
 * Messages go where lc_log_set_sink says. No signal handler is set: SIGINT and SIGTERM do what the
 * caller's process does with them, and even a process that ends at once leaves whole results only.
 * Thread-safety: one call at a time; inside it uses lc_threads(). */
#ifndef PL_RUN_H
#define PL_RUN_H

#include "common/lc_hash.h"
#include "common/lc_status.h"
#include "pipeline/store/pl_existing.h"

LC_API_BEGIN

/* What goes on top of the defaults and of the configuration file (docs/configuration.md); NULL:
 * nothing, so that the file decides, and without it the default that is told here. Texts are
 * borrowed. */
struct pl_run_request {
  const char *configuration;   /* YAML file */
  const char *const *settings; /* [n_settings] "key=value", as --set takes them; `lungcdam config
                                  --print` lists the keys */
  size_t n_settings;
  const char *const *inputs; /* [n_inputs] files and folders with DICOM */
  size_t n_inputs;
  const char *series;  /* SeriesInstanceUID, or "all"; default: the only one */
  const char *nodules; /* file (docs/nodules.md) or folder; default: beside the series */
  const char *weights; /* file, or name of a model; default: the model that ships */
  const char *output;  /* folder of the results; default: "lungcdam-results" */
  enum pl_existing existing;
};

struct pl_run_counts {
  size_t done, kept, failed, without_nodules; /* series */
  size_t left_out;                            /* nodules that could not be cut */
  bool trained;                               /* false: the numbers mean nothing */
  char weights_sha256[LC_SHA256_HEX];
};

/* Finds the nodules of each series, predicts and explains them, and publishes each series' results
 * by one rename. counts is filled whatever the status. One series: its own status,
 * LC_ERR_NO_NODULES when nothing is marked on it. Several: LC_ERR_PARTIAL when some failed, each of
 * which was told in the log; one without nodules is counted and is no failure. LC_ERR_PARTIAL also
 * when a nodule could not be cut. err holds the message of every status but LC_OK, of
 * LC_ERR_PARTIAL too, and may be NULL. LC_ERR_CONFIG, LC_ERR_NOT_FOUND, LC_ERR_NO_DICOM,
 * LC_ERR_EXISTS, ... as the program's exit codes (docs/exit-codes.md). */
LC_MUST_CHECK lc_status pl_run(const struct pl_run_request *request, struct pl_run_counts *counts,
                               struct lc_error *err);

LC_API_END
#endif
