/* Everything that is written for one series, into one folder:
 *
 *   results.h5                       the store (pl_store.h)
 *   configuration.yaml               the configuration as the store has it
 *   nodules.csv                      one row a nodule
 *   figures/NODULE_VIEW.png          pl_figure.h
 *   captures/NODULE_VIEW.dcm         the same pictures as DICOM secondary captures
 *   objects/KIND[_NODULE][_TARGET].dcm  further DICOM objects, when export.objects asks for them
 *
 * Volume files without a reference get no captures and objects, and the log says so.
 *
 * Thread-safety: one thread a folder. */
#pragma once

#include "pipeline/config/pl_config.h"
#include "pipeline/store/pl_result.h"

/* folder exists and is empty. result->path becomes that of its store. */
LC_MUST_CHECK lc_status pl_artifacts_write(const struct pl_config *config, struct pl_result *result,
                                           const char *folder, struct lc_error *err);
