/* Parallel loops with results that do not depend on the number of threads: every index is computed
 * on its own, and reductions are the caller's, in index order.
 *
 * A loop inside a loop runs on the thread that called it.
 *
 * Thread-safety: loops may be started from several threads after the first call of lc_threads or
 * lc_threads_set. lc_threads_set must not be called while a loop runs, nor from two threads at
 * once: callers size what each worker holds by lc_threads(). */
#ifndef LC_PARALLEL_H
#define LC_PARALLEL_H

#include "common/lc_api.h"
#include "common/lc_status.h"

LC_API_BEGIN

/* Number of threads for all later loops; 0 means as many as the process may use. The environment
 * variable LUNGCDAM_THREADS sets the start value. */
void lc_threads_set(int threads);
int lc_threads(void);

/* True inside the body of a loop that runs on more than one thread. */
bool lc_in_parallel(void);

/* Calls body(context, i, worker) once for every i in [0, n), worker in [0, lc_threads()) and in
 * [0, n). */
void lc_parallel_for(size_t n, void (*body)(void *context, size_t i, int worker), void *context);

LC_API_END
#endif
