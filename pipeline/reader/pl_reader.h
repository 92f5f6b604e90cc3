/* The helper process that parses the bytes of strangers: what its program calls.
 *
 * Thread-safety: one thread. */
#pragma once

#include <stdnoreturn.h>

#include "common/lc_helper.h"

/* Does the jobs that come over LC_HELPER_SOCKET by the tasks of a table, until there are no more.
 * prepare() loads what the tasks would open files for, before the process gives that up. The result
 * is the program's. */
int pl_reader_main(const struct lc_helper_task *const *tasks, size_t n_tasks,
                   void (*prepare)(void));
/* Ends the process for want of `size` bytes: with LC_HELPER_OVER_LIMIT where its limit is the
 * reason, else with LC_ERR_MEMORY. */
noreturn void pl_reader_no_memory(size_t size);
