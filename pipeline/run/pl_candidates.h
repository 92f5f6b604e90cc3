/* Candidates for nodules of a series, where nodules.source is "detect": places that a detector
 * found, the program's own (ct_io/detect) or a program of the user's (nodules.command). They are
 * written to a file in OUTPUT/candidates and read from there as any other file of nodules, and are
 * what a detector says, for review.
 *
 * Thread-safety: distinct series may be searched from distinct threads. */
#pragma once

#include "ct_io/ct/ct_series.h"
#include "pipeline/config/pl_config.h"
#include "pipeline/store/pl_result.h"

#define PL_CANDIDATES_FOLDER "candidates"

/* The file of a series' candidates. One that is there was made from the same slices by the same
 * settings, and is kept. LC_ERR_FORMAT when the program fails, takes more than its time or writes
 * nothing, or the series shows no lungs; LC_ERR_NO_NODULES when nothing was found. */
LC_MUST_CHECK lc_status pl_candidates_find(const struct pl_config *config,
                                           const struct ct_series *series, char path[LC_PATH_SIZE],
                                           struct lc_error *err);

/* Runs nodules.command on a series: it gets the path of a folder that holds the series' files
 * alone (as links) and the path of the file that it has to write. Bounded in time (nodules.
 * command_s) and memory (nodules.command_mb); what it prints goes to the log's place. scratch: an
 * empty folder. */
LC_MUST_CHECK lc_status pl_candidates_command(const struct pl_config *config,
                                              const struct ct_series *series, const char *scratch,
                                              const char *file, struct lc_error *err);

/* The file of candidates beside a result's folder that the result was made from; *found: there is
 * one. */
LC_MUST_CHECK lc_status pl_candidates_of_result(const struct pl_result *result, const char *folder,
                                                char path[LC_PATH_SIZE], bool *found,
                                                struct lc_error *err);
