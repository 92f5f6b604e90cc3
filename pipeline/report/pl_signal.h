/* SIGINT and SIGTERM: the first asks for a clean stop, which long work looks for between its steps;
 * the second ends the program at once. Results are published by one rename, so that even then
 * nothing is left half done.
 *
 * Thread-safety: any thread may ask. */
#pragma once

#include "common/lc_status.h"

void pl_signal_start(void);
/* For a child process that is to end its work whatever comes: both are ignored, and one that came
 * before the fork is forgotten. */
void pl_signal_ignore(void);
/* LC_ERR_INTERRUPTED once a signal has come. */
LC_MUST_CHECK lc_status pl_signal_check(struct lc_error *err);

/* From now on the process only waits, for a peer, a pipe or the clock, and what it wrote is whole
 * at any moment: a signal ends it within a second with LC_ERR_INTERRUPTED, also inside a library
 * that does not come back. scratch: a file that is removed then, or NULL; it must stay. false: it
 * works again. */
void pl_signal_waits(bool waits, const char *scratch);
